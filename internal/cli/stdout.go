package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// guarded is standard output: what could not be written is remembered, so that no program
// ends as if it had been.
type guarded struct {
	to  io.Writer
	err error
}

// standardOutput is the process's. The Go runtime puts /dev/null in the place of one that
// was closed, to which everything could be written.
func standardOutput() *guarded {
	if stdoutWasClosed() {
		return &guarded{to: closedOutput{}}
	}
	return &guarded{to: os.Stdout}
}

// Write writes, and returns an error that names standard output.
func (g *guarded) Write(p []byte) (int, error) {
	n, err := g.to.Write(p)
	if err != nil {
		if cause := new(fs.PathError); errors.As(err, &cause) {
			err = cause.Err
		}
		err = fmt.Errorf("standard output: %w", err)
		if g.err == nil {
			g.err = err
		}
	}
	return n, err
}

// result is the error of a program that returned err: that of standard output where it has
// no other.
func (g *guarded) result(err error) error {
	if Report("", err, io.Discard) == 0 && g.err != nil {
		return g.err
	}
	return err
}

// closedOutput is written to in vain.
type closedOutput struct{}

func (closedOutput) Write([]byte) (int, error) { return 0, errors.New("it is closed") }
