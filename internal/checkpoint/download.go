package checkpoint

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gomlx/go-huggingface/hub"
)

// Of package hub its download manager and its types are used, and not
// hub.Repo's own methods (v0.4.3), because those print to standard output, take
// no context for the list of files, delete the cached list before they ask for
// a new one, count in shared variables without a lock, put the server's ETag
// into a path unchecked, write no refs, and lock with a file that they delete
// while others wait for it. The manager itself reports a transfer that breaks
// off as done (it wraps the wrong error), waits for ever and checks nothing; see
// fetch and verify. What is asked here: the list of files with their sizes and
// hashes, then each file of that very commit. A broken transfer begins anew;
// files that are whole are not fetched again.

// parallel is how many files are fetched at once.
const parallel = 4

// tries is how often a transfer that breaks off is begun.
const tries = 3

// listing is what the hub tells of a revision, as far as it is needed.
type listing struct {
	Commit string          `json:"sha"`
	Files  []*hub.FileInfo `json:"siblings"`
}

// download makes the cache hold what is needed of a commit and returns the
// folder.
func (r *repo) download(ctx context.Context, list *listing) (string, error) {
	files := make(map[string]*hub.FileInfo)
	var names []string
	for _, f := range list.Files {
		if f != nil && plainName(f.Name) {
			files[f.Name] = f
			names = append(names, f.Name)
		}
	}
	if files["config.json"] == nil {
		return "", r.errorf("%s has no config.json, wanted a model for transformers", r.page())
	}
	weights := []string{singleFile}
	small := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !isSmall(name) })
	if files[singleFile] == nil {
		if files[indexFile] == nil {
			return "", r.errorf("%s: %s", r.page(), missingWeights(names))
		}
		small = append(small, indexFile)
	}
	d := &transfer{repo: r, commit: list.Commit, files: files, done: make(map[string]int64)}
	// The weights come last: a snapshot that has them has the rest.
	if err := d.need(ctx, small); err != nil {
		return "", err
	}
	if files[singleFile] == nil {
		path := filepath.Join(r.snapshot(list.Commit), indexFile)
		data, err := readSmall(path)
		if err != nil {
			return "", err
		}
		index, err := parseIndex(data)
		if err != nil {
			return "", r.errorf("%s: %w", indexFile, err)
		}
		weights = weights[:0]
		for _, tensor := range sortedKeys(index) {
			if files[index[tensor]] == nil {
				return "", r.errorf("%s places tensor %s in %s, which the model does not have", indexFile, quote(tensor), index[tensor])
			}
			weights = append(weights, index[tensor])
		}
		slices.Sort(weights)
		weights = slices.Compact(weights)
	}
	if err := d.need(ctx, weights); err != nil {
		return "", err
	}
	if err := r.writeRef(list.Commit); err != nil && r.options.Warn != nil {
		r.options.Warn(r.errorf("the cache does not note the revision for offline use: %w", err))
	}
	return r.snapshot(list.Commit), nil
}

// isSmall tells which files beside the weights are wanted.
func isSmall(name string) bool {
	switch name {
	case "config.json", "generation_config.json", "special_tokens_map.json", "added_tokens.json", "chat_template.jinja":
		return true
	}
	return strings.HasPrefix(name, "tokenizer") && strings.HasSuffix(name, ".json")
}

// list asks the hub what the revision is.
func (r *repo) list(ctx context.Context) (*listing, error) {
	dir, err := os.MkdirTemp("", "checkpoint-") // the cache may be read-only
	if err != nil {
		return nil, r.errorf("%w", err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "listing.json")
	address := fmt.Sprintf("%s/api/models/%s/revision/%s?blobs=true", r.options.Endpoint, r.id, url.PathEscape(r.revision))
	if err := r.fetch(ctx, address, path, maxJSON, nil); err != nil {
		return nil, r.explain(ctx, "the list of files", err)
	}
	data, err := readSmall(path)
	if err != nil {
		return nil, err
	}
	var list listing
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, r.errorf("%s answers no list of files, wanted a hub: %w", r.options.Endpoint, err)
	}
	if !fullCommit.MatchString(list.Commit) {
		return nil, r.errorf("%s answers commit %s, wanted 40 hex digits", r.options.Endpoint, quote(list.Commit))
	}
	return &list, nil
}

// transfer is one call's work on one commit.
type transfer struct {
	*repo
	commit string
	files  map[string]*hub.FileInfo

	mu    sync.Mutex
	done  map[string]int64 // bytes so far by file
	total int64
}

// need makes sure that the snapshot has the named files.
func (d *transfer) need(ctx context.Context, names []string) error {
	missing := d.missing(names)
	if len(missing) == 0 {
		return nil
	}
	blobs := filepath.Join(d.dir, "blobs")
	if err := os.MkdirAll(blobs, 0o777); err != nil {
		return d.errorf("the cache: %w", err)
	}
	unlock, held, err := d.lock(ctx)
	if err != nil {
		return d.errorf("waiting for the cache: %w", err)
	}
	defer unlock()
	if held {
		// Another process may have fetched some, or died over some.
		missing = d.missing(names)
		stale, _ := filepath.Glob(filepath.Join(blobs, "*"+unverified+"*"))
		for _, path := range stale {
			os.Remove(path)
		}
	}
	for _, name := range missing {
		d.total += size(d.files[name])
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var first error
	var mu sync.Mutex
	var wg sync.WaitGroup
	jobs := make(chan string)
	for range min(parallel, len(missing)) {
		wg.Go(func() {
			for name := range jobs {
				if err := d.get(ctx, name); err != nil {
					mu.Lock()
					if first == nil {
						first = err
					}
					mu.Unlock()
					cancel(err)
				}
			}
		})
	}
	for _, name := range missing {
		jobs <- name
	}
	close(jobs)
	wg.Wait()
	return first
}

// missing returns those files that the snapshot lacks or has in another size.
func (d *transfer) missing(names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		info, err := os.Stat(filepath.Join(d.snapshot(d.commit), name))
		return err == nil && info.Mode().IsRegular() && (size(d.files[name]) == 0 || info.Size() == size(d.files[name]))
	})
}

// unverified marks files whose content has not been checked.
const unverified = ".unverified"

// get fetches one file into blobs, checks it and links it into the snapshot.
func (d *transfer) get(ctx context.Context, name string) error {
	if err := ctx.Err(); err != nil {
		return d.explain(ctx, name, err)
	}
	info := d.files[name]
	blobs := filepath.Join(d.dir, "blobs")
	if sum := announced(info); sum != "" {
		// The same content under another commit or name.
		if stat, err := os.Stat(filepath.Join(blobs, sum)); err == nil && stat.Size() == size(info) {
			d.progress(name, size(info))
			if err := d.link(d.commit, name, sum); err != nil {
				return d.errorf("the cache: %w", err)
			}
			return nil
		}
	}
	f, err := createTemp(blobs, unverified)
	if err != nil {
		return d.explain(ctx, name, err)
	}
	temp := f.Name()
	made, err := f.Stat() // its permissions are those of new files; the manager gives others
	f.Close()
	if err != nil {
		return d.explain(ctx, name, err)
	}
	defer os.Remove(temp)
	address := fmt.Sprintf("%s/%s/resolve/%s/%s", d.options.Endpoint, d.id, d.commit, url.PathEscape(name))
	for try := 1; ; try++ {
		err = d.fetch(ctx, address, temp, size(info), func(done int64) { d.progress(name, done) })
		var sum string
		if err == nil {
			if sum, err = verify(temp, info); err == nil {
				err = os.Chmod(temp, made.Mode().Perm())
			}
			if err == nil {
				err = os.Rename(temp, filepath.Join(blobs, sum))
			}
			if err == nil {
				err = d.link(d.commit, name, sum)
			}
		}
		if err == nil {
			d.progress(name, size(info)) // the manager does not tell the last bytes
			return nil
		}
		if try == tries || ctx.Err() != nil || !passing(err) {
			return d.explain(ctx, name, err)
		}
		select {
		case <-ctx.Done():
			return d.explain(ctx, name, ctx.Err())
		case <-time.After(time.Duration(try) * d.options.pause):
		}
	}
}

func (d *transfer) progress(name string, done int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.done[name] = done
	if d.options.Progress == nil {
		return
	}
	var sum int64
	for _, n := range d.done {
		sum += n
	}
	d.options.Progress(sum, d.total)
}

// fetch writes what the address answers to path. Unlike the manager it gives up
// when no byte arrives for a while, and when more come than limit (0: none).
func (r *repo) fetch(ctx context.Context, address, path string, limit int64, progress func(done int64)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil) // also frees the connection that a failed transfer leaves open
	stall := time.AfterFunc(r.options.stall, func() { cancel(errStalled) })
	defer stall.Stop()
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	manager := hub.New(r.id).WithAuth(r.options.Token).GetDownloadManager().WithUserAgent("implicitreward")
	err := manager.Download(ctx, address, path, func(done, _ int64) {
		stall.Reset(r.options.stall)
		if limit > 0 && done > limit {
			cancel(&contentError{fmt.Sprintf("more than %d bytes came", limit)})
		}
		if progress != nil {
			progress(done)
		}
	})
	var content *contentError
	if cause := context.Cause(ctx); err != nil && (errors.Is(cause, errStalled) || errors.As(cause, &content)) {
		return cause
	}
	if err == nil {
		if _, missing := os.Stat(path); missing != nil {
			return errBroken
		}
	}
	return err
}

// size is a file's size, 0 if the hub does not tell.
func size(f *hub.FileInfo) int64 {
	if f.LFS != nil {
		return f.LFS.Size
	}
	return f.Size
}

// announced is the hash that a file should have, and the name of its blob:
// the content's SHA-256, or for a small file git's SHA-1. Empty if the hub
// tells none.
func announced(f *hub.FileInfo) string {
	sum := f.BlobID
	if f.LFS != nil {
		sum = f.LFS.SHA256
	}
	if raw, err := hex.DecodeString(sum); err != nil || len(raw) != sha1.Size && len(raw) != sha256.Size {
		return ""
	}
	return sum
}

// verify checks a file against what the hub announced and returns the name of
// its blob.
func verify(path string, info *hub.FileInfo) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	stat, err := f.Stat()
	if err != nil {
		return "", err
	}
	if want := size(info); want != 0 && stat.Size() != want {
		return "", &contentError{fmt.Sprintf("%d bytes came, wanted %d", stat.Size(), want)}
	}
	want := announced(info)
	h := sha256.New()
	if len(want) == 2*sha1.Size {
		h = sha1.New()
		fmt.Fprintf(h, "blob %d\x00", stat.Size()) // git hash-object
	}
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	sum := hex.EncodeToString(h.Sum(nil))
	if want != "" && sum != want {
		return "", &contentError{fmt.Sprintf("its hash is %s, wanted %s as the hub says", sum, want)}
	}
	return sum, nil
}

// contentError says that not the announced content came.
type contentError struct{ text string }

func (e *contentError) Error() string { return e.text }

var (
	errStalled = errors.New("no byte arrived for a minute")
	errBroken  = errors.New("the connection was cut")
)

// passing tells whether another try may help.
func passing(err error) bool {
	var content *contentError
	switch status := status(err); {
	case errors.As(err, &content), errors.Is(err, errStalled), status == 429, status >= 500:
		return true
	case status != 0, noRoom(err):
		return false
	}
	return !local(err)
}

// local tells whether a file here is the trouble, and not the network.
func local(err error) bool {
	var path *fs.PathError
	var link *os.LinkError
	return errors.As(err, &path) || errors.As(err, &link)
}
