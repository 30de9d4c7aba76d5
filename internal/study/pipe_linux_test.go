package study

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestInputsAreFiles: every kind of input is opened only if it is a file: a pipe would wait
// for its writer, /dev/zero would fill the memory.
func TestInputsAreFiles(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe.csv")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{pipe, "/dev/zero"} {
		for name, change := range map[string]func(c *Config){
			"models":    func(c *Config) { c.Models = path },
			"corpus":    func(c *Config) { c.Corpora[0].File = path },
			"scores":    func(c *Config) { c.Corpora[0].Scores = []string{path} },
			"tables":    func(c *Config) { c.Tables = []string{path} },
			"rewards":   func(c *Config) { c.Rewards = []string{path} },
			"series":    func(c *Config) { c.Series = []string{path} },
			"ablations": func(c *Config) { c.Ablations = []string{path} },
		} {
			_, err := runFiles(t, small(), func(c *Config, _ string) { change(c) })
			if err == nil || !strings.Contains(err.Error(), "open "+path+": ") || !strings.HasSuffix(err.Error(), "wanted a regular file") {
				t.Errorf("%s of %s: %v", name, path, err)
			}
		}
		if err := ReadConfig(path, &Config{}); err == nil || !strings.HasSuffix(err.Error(), "wanted a regular file") {
			t.Errorf("configuration of %s: %v", path, err)
		}
	}
}
