package output

import (
	"bufio"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func names(t *testing.T, dir string) string {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, f := range files {
		all = append(all, f.Name())
	}
	return strings.Join(all, " ")
}

// TestWriteFile: a file has its name only when it is complete; after an error the old
// one stays, and nothing else.
func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "r.csv")
	file := File{Path: path}
	say := func(s string) func(io.Writer) error {
		return func(w io.Writer) error { _, err := io.WriteString(w, s); return err }
	}
	fail := func(w io.Writer) error { io.WriteString(w, "half"); return errors.New("no") }
	if err := file.WriteWithMeta(say("one"), say("{\"a\": 1}\n")); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(path, fail); err == nil || err.Error() != "no" {
		t.Errorf("error %v, wanted no", err)
	}
	if err := file.WriteWithMeta(say("two"), fail); err == nil {
		t.Error("a failing sidecar gave no error")
	}
	if err := file.WriteWithMeta(fail, say("{}")); err == nil {
		t.Error("a failing file gave no error")
	}
	for name, want := range map[string]string{"r.csv": "one", "r.csv.meta.json": "{\"a\": 1,\n  \"file_hash\": \"7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed\"\n}\n"} {
		if b, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(b) != want {
			t.Errorf("%s: %q (%v), wanted %q", name, b, err, want)
		}
	}
	if files, _ := os.ReadDir(dir); len(files) != 2 {
		t.Errorf("%v left, wanted 2 files", files)
	}
	if err := WriteFile(filepath.Join(dir, "no", "x"), say("x")); err == nil {
		t.Error("a missing folder gave no error")
	}
}

// TestWriteFileLeft: what killed processes left is cleared away by the next one that writes
// the file; what another is writing, and other files, stay.
func TestWriteFileLeft(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "r[1]*.csv") // no pattern
	busy, err := createTemp(path)
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	for _, name := range []string{".r[1]*.csv.123.tmp", ".r1x.csv.123.tmp", ".r[1]*.csv.tmp", "r[1]*.csv.9.tmp"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := WriteFile(path, func(w io.Writer) error { _, err := io.WriteString(w, "new"); return err }); err != nil {
		t.Fatal(err)
	}
	want := strings.Join([]string{filepath.Base(busy.Name()), ".r1x.csv.123.tmp", ".r[1]*.csv.tmp"}, " ")
	got := names(t, dir)
	for _, name := range append(strings.Fields(want), "r[1]*.csv", "r[1]*.csv.9.tmp") {
		if !strings.Contains(got, name) {
			t.Errorf("%s is gone of %s", name, got)
		}
	}
	if strings.Contains(got, ".r[1]*.csv.123.tmp") || len(strings.Fields(got)) != 5 {
		t.Errorf("left: %s", got)
	}
}

// TestWriteFileGone: a folder that vanishes while the file is written is named, as is a
// write that fails; the name of the temporary file is nobody's concern.
func TestWriteFileGone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "r.csv")
	err := WriteFile(path, func(w io.Writer) error {
		_, err := io.WriteString(w, "x")
		return errors.Join(err, os.RemoveAll(dir))
	})
	if want := "output " + path + ": its folder is gone"; err == nil || err.Error() != want {
		t.Errorf("error %v, wanted %q", err, want)
	}
	if err := WriteFile(path, func(io.Writer) error { return nil }); err == nil || !strings.HasSuffix(err.Error(), "its folder is gone") {
		t.Errorf("without a folder: %v", err)
	}

	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	err = WriteFile(path, func(w io.Writer) error {
		w.(io.Closer).Close() // what follows fails
		b := bufio.NewWriter(w)
		b.WriteString("x")
		return b.Flush()
	})
	if want := "output " + path + ": file already closed"; err == nil || err.Error() != want {
		t.Errorf("error %v, wanted %q", err, want)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "old" || names(t, dir) != "r.csv" {
		t.Errorf("after a failed write there are %s, with %q (%v)", names(t, dir), b, err)
	}
	if os.Getuid() == 0 {
		t.Skip("needs another user than root, who may write into a read-only folder")
	}
	if err := os.Chmod(dir, 0o555); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(dir, 0o755)
	for _, err := range []error{WriteFile(path, func(io.Writer) error { return nil }), func() error { _, err := OpenJournal(path, io.Discard); return err }()} {
		if !errors.Is(err, os.ErrPermission) || !strings.HasPrefix(err.Error(), "output "+path+": ") {
			t.Errorf("read-only folder: %v", err)
		}
	}
}
