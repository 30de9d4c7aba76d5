package output

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestDiskFull fills a small file system: the journal keeps what went into it, an output
// that does not fit leaves the old one and no litter.
func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("needs a system where this user may mount: %v (the other tests have a writer that fails)", err)
	}
	defer syscall.Unmount(dir, syscall.MNT_DETACH)
	out := filepath.Join(dir, "r.csv")
	if err := WriteFile(out, func(w io.Writer) error { _, err := io.WriteString(w, "old"); return err }); err != nil {
		t.Fatal(err)
	}
	j := open(t, out, io.Discard)
	value := make([]byte, 5000)
	var err error
	n := 0
	for ; err == nil; n++ {
		err = j.Put([32]byte{byte(n)}, value)
	}
	if want := "output " + out + ": write " + out + ".part: no space left on device"; err.Error() != want {
		t.Errorf("error %v, wanted %q", err, want)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = open(t, out, io.Discard)
	if len(j.at) != n-1 || n < 8 {
		t.Errorf("%d records, wanted the %d before the disk was full", len(j.at), n-1)
	}
	for i := range n - 1 {
		if got, ok, err := j.Get([32]byte{byte(i)}); !ok || err != nil || !bytes.Equal(got, value) {
			t.Fatalf("record %d: %v, %v", i, ok, err)
		}
	}
	err = WriteFile(out, func(w io.Writer) error { _, err := w.Write(make([]byte, 64<<10)); return err })
	if !errors.Is(err, syscall.ENOSPC) || err.Error() != "output "+out+": no space left on device" {
		t.Errorf("error %v", err)
	}
	if b, err := os.ReadFile(out); err != nil || string(b) != "old" || names(t, dir) != "r.csv r.csv.part" {
		t.Errorf("left: %s, with %q (%v)", names(t, dir), b, err)
	}
}
