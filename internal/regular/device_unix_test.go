//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package regular

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestDevices: a pipe without a writer, which opening would wait for, a device without an end,
// and a file that says it is empty and is not.
func TestDevices(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{pipe: "a pipe (mode prw-------), wanted a regular file", "/dev/zero": "mode Dcrw-rw-rw-, wanted a regular file"} {
		if _, err := Read(path, 0); err == nil || err.Error() != "open "+path+": "+want {
			t.Errorf("%s: %v", path, err)
		}
	}
	const grown = "/proc/self/status" // of size 0
	if _, err := os.Stat(grown); err != nil {
		t.Skip("needs a system with /proc")
	}
	if b, err := Read(grown, 0); err != nil || len(b) < 100 {
		t.Errorf("%s: %d bytes, %v", grown, len(b), err)
	}
	if _, err := Read(grown, 10); err == nil || !strings.HasSuffix(err.Error(), "bytes, wanted at most 10") {
		t.Errorf("%s: %v", grown, err)
	}
}
