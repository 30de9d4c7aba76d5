// Package output puts what programs make on the disk: files and folders that have their
// names only when they are complete, that never take the place of what somebody else has
// made, and of which nothing but a Journal is left when the program is killed. What is in a
// table, and how it says how it was made, is package table's.
package output

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
)

// WriteFile writes a file through write, under its name only when it is complete: until
// then, and after an error, what was there before stays. Its permissions are those that
// the process gives to new files.
func WriteFile(path string, write func(io.Writer) error) error {
	return writeFile(path, write, func() error { return nil })
}

// writeFile calls last when all is written, before the file gets its name.
func writeFile(path string, write func(io.Writer) error, last func() error) error {
	sweep(path)
	f, err := createTemp(path)
	if err != nil {
		return outputError(path, err)
	}
	err = write(f) // its errors say enough of themselves
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = last()
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	if closed := f.Close(); err == nil { // only now: until it has its name the file is locked
		err = closed
	}
	if err != nil {
		return outputError(path, err)
	}
	syncFolder(path)
	return nil
}

// createTemp makes the file that will become path, beside it and locked.
func createTemp(path string) (*os.File, error) {
	for {
		f, err := os.OpenFile(tempName(path), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666) // less the process's umask
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if ok, err := own(f); ok || err != nil {
			return f, err
		}
	}
}

// tempName is a name for what will become path: .NAME.NUMBER.tmp in its folder.
func tempName(path string) string {
	dir, base := filepath.Split(filepath.Clean(path))
	return dir + "." + base + "." + fmt.Sprint(rand.Uint32()) + ".tmp"
}

// own locks a new file or folder, until it is closed, so that nobody takes it for one that
// was left. Where another process has, ok is false, and f is closed.
func own(f *os.File) (ok bool, err error) {
	err = tryLock(f)
	if (err == nil || errors.Is(err, errors.ErrUnsupported)) && sameFile(f, f.Name()) {
		return true, nil
	}
	f.Close()
	if err != nil && !errors.Is(err, errLocked) {
		os.Remove(f.Name())
		return false, err
	}
	return false, nil
}

// sweep removes what processes that were killed have left of path: what nobody has locked.
func sweep(path string) {
	dir, base := filepath.Split(filepath.Clean(path))
	left, _ := filepath.Glob(globQuote.Replace(dir) + "." + globQuote.Replace(base) + ".*.tmp")
	for _, name := range left {
		number := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(name), "."+base+"."), ".tmp")
		if strings.Trim(number, "0123456789") != "" {
			continue // of another file, as NAME.meta.json
		}
		f, err := os.OpenFile(name, os.O_RDWR, 0) // some systems lock nothing else
		if err != nil {
			f, err = os.Open(name) // a folder
		}
		if err != nil {
			continue
		}
		if tryLock(f) == nil && sameFile(f, name) { // nobody is writing it
			restore(name, path)
			os.RemoveAll(name)
		}
		f.Close()
	}
}

// globQuote makes a pattern of a name.
var globQuote = strings.NewReplacer("\\", "\\\\", "*", "\\*", "?", "\\?", "[", "\\[")

// outputError names the output in errors of the file that was to become it, whose own name
// says nothing to a reader.
func outputError(path string, err error) error {
	var name string
	var cause error
	p, l := new(fs.PathError), new(os.LinkError)
	switch {
	case errors.As(err, &p):
		name, cause = p.Path, p.Err
	case errors.As(err, &l):
		name, cause = l.Old, l.Err
	}
	if !strings.HasPrefix(filepath.Base(name), "."+filepath.Base(path)+".") {
		return err
	}
	if _, err := os.Stat(filepath.Dir(path)); err != nil {
		return fmt.Errorf("output %s: its folder is gone", path)
	}
	return fmt.Errorf("output %s: %w", path, cause)
}

// syncFolder makes a new name last, as far as the system can.
func syncFolder(path string) {
	if d, err := os.Open(filepath.Dir(path)); err == nil {
		d.Sync()
		d.Close()
	}
}
