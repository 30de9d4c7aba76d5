package output

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestUmask: files and folders have the permissions that the process gives to new ones.
func TestUmask(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	for mask, want := range map[int][2]fs.FileMode{0o077: {0o600, 0o700}, 0o022: {0o644, 0o755}, 0o002: {0o664, 0o775}, 0o027: {0o640, 0o750}} {
		syscall.Umask(0o022)
		root := t.TempDir()
		syscall.Umask(mask)
		if err := (File{Path: filepath.Join(root, "r.csv")}).WriteWithMeta(say("x"), say("{}")); err != nil {
			t.Fatal(err)
		}
		if err := (Folder{Path: filepath.Join(root, "deep", "report")}).Write([]Entry{{"figures/a.svg", nil}}); err != nil {
			t.Fatal(err)
		}
		j := open(t, filepath.Join(root, "j.csv"), io.Discard)
		putRecords(t, j, 1)
		err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
			if err != nil || path == root {
				return err
			}
			info, err := os.Stat(path)
			if err != nil {
				return err
			}
			w := want[0]
			if e.IsDir() {
				w = want[1]
			}
			if got := info.Mode().Perm(); got != w {
				t.Errorf("umask %03o: %s has %03o, wanted %03o", mask, path, got, w)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
