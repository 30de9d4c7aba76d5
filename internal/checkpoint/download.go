package checkpoint

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The hub is asked for the list of files with sizes and hashes, then for each file of that
// commit. An interrupted transfer is resumed; a complete file with the announced hash is not
// fetched again.

// parallel is the number of concurrent transfers.
const parallel = 4

// tries is the number of attempts for a file that is interrupted or not as announced.
const tries = 3

// listing is the part of the hub's description of a revision that is used.
type listing struct {
	Commit string      `json:"sha"`
	Files  []*fileInfo `json:"siblings"`
}

// fileInfo is the hub's description of one file.
type fileInfo struct {
	Name   string `json:"rfilename"`
	Size   int64  `json:"size"`
	BlobID string `json:"blobId"` // git's SHA-1
	LFS    *struct {
		SHA256 string `json:"sha256"`
		Size   int64  `json:"size"`
	} `json:"lfs"` // nil for a small file
}

// download makes the cached snapshot of a commit complete and returns its folder, or the GGUF file
// in it.
func (r *repo) download(ctx context.Context, list *listing) (string, error) {
	files := make(map[string]*fileInfo)
	var names []string
	for _, f := range list.Files {
		if f != nil && plainName(f.Name) {
			files[f.Name] = f
			names = append(names, f.Name)
		}
	}
	small, weights, err := r.choose(files, names)
	if err != nil {
		return "", err
	}
	d := &transfer{repo: r, commit: list.Commit, files: files, done: make(map[string]int64)}
	// The weights come last: a snapshot that has them is complete.
	if err := d.need(ctx, small); err != nil {
		return "", err
	}
	if len(weights) == 0 { // the index names them
		path := filepath.Join(r.snapshot(list.Commit), indexFile)
		data, err := readSmall(path)
		if err != nil {
			return "", err
		}
		index, err := parseIndex(data)
		if err != nil {
			return "", r.errorf("%s: %w", indexFile, err)
		}
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
	return filepath.Join(r.snapshot(list.Commit), r.file), nil
}

// parts are the files of the GGUF model that is meant, the first one last: it stands for all.
func (r *repo) parts() ([]string, error) {
	part := ggufPart.FindStringSubmatch(r.file)
	if part == nil {
		return []string{r.file}, nil
	}
	count, _ := strconv.Atoi(part[3]) // five digits
	if part[2] != "00001" || count == 0 {
		return nil, r.errorf("one of %d files, wanted the first, %s-00001-of-%s.gguf", count, part[1], part[3])
	}
	var all []string
	for i := count; i > 0; i-- {
		all = append(all, fmt.Sprintf("%s-%05d-of-%s.gguf", part[1], i, part[3]))
	}
	return all, nil
}

// choose returns the files to download first, and the weights; none if the index among the first
// names them.
func (r *repo) choose(files map[string]*fileInfo, names []string) (small, weights []string, err error) {
	small = slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !isSmall(name) })
	gguf := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !strings.HasSuffix(name, ".gguf") })
	if r.file != "" {
		weights, err := r.parts()
		for _, name := range weights {
			if files[name] == nil {
				return nil, nil, r.errorf("%s has no %s; its files in llama.cpp's format: %s", r.page(), name, strings.Join(gguf, ", "))
			}
		}
		return small, weights, err
	}
	switch {
	case len(gguf) > 0 && !r.adapter && files[singleFile] == nil && files[indexFile] == nil:
		return nil, nil, r.errorf("%s has models in llama.cpp's format (%s): name one, as %s/%s", r.page(), errorName(gguf), r.id, gguf[0])
	case r.adapter && (files[adapterConfig] == nil || files[adapterFile] == nil):
		return nil, nil, r.errorf("%s has no %s and %s, wanted an adapter that peft has saved", r.page(), adapterConfig, adapterFile)
	case r.adapter:
		return append(small, adapterConfig), []string{adapterFile}, nil
	case files["config.json"] == nil && files[adapterConfig] != nil:
		return nil, nil, r.errorf("%s holds an adapter, wanted BASE+%s, with the model that it is for", r.page(), r.name())
	case files["config.json"] == nil:
		return nil, nil, r.errorf("%s has no config.json, wanted a model for transformers", r.page())
	case files[singleFile] != nil:
		return small, []string{singleFile}, nil
	case files[indexFile] == nil:
		return nil, nil, r.errorf("%s: %s", r.page(), missingWeights(names))
	}
	return append(small, indexFile), nil, nil
}

// isSmall selects the files to download besides the weights.
func isSmall(name string) bool {
	switch name {
	case "config.json", "generation_config.json", "special_tokens_map.json", "added_tokens.json", "chat_template.jinja":
		return true
	}
	return strings.HasPrefix(name, "tokenizer") && strings.HasSuffix(name, ".json")
}

// list asks the hub for the files of the revision.
func (r *repo) list(ctx context.Context) (*listing, error) {
	address := fmt.Sprintf("%s/api/models/%s/revision/%s?blobs=true", r.options.Endpoint, r.id, url.PathEscape(r.revision))
	var data bytes.Buffer
	if err := r.fetch(ctx, address, &data, maxJSON, func(int64) {}); err != nil {
		return nil, r.explain(ctx, "the list of files", err)
	}
	var list listing
	if err := json.Unmarshal(data.Bytes(), &list); err != nil {
		return nil, r.errorf("%s answers no list of files, wanted a hub: %w", r.options.Endpoint, err)
	}
	if !fullCommit.MatchString(list.Commit) {
		return nil, r.errorf("%s answers commit %s, wanted 40 hex digits", r.options.Endpoint, quote(list.Commit))
	}
	return &list, nil
}

// transfer is the download of one commit.
type transfer struct {
	*repo
	commit string
	files  map[string]*fileInfo

	mu    sync.Mutex
	done  map[string]int64 // bytes so far by file
	total int64
}

// need downloads those of the named files that the snapshot lacks.
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
		// Another process may have fetched some, or have been killed while doing so.
		missing = d.missing(names)
		stale, _ := filepath.Glob(filepath.Join(blobs, "*"+unverified+"*"))
		for _, path := range stale {
			os.Remove(path)
		}
	}
	for _, name := range missing {
		d.total += d.files[name].size()
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

// missing returns the files that the snapshot lacks or has with another size.
func (d *transfer) missing(names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		info, err := os.Stat(filepath.Join(d.snapshot(d.commit), name))
		return err == nil && info.Mode().IsRegular() && (d.files[name].size() == 0 || info.Size() == d.files[name].size())
	})
}

// unverified is the suffix of files whose content has not been checked.
const unverified = ".unverified"

// get downloads one file into blobs, checks it and links it into the snapshot.
func (d *transfer) get(ctx context.Context, name string) error {
	if err := ctx.Err(); err != nil {
		return d.explain(ctx, name, err)
	}
	info := d.files[name]
	blobs := filepath.Join(d.dir, "blobs")
	if sum := info.announced(); sum != "" {
		// The same content is there through another commit or name.
		if stat, err := os.Stat(filepath.Join(blobs, sum)); err == nil && stat.Size() == info.size() {
			d.progress(name, info.size())
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
	defer os.Remove(f.Name())
	defer f.Close()
	to := &partial{file: f}
	address := fmt.Sprintf("%s/%s/resolve/%s/%s", d.options.Endpoint, d.id, d.commit, url.PathEscape(name))
	for try := 1; ; try++ {
		err := d.fetch(ctx, address, to, info.size(), func(done int64) { d.progress(name, done) })
		if err == nil {
			err = d.keep(f, info)
		}
		if err == nil {
			return nil
		}
		if try == tries || ctx.Err() != nil || !passing(err) {
			return d.explain(ctx, name, err)
		}
		if _, wrong := errors.AsType[*contentError](err); wrong {
			to.Reset()
		}
		select {
		case <-ctx.Done():
			return d.explain(ctx, name, ctx.Err())
		case <-time.After(time.Duration(try) * d.options.pause):
		}
	}
}

// keep checks a downloaded file, makes it a blob of the cache and links it into the
// snapshot.
func (d *transfer) keep(f *os.File, info *fileInfo) error {
	sum, err := verify(f, info)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), filepath.Join(d.dir, "blobs", sum)); err != nil {
		return err
	}
	return d.link(d.commit, info.Name, sum)
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

// size returns a file's size, 0 if the hub does not say.
func (f *fileInfo) size() int64 {
	if f.LFS != nil {
		return f.LFS.Size
	}
	return f.Size
}

// announced returns the hash that a file should have, which is its blob's name: the
// content's SHA-256, or for a small file git's SHA-1; "" if the hub gives none.
func (f *fileInfo) announced() string {
	sum := f.BlobID
	if f.LFS != nil {
		sum = f.LFS.SHA256
	}
	if raw, err := hex.DecodeString(sum); err != nil || len(raw) != sha1.Size && len(raw) != sha256.Size {
		return ""
	}
	return sum
}

// verify checks a file against the hub's description and returns its blob's name.
func verify(f *os.File, info *fileInfo) (string, error) {
	stat, err := f.Stat()
	if err != nil {
		return "", err
	}
	if want := info.size(); want != 0 && stat.Size() != want {
		return "", &contentError{fmt.Sprintf("%d bytes came, wanted %d", stat.Size(), want)}
	}
	want := info.announced()
	h := sha256.New()
	if len(want) == 2*sha1.Size {
		h = sha1.New()
		fmt.Fprintf(h, "blob %d\x00", stat.Size()) // as git hash-object does
	}
	if _, err := io.Copy(h, io.NewSectionReader(f, 0, stat.Size())); err != nil {
		return "", err
	}
	sum := hex.EncodeToString(h.Sum(nil))
	if want != "" && sum != want {
		return "", &contentError{fmt.Sprintf("its hash is %s, wanted %s as the hub says", sum, want)}
	}
	return sum, nil
}
