package output

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/implicitreward/implicitreward/internal/regular"
	"github.com/implicitreward/implicitreward/internal/table"
)

// File is a file that a program writes. An existing file is replaced if it is empty or an
// unmodified output of one of our programs:
//
//   - a Parquet file that names this library as its writer;
//   - a file whose first line is Columns;
//   - any other file if PATH.meta.json beside it, written by WriteWithMeta, has its SHA-256 as
//     the member file_hash. If a run was killed between the two files, its Journal exists.
//
// Any other file is left alone, and an error, unless Force.
type File struct {
	Path    string
	Columns string // header line of a CSV file that has no meta file
	Force   bool
}

// Check removes what killed processes left of the files, and returns an error if an existing
// file prevents writing one. Write checks again.
func Check(files ...File) error {
	for _, f := range files {
		sweep(f.Path)
		if f.hasMeta() {
			sweep(table.MetaPath(f.Path))
		}
		if err := f.check(); err != nil {
			return err
		}
	}
	return nil
}

// Write writes a file that has no meta file: see WriteFile.
func (f File) Write(write func(io.Writer) error) error {
	return writeFile(f.Path, write, f.check)
}

// WriteWithMeta is Write for a format that cannot contain its provenance: meta writes it, a
// JSON object, to the file PATH.meta.json, which exists when PATH does.
func (f File) WriteWithMeta(write, meta func(io.Writer) error) error {
	sum := sha256.New()
	hashed := func(w io.Writer) error { return write(io.MultiWriter(w, sum)) }
	return writeFile(f.Path, hashed, func() error {
		if err := f.check(); err != nil {
			return err
		}
		return WriteFile(table.MetaPath(f.Path), func(w io.Writer) error {
			var b bytes.Buffer
			if err := meta(&b); err != nil {
				return err
			}
			object, err := withHash(b.Bytes(), hex.EncodeToString(sum.Sum(nil)))
			if err != nil {
				return err
			}
			_, err = w.Write(object)
			return err
		})
	})
}

// withHash adds the last member to an object.
func withHash(object []byte, hash string) ([]byte, error) {
	head, ok := bytes.CutSuffix(bytes.TrimSpace(object), []byte("}"))
	if !ok || !json.Valid(object) {
		return nil, fmt.Errorf("output: meta %q, wanted a JSON object", object)
	}
	head = bytes.TrimRight(head, " \n")
	if !bytes.HasSuffix(head, []byte("{")) {
		head = append(head, ',')
	}
	return fmt.Appendf(head, "\n  \"file_hash\": %q\n}\n", hash), nil
}

func (f File) isParquet() bool { return strings.HasSuffix(f.Path, ".parquet") }

func (f File) hasMeta() bool { return !f.isParquet() && f.Columns == "" }

// check returns an error if the file exists and is not ours.
func (f File) check() error {
	taken := func(path, fact string) error {
		return fmt.Errorf("output %s: there already, %s: -force replaces it", path, fact)
	}
	info, err := os.Stat(f.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return fmt.Errorf("output %w", err)
	case !info.Mode().IsRegular():
		return fmt.Errorf("output %s: mode %v, wanted a regular file, or none", f.Path, info.Mode())
	case f.Force || info.Size() == 0:
	default:
		ours, err := f.ours()
		if err != nil {
			return fmt.Errorf("output %s: %w", f.Path, err)
		}
		if !ours {
			return taken(f.Path, "and not made by this program, or changed since")
		}
	}
	if f.Force || !f.hasMeta() {
		return nil
	}
	if info, err := os.Stat(table.MetaPath(f.Path)); err == nil && (info.IsDir() || info.Size() > 0 && f.metaHash() == "") {
		return taken(table.MetaPath(f.Path), "and not made by this program")
	}
	return nil
}

// ours reports whether the existing file is as we made it.
func (f File) ours() (bool, error) {
	in, size, err := regular.Open(f.Path, 0)
	if err != nil {
		return false, err
	}
	defer in.Close()
	switch {
	case f.isParquet():
		return table.IsOurs(in, size), nil
	case f.Columns != "":
		line := strings.TrimRight(f.Columns, "\n") + "\n"
		first := make([]byte, len(line))
		_, err := io.ReadFull(in, first)
		return err == nil && string(first) == line, nil
	}
	hash := f.metaHash()
	if hash == "" {
		return false, nil
	}
	if IsJournal(f.Path + ".part") {
		return true, nil // a run that was replacing it wrote the meta file and was killed
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, in); err != nil {
		return false, err
	}
	return hex.EncodeToString(sum.Sum(nil)) == hash, nil
}

// metaHash is the member file_hash of the meta file, or "".
func (f File) metaHash() string {
	var meta struct {
		Hash string `json:"file_hash"`
	}
	if table.ReadMeta(f.Path, &meta) != nil || len(meta.Hash) != hex.EncodedLen(sha256.Size) {
		return ""
	}
	return meta.Hash
}
