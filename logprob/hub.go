package logprob

import (
	"context"

	"github.com/implicitreward/implicitreward/internal/checkpoint"
)

// HubOptions say where models named by a hub id come from. The zero value is the public hub
// and the cache of Hugging Face's own tools. This package reads no environment variables; a
// program may set the fields from those in brackets, which those tools read.
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
}

// Find returns the checkpoint folder of a model named by a folder or a hub id ("org/name",
// "org/name@revision"; "org/name/FILE.gguf" is a model in llama.cpp's format, whose file is
// returned). A hub model is downloaded into the usual cache, or, offline, must be
// in it. A file enters the cache only when complete and with the SHA that the hub announced.
func Find(ctx context.Context, name string, o *HubOptions) (dir string, err error) {
	return checkpoint.Find(ctx, name, o.checkpoint())
}

// FindAdapter returns the folder of an adapter named by a folder or a hub id, as Find does that
// of a model: of a repository adapter_config.json, adapter_model.safetensors and the files of
// its tokenizer, if it has one, are downloaded.
func FindAdapter(ctx context.Context, name string, o *HubOptions) (dir string, err error) {
	return checkpoint.FindAdapter(ctx, name, o.checkpoint())
}

func (o *HubOptions) checkpoint() *checkpoint.HubOptions {
	if o == nil {
		return &checkpoint.HubOptions{}
	}
	return &checkpoint.HubOptions{
		Endpoint: o.Endpoint, CacheDir: o.CacheDir, Token: o.Token, Offline: o.Offline, Progress: o.Progress, Warn: o.Warn,
	}
}
