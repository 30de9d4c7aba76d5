package checkpoint

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakeHub answers as huggingface.co does, as far as Find asks: the API's list of
// files, and files by commit: small ones by a redirect on the same host, large
// ones (LFS) by a redirect to another host, which must see no token.
type fakeHub struct {
	t        *testing.T
	hub, cdn *httptest.Server

	mu       sync.Mutex
	models   map[string]*fakeModel // by id
	requests []string              // "GET /path", of both hosts
}

type fakeModel struct {
	commits map[string]map[string]string // commit → file → content
	refs    map[string]string            // branch or tag → commit
	token   string                       // wanted for everything
	gated   string                       // wanted for the files
	fault   func(file string, w http.ResponseWriter, content []byte) bool
}

const (
	commit1 = "1111111111111111111111111111111111111111"
	commit2 = "2222222222222222222222222222222222222222"
)

func newFakeHub(t *testing.T) *fakeHub {
	h := &fakeHub{t: t, models: make(map[string]*fakeModel)}
	h.hub = httptest.NewServer(http.HandlerFunc(h.serve))
	h.cdn = httptest.NewServer(http.HandlerFunc(h.serveCDN))
	t.Cleanup(func() {
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
		h.hub.Close()
		h.cdn.Close()
	})
	return h
}

// add makes a model with one commit, which main is.
func (h *fakeHub) add(id string, files map[string]string) *fakeModel {
	m := &fakeModel{
		commits: map[string]map[string]string{commit1: files},
		refs:    map[string]string{"main": commit1},
	}
	h.models[id] = m
	return m
}

// options are those of a fresh cache.
func (h *fakeHub) options(cache string) *HubOptions {
	return &HubOptions{
		Endpoint: h.hub.URL, CacheDir: cache,
		Warn:  func(err error) { h.t.Errorf("warning: %v", err) },
		pause: time.Millisecond,
	}
}

// asked returns the requests since the last call.
func (h *fakeHub) asked() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	defer func() { h.requests = nil }()
	return h.requests
}

func large(name string) bool {
	return strings.HasSuffix(name, ".safetensors") || strings.HasSuffix(name, ".gguf")
}

func gitSHA(content string) string {
	return fmt.Sprintf("%x", sha1.Sum(fmt.Appendf(nil, "blob %d\x00%s", len(content), content)))
}

func sha(content string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(content))) }

func refuse(w http.ResponseWriter, status int, code, text string) {
	w.Header().Set("X-Error-Code", code)
	w.Header().Set("X-Error-Message", text)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]string{"error": text})
}

func (h *fakeHub) serve(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	h.requests = append(h.requests, r.Method+" "+r.URL.EscapedPath())
	h.mu.Unlock()
	path, cached := strings.CutPrefix(r.URL.Path, "/api/resolve-cache/models")
	path, api := strings.CutPrefix(path, "/api/models")
	parts := strings.SplitN(strings.TrimPrefix(path, "/"), "/", 5)
	if len(parts) < 3 {
		refuse(w, 404, "", "Not Found")
		return
	}
	id := parts[0] + "/" + parts[1]
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	m := h.models[id]
	if m == nil || m.token != "" && m.token != token {
		if token == "" {
			refuse(w, 401, "RepoNotFound", "Invalid username or password.")
		} else {
			refuse(w, 404, "RepoNotFound", "Repository not found")
		}
		return
	}
	if api {
		h.serveList(w, id, m, strings.TrimPrefix(path, "/"+id+"/revision/"))
		return
	}
	commit, file := parts[len(parts)-2], parts[len(parts)-1]
	content, ok := m.commits[commit][file]
	if !ok {
		refuse(w, 404, "EntryNotFound", "Entry not found")
		return
	}
	if m.gated != "" && m.gated != token {
		if token == "" {
			refuse(w, 401, "GatedRepo", "Access to model "+id+" is restricted.\nYou must be authenticated to access it.")
		} else {
			refuse(w, 403, "GatedRepo", "Access to model "+id+" is restricted and you are not in the authorized list.")
		}
		return
	}
	w.Header().Set("X-Repo-Commit", commit)
	switch {
	case large(file):
		w.Header().Set("X-Linked-Etag", `"`+sha(content)+`"`)
		w.Header().Set("X-Linked-Size", fmt.Sprint(len(content)))
		// Another host name, as the real one's: localhost for 127.0.0.1.
		cdn := strings.Replace(h.cdn.URL, "127.0.0.1", "localhost", 1)
		http.Redirect(w, r, cdn+"/"+id+"/"+commit+"/"+file+"?X-Signature=abc%2Fdef", http.StatusFound)
	case !cached:
		http.Redirect(w, r, "/api/resolve-cache/models/"+id+"/"+commit+"/"+file+"?etag=%22x%22", http.StatusTemporaryRedirect)
	default:
		w.Header().Set("ETag", `"`+gitSHA(content)+`"`)
		h.content(m, file, content, w, r)
	}
}

func (h *fakeHub) serveList(w http.ResponseWriter, id string, m *fakeModel, revision string) {
	commit, ok := m.refs[revision]
	if _, is := m.commits[revision]; is {
		commit, ok = revision, true
	}
	if !ok {
		refuse(w, 404, "RevisionNotFound", "Invalid rev id: "+revision)
		return
	}
	var siblings []any
	for _, name := range sortedKeys(m.commits[commit]) {
		content := m.commits[commit][name]
		sibling := map[string]any{"rfilename": name, "size": len(content), "blobId": gitSHA(content)}
		if large(name) {
			sibling["blobId"] = gitSHA("pointer to " + content)
			sibling["lfs"] = map[string]any{"sha256": sha(content), "size": len(content), "pointerSize": 134}
		}
		siblings = append(siblings, sibling)
	}
	json.NewEncoder(w).Encode(map[string]any{
		"id": id, "modelId": id, "sha": commit, "siblings": siblings, "gated": false,
		// Of these nothing is read.
		"cardData": map[string]any{"license": []string{"apache-2.0", "mit"}}, "lastModified": "yesterday",
	})
}

func (h *fakeHub) serveCDN(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	h.requests = append(h.requests, r.Method+" "+r.URL.Path)
	h.mu.Unlock()
	if r.Header.Get("Authorization") != "" {
		h.t.Errorf("%s: the token went to another host", r.URL)
	}
	if r.URL.Query().Get("X-Signature") != "abc/def" {
		h.t.Errorf("%s: signature lost", r.URL)
	}
	parts := strings.SplitN(strings.TrimPrefix(r.URL.Path, "/"), "/", 4)
	m := h.models[parts[0]+"/"+parts[1]]
	w.Header().Set("ETag", `"not-the-sha"`)
	h.content(m, parts[3], m.commits[parts[2]][parts[3]], w, r)
}

func (h *fakeHub) content(m *fakeModel, file, content string, w http.ResponseWriter, r *http.Request) {
	if m.fault != nil && m.fault(file, w, []byte(content)) {
		return
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader([]byte(content)))
}

// cut sends half of the content and breaks the connection.
func cut(w http.ResponseWriter, content []byte) {
	w.Header().Set("Content-Length", fmt.Sprint(len(content)))
	w.Write(content[:len(content)/2])
	w.(http.Flusher).Flush()
	panic(http.ErrAbortHandler)
}

// shardedModel is a model with everything that one may have.
func shardedModel(t *testing.T) map[string]string {
	return map[string]string{
		"README.md":                        "x",
		".gitattributes":                   "x",
		"config.json":                      `{"model_type": "llama"}`,
		"generation_config.json":           `{"do_sample": false}`,
		"tokenizer.json":                   `{"model": {}}`,
		"tokenizer_config.json":            `{"bos_token": null}`,
		"special_tokens_map.json":          `{"pad_token": null}`,
		"added_tokens.json":                `{"<tool>": 5}`,
		"chat_template.jinja":              "{{ messages }}",
		"tokenizer.model":                  "x",
		"pytorch_model.bin":                "x",
		"consolidated.safetensors":         "x",
		"original/config.json":             "x",
		"onnx/model.onnx":                  "x",
		"model-q4.gguf":                    "x",
		"model.safetensors.index.json":     `{"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}`,
		"model-00001-of-00002.safetensors": encode(t, bf16("a", 3000)),
		"model-00002-of-00002.safetensors": encode(t, bf16("b", 2000)),
	}
}

// wanted are the files of shardedModel that Find gets.
var wanted = []string{
	"added_tokens.json", "chat_template.jinja", "config.json", "generation_config.json", "model-00001-of-00002.safetensors",
	"model-00002-of-00002.safetensors", "model.safetensors.index.json", "special_tokens_map.json",
	"tokenizer.json", "tokenizer_config.json",
}

// wantCache checks that a snapshot has just the files, with their content, as
// links to blobs named by their hash, and that the cache has nothing half.
func wantCache(t *testing.T, dir string, names []string, files map[string]string) {
	t.Helper()
	var got []string
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		got = append(got, e.Name())
		content, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil || string(content) != files[e.Name()] {
			t.Errorf("%s: %v, %d bytes, want %d", e.Name(), err, len(content), len(files[e.Name()]))
		}
		blob := gitSHA(files[e.Name()])
		if large(e.Name()) {
			blob = sha(files[e.Name()])
		}
		if link, err := os.Readlink(filepath.Join(dir, e.Name())); err != nil || link != filepath.Join("..", "..", "blobs", blob) {
			t.Errorf("%s: a link to %q, %v; want %s in blobs", e.Name(), link, err, blob)
		}
	}
	if !slices.Equal(got, names) {
		t.Errorf("files\n got %q\nwant %q", got, names)
	}
	wantNoRest(t, filepath.Dir(filepath.Dir(dir)))
}

// wantNoRest checks that blobs holds only files that are named by their hash.
func wantNoRest(t *testing.T, repo string) {
	t.Helper()
	blobs, _ := filepath.Glob(filepath.Join(repo, "blobs", "*"))
	for _, path := range blobs {
		content, err := os.ReadFile(path)
		if name := filepath.Base(path); err != nil || name != gitSHA(string(content)) && name != sha(string(content)) {
			t.Errorf("left in blobs: %s, %d bytes, %v", name, len(content), err)
		}
	}
}
