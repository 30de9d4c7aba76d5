package cli

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// WriteFile writes a file through write, under its name only when it is complete: until
// then, and after an error, what was there before stays.
func WriteFile(path string, write func(io.Writer) error) error {
	return writeFile(path, write, func() error { return nil })
}

// WriteWithMeta is WriteFile for a kind of file that has no place to say how it was made:
// meta writes that to a file beside it, PATH.meta.json, which is there when PATH is.
func WriteWithMeta(path string, write, meta func(io.Writer) error) error {
	return writeFile(path, write, func() error { return WriteFile(path+".meta.json", meta) })
}

// writeFile calls last when all is written, before the file gets its name.
func writeFile(path string, write func(io.Writer) error, last func() error) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("output %s: %w", path, err)
	}
	defer os.Remove(f.Name()) // after success there is nothing under that name
	err = write(f)            // its errors say enough of themselves
	if err == nil {
		err = f.Chmod(0o644)
	}
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = last()
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	return err
}

// CheckApart refuses an output that would replace one of the files it is made from.
func CheckApart(out string, inputs ...string) error {
	for _, name := range []string{out, out + ".meta.json"} {
		to, err := os.Stat(name)
		if err != nil {
			continue // nothing there to replace
		}
		for _, in := range inputs {
			if from, err := os.Stat(in); err == nil && os.SameFile(from, to) {
				return Usagef("output %s would replace the input %s", name, in)
			}
		}
	}
	return nil
}

// CheckOutput refuses, before any work, an output whose name does not end in one of the
// endings or whose folder is not there.
func CheckOutput(path string, endings ...string) error {
	ok := false
	for _, e := range endings {
		ok = ok || strings.HasSuffix(path, e)
	}
	if !ok {
		return Usagef("output %q, wanted a name that ends in %s", path, strings.Join(endings, " or "))
	}
	if info, err := os.Stat(filepath.Dir(path)); err != nil || !info.IsDir() {
		return fmt.Errorf("output %s: there is no folder %s", path, filepath.Dir(path))
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return fmt.Errorf("output %s: a folder, wanted a file", path)
	}
	return nil
}
