package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestFindBrokenOff(t *testing.T) {
	h := newFakeHub(t)
	files := shardedModel(t)
	m := h.add("org/m", files)
	const shard = "model-00002-of-00002.safetensors"
	var cuts atomic.Int32
	m.fault = func(file string, w http.ResponseWriter, content []byte) bool {
		if file == shard && cuts.Add(-1) >= 0 {
			cut(w, content)
		}
		return false
	}
	// Always: an error, and nothing half in the cache.
	cache := t.TempDir()
	cuts.Store(1000)
	_, err := Find(background, "org/m", h.options(cache))
	wantError(t, err, "", "checkpoint: org/m: "+shard+": "+h.hub.URL+" cannot be reached, or broke off: the connection was cut; run again, files that are whole are kept")
	if n := 1000 - cuts.Load(); n != tries {
		t.Errorf("%d tries, want %d", n, tries)
	}
	wantNoRest(t, filepath.Join(cache, "models--org--m"))
	offline := h.options(cache)
	offline.Offline = true
	_, err = Find(background, "org/m@"+commit1, offline)
	wantError(t, err, cache, "checkpoint: org/m@"+commit1+": the cached models--org--m/snapshots/"+commit1+" lacks "+shard+
		": leave the offline mode once to download it, or give a folder's path")
	// Once more, with two more cuts: whole, and the rest is not fetched again.
	h.asked()
	cuts.Store(2)
	dir, err := Find(background, "org/m", h.options(cache))
	if err != nil {
		t.Fatal(err)
	}
	wantCache(t, dir, wanted, files)
	for _, request := range h.asked() {
		if !strings.HasSuffix(request, shard) && !strings.HasSuffix(request, "/revision/main") {
			t.Errorf("asked for %s", request)
		}
	}
}

// A file of wrong content or length never gets its name in the cache.
func TestFindWrongContent(t *testing.T) {
	for name, test := range map[string]struct {
		send func(content []byte) []byte
		want string
	}{
		"a bit": {func(c []byte) []byte { c[len(c)-1] ^= 1; return c }, "its hash is HASH, wanted WANT as the hub says"},
		"short": {func(c []byte) []byte { return c[:len(c)-1] }, "93 bytes came, wanted 94"},
		"long":  {func(c []byte) []byte { return append(c, make([]byte, 10<<20)...) }, "more than 94 bytes came"},
		"page":  {func([]byte) []byte { return []byte("<html>log in") }, "12 bytes came, wanted 94"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newFakeHub(t)
			weights := encode(t, bf16("a", 11))
			m := h.add("org/m", map[string]string{"config.json": "{}", "model.safetensors": weights})
			var sent []byte
			m.fault = func(file string, w http.ResponseWriter, content []byte) bool {
				if file != "model.safetensors" {
					return false
				}
				sent = test.send(content)
				w.Write(sent)
				return true
			}
			cache := t.TempDir()
			_, err := Find(background, "org/m", h.options(cache))
			want := strings.NewReplacer("HASH", sha(string(sent)), "WANT", sha(weights)).Replace(test.want)
			wantError(t, err, "", "checkpoint: org/m: model.safetensors: not what the hub announced, 3 times: "+want+"; try again, and mind what stands between")
			wantNoRest(t, filepath.Join(cache, "models--org--m"))
			m.fault = nil
			if _, err := Find(background, "org/m", h.options(cache)); err != nil {
				t.Error(err)
			}
		})
	}
}

// A blob that something cut short is fetched anew.
func TestFindHeals(t *testing.T) {
	h := newFakeHub(t)
	files := map[string]string{"config.json": "{}", "model.safetensors": encode(t, bf16("a", 100))}
	h.add("org/m", files)
	cache := t.TempDir()
	dir, err := Find(background, "org/m", h.options(cache))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(dir, "model.safetensors"), 50); err != nil {
		t.Fatal(err)
	}
	// And what a killed download left goes.
	rest := filepath.Join(cache, "models--org--m", "blobs", "123"+unverified+".part")
	if err := os.WriteFile(rest, []byte("half"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Find(background, "org/m", h.options(cache)); err != nil {
		t.Fatal(err)
	}
	wantCache(t, dir, []string{"config.json", "model.safetensors"}, files)
}

func TestFindStops(t *testing.T) {
	h := newFakeHub(t)
	m := h.add("org/m", map[string]string{"config.json": "{}", "model.safetensors": encode(t, bf16("a", 100))})
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	started := make(chan struct{}, 10)
	m.fault = func(file string, w http.ResponseWriter, content []byte) bool {
		if file != "model.safetensors" {
			return false
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(content)))
		w.Write(content[:10])
		w.(http.Flusher).Flush()
		started <- struct{}{}
		<-release
		return true
	}
	cache := t.TempDir()
	ctx, cancel := context.WithCancel(background)
	go func() { <-started; cancel() }()
	_, err := Find(ctx, "org/m", h.options(cache))
	wantError(t, err, "", "checkpoint: org/m: model.safetensors: stopped: context canceled; what is whole stays in the cache")
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v is not context.Canceled", err)
	}
	wantNoRest(t, filepath.Join(cache, "models--org--m"))
	// A hub that falls silent.
	o := h.options(cache)
	o.stall = 50 * time.Millisecond
	_, err = Find(background, "org/m", o)
	wantError(t, err, "", "checkpoint: org/m: model.safetensors: no byte arrived for a minute: run again, files that are whole are kept")
	wantNoRest(t, filepath.Join(cache, "models--org--m"))
	// One that does not even answer, or sends in circles.
	for _, handler := range []http.HandlerFunc{
		func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, http.StatusFound) },
	} {
		server := httptest.NewServer(handler)
		defer server.Close()
		o.Endpoint, o.CacheDir = server.URL, t.TempDir()
		_, err = Find(background, "org/m", o)
		wantError(t, err, "", "checkpoint: org/m: the list of files: no byte arrived for a minute: run again, files that are whole are kept")
	}
}

// Several at once, as programs that start together: each file is fetched once.
func TestFindTogether(t *testing.T) {
	h := newFakeHub(t)
	files := shardedModel(t)
	h.add("org/m", files)
	cache := t.TempDir()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			dir, err := Find(background, "org/m", h.options(cache))
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := OpenWeights(dir); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	wantCache(t, filepath.Join(cache, "models--org--m", "snapshots", commit1), wanted, files)
	got := h.asked()
	for _, name := range wanted {
		n := 0
		for _, request := range got {
			if strings.HasSuffix(request, "/"+name) {
				n++
			}
		}
		if n != 2 {
			t.Errorf("%s: %d requests, want 2: the hub's and the redirected one", name, n)
		}
	}
}

// A transfer that breaks off goes on from where it broke; one that goes on elsewhere, or
// that cannot, begins anew; what came is checked as a whole.
func TestFindResumes(t *testing.T) {
	weights := encode(t, bf16("a", 3000))
	half := len(weights) / 2
	for name, test := range map[string]struct {
		second func(w http.ResponseWriter, content []byte) bool // the answer to the request for the rest
		ranges []string
	}{
		"the rest": {func(http.ResponseWriter, []byte) bool { return false }, []string{"", "bytes=" + fmt.Sprint(half) + "-"}},
		"the whole": {func(w http.ResponseWriter, content []byte) bool {
			w.Write(content)
			return true
		}, []string{"", "bytes=" + fmt.Sprint(half) + "-"}},
		"another part": {func(w http.ResponseWriter, content []byte) bool {
			w.Header().Set("Content-Range", fmt.Sprintf("bytes 1-%d/%d", len(content)-1, len(content)))
			w.WriteHeader(http.StatusPartialContent)
			w.Write(content[1:])
			return true
		}, []string{"", "bytes=" + fmt.Sprint(half) + "-", ""}},
		"no such part": {func(w http.ResponseWriter, _ []byte) bool {
			w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
			return true
		}, []string{"", "bytes=" + fmt.Sprint(half) + "-", ""}},
		"a wrong rest": {func(w http.ResponseWriter, content []byte) bool {
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", half, len(content)-1, len(content)))
			w.WriteHeader(http.StatusPartialContent)
			w.Write(make([]byte, len(content)-half))
			return true
		}, []string{"", "bytes=" + fmt.Sprint(half) + "-", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			h := newFakeHub(t)
			files := map[string]string{"config.json": "{}", "model.safetensors": weights}
			m := h.add("org/m", files)
			var ranges []string
			h.cdn.Config.Handler = func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					ranges = append(ranges, r.Header.Get("Range"))
					next.ServeHTTP(w, r)
				})
			}(h.cdn.Config.Handler)
			m.fault = func(file string, w http.ResponseWriter, content []byte) bool {
				switch {
				case file == "model.safetensors" && len(ranges) == 1:
					cut(w, content)
				case file == "model.safetensors" && len(ranges) == 2:
					return test.second(w, content)
				}
				return false
			}
			cache := t.TempDir()
			dir, err := Find(background, "org/m", h.options(cache))
			if err != nil {
				t.Fatal(err)
			}
			wantCache(t, dir, []string{"config.json", "model.safetensors"}, files)
			wantNoRest(t, filepath.Join(cache, "models--org--m"))
			if !slices.Equal(ranges, test.ranges) {
				t.Errorf("ranges %q, want %q", ranges, test.ranges)
			}
		})
	}
}

// The token goes to the endpoint alone: not to a subdomain, to which net/http would send it.
func TestTokenStays(t *testing.T) {
	for _, test := range []struct {
		to   string
		want string
	}{
		{"https://hub.test/other", "Bearer t"}, {"https://cdn.hub.test/x", ""}, {"http://hub.test/x", ""}, {"https://hub.test:8/x", ""},
	} {
		first, _ := http.NewRequest(http.MethodGet, "https://hub.test/x", nil)
		next, _ := http.NewRequest(http.MethodGet, test.to, nil)
		next.Header.Set("Authorization", "Bearer t")
		if err := client.CheckRedirect(next, []*http.Request{first}); err != nil || next.Header.Get("Authorization") != test.want {
			t.Errorf("%s: %q, %v; want %q", test.to, next.Header.Get("Authorization"), err, test.want)
		}
	}
}
