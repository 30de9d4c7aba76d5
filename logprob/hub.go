package logprob

import (
	"context"

	"github.com/implicitreward/implicitreward/internal/checkpoint"
)

// HubOptions say where models named by a hub id come from. The zero value is the public
// hub with the cache of Hugging Face's own tools; packages read no environment, so the
// variables in brackets, which those tools read, are the program's to fill in.
type HubOptions struct {
	// Endpoint is the hub's address, https://huggingface.co by default
	// (HF_ENDPOINT).
	Endpoint string
	// CacheDir is the folder of models--org--name folders, by default
	// .cache/huggingface/hub in the home folder (HF_HUB_CACHE, else
	// $HF_HOME/hub, else $XDG_CACHE_HOME/huggingface/hub). A leading ~ is the
	// home folder.
	CacheDir string
	// Token is sent to the endpoint, and to no other host, with every request;
	// empty for none (HF_TOKEN, else the content of the file $HF_TOKEN_PATH,
	// else of $HF_HOME/token; no token if HF_HUB_DISABLE_IMPLICIT_TOKEN is
	// set).
	Token string
	// Offline asks nothing of the network: the model must be in the cache
	// (HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE is 1, ON, YES or TRUE).
	Offline bool
	// Progress, if not nil, is told the bytes that have arrived and those that
	// are known to be wanted, whenever some arrive, of the files that were not
	// there yet. The total grows once, when the shards are known; done falls
	// when a file must be begun again. Calls do not overlap.
	Progress func(done, total int64)
	// Warn, if not nil, is told what did not stop the work, such as that the
	// hub could not be reached and the cached revision was taken.
	Warn func(error)
}

// Find returns the folder of a model that is named by a folder, by a hub id
// ("org/name" or "org/name@revision"), which is downloaded to the usual cache, or,
// offline, by a hub id that is in the cache. A file takes its place in the cache only
// whole and with the SHA that the hub announced.
func Find(ctx context.Context, name string, o *HubOptions) (dir string, err error) {
	if o == nil {
		o = &HubOptions{}
	}
	return checkpoint.Find(ctx, name, &checkpoint.HubOptions{
		Endpoint: o.Endpoint, CacheDir: o.CacheDir, Token: o.Token, Offline: o.Offline, Progress: o.Progress, Warn: o.Warn,
	})
}
