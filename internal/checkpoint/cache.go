package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/implicitreward/implicitreward/internal/regular"
)

// repo is a model of the hub and its place in the cache.
type repo struct {
	id, revision string
	adapter      bool   // it holds an adapter
	file         string // that of its GGUF models which is meant, the first of several parts; "" for none
	options      HubOptions
	dir          string // CacheDir/models--org--name
}

func (r *repo) errorf(format string, args ...any) error {
	return fmt.Errorf("checkpoint: "+r.name()+": "+format, args...)
}

// name is the model's name as a user would type it.
func (r *repo) name() string {
	name := r.id
	if r.file != "" {
		name += "/" + r.file
	}
	if r.revision == "main" {
		return name
	}
	return name + "@" + r.revision
}

func (r *repo) snapshot(commit string) string { return filepath.Join(r.dir, "snapshots", commit) }

// cached returns the cached snapshot of the revision, if it is complete.
func (r *repo) cached() (string, error) {
	how := "connect to the network once, or give the folder's path"
	if r.options.Offline {
		how = "leave the offline mode once to download it, or give a folder's path"
	}
	commit := r.revision
	if !fullCommit.MatchString(commit) {
		ref, err := regular.Read(filepath.Join(r.dir, "refs", filepath.FromSlash(r.revision)), 1000)
		if errors.Is(err, fs.ErrNotExist) {
			return "", r.errorf("not in the cache %s%s: %s", r.options.CacheDir, r.revisions(), how)
		}
		if err != nil {
			return "", r.errorf("%w", err)
		}
		commit = strings.TrimSpace(string(ref))
		if !fullCommit.MatchString(commit) {
			return "", r.errorf("%s holds %s, wanted a commit hash: delete that file",
				filepath.Join(r.dir, "refs", r.revision), quote(commit))
		}
	}
	dir := r.snapshot(commit)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return "", r.errorf("not in the cache %s%s: %s", r.options.CacheDir, r.revisions(), how)
	}
	missing := func(file string) error {
		return r.errorf("the cached %s lacks %s: %s", dir, file, how)
	}
	if r.file != "" {
		parts, err := r.parts()
		for _, file := range parts {
			if _, err := os.Stat(filepath.Join(dir, file)); err != nil {
				return "", missing(file)
			}
		}
		return filepath.Join(dir, r.file), err
	}
	config := "config.json"
	if r.adapter {
		config = adapterConfig
	}
	if _, err := os.Stat(filepath.Join(dir, config)); err != nil {
		return "", missing(config)
	}
	if r.adapter {
		if _, err := os.Stat(filepath.Join(dir, adapterFile)); err != nil {
			return "", missing(adapterFile)
		}
		return dir, nil
	}
	files, _, err := weightFiles(dir)
	if err != nil {
		return "", r.errorf("the cached folder: %w", err)
	}
	for _, file := range files {
		if _, err := os.Stat(filepath.Join(dir, file)); err != nil {
			return "", missing(file)
		}
	}
	return dir, nil
}

// revisions lists the model's other cached revisions, for an error.
func (r *repo) revisions() string {
	var found []string
	root := filepath.Join(r.dir, "refs")
	filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			if ref, err := filepath.Rel(root, path); err == nil {
				found = append(found, filepath.ToSlash(ref))
			}
		}
		return nil
	})
	if len(found) == 0 {
		return ""
	}
	return " (which has revision " + errorName(found) + ")"
}

// writeRef records the revision's commit for later offline use. If it is recorded already,
// nothing is written, so that a read-only cache works.
func (r *repo) writeRef(commit string) error {
	if r.revision == commit {
		return nil
	}
	path := filepath.Join(r.dir, "refs", filepath.FromSlash(r.revision))
	if old, err := regular.Read(path, 1000); err == nil && string(old) == commit {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	f, err := createTemp(filepath.Dir(path), ".ref")
	if err != nil {
		return err
	}
	_, err = f.WriteString(commit)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// createTemp creates a file .NUMBER plus ending in a folder, with the process's permissions
// for new files, unlike os.CreateTemp.
func createTemp(dir, ending string) (*os.File, error) {
	for {
		f, err := os.OpenFile(filepath.Join(dir, fmt.Sprintf(".%d%s", rand.Uint32(), ending)), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
		if !errors.Is(err, fs.ErrExist) {
			return f, err
		}
	}
}

// link makes snapshots/<commit>/file point to a blob.
func (r *repo) link(commit, file, blob string) error {
	dir := r.snapshot(commit)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	path := filepath.Join(dir, file)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Symlink(filepath.Join("..", "..", "blobs", blob), path); err == nil {
		return nil
	}
	// Without symbolic links.
	return os.Link(filepath.Join(r.dir, "blobs", blob), path)
}

// lock waits for the lock on downloads of this model, which one process at a time holds. If
// the file system has no locks, held is false: then each process uses temporary files of its
// own.
func (r *repo) lock(ctx context.Context) (unlock func(), held bool, err error) {
	dir := filepath.Join(r.options.CacheDir, ".locks", filepath.Base(r.dir))
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, false, err
	}
	// The file is never deleted: otherwise two processes could each hold "the" lock.
	f, err := os.OpenFile(filepath.Join(dir, "download.lock"), os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, false, err
	}
	for {
		switch err := tryLock(f); {
		case err == nil:
			return func() { f.Close() }, true, nil
		case errors.Is(err, errors.ErrUnsupported):
			return func() { f.Close() }, false, nil
		case !errors.Is(err, errLocked):
			f.Close()
			return nil, false, err
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, false, context.Cause(ctx)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

var errLocked = errors.New("locked by another process")
