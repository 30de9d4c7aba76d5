package output

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
)

func say(s string) func(io.Writer) error {
	return func(w io.Writer) error { _, err := io.WriteString(w, s); return err }
}

func put(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// parquetOf is a Parquet file that somebody wrote.
func parquetOf(t *testing.T, program string) string {
	t.Helper()
	var b bytes.Buffer
	w := parquet.NewGenericWriter[struct{ A int32 }](&b, parquet.CreatedBy(program, "1", ""))
	if _, err := w.Write([]struct{ A int32 }{{1}}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestOverwrite: what we made and nobody changed is replaced, and nothing else, unless that
// is asked for.
func TestOverwrite(t *testing.T) {
	const columns = "a,b\n"
	made := func(t *testing.T, path string) {
		if err := (File{Path: path}).WriteWithMeta(say("made"), say("{}")); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		name, file string
		setup      func(t *testing.T, path string)
		want       string // of the error; "" for none
	}{
		{"nothing", "r.csv", func(*testing.T, string) {}, ""},
		{"empty", "r.csv", func(t *testing.T, path string) { put(t, path, "") }, ""},
		{"ours", "r.csv", made, ""},
		{"another's", "r.csv", func(t *testing.T, path string) { put(t, path, "my data\n") }, "PATH: there already, and not made by this program, or changed since: -force replaces it"},
		{"ours, changed", "r.csv", func(t *testing.T, path string) { made(t, path); put(t, path, "edited") }, "or changed since"},
		{"another's, our meta file copied", "r.csv", func(t *testing.T, path string) {
			made(t, path+"2")
			put(t, path+".meta.json", get(t, path+"2.meta.json"))
			put(t, path, "my data\n")
		}, "or changed since"},
		{"killed before the file got its name", "r.csv", func(t *testing.T, path string) {
			made(t, path)
			put(t, path, "made before")
			put(t, path+".part", journalMagic)
		}, ""},
		{"a journal alone is no proof", "r.csv", func(t *testing.T, path string) { put(t, path, "my data\n"); put(t, path+".part", journalMagic) }, "or changed since"},
		{"another's meta file", "r.csv", func(t *testing.T, path string) { put(t, path+".meta.json", `{"author": "me"}`) }, "PATH.meta.json: there already, and not made by this program: -force"},
		{"our Parquet", "r.parquet", func(t *testing.T, path string) { put(t, path, parquetOf(t, "implicitreward")) }, ""},
		{"another's Parquet", "r.parquet", func(t *testing.T, path string) { put(t, path, parquetOf(t, "pandas")) }, "or changed since"},
		{"a text named Parquet", "r.parquet", func(t *testing.T, path string) { put(t, path, "my data, longer than a footer") }, "or changed since"},
		{"our columns", "r.coverage.csv", func(t *testing.T, path string) { put(t, path, columns+"1,2\n") }, ""},
		{"other columns", "r.coverage.csv", func(t *testing.T, path string) { put(t, path, "a,b,c\n1,2,3\n") }, "or changed since"},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), test.file)
			test.setup(t, path)
			f := File{Path: path}
			if strings.HasSuffix(path, ".coverage.csv") {
				f.Columns = columns
			}
			before, _ := os.ReadFile(path)
			write := func(f File) error {
				if f.hasMeta() {
					return f.WriteWithMeta(say("new"), say("{}"))
				}
				return f.Write(say("new"))
			}
			for when, do := range map[string]func() error{"before any work": func() error { return Check(f) }, "at the end": func() error { return write(f) }} {
				err := do()
				if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), strings.ReplaceAll(test.want, "PATH", path)) {
					t.Errorf("%s: %v, wanted %q", when, err, test.want)
				}
				if err == nil {
					break // it is ours now, or it can be
				}
				if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
					t.Errorf("%s: %q is now %q", when, before, after)
				}
			}
			if f.Force = true; Check(f) != nil || write(f) != nil || get(t, path) != "new" {
				t.Error("-force did not replace it")
			}
		})
	}
	dir := filepath.Join(t.TempDir(), "d.csv")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := Check(File{Path: dir, Force: true}); err == nil {
		t.Error("a folder would be replaced by a file")
	}
}

// TestFolderOverwrite: the same of folders. With Force, what others put there stays.
func TestFolderOverwrite(t *testing.T) {
	files := []Entry{{"report.md", []byte("one")}, {"figures/a.svg", []byte("<svg/>")}}
	dir := filepath.Join(t.TempDir(), "deep", "report")
	d := Folder{Path: dir}
	for _, text := range []string{"one", "two"} {
		files[0].Data = []byte(text)
		if err := d.Check(); err != nil {
			t.Fatal(err)
		}
		if err := d.Write(files); err != nil || get(t, filepath.Join(dir, "report.md")) != text {
			t.Fatal(err)
		}
	}
	if got := names(t, filepath.Dir(dir)); got != "report" {
		t.Errorf("beside it: %s", got)
	}
	if got := names(t, dir); got != "SHA256SUMS figures report.md" {
		t.Errorf("in it: %s", got)
	}
	notes := filepath.Join(dir, "figures", "notes.txt")
	for _, c := range []struct {
		name   string
		change func()
	}{
		{"figures/notes.txt", func() { put(t, notes, "mine") }},
		{"report.md", func() { os.Remove(notes); put(t, filepath.Join(dir, "report.md"), "edited") }},
	} {
		c.change()
		want := "output " + dir + ": there already, with " + c.name + " in it, not made by this program, or changed since: -force replaces files of the same names"
		for _, err := range []error{d.Check(), d.Write(files)} {
			if err == nil || err.Error() != want {
				t.Errorf("%v, wanted %s", err, want)
			}
		}
	}
	put(t, notes, "mine")
	if err := (Folder{Path: dir, Force: true}).Write([]Entry{{"report.md", []byte("three")}}); err != nil {
		t.Fatal(err)
	}
	if got := get(t, filepath.Join(dir, "report.md")) + get(t, notes); got != "threemine" {
		t.Errorf("with force: %q", got)
	}
	if _, err := os.Stat(filepath.Join(dir, "figures", "a.svg")); err == nil {
		t.Error("a file of the earlier report, which this one has not, stays")
	}
	if got := names(t, filepath.Dir(dir)); got != "report" {
		t.Errorf("beside it: %s", got)
	}
	foreign := t.TempDir()
	put(t, filepath.Join(foreign, "thesis.tex"), "mine")
	if err := (Folder{Path: foreign}).Check(); err == nil || !strings.Contains(err.Error(), "with thesis.tex in it") {
		t.Errorf("another's folder: %v", err)
	}
	if err := (Folder{Path: filepath.Join(foreign, "thesis.tex"), Force: true}).Check(); err == nil {
		t.Error("a file would be replaced by a folder")
	}
}

// TestFolderLeft: what a killed process left goes, what another is making stays, and a report
// that was moved away and not yet replaced comes back.
func TestFolderLeft(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "report")
	busy, err := createTempFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	put(t, filepath.Join(parent, ".report.77.tmp", "new", "report.md"), "half")
	put(t, filepath.Join(parent, ".report.78.tmp", "old", "report.md"), "whole")
	put(t, filepath.Join(parent, ".report.mine.tmp", "x"), "mine")
	if err := (Folder{Path: dir, Force: true}).Check(); err != nil {
		t.Fatal(err)
	}
	if got, want := names(t, parent), filepath.Base(busy.Name())+" .report.mine.tmp report"; got != want {
		t.Errorf("left: %s, wanted %s", got, want)
	}
	if got := get(t, filepath.Join(dir, "report.md")); got != "whole" {
		t.Errorf("the report is now %q", got)
	}
}
