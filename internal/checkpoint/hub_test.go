package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

var background = context.Background()

func TestFindFolder(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for _, name := range []string{"a/b", "a/b@main", "a/b/c", "plain"} {
		if err := os.MkdirAll(name, 0o755); err != nil {
			t.Fatal(err)
		}
		// No hub is asked: the address is nobody's.
		if got, err := Find(background, name, &HubOptions{Endpoint: "http://127.0.0.1:1", CacheDir: dir}); err != nil || got != name {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		if got, err := Find(background, name, nil); err != nil || got != name {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if err := os.WriteFile("a/file", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ name, want string }{
		{"a/file", "checkpoint: a/file: a file, wanted the folder that holds it"},
		{"./x", `checkpoint: "./x": no such folder`},
		{"../x", `checkpoint: "../x": no such folder`},
		{"/x", `checkpoint: "/x": no such folder`},
		{"x/", `checkpoint: "x/": no such folder`},
		{"x/y/z", `checkpoint: "x/y/z": no such folder`},
		{"x//y", `checkpoint: "x//y": no such folder`},
		{`x\y/z`, `checkpoint: "x\\y/z": no such folder`},
		{"x/y.git", `checkpoint: "x/y.git": no such folder`},
		{"x/..", `checkpoint: "x/..": no such folder`},
		{"x/a--b", `checkpoint: "x/a--b": no such folder`},
		{"x/" + strings.Repeat("y", 95), `checkpoint: "x/` + strings.Repeat("y", 95) + `": no such folder`},
		{"~/x", `checkpoint: "~/x": no such folder (only a shell knows ~: write the home folder out)`},
		{"gpt2", `checkpoint: "gpt2": no such folder, and a model of the hub is named org/name[@revision]`},
		{"", `checkpoint: "": no such folder, and a model of the hub is named org/name[@revision]`},
		{"x/y@", `checkpoint: "x/y@": revision "", wanted a branch, a tag or a full commit hash`},
		{"x/y@../z", `checkpoint: "x/y@../z": revision "../z", wanted a branch, a tag or a full commit hash`},
		{"x/y@a b", `checkpoint: "x/y@a b": revision "a b", wanted a branch, a tag or a full commit hash`},
		{"x/y@/etc", `checkpoint: "x/y@/etc": revision "/etc", wanted a branch, a tag or a full commit hash`},
	} {
		_, err := Find(background, test.name, &HubOptions{Endpoint: "http://127.0.0.1:1", CacheDir: dir})
		wantError(t, err, "", test.want)
	}
	ctx, cancel := context.WithCancel(background)
	cancel()
	if _, err := Find(ctx, "a/b", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want context.Canceled", err)
	}
}

func TestFindDownloads(t *testing.T) {
	// What Hugging Face tools read must not matter: the options alone say it.
	t.Setenv("HF_ENDPOINT", "http://127.0.0.1:1")
	t.Setenv("XDG_CACHE_HOME", "/nowhere")
	t.Setenv("HF_TOKEN", "wrong")
	h := newFakeHub(t)
	files := shardedModel(t)
	m := h.add("org/Model-1.5", files)
	m.gated = "hf_secret"
	cache := t.TempDir()
	o := h.options(cache)
	o.Token = "hf_secret\n"
	var done, total int64
	o.Progress = func(d, t int64) { done, total = d, t }
	stdout := captureStdout(t)
	dir, err := Find(background, "org/Model-1.5", o)
	if printed := stdout(); printed != "" {
		t.Errorf("printed %q", printed)
	}
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(cache, "models--org--Model-1.5", "snapshots", commit1); dir != want {
		t.Errorf("folder %s, want %s", dir, want)
	}
	wantCache(t, dir, wanted, files)
	var sum int64
	for _, name := range wanted {
		sum += int64(len(files[name]))
	}
	if done != sum || total != sum {
		t.Errorf("progress ends at %d of %d, want %d", done, total, sum)
	}
	if w := open(t, dir); !slices.Equal(w.Names(), []string{"a", "b"}) {
		t.Errorf("tensors %q", w.Names())
	}
	if _, err := ReadConfig(dir); err != nil {
		t.Error(err)
	}
	ref, err := os.ReadFile(filepath.Join(cache, "models--org--Model-1.5", "refs", "main"))
	if err != nil || string(ref) != commit1 {
		t.Errorf("refs/main %q, %v", ref, err)
	}
	for _, request := range h.asked() {
		for _, not := range []string{"README", ".bin", "consolidated", "gguf", "onnx", "original", "tokenizer.model"} {
			if strings.Contains(request, not) {
				t.Errorf("asked for %s", request)
			}
		}
	}

	// Again: the list only, and the files' login is not needed any more.
	again := h.options(cache)
	if got, err := Find(background, "org/Model-1.5", again); err != nil || got != dir {
		t.Errorf("%s, %v", got, err)
	}
	if got, want := h.asked(), []string{"GET /api/models/org/Model-1.5/revision/main"}; !slices.Equal(got, want) {
		t.Errorf("asked %q, want %q", got, want)
	}
	// By commit, and offline: nothing.
	if got, err := Find(background, "org/Model-1.5@"+commit1, again); err != nil || got != dir {
		t.Errorf("%s, %v", got, err)
	}
	offline := h.options(cache)
	offline.Offline = true
	for _, name := range []string{"org/Model-1.5", "org/Model-1.5@main", "org/Model-1.5@" + commit1} {
		if got, err := Find(background, name, offline); err != nil || got != dir {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
	if got := h.asked(); len(got) > 0 {
		t.Errorf("asked %q, want nothing", got)
	}
	// The hub gone, or in trouble: the cached one, and a warning.
	var warning error
	again.Warn = func(err error) { warning = err }
	m.token = "changed"
	if got, err := Find(background, "org/Model-1.5", again); err != nil || got != dir {
		t.Errorf("%s, %v", got, err)
	}
	wantError(t, warning, "", "checkpoint: org/Model-1.5: the list of files: the hub wants a login (401) (Invalid username or password.): check the name, accept the licence at "+
		h.hub.URL+"/org/Model-1.5 if it has one, and give a token (HF_TOKEN); taking the cached commit "+commit1)
	again.Endpoint = "http://127.0.0.1:1/"
	if got, err := Find(background, "org/Model-1.5", again); err != nil || got != dir {
		t.Errorf("%s, %v", got, err)
	}
	wantError(t, warning, "", "checkpoint: org/Model-1.5: the list of files: http://127.0.0.1:1 cannot be reached, or broke off: "+
		"dial tcp 127.0.0.1:1: connect: connection refused; run again, files that are whole are kept; taking the cached commit "+commit1)
}

// captureStdout returns a function that gives what was printed since.
func captureStdout(t *testing.T) func() string {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	old := os.Stdout
	os.Stdout = w
	return func() string {
		os.Stdout = old
		w.Close()
		text, _ := io.ReadAll(r)
		return string(text)
	}
}

func TestFindRevisions(t *testing.T) {
	h := newFakeHub(t)
	one := map[string]string{"config.json": "{}", "README.md": "1", "model.safetensors": encode(t, bf16("a", 1))}
	m := h.add("org/m", one)
	m.commits[commit2] = map[string]string{"config.json": "{}", "README.md": "2", "model.safetensors": one["model.safetensors"]}
	m.refs["v1.0"], m.refs["refs/pr/1"] = commit1, commit2
	cache := t.TempDir()
	for _, test := range []struct{ name, commit string }{
		{"org/m@v1.0", commit1}, {"org/m@refs/pr/1", commit2}, {"org/m@" + commit2, commit2}, {"org/m", commit1},
	} {
		dir, err := Find(background, test.name, h.options(cache))
		if err != nil || filepath.Base(dir) != test.commit {
			t.Fatalf("%s: %s, %v; want %s", test.name, dir, err, test.commit)
		}
		wantCache(t, dir, []string{"config.json", "model.safetensors"}, one)
		offline := h.options(cache)
		offline.Offline = true
		if got, err := Find(background, test.name, offline); err != nil || got != dir {
			t.Errorf("%s offline: %s, %v; want %s", test.name, got, err, dir)
		}
	}
	// The slash of a revision is escaped, and equal files are fetched once.
	got := h.asked()
	if !slices.Contains(got, "GET /api/models/org/m/revision/refs%2Fpr%2F1") {
		t.Errorf("asked %q", got)
	}
	if n := len(slices.DeleteFunc(got, func(r string) bool { return !strings.HasSuffix(r, "model.safetensors") })); n != 2 {
		t.Errorf("%d requests for the weights, want 2: the hub's and the redirected one", n)
	}
	// main moves on; offline it is what was last seen, then the new one.
	m.refs["main"] = commit2
	if dir, err := Find(background, "org/m", h.options(cache)); err != nil || filepath.Base(dir) != commit2 {
		t.Errorf("%s, %v; want %s", dir, err, commit2)
	}
	if ref, _ := os.ReadFile(filepath.Join(cache, "models--org--m", "refs", "main")); string(ref) != commit2 {
		t.Errorf("refs/main %s, want %s", ref, commit2)
	}
}

func TestFindErrors(t *testing.T) {
	single := func() map[string]string {
		return map[string]string{"config.json": "{}", "model.safetensors": encode(t, bf16("a", 1))}
	}
	answer := func(status int, text string) func(string, http.ResponseWriter, []byte) bool {
		return func(_ string, w http.ResponseWriter, _ []byte) bool {
			w.WriteHeader(status)
			io.WriteString(w, text)
			return true
		}
	}
	for _, test := range []struct {
		name, model, token string
		change             func(*fakeModel)
		want               string // HUB is the address
	}{
		{"unknown, no token", "org/other", "", nil,
			"checkpoint: org/other: the list of files: the hub wants a login (401) (Invalid username or password.): check the name, accept the licence at HUB/org/other if it has one, and give a token (HF_TOKEN)"},
		{"unknown, token", "org/other", "t", nil,
			"checkpoint: org/other: the list of files: not found (404): no such model at HUB/org/other, and no such folder here"},
		{"unknown revision", "org/m@v9", "", nil,
			"checkpoint: org/m@v9: the list of files: not found (404): no such model or revision at HUB/org/m"},
		{"gated, no token", "org/m", "", func(m *fakeModel) { m.gated = "secret" },
			"checkpoint: org/m: config.json: the hub wants a login (401) (Access to model org/m is restricted. You must be authenticated to access it.): check the name, accept the licence at HUB/org/m if it has one, and give a token (HF_TOKEN)"},
		{"gated, other token", "org/m", "t", func(m *fakeModel) { m.gated = "secret" },
			"checkpoint: org/m: config.json: the hub refuses the token (403) (Access to model org/m is restricted and you are not in the authorized list.): accept the licence at HUB/org/m with the token's account, and let the token read gated models"},
		{"busy", "org/m", "", func(m *fakeModel) { m.fault = answer(429, "<html>\nslow down") },
			"checkpoint: org/m: config.json: too many requests (429): wait, or give a token (HF_TOKEN)"},
		{"broken", "org/m", "", func(m *fakeModel) { m.fault = answer(503, "") },
			"checkpoint: org/m: config.json: the hub fails (503): try again later"},
		{"file gone", "org/m", "", func(m *fakeModel) { m.fault = answer(404, "x") },
			"checkpoint: org/m: config.json: not found (404): no such model at HUB/org/m, and no such folder here"},
		{"no config", "org/m", "", func(m *fakeModel) { delete(m.commits[commit1], "config.json") },
			"checkpoint: org/m: HUB/org/m has no config.json, wanted a model for transformers"},
		{"pickle only", "org/m", "", func(m *fakeModel) {
			m.commits[commit1] = map[string]string{"config.json": "{}", "pytorch_model.bin": "x"}
		}, "checkpoint: org/m: HUB/org/m: only pytorch_model.bin, wanted safetensors: save the model anew with transformers (save_pretrained)"},
		{"index names what is not there", "org/m", "", func(m *fakeModel) {
			m.commits[commit1] = map[string]string{"config.json": "{}", "model.safetensors.index.json": `{"weight_map": {"a": "s.safetensors"}}`}
		}, `checkpoint: org/m: model.safetensors.index.json places tensor "a" in s.safetensors, which the model does not have`},
		{"index leads out", "org/m", "", func(m *fakeModel) {
			m.commits[commit1] = map[string]string{"config.json": "{}", "model.safetensors.index.json": `{"weight_map": {"a": "../s.safetensors"}}`}
		}, `checkpoint: org/m: model.safetensors.index.json: tensor "a": file "../s.safetensors", wanted a .safetensors file of the same folder`},
		{"commit leads out", "org/m", "", func(m *fakeModel) {
			m.commits["../../../x"] = m.commits[commit1]
			m.refs["main"] = "../../../x"
		}, `checkpoint: org/m: HUB answers commit "../../../x", wanted 40 hex digits`},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := newFakeHub(t)
			m := h.add("org/m", single())
			if test.change != nil {
				test.change(m)
			}
			cache := t.TempDir()
			o := h.options(cache)
			o.Token = test.token
			dir, err := Find(background, test.model, o)
			if dir != "" {
				t.Errorf("folder %s", dir)
			}
			wantError(t, err, "", strings.ReplaceAll(test.want, "HUB", h.hub.URL))
			if refs, _ := filepath.Glob(filepath.Join(cache, "*", "refs", "*")); len(refs) > 0 {
				t.Errorf("refs %q", refs)
			}
		})
	}
	t.Run("no hub", func(t *testing.T) {
		h := newFakeHub(t)
		h.hub.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>log in to the hotel") })
		_, err := Find(background, "org/m", h.options(t.TempDir()))
		wantError(t, err, "", "checkpoint: org/m: "+h.hub.URL+" answers no list of files, wanted a hub: invalid character '<' looking for beginning of value")
	})
	t.Run("names that lead out", func(t *testing.T) {
		h := newFakeHub(t)
		m := h.add("org/m", single())
		m.commits[commit1]["../tokenizer.json"] = "x"
		m.commits[commit1]["tokenizer/../../x.json"] = "x"
		dir, err := Find(background, "org/m", h.options(t.TempDir()))
		if err != nil {
			t.Fatal(err)
		}
		wantCache(t, dir, []string{"config.json", "model.safetensors"}, single())
	})
}

func TestFindOffline(t *testing.T) {
	cache := t.TempDir()
	o := &HubOptions{Endpoint: "http://127.0.0.1:1", CacheDir: cache, Offline: true}
	const how = ": leave the offline mode once to download it, or give a folder's path"
	find := func(name, want string) {
		t.Helper()
		_, err := Find(background, name, o)
		wantError(t, err, cache, want)
	}
	find("org/m", "checkpoint: org/m: not in the cache DIR"+how)
	repo := filepath.Join(cache, "models--org--m")
	write := func(name, content string) {
		t.Helper()
		path := filepath.Join(repo, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	write("refs/main", commit1+"\n")
	find("org/m", "checkpoint: org/m: not in the cache DIR (which has revision main)"+how)
	find("org/m@v2", "checkpoint: org/m@v2: not in the cache DIR (which has revision main)"+how)
	write("snapshots/"+commit1+"/tokenizer.json", "{}")
	find("org/m", "checkpoint: org/m: the cached models--org--m/snapshots/"+commit1+" lacks config.json"+how)
	write("snapshots/"+commit1+"/config.json", "{}")
	find("org/m", "checkpoint: org/m: the cached folder: checkpoint: models--org--m/snapshots/"+commit1+
		": no weights, wanted model.safetensors or model.safetensors.index.json")
	write("snapshots/"+commit1+"/model.safetensors.index.json", `{"weight_map": {"a": "s.safetensors"}}`)
	find("org/m", "checkpoint: org/m: the cached models--org--m/snapshots/"+commit1+" lacks s.safetensors"+how)
	write("snapshots/"+commit1+"/s.safetensors", encode(t, bf16("a", 1)))
	if _, err := Find(background, "org/m", o); err != nil {
		t.Error(err)
	}
	write("refs/main", "../../../etc")
	find("org/m", `checkpoint: org/m: models--org--m/refs/main holds "../../../etc", wanted a commit hash: delete that file`)
	// Not cached and no network.
	_, err := Find(background, "org/other", &HubOptions{Endpoint: "http://127.0.0.1:1", CacheDir: cache})
	wantError(t, err, "", "checkpoint: org/other: the list of files: http://127.0.0.1:1 cannot be reached, or broke off: "+
		"dial tcp 127.0.0.1:1: connect: connection refused; run again, files that are whole are kept")
}

// A cache that may only be read, as one that many share, will do.
func TestFindReadOnly(t *testing.T) {
	h := newFakeHub(t)
	m := h.add("org/m", map[string]string{"config.json": "{}", "model.safetensors": encode(t, bf16("a", 1))})
	cache := t.TempDir()
	dir, err := Find(background, "org/m", h.options(cache))
	if err != nil {
		t.Fatal(err)
	}
	chmod := func(mode fs.FileMode) {
		filepath.WalkDir(cache, func(path string, d fs.DirEntry, _ error) error {
			if d.IsDir() {
				os.Chmod(path, mode)
			}
			return nil
		})
	}
	chmod(0o555)
	defer chmod(0o755)
	if f, err := os.Create(filepath.Join(cache, "x")); err == nil {
		f.Close()
		t.Skip("needs another user than root, who may write anywhere")
	}
	if got, err := Find(background, "org/m", h.options(cache)); err != nil || got != dir {
		t.Errorf("%s, %v", got, err)
	}
	m.commits[commit2] = map[string]string{"config.json": "{ }", "model.safetensors": encode(t, bf16("a", 2))}
	m.refs["main"] = commit2
	if _, err := Find(background, "org/m", h.options(cache)); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("%v, want fs.ErrPermission", err)
	}
}

// A full disk cannot be had here; its error can.
func TestExplainFullDisk(t *testing.T) {
	r, err := newRepo("org/m", "main", &HubOptions{CacheDir: "/cache"})
	if err != nil {
		t.Fatal(err)
	}
	full := fmt.Errorf("failed writing: %w", &fs.PathError{Op: "write", Path: "/cache/x", Err: syscall.ENOSPC})
	err = r.explain(background, "model.safetensors", full)
	wantError(t, err, "", "checkpoint: org/m: model.safetensors: the disk is full (write /cache/x: no space left on device): make room, or name another cache folder (HF_HUB_CACHE)")
	if !errors.Is(err, syscall.ENOSPC) || passing(full) {
		t.Error("want ENOSPC below it, and no second try")
	}
}

func TestHubDefaults(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	for _, test := range []struct{ cache, want string }{
		{"", filepath.Join(home, ".cache", "huggingface", "hub")},
		{"~", home},
		{"~/hf", filepath.Join(home, "hf")},
		{"/x/~y/", "/x/~y"},
	} {
		r, err := newRepo("org/m", "main", &HubOptions{CacheDir: test.cache})
		if err != nil || r.options.CacheDir != test.want || r.options.Endpoint != "https://huggingface.co" {
			t.Errorf("%q: %+v, %v; want %s", test.cache, r.options, err, test.want)
		}
	}
}

// TestFindAdapter: of a repository with an adapter the adapter's files are downloaded, also beside
// a whole model, and offline they are found; a model and an adapter do not pass for each other.
func TestFindAdapter(t *testing.T) {
	h := newFakeHub(t)
	files := map[string]string{
		"adapter_config.json": `{"peft_type": "LORA"}`, "adapter_model.safetensors": "weights", "tokenizer.json": "{}", "tokenizer_config.json": "{}",
		"chat_template.jinja": "x", "README.md": "not needed", "optimizer.pt": "not needed",
	}
	names := []string{"adapter_config.json", "adapter_model.safetensors", "chat_template.jinja", "tokenizer.json", "tokenizer_config.json"}
	h.add("org/a", files)
	both := shardedModel(t)
	both["adapter_config.json"], both["adapter_model.safetensors"] = files["adapter_config.json"], "others"
	h.add("org/both", both)
	h.add("org/m", shardedModel(t))
	cache := t.TempDir()
	dir, err := FindAdapter(background, "org/a", h.options(cache))
	if err != nil {
		t.Fatal(err)
	}
	wantCache(t, dir, names, files)
	if dir, err = FindAdapter(background, "org/both@"+commit1, h.options(cache)); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "adapter_model.safetensors")); err != nil || string(b) != "others" {
		t.Errorf("%q, %v", b, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "model-00001-of-00002.safetensors")); err == nil {
		t.Error("the weights of a whole model are downloaded for its adapter")
	}
	offline := h.options(cache)
	offline.Offline = true
	if again, err := FindAdapter(background, "org/a", offline); err != nil || filepath.Base(filepath.Dir(again)) != "snapshots" {
		t.Errorf("%s, %v", again, err)
	}
	_, err = FindAdapter(background, "org/m", h.options(cache))
	wantError(t, err, "", "checkpoint: org/m: "+h.hub.URL+"/org/m has no adapter_config.json and adapter_model.safetensors, wanted an adapter that peft has saved")
	_, err = Find(background, "org/a", h.options(cache))
	wantError(t, err, "", "checkpoint: org/a: "+h.hub.URL+"/org/a holds an adapter, wanted BASE+org/a, with the model that it is for")
	if _, err = Find(background, "org/both", h.options(cache)); err != nil {
		t.Error(err)
	}
}
