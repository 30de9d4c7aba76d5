package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/implicitreward/implicitreward/internal/regular"
	"github.com/implicitreward/implicitreward/logprob"
)

// hubOptions are filled from the variables that Hugging Face's tools read: HF_ENDPOINT,
// HF_HUB_CACHE, HF_HOME, XDG_CACHE_HOME, HF_TOKEN, HF_TOKEN_PATH,
// HF_HUB_DISABLE_IMPLICIT_TOKEN, HF_HUB_OFFLINE, TRANSFORMERS_OFFLINE. getenv is os.Getenv
// but in tests.
func hubOptions(getenv func(string) string, stderr io.Writer) *logprob.HubOptions {
	home := getenv("HF_HOME")
	if home == "" {
		cache := getenv("XDG_CACHE_HOME")
		if cache == "" {
			user, err := os.UserHomeDir()
			if err != nil {
				user = "" // no cache: see Loader.Load
			}
			if user != "" {
				cache = filepath.Join(user, ".cache")
			}
		}
		if cache != "" {
			home = filepath.Join(cache, "huggingface")
		}
	}
	o := &logprob.HubOptions{
		Endpoint: getenv("HF_ENDPOINT"),
		CacheDir: getenv("HF_HUB_CACHE"),
		Offline:  truth(getenv("HF_HUB_OFFLINE")) || truth(getenv("TRANSFORMERS_OFFLINE")),
		Warn:     func(err error) { fmt.Fprintln(stderr, err) },
	}
	if o.CacheDir == "" && home != "" {
		o.CacheDir = filepath.Join(home, "hub")
	}
	if !truth(getenv("HF_HUB_DISABLE_IMPLICIT_TOKEN")) {
		o.Token = token(getenv, home)
	}
	return o
}

// Folder returns the folder of the model or adapter that name means, which find, logprob.Find or
// logprob.FindAdapter, downloads if need be.
func Folder(ctx context.Context, stderr io.Writer, name string, find func(context.Context, string, *logprob.HubOptions) (string, error)) (dir string, err error) {
	hub := hubOptions(os.Getenv, stderr)
	download := NewProgress(stderr, "downloading "+name, true)
	hub.Progress = download.Set
	if hub.CacheDir == "" {
		if _, err := os.Stat(name); err != nil {
			return "", fmt.Errorf("%s: no folder of that name, and none for models of the hub: wanted HOME, HF_HOME or HF_HUB_CACHE to be set", name)
		}
	}
	dir, err = find(ctx, name, hub)
	download.Done()
	return dir, err
}

func token(getenv func(string) string, home string) string {
	if t := strings.TrimSpace(getenv("HF_TOKEN")); t != "" {
		return t
	}
	path := getenv("HF_TOKEN_PATH")
	if path == "" && home != "" {
		path = filepath.Join(home, "token")
	}
	if path == "" {
		return ""
	}
	b, _ := regular.Read(path, 1<<20) // no file, no token
	return strings.TrimSpace(string(b))
}

func truth(s string) bool {
	return slices.Contains([]string{"1", "ON", "YES", "TRUE"}, strings.ToUpper(s))
}
