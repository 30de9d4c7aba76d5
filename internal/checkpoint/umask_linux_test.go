package checkpoint

import (
	"io/fs"
	"path/filepath"
	"syscall"
	"testing"
)

// TestUmask: a downloaded model has the permissions that the process gives to new files.
func TestUmask(t *testing.T) {
	hub := newFakeHub(t)
	defer syscall.Umask(syscall.Umask(0o077))
	hub.add("org/m", map[string]string{"config.json": "{}", "model.safetensors": encode(t, bf16("a", 100))})
	cache := t.TempDir()
	if _, err := Find(background, "org/m", hub.options(cache)); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(cache, func(path string, e fs.DirEntry, err error) error {
		if err != nil || path == cache || e.Type()&fs.ModeSymlink != 0 {
			return err
		}
		info, err := e.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
