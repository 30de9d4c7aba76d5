// Package output creates the files and folders that programs write. They appear under their
// names only when complete, never replace what somebody else made, and leave nothing but a
// Journal behind when the program is killed. For the formats of tables and their provenance
// see package table.
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

// WriteFile writes a file atomically: until write is complete, and after an error, a file of
// that name is unchanged. Permissions are the process's for new files.
func WriteFile(path string, write func(io.Writer) error) error {
	return writeFile(path, write, func() error { return nil })
}

// writeFile calls last after the content is written and before the file is renamed.
func writeFile(path string, write func(io.Writer) error, last func() error) error {
	sweep(path)
	f, err := createTemp(path)
	if err != nil {
		return outputError(path, err)
	}
	err = write(f) // its errors need no prefix
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
	if closed := f.Close(); err == nil { // only now: the file stays locked until it is renamed
		err = closed
	}
	if err != nil {
		return outputError(path, err)
	}
	syncFolder(path)
	return nil
}

// createTemp creates the locked file beside path that will be renamed to it.
func createTemp(path string) (*os.File, error) {
	for {
		f, err := os.OpenFile(tempName(path), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666) // minus the umask
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

// tempName is a temporary name for path: .NAME.NUMBER.tmp in its folder.
func tempName(path string) string {
	dir, base := filepath.Split(filepath.Clean(path))
	return dir + "." + base + "." + fmt.Sprint(rand.Uint32()) + ".tmp"
}

// own locks a new file or folder until it is closed, so that no other process removes it as
// left behind. If another process has locked it, ok is false, and f is closed.
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

// sweep removes temporary files of path that killed processes left: those that are not
// locked.
func sweep(path string) {
	dir, base := filepath.Split(filepath.Clean(path))
	left, _ := filepath.Glob(globQuote.Replace(dir) + "." + globQuote.Replace(base) + ".*.tmp")
	for _, name := range left {
		number := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(name), "."+base+"."), ".tmp")
		if strings.Trim(number, "0123456789") != "" {
			continue // of another file, such as NAME.meta.json
		}
		f, err := os.OpenFile(name, os.O_RDWR, 0) // some systems lock only files open for writing
		if err != nil {
			f, err = os.Open(name) // a folder
		}
		if err != nil {
			continue
		}
		if tryLock(f) == nil && sameFile(f, name) { // no process is writing it
			restore(name, path)
			os.RemoveAll(name)
		}
		f.Close()
	}
}

// globQuote escapes a name for use in a glob pattern.
var globQuote = strings.NewReplacer("\\", "\\\\", "*", "\\*", "?", "\\?", "[", "\\[")

// outputError names the output in an error about its temporary file, whose name means
// nothing to the user.
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

// syncFolder makes a rename durable, as far as the system can.
func syncFolder(path string) {
	if d, err := os.Open(filepath.Dir(path)); err == nil {
		d.Sync()
		d.Close()
	}
}
