// Package regular opens the files that are read: regular ones, and no larger than they
// can be meant to be. A device as /dev/zero would fill the memory, a named pipe would wait
// for its writer, and neither is what somebody meant by the name of a file.
package regular

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// Text bounds files that people write or keep as text: word lists, corpora, prompts,
// configurations, in bytes.
const Text = 64 << 20

// Scores bounds files of numbers that are read whole, in bytes.
const Scores = 4 << 30

// Open opens a regular file, or a link to one, for reading, and returns its size in bytes. An
// error is an fs.PathError: of anything else, and of a file of more than limit bytes (0: no
// limit).
func Open(path string, limit int64) (f *os.File, size int64, err error) {
	fail := func(cause error) (*os.File, int64, error) {
		if f != nil {
			f.Close()
		}
		return nil, 0, &fs.PathError{Op: "open", Path: path, Err: cause}
	}
	info, err := os.Stat(path) // before Open, which would wait for the writer of a pipe
	if err != nil {
		return fail(errors.Unwrap(err)) // "open", as people say it
	}
	if err := check(info); err != nil {
		return fail(err)
	}
	if f, err = os.Open(path); err != nil {
		return nil, 0, err
	}
	if info, err = f.Stat(); err != nil {
		f.Close()
		return nil, 0, err
	}
	if err := check(info); err != nil { // it was another file a moment ago
		return fail(err)
	}
	if size = info.Size(); limit > 0 && size > limit {
		return fail(tooLarge(size, limit))
	}
	return f, size, nil
}

// Read reads a file that Open opens. A file that grows beyond limit bytes while it is read, or
// has more than it says, as those of /proc do, is an error too.
func Read(path string, limit int64) ([]byte, error) {
	f, size, err := Open(path, limit)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data := make([]byte, 0, size+1) // and 1, to see the end without growing
	for {
		n, err := f.Read(data[len(data):cap(data)])
		data = data[:len(data)+n]
		switch {
		case err == io.EOF:
			return data, nil
		case err != nil:
			return nil, err
		case limit > 0 && int64(len(data)) > limit:
			return nil, &fs.PathError{Op: "read", Path: path, Err: tooLarge(int64(len(data)), limit)}
		case len(data) == cap(data):
			data = append(data, 0)[:len(data)]
		}
	}
}

// Hash is the SHA-256, in hex, of a file of any size that Open opens.
func Hash(path string) (string, error) {
	f, _, err := Open(path, 0)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// check says what a file is that is no regular one.
func check(info fs.FileInfo) error {
	switch mode := info.Mode(); {
	case mode.IsRegular():
		return nil
	case mode.IsDir():
		return fmt.Errorf("a folder, wanted a regular file")
	case mode&fs.ModeNamedPipe != 0:
		return fmt.Errorf("a pipe (mode %v), wanted a regular file", mode)
	default:
		return fmt.Errorf("mode %v, wanted a regular file", mode)
	}
}

func tooLarge(size, limit int64) error {
	return fmt.Errorf("%d bytes, wanted at most %d", size, limit)
}

// Limit is a reader of at most limit bytes of something else than a file, as standard input. A
// byte more is an error that says so, not the end.
func Limit(r io.Reader, limit int64) io.Reader { return &limited{r, limit, limit} }

type limited struct {
	r           io.Reader
	left, limit int64
}

func (l *limited) Read(p []byte) (int, error) {
	if int64(len(p)) > l.left+1 {
		p = p[:l.left+1]
	}
	n, err := l.r.Read(p)
	if int64(n) > l.left {
		return int(l.left), fmt.Errorf("more than %d bytes, wanted at most so many", l.limit)
	}
	l.left -= int64(n)
	return n, err
}
