package checkpoint

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestFindGGUF: of a repository with models in llama.cpp's format the one that is named comes, with
// its other parts and the files of a tokenizer, and is there offline afterwards.
func TestFindGGUF(t *testing.T) {
	h := newFakeHub(t)
	files := map[string]string{
		"m.Q8_0.gguf": "eight", "m.Q4_K.gguf": "four", "big-00001-of-00002.gguf": "one", "big-00002-of-00002.gguf": "two",
		"half-00001-of-00002.gguf": "one", "tokenizer.json": "{}", "README.md": "read",
	}
	h.add("org/m-GGUF", files)
	cache := t.TempDir()
	snapshot := filepath.Join(cache, "models--org--m-GGUF", "snapshots", commit1)
	offline := h.options(cache)
	offline.Offline = true
	for _, test := range []struct {
		name, file string
		there      []string // in the snapshot, with what came before
	}{
		{"org/m-GGUF/m.Q8_0.gguf", "m.Q8_0.gguf", []string{"m.Q8_0.gguf", "tokenizer.json"}},
		{"org/m-GGUF/big-00001-of-00002.gguf@main", "big-00001-of-00002.gguf", []string{"big-00001-of-00002.gguf", "big-00002-of-00002.gguf", "m.Q8_0.gguf", "tokenizer.json"}},
	} {
		if got, err := Find(background, test.name, offline); err == nil {
			t.Errorf("%s: %s before it is there, wanted an error", test.name, got)
		}
		for _, o := range []*HubOptions{h.options(cache), offline} {
			if got, err := Find(background, test.name, o); err != nil || got != filepath.Join(snapshot, test.file) {
				t.Errorf("%s: %s, %v; wanted %s", test.name, got, err, test.file)
			}
		}
		entries, err := os.ReadDir(snapshot)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, e := range entries {
			names = append(names, e.Name())
			if b, err := os.ReadFile(filepath.Join(snapshot, e.Name())); err != nil || string(b) != files[e.Name()] {
				t.Errorf("%s holds %q, %v", e.Name(), b, err)
			}
		}
		if !slices.Equal(names, test.there) {
			t.Errorf("%s: files %q, wanted %q", test.name, names, test.there)
		}
	}
	page := h.hub.URL + "/org/m-GGUF"
	for _, test := range []struct{ name, want string }{
		{"org/m-GGUF", "checkpoint: org/m-GGUF: " + page + " has models in llama.cpp's format (big-00001-of-00002.gguf, big-00002-of-00002.gguf, half-00001-of-00002.gguf, ...): name one, as org/m-GGUF/big-00001-of-00002.gguf"},
		{"org/m-GGUF/none.gguf", "checkpoint: org/m-GGUF/none.gguf: " + page + " has no none.gguf; its files in llama.cpp's format: big-00001-of-00002.gguf, big-00002-of-00002.gguf, half-00001-of-00002.gguf, m.Q4_K.gguf, m.Q8_0.gguf"},
		{"org/m-GGUF/big-00002-of-00002.gguf", "checkpoint: org/m-GGUF/big-00002-of-00002.gguf: one of 2 files, wanted the first, big-00001-of-00002.gguf"},
		{"org/m-GGUF/half-00001-of-00002.gguf", "checkpoint: org/m-GGUF/half-00001-of-00002.gguf: " + page + " has no half-00002-of-00002.gguf; its files in llama.cpp's format: big-00001-of-00002.gguf, big-00002-of-00002.gguf, half-00001-of-00002.gguf, m.Q4_K.gguf, m.Q8_0.gguf"},
		{"org/m-GGUF/sub/none.gguf", `checkpoint: "org/m-GGUF/sub/none.gguf": no such folder`},
	} {
		_, err := Find(background, test.name, h.options(cache))
		wantError(t, err, "", test.want)
	}
	_, err := FindAdapter(background, "org/m-GGUF/m.Q8_0.gguf", h.options(cache))
	wantError(t, err, "", "checkpoint: org/m-GGUF/m.Q8_0.gguf: a file in llama.cpp's format, wanted an adapter that peft has saved")
}
