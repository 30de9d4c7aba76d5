// Package regular opens input files: only regular ones, and of bounded size. A device such
// as /dev/zero would fill the memory, a named pipe would block.
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

// Text bounds text files such as word lists, corpora, prompts and configurations, in bytes.
const Text = 64 << 20

// Scores bounds files of numbers that are read into memory, in bytes.
const Scores = 4 << 30

// Open opens a regular file, or a link to one, for reading, and returns its size in bytes.
// Any other kind of file, and a file of more than limit bytes (0: no limit), is an
// fs.PathError.
func Open(path string, limit int64) (f *os.File, size int64, err error) {
	fail := func(cause error) (*os.File, int64, error) {
		if f != nil {
			f.Close()
		}
		return nil, 0, &fs.PathError{Op: "open", Path: path, Err: cause}
	}
	info, err := os.Stat(path) // before Open, which would block on a pipe
	if err != nil {
		return fail(errors.Unwrap(err)) // "open", not "stat", in the user's words
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
	if err := check(info); err != nil { // the file may have been replaced since
		return fail(err)
	}
	if size = info.Size(); limit > 0 && size > limit {
		return fail(tooLarge(size, limit))
	}
	return f, size, nil
}

// Read returns the content of a file that Open accepts. It is an error if the file grows
// beyond limit bytes during reading, or is larger than its reported size, as in /proc.
func Read(path string, limit int64) ([]byte, error) {
	f, size, err := Open(path, limit)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data := make([]byte, 0, size+1) // plus 1 to detect the end without growing
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

// Hash returns the SHA-256, in hex, of a file of any size that Open accepts.
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

// check returns an error that names the kind of a file that is not regular.
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

// Limit returns a reader of at most limit bytes of a stream such as standard input. One more
// byte is an error, not the end.
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
