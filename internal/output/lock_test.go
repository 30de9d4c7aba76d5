package output

import (
	"runtime"
	"strings"
	"testing"
)

// TestClaim: a folder is claimed by one at a time, and must exist.
func TestClaim(t *testing.T) {
	dir := t.TempDir()
	f, err := Claim(dir)
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" { // which has no locks here
		if _, err := Claim(dir); err == nil || !strings.Contains(err.Error(), "another process is writing it") {
			t.Errorf("a second claim: %v", err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := Claim(dir)
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
	if _, err := Claim(dir + "/none"); err == nil {
		t.Error("a claim of no folder, and no error")
	}
}
