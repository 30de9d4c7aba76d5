package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// HubOptions say where the hub and its cache are. nil and zero fields mean the defaults.
// This package reads no environment variables; the comment of each field names those of
// Hugging Face's tools, from which a program may set it. (Proxies are the exception:
// net/http reads HTTPS_PROXY and the like.)
type HubOptions struct {
	// Endpoint is the hub's address, https://huggingface.co by default
	// (HF_ENDPOINT).
	Endpoint string
	// CacheDir is the folder of models--org--name folders, by default
	// .cache/huggingface/hub in the home folder (HF_HUB_CACHE, else
	// $HF_HOME/hub, else $XDG_CACHE_HOME/huggingface/hub). A leading ~ is the
	// home folder.
	CacheDir string
	// Token is sent with every request to the endpoint, and to no other host; "" for none
	// (HF_TOKEN, else the content of the file $HF_TOKEN_PATH, else of $HF_HOME/token; none
	// if HF_HUB_DISABLE_IMPLICIT_TOKEN is set).
	Token string
	// Offline uses no network: the model must be in the cache (HF_HUB_OFFLINE or
	// TRANSFORMERS_OFFLINE is 1, ON, YES or TRUE).
	Offline bool
	// Progress, if not nil, is called with the bytes that have arrived and the bytes known
	// to be needed, of files that were not in the cache. total grows once, when the shards
	// are known; done falls when a file must be restarted. Calls do not overlap.
	Progress func(done, total int64)
	// Warn, if not nil, is called with problems that did not stop the work, such as an
	// unreachable hub when the cached revision is used.
	Warn func(error)

	pause time.Duration // before a second attempt; default 1 s
	stall time.Duration // time without a byte after which a transfer fails; default 60 s
}

// Find returns the folder of the checkpoint that name means.
//
// The name of a folder, or of a file in llama.cpp's format (.gguf), means itself. Otherwise "org/name" or "org/name@revision" is a
// model of the hub, where the revision is a branch (default main), a tag or a full commit
// hash; "org/name/FILE.gguf", also with @revision, is such a file of it, of a model in several
// files the first, and means that file in the cache. The files that are needed and not cached are downloaded (config.json, the files of
// the tokenizer and chat template, model.safetensors or the index and its shards; no other
// weights), and the folder is the cache's snapshots/<commit>. A file enters the cache only
// when complete and with the SHA that the hub announced. A cached full commit hash needs no
// network. If the hub cannot be reached or refuses the token, the cached revision is used
// and Warn is called.
//
// A name that looks like a path, or has no slash, is an error if there is no such folder.
// Find returns soon after ctx ends.
func Find(ctx context.Context, name string, o *HubOptions) (dir string, err error) {
	return find(ctx, name, o, false)
}

// FindAdapter is Find for an adapter's folder, or for a repository of the hub that holds one:
// of that adapter_config.json and adapter_model.safetensors, and the files of a tokenizer and
// chat template, are downloaded.
func FindAdapter(ctx context.Context, name string, o *HubOptions) (dir string, err error) {
	return find(ctx, name, o, true)
}

func find(ctx context.Context, name string, o *HubOptions, adapter bool) (dir string, err error) {
	if o == nil {
		o = new(HubOptions)
	}
	if err := ctx.Err(); err != nil {
		return "", fmt.Errorf("checkpoint: %s: %w", name, context.Cause(ctx))
	}
	switch info, err := os.Stat(name); {
	case err == nil && !info.IsDir() && (adapter || !strings.HasSuffix(name, ".gguf")):
		return "", fmt.Errorf("checkpoint: %s: a file, wanted the folder that holds it", name)
	case err == nil:
		return name, nil
	case errors.Is(err, fs.ErrPermission):
		return "", fmt.Errorf("checkpoint: %w", err)
	}
	id, file, revision, err := parseID(name)
	if err != nil {
		return "", err
	}
	if adapter && file != "" {
		return "", fmt.Errorf("checkpoint: %s: a file in llama.cpp's format, wanted an adapter that peft has saved", name)
	}
	r, err := newRepo(id, revision, o)
	if err != nil {
		return "", err
	}
	r.adapter, r.file = adapter, file
	return r.find(ctx)
}

// find is the cached or downloaded checkpoint.
func (r *repo) find(ctx context.Context) (dir string, err error) {
	o := &r.options
	if o.Offline {
		return r.cached()
	}
	if fullCommit.MatchString(r.revision) {
		if dir, err := r.cached(); err == nil {
			return dir, nil
		}
	}
	list, err := r.list(ctx)
	var h *hubError
	if errors.As(err, &h) && h.fallback() {
		if dir, missing := r.cached(); missing == nil {
			if o.Warn != nil {
				o.Warn(fmt.Errorf("%w; taking the cached commit %s", err, filepath.Base(Folder(dir))))
			}
			return dir, nil
		}
	}
	if err != nil {
		return "", err
	}
	return r.download(ctx, list)
}

var (
	// The rules of huggingface_hub's validate_repo_id, with the slash required.
	namePart   = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_])?$`)
	revisionOK = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._+/-]*$`)
	fullCommit = regexp.MustCompile(`^[0-9a-f]{40}$`)
)

// parseID splits org/name/file@revision; file is that of a GGUF model, "" for none.
func parseID(name string) (id, file, revision string, err error) {
	if strings.HasPrefix(name, "~") {
		return "", "", "", fmt.Errorf("checkpoint: %s: no such folder (only a shell knows ~: write the home folder out)", quote(name))
	}
	id, revision, given := strings.Cut(name, "@")
	if !given {
		revision = "main"
	}
	org, model, ok := strings.Cut(id, "/")
	if !ok {
		return "", "", "", fmt.Errorf("checkpoint: %s: no such folder, and a model of the hub is named org/name[@revision]", quote(name))
	}
	if name, more, _ := strings.Cut(model, "/"); strings.HasSuffix(more, ".gguf") && plainName(more) {
		id, model, file = org+"/"+name, name, more
	}
	if len(id) > 96 || !namePart.MatchString(org) || !namePart.MatchString(model) ||
		strings.Contains(id, "--") || strings.Contains(id, "..") || strings.HasSuffix(id, ".git") {
		return "", "", "", fmt.Errorf("checkpoint: %s: no such folder", quote(name))
	}
	if !revisionOK.MatchString(revision) || strings.Contains(revision, "..") ||
		strings.Contains(revision, "//") || strings.HasSuffix(revision, "/") {
		return "", "", "", fmt.Errorf("checkpoint: %s: revision %s, wanted a branch, a tag or a full commit hash", quote(name), quote(revision))
	}
	return id, file, revision, nil
}

// newRepo applies the defaults of the options.
func newRepo(id, revision string, o *HubOptions) (*repo, error) {
	r := &repo{id: id, revision: revision, options: *o}
	if r.options.Endpoint == "" {
		r.options.Endpoint = "https://huggingface.co"
	}
	r.options.Endpoint = strings.TrimRight(r.options.Endpoint, "/")
	r.options.Token = strings.TrimSpace(o.Token)
	if r.options.pause == 0 {
		r.options.pause = time.Second
	}
	if r.options.stall == 0 {
		r.options.stall = time.Minute
	}
	cache := o.CacheDir
	if rest, tilde := strings.CutPrefix(cache, "~"); cache == "" || tilde && (rest == "" || os.IsPathSeparator(rest[0])) {
		home, err := os.UserHomeDir()
		if err != nil {
			return nil, fmt.Errorf("checkpoint: %s: no home folder to hold the cache, wanted a CacheDir: %w", id, err)
		}
		if cache == "" {
			rest = filepath.Join(".cache", "huggingface", "hub")
		}
		cache = filepath.Join(home, rest)
	}
	cache, err := filepath.Abs(cache)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %s: cache folder: %w", id, err)
	}
	r.options.CacheDir = cache
	r.dir = filepath.Join(cache, "models--"+strings.ReplaceAll(id, "/", "--"))
	return r, nil
}
