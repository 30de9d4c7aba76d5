package main

import (
	"archive/zip"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const (
	module = "github.com/implicitreward/implicitreward"
	packed = "v0.0.1-packed"
)

// TestVersion: the library's version is that of go.mod wherever it is written.
func TestVersion(t *testing.T) {
	for _, c := range []struct{ file, text string }{
		{"../go.mod", tokenizers + " v" + version + "\n"},
		{"../tokenize/link.go", "${SRCDIR}/../../libtokenizers-" + version + "\n"},
	} {
		b, err := os.ReadFile(c.file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(b), c.text) {
			t.Errorf("%s lacks %q", c.file, c.text)
		}
	}
}

// TestImport: README's program, in another module that gets this one through a proxy as
// a stranger does, links and runs once setup has run.
func TestImport(t *testing.T) {
	if testing.Short() {
		t.Skip("long: compiles everything as another module does")
	}
	library, err := filepath.Abs("../.deps/lib/libtokenizers.a")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(library); err != nil {
		t.Skip("needs make deps: ", err)
	}
	models, err := filepath.Abs("../internal/demo/data/llama")
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, program, _ := strings.Cut(string(readme), "```go\n")
	program, _, _ = strings.Cut(program, "```\n")
	folder, plugins := t.TempDir(), t.TempDir()
	write(t, filepath.Join(folder, "main.go"), strings.ReplaceAll(program, "path/to/", models+"/"))
	write(t, filepath.Join(plugins, "pjrt_c_api_cpu_plugin.so"), "a plugin that is found")
	env := append(os.Environ(),
		"GOMODCACHE="+t.TempDir(), "GOPROXY=file://"+pack(t)+",file://"+goEnv(t, "GOMODCACHE")+"/cache/download,"+goEnv(t, "GOPROXY"),
		"GOSUMDB=off", "GOFLAGS=-modcacherw -trimpath", // -trimpath: what was compiled for one run serves the next
		"TOKENIZERS_LIB="+library, "PJRT_PLUGIN_LIBRARY_PATH="+plugins, "GOMLX_BACKEND=go")
	run := func(name string, args ...string) string {
		t.Helper()
		c := exec.Command(name, args...)
		c.Dir, c.Env = folder, env
		var report strings.Builder
		c.Stderr = &report
		out, err := c.Output()
		if err != nil {
			t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, report.String())
		}
		return string(out)
	}
	run("go", "mod", "init", "example.org/stranger")
	run("go", "get", module+"@"+packed)
	run("go", "get", ".") // go mod tidy, without the modules that tests of modules import
	flags := run("go", "run", module+"/setup@"+packed)
	found := regexp.MustCompile(`^CGO_LDFLAGS=-L(.*)\n$`).FindStringSubmatch(flags)
	if found == nil {
		t.Fatalf("setup printed %q, wanted CGO_LDFLAGS=-L and a folder", flags)
	}
	if _, err := os.Stat(filepath.Join(found[1], "libtokenizers.a")); err != nil {
		t.Error(err)
	}
	if got := run("go", "run", "."); !regexp.MustCompile(`^-?\d+\.\d+ -?\d+\.\d+\n\[.*\]\n$`).MatchString(got) {
		t.Errorf("README's program printed %q", got)
	}
}

// pack makes a folder that serves the present tree as a module proxy does.
func pack(t *testing.T) string {
	t.Helper()
	proxy := t.TempDir()
	at := filepath.Join(proxy, filepath.FromSlash(module), "@v")
	if err := os.MkdirAll(at, 0o755); err != nil {
		t.Fatal(err)
	}
	mod, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(at, "list"), packed+"\n")
	write(t, filepath.Join(at, packed+".mod"), string(mod))
	write(t, filepath.Join(at, packed+".info"), `{"Version":"`+packed+`"}`)
	file, err := os.Create(filepath.Join(at, packed+".zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	z := zip.NewWriter(file)
	root := os.DirFS("..")
	err = fs.WalkDir(root, ".", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && p != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "bin" || isModule(root, p)):
			return fs.SkipDir
		case !d.Type().IsRegular():
			return nil
		}
		b, err := fs.ReadFile(root, p)
		if err != nil {
			return err
		}
		w, err := z.Create(module + "@" + packed + "/" + p)
		if err != nil {
			return err
		}
		_, err = w.Write(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return proxy
}

// isModule reports whether a folder is a module of its own, which a proxy leaves out.
func isModule(root fs.FS, folder string) bool {
	_, err := fs.Stat(root, folder+"/go.mod")
	return err == nil
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func goEnv(t *testing.T, name string) string {
	t.Helper()
	value, err := command("env", name)
	if err != nil {
		t.Fatal(err)
	}
	return value
}
