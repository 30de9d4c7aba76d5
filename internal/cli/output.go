package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
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
	f, err := createTemp(path)
	if err != nil {
		return outputError(path, err)
	}
	err = write(f) // its errors say enough of themselves
	if err == nil {
		err = f.Chmod(0o644)
	}
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

// createTemp makes the file that will become path, beside it and locked, and removes
// those that killed processes have left there.
func createTemp(path string) (*os.File, error) {
	dir, base := filepath.Split(path)
	left, _ := filepath.Glob(globQuote.Replace(dir) + "." + globQuote.Replace(base) + ".*.tmp")
	for _, name := range left {
		f, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			continue
		}
		if tryLock(f) == nil && sameFile(f, name) { // nobody is writing it
			os.Remove(name)
		}
		f.Close()
	}
	if dir == "" {
		dir = "." // not os.TempDir
	}
	for {
		f, err := os.CreateTemp(dir, "."+base+".*.tmp")
		if err != nil {
			return nil, err
		}
		err = tryLock(f)
		if (err == nil || errors.Is(err, errors.ErrUnsupported)) && sameFile(f, f.Name()) {
			return f, nil
		}
		f.Close() // another process has taken it for one that was left
		if err != nil && !errors.Is(err, errLocked) {
			os.Remove(f.Name())
			return nil, err
		}
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

// CheckApart refuses an output that would replace one of the files it is made from.
func CheckApart(out string, inputs ...string) error {
	for _, name := range []string{out, out + ".meta.json", out + ".part"} {
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

// OutputFormat returns the format of an output: of a file by its ending, which a format that
// is given must fit, and of "-", standard output, the one that is given, or else the first.
// endings are the formats and the endings of their files.
func OutputFormat(out, given string, endings ...[2]string) (string, error) {
	var names, all []string
	for _, e := range endings {
		names = append(names, e[0])
		if !slices.Contains(all, e[1]) {
			all = append(all, e[1])
		}
	}
	if given != "" && !slices.Contains(names, given) {
		return "", Usagef("-format %q, wanted %s", given, strings.Join(names, " or "))
	}
	if out == "-" {
		if given == "" {
			given = names[0]
		}
		return given, nil
	}
	if err := CheckOutput(out, all...); err != nil {
		return "", err
	}
	for _, e := range endings {
		if strings.HasSuffix(out, e[1]) && (given == "" || given == e[0]) {
			return e[0], nil
		}
	}
	return "", Usagef("output %q with -format %s, wanted a name that ends in %s", out, given, endings[slices.Index(names, given)][1])
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
