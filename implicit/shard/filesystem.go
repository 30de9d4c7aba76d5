package shard

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/implicitreward/implicitreward/internal/output"
	"github.com/implicitreward/implicitreward/internal/regular"
)

// Filesystem is where plans, inputs and parts lie. Those of Apache Beam's Go SDK have these
// methods.
type Filesystem interface {
	// List returns the names that match a pattern of path.Match, of which the last element alone
	// has wildcards.
	List(ctx context.Context, pattern string) ([]string, error)
	// OpenRead opens a file. If the reader is an io.Seeker, a piece of it is read without what
	// stands before.
	OpenRead(ctx context.Context, name string) (io.ReadCloser, error)
	// OpenWrite makes or replaces a file, which must appear under its name when the writer is
	// closed without an error, whole, and not before.
	OpenWrite(ctx context.Context, name string) (io.WriteCloser, error)
	// Size returns a file's bytes. It is an error if there is none.
	Size(ctx context.Context, name string) (int64, error)
}

// Folder is a folder of a Filesystem: that of a plan, its parts and its manifest.
type Folder struct {
	Path string     // such as "out" or "s3://bucket/out"
	FS   Filesystem // nil means Local
}

// Local is the Filesystem of this machine. A file is kept in memory until it is closed, then
// written under another name, synced and renamed.
var Local Filesystem = local{}

func (f Folder) fs() Filesystem {
	if f.FS == nil {
		return Local
	}
	return f.FS
}

// name is the name of a file in the folder.
func (f Folder) name(file string) string { return f.Path + "/" + file }

// read returns the content of a file.
func (f Folder) read(ctx context.Context, name string) (data []byte, err error) {
	in, err := f.fs().OpenRead(ctx, name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	return io.ReadAll(in)
}

// write writes a file of the folder.
func (f Folder) write(ctx context.Context, file string, data []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	out, err := f.fs().OpenWrite(ctx, f.name(file))
	if err != nil {
		return err
	}
	if _, err := out.Write(data); err != nil {
		return errors.Join(err, out.Close())
	}
	return out.Close()
}

// piece returns the bytes [from, to) of a file.
func (f Folder) piece(ctx context.Context, name string, from, to int64) (data []byte, err error) {
	in, err := f.fs().OpenRead(ctx, name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	if s, ok := in.(io.Seeker); ok {
		_, err = s.Seek(from, io.SeekStart)
	} else {
		_, err = io.CopyN(io.Discard, in, from)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: byte %d: %w", name, from, err)
	}
	data = make([]byte, to-from)
	if _, err := io.ReadFull(in, data); err != nil {
		return nil, fmt.Errorf("%s: bytes %d to %d: %w", name, from, to, err)
	}
	return data, nil
}

type local struct{}

func (local) List(_ context.Context, pattern string) ([]string, error) {
	dir, last := filepath.Split(pattern)
	if dir == "" {
		dir = "."
	}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var names []string
	for _, e := range entries {
		ok, bad := path.Match(last, e.Name())
		if bad != nil {
			return nil, bad
		}
		if ok {
			names = append(names, filepath.Join(dir, e.Name()))
		}
	}
	slices.Sort(names)
	return names, err
}

func (local) OpenRead(_ context.Context, name string) (io.ReadCloser, error) {
	f, _, err := regular.Open(name, 0)
	return f, err // not a nil *os.File in an interface: see OpenRead's callers, which look at err
}

func (local) OpenWrite(_ context.Context, name string) (io.WriteCloser, error) {
	return &localFile{name: name}, nil
}

func (local) Size(_ context.Context, name string) (int64, error) {
	info, err := os.Stat(name)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// localFile is a file that appears when it is closed.
type localFile struct {
	name string
	bytes.Buffer
}

// Close writes the file.
func (f *localFile) Close() error {
	return output.WriteFile(f.name, func(w io.Writer) error {
		_, err := f.WriteTo(w)
		return err
	})
}
