//go:build unix

package tokenize

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestRegularFiles: a device or a pipe in a file's place is named at once, and never
// read.
func TestRegularFiles(t *testing.T) {
	const from = "../internal/demo/data/llama/base"
	for _, file := range []string{"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja"} {
		for _, kind := range []string{"device", "pipe"} {
			t.Run(file+" "+kind, func(t *testing.T) {
				dir := t.TempDir()
				data, err := os.ReadFile(filepath.Join(from, "tokenizer.json"))
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, "tokenizer.json"), data, 0o644); err != nil {
					t.Fatal(err)
				}
				path, mode := filepath.Join(dir, file), "mode Dcrw-rw-rw-"
				os.Remove(path)
				if kind == "device" {
					err = os.Symlink("/dev/zero", path)
				} else {
					mode = "mode prw-"
					err = syscall.Mkfifo(path, 0o600)
				}
				if err != nil {
					t.Skip("needs a system with links and pipes: ", err)
				}
				_, err = Load(dir)
				if err == nil || !strings.Contains(err.Error(), file+": ") || !strings.Contains(err.Error(), mode) || !strings.Contains(err.Error(), "wanted a regular file") {
					t.Errorf("%v, wanted %s and a regular file", err, mode)
				}
			})
		}
	}
}
