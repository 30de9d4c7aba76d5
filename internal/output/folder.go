package output

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/implicitreward/implicitreward/internal/regular"
)

// Sums is the file of a folder with the SHA-256 of all its other files, in the format of
// sha256sum.
const Sums = "SHA256SUMS"

// Entry is a file of a folder.
type Entry struct {
	Name string // with slashes
	Data []byte
}

// Folder is a folder that a program writes. An existing folder is replaced if it is empty or
// as we made it: SHA256SUMS lists every file in it, with the right hash. Any other is left
// alone, and an error; with Force, files of the same names are replaced and those listed in
// its SHA256SUMS removed.
type Folder struct {
	Path  string
	Force bool
}

// Check removes what killed processes left of the folder, and returns an error if existing
// files prevent writing it. Write checks again.
func (d Folder) Check() error {
	sweep(d.Path)
	_, err := d.free()
	return err
}

// free reports whether the folder may be replaced as a whole.
func (d Folder) free() (bool, error) {
	if d.Path == "" {
		return false, errors.New("output: no folder")
	}
	entries, err := os.ReadDir(d.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return true, nil
	case err != nil:
		return false, fmt.Errorf("output %s: %w, wanted a folder", d.Path, err)
	case len(entries) == 0:
		return true, nil
	}
	other, err := d.other()
	switch {
	case err != nil:
		return false, fmt.Errorf("output %s: %w", d.Path, err)
	case other == "":
		return true, nil
	case d.Force:
		return false, nil
	}
	return false, fmt.Errorf("output %s: there already, with %s in it, not made by this program, or changed since: -force replaces files of the same names", d.Path, other)
}

// other returns the first file of the folder that is not as we made it, or "".
func (d Folder) other() (other string, err error) {
	sums := d.sums()
	err = filepath.WalkDir(d.Path, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		name, err := filepath.Rel(d.Path, path)
		if err != nil {
			return err
		}
		if name = filepath.ToSlash(name); name == Sums && len(sums) > 0 {
			return nil
		}
		if want := sums[name]; want != "" && e.Type().IsRegular() {
			data, err := regular.Read(path, 0)
			if err != nil {
				return err
			}
			if hash(data) == want {
				return nil
			}
		}
		other = name
		return filepath.SkipAll
	})
	return other, err
}

// sums returns the names and hashes in SHA256SUMS; none if it cannot be read.
func (d Folder) sums() map[string]string {
	data, err := regular.Read(filepath.Join(d.Path, Sums), regular.Text)
	if err != nil {
		return nil
	}
	sums := map[string]string{}
	for line := range strings.Lines(string(data)) {
		if sum, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "  "); ok && filepath.IsLocal(filepath.FromSlash(name)) {
			sums[name] = sum
		}
	}
	return sums
}

func hash(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// Write writes the files and SHA256SUMS into a folder, which appears under its name only
// when complete. Missing parent folders are created. Permissions are the process's for new
// files.
func (d Folder) Write(files []Entry) error {
	if err := d.write(files); err != nil {
		return outputError(d.Path, err)
	}
	syncFolder(d.Path)
	return nil
}

func (d Folder) write(files []Entry) error {
	if err := os.MkdirAll(filepath.Dir(filepath.Clean(d.Path)), 0o777); err != nil {
		return fmt.Errorf("output %s: %w", d.Path, err)
	}
	sweep(d.Path)
	temp, err := createTempFolder(d.Path)
	if err != nil {
		return err
	}
	defer temp.Close() // last, since closing unlocks it
	defer os.RemoveAll(temp.Name())
	made := filepath.Join(temp.Name(), "new")
	var sums bytes.Buffer
	files = slices.SortedFunc(slices.Values(files), func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	for _, f := range files {
		fmt.Fprintf(&sums, "%s  %s\n", hash(f.Data), f.Name)
	}
	files = append(files, Entry{Sums, sums.Bytes()})
	for _, f := range files {
		path := filepath.Join(made, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			return err
		}
		if err := os.WriteFile(path, f.Data, 0o666); err != nil {
			return err
		}
	}
	whole, err := d.free()
	if err != nil {
		return err
	}
	if !whole {
		return d.mix(made, files)
	}
	old := filepath.Join(temp.Name(), "old") // the name that restore looks for
	if err := os.Rename(d.Path, old); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("output %s: %w", d.Path, err)
	}
	if err := os.Rename(made, d.Path); err != nil {
		return errors.Join(fmt.Errorf("output %s: %w", d.Path, err), os.Rename(old, d.Path))
	}
	return nil
}

// mix moves the files into a folder that contains others.
func (d Folder) mix(made string, files []Entry) error {
	for name := range d.sums() {
		os.Remove(filepath.Join(d.Path, filepath.FromSlash(name))) // files that cannot be removed stay
	}
	for _, f := range files {
		name := filepath.FromSlash(f.Name)
		to := filepath.Join(d.Path, name)
		if err := os.MkdirAll(filepath.Dir(to), 0o777); err != nil {
			return fmt.Errorf("output %s: %w", d.Path, err)
		}
		if err := os.Rename(filepath.Join(made, name), to); err != nil {
			return fmt.Errorf("output %s: %s: %w", d.Path, name, err)
		}
	}
	return nil
}

// createTempFolder creates the locked folder beside path in which its content is written.
func createTempFolder(path string) (*os.File, error) {
	for {
		name := tempName(path)
		if err := os.Mkdir(name, 0o777); errors.Is(err, fs.ErrExist) {
			continue
		} else if err != nil {
			return nil, err
		}
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		if ok, err := own(f); ok || err != nil {
			return f, err
		}
	}
}

// restore puts back a folder that a killed process was replacing.
func restore(left, path string) {
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		os.Rename(filepath.Join(left, "old"), path)
	}
}
