package cli

import (
	"io"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/implicitreward/implicitreward/implicit/lexicon"
)

// TestInputsAreFiles: a pipe by name would wait for its writer, /dev/zero would fill the
// memory; both are refused, and standard input is bounded.
func TestInputsAreFiles(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe.jsonl")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{pipe, "/dev/zero"} {
		for name, read := range map[string]func() error{
			"prompts":   func() error { _, err := Prompts(t.Context(), path, nil); return err },
			"corpus":    func() error { _, _, err := Corpus(path, io.Discard); return err },
			"word list": func() error { _, _, err := Expand(&lexicon.Corpus{}, path, io.Discard); return err },
		} {
			if err := read(); err == nil || !strings.HasPrefix(err.Error(), name+": open "+path+": ") || !strings.Contains(err.Error(), "wanted a regular file") {
				t.Errorf("%s of %s: %v", name, path, err)
			}
		}
	}
	if _, err := Prompts(t.Context(), "-", zeros{}); err == nil || !strings.HasPrefix(err.Error(), "standard input: ") {
		t.Errorf("endless standard input: %v", err)
	}
}

// zeros is /dev/zero.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }
