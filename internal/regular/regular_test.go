package regular

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRead(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "f"), filepath.Join(dir, "l")
	if err := os.WriteFile(file, []byte("12345"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, link} {
		for _, limit := range []int64{0, 5, 100} {
			if b, err := Read(path, limit); err != nil || string(b) != "12345" {
				t.Errorf("%s, at most %d: %q, %v", path, limit, b, err)
			}
		}
		if _, err := Read(path, 4); err == nil || err.Error() != "open "+path+": 5 bytes, wanted at most 4" {
			t.Errorf("%s, at most 4: %v", path, err)
		}
	}
	if _, err := Read(filepath.Join(dir, "none"), 0); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if _, err := Read(dir, 0); err == nil || !strings.Contains(err.Error(), "a folder, wanted a regular file") {
		t.Errorf("a folder: %v", err)
	}
	if err := os.Truncate(file, 1<<40); err == nil { // a hole
		if _, err := Read(file, Scores); err == nil || !strings.Contains(err.Error(), "1099511627776 bytes, wanted at most 4294967296") {
			t.Errorf("a large file: %v", err)
		}
	}
}

// TestLimit: what fits is read whole, a byte more is an error.
func TestLimit(t *testing.T) {
	for n, ok := range map[int]bool{0: true, 9: true, 10: true, 11: false, 5000: false} {
		b, err := io.ReadAll(Limit(bytes.NewReader(make([]byte, n)), 10))
		if (err == nil) != ok || len(b) != min(n, 10) {
			t.Errorf("%d bytes: %d read, %v", n, len(b), err)
		}
	}
}
