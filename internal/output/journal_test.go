package output

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// record number i of the tests below.
func testRecord(i int) (key [32]byte, value []byte) {
	copy(key[:], fmt.Sprintf("key %d", i))
	return key, bytes.Repeat([]byte{byte('a' + i)}, 3*i) // the first is empty
}

func putRecords(t *testing.T, j *Journal, n int) {
	t.Helper()
	for i := range n {
		key, value := testRecord(i)
		if err := j.Put(key, value); err != nil {
			t.Fatal(err)
		}
	}
}

func open(t *testing.T, out string, stderr io.Writer) *Journal {
	t.Helper()
	j, err := OpenJournal(out, stderr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if j.f != nil {
			j.f.Close()
		}
	})
	return j
}

// TestJournalMachine: records made on another machine are reported once; for the same
// machine there is no message, and its records are found.
func TestJournalMachine(t *testing.T) {
	out := filepath.Join(t.TempDir(), "r.csv")
	for _, run := range []struct{ machine, told string }{
		{"amd64 avx512", ""},
		{"amd64 avx512", ""},
		{"amd64 avx2", ": made on another machine (amd64 avx512), and this one (amd64 avx2) may round differently: nothing of it is reused\n"},
		{"amd64 avx2", ""},
		{"arm64 neon", ": made on another machine (amd64 avx512; amd64 avx2), and "},
	} {
		var said bytes.Buffer
		j := open(t, out, &said)
		said.Reset() // of how many batches there are
		j.On(run.machine)
		j.On(run.machine) // of the second model
		if run.told == "" && said.Len() > 0 || !strings.Contains(said.String(), run.told) || strings.Count(said.String(), "\n") > 1 {
			t.Errorf("on %s: said %q, wanted %q", run.machine, said.String(), run.told)
		}
		putRecords(t, j, 3)
		if len(j.at) != 3 {
			t.Errorf("on %s: %d records, wanted the 3 that were put", run.machine, len(j.at))
		}
		for i := range 3 {
			key, want := testRecord(i)
			if value, ok, err := j.Get(key); err != nil || !ok || !bytes.Equal(value, want) {
				t.Errorf("record %d: %q, %v, %v", i, value, ok, err)
			}
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
	// A journal that holds no batch goes, whatever machine it was.
	j := open(t, filepath.Join(t.TempDir(), "r.csv"), io.Discard)
	j.On("x")
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(j.path); err == nil {
		t.Error("an empty journal was left")
	}
}

// TestJournal: what was put comes back in the next run; one process at a time has the
// file; it goes when the output is complete, or when it holds nothing.
func TestJournal(t *testing.T) {
	out := filepath.Join(t.TempDir(), "r.csv")
	part := out + ".part"
	var said bytes.Buffer
	j := open(t, out, &said)
	putRecords(t, j, 3)
	if _, err := OpenJournal(out, io.Discard); err == nil || !strings.Contains(err.Error(), "another process is writing it") {
		t.Errorf("a second opener got %v", err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if want := part + " keeps what was computed: the same command goes on from there\n"; said.String() != want {
		t.Errorf("said %q, wanted %q", said.String(), want)
	}
	said.Reset()
	j = open(t, out, &said)
	for i := range 2 {
		key, want := testRecord(i)
		if got, ok, err := j.Get(key); err != nil || !ok || !bytes.Equal(got, want) {
			t.Errorf("record %d: %q, %v, %v, wanted %q", i, got, ok, err, want)
		}
	}
	other, value := testRecord(7)
	if _, ok, err := j.Get(other); ok || err != nil {
		t.Errorf("a key that was never put: %v, %v", ok, err)
	}
	if err := j.Put(other, value); err != nil {
		t.Fatal(err)
	}
	if got, ok, _ := j.Get(other); !ok || !bytes.Equal(got, value) {
		t.Errorf("a new record is %q, %v", got, ok)
	}
	if err := j.Complete(); err != nil {
		t.Fatal(err)
	}
	want := part + ": an earlier run has left 3 batches (185 bytes)\n" +
		part + ": of the earlier run's 3 batches, 2 reused; 1 computed\n"
	if said.String() != want {
		t.Errorf("said %q, wanted %q", said.String(), want)
	}
	if _, err := os.Stat(part); err == nil {
		t.Error("the journal of a complete output is there")
	}
	if err := j.Close(); err != nil {
		t.Errorf("close after completion: %v", err)
	}
	said.Reset()
	if err := open(t, out, &said).Close(); err != nil || said.Len() > 0 {
		t.Errorf("an empty journal: %v, said %q", err, said.String())
	}
	if _, err := os.Stat(part); err == nil {
		t.Error("an empty journal is there")
	}
	var none *Journal
	if none.Close() != nil || none.Complete() != nil {
		t.Error("no journal gave an error")
	}
}

// TestJournalForeign: a run that finds only another's records says so once, leaves them
// where they are, and a third run finds both.
func TestJournalForeign(t *testing.T) {
	out := filepath.Join(t.TempDir(), "r.csv")
	j := open(t, out, io.Discard)
	putRecords(t, j, 2)
	j.f.Close()
	var said bytes.Buffer
	j = open(t, out, &said)
	said.Reset()
	for i := 5; i < 8; i++ {
		key, value := testRecord(i)
		if err := j.Put(key, value); err != nil {
			t.Fatal(err)
		}
	}
	if n := strings.Count(said.String(), "nothing in it fits this run so far"); n != 1 {
		t.Errorf("told %d times, wanted once: %q", n, said.String())
	}
	j.f.Close()
	j = open(t, out, io.Discard)
	if len(j.found) != 5 {
		t.Errorf("%d records, wanted 5", len(j.found))
	}
}

// TestJournalTorn: wherever the file ends, the records that are whole are found, nothing
// else is, and what is missing can be put again.
func TestJournalTorn(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "r.csv")
	j := open(t, out, io.Discard)
	putRecords(t, j, 4)
	j.f.Close()
	whole, err := os.ReadFile(out + ".part")
	if err != nil {
		t.Fatal(err)
	}
	for cut := range whole {
		if err := os.WriteFile(out+".part", whole[:cut], 0o644); err != nil {
			t.Fatal(err)
		}
		for pass := range 2 {
			j, err := OpenJournal(out, io.Discard)
			if err != nil {
				t.Fatalf("%d bytes: %v", cut, err)
			}
			end := len(journalMagic)
			for i := range 4 {
				key, want := testRecord(i)
				end += recordHead + len(want)
				got, ok, err := j.Get(key)
				if err != nil || ok != (end <= cut || pass == 1) || ok && !bytes.Equal(got, want) {
					t.Fatalf("%d bytes, pass %d: record %d: %q, %v, %v", cut, pass, i, got, ok, err)
				}
				if !ok {
					if err := j.Put(key, want); err != nil {
						t.Fatal(err)
					}
				}
			}
			j.f.Close()
		}
		if b, err := os.ReadFile(out + ".part"); err != nil || !bytes.Equal(b, whole) {
			t.Fatalf("%d bytes: the file that was filled up again is another (%v)", cut, err)
		}
	}
}

// TestJournalFlipped: whichever bit of the file is wrong, a record is given back as it was
// or not at all.
func TestJournalFlipped(t *testing.T) {
	out := filepath.Join(t.TempDir(), "r.csv")
	j := open(t, out, io.Discard)
	putRecords(t, j, 4)
	j.f.Close()
	whole, err := os.ReadFile(out + ".part")
	if err != nil {
		t.Fatal(err)
	}
	for bit := range 8 * len(whole) {
		b := bytes.Clone(whole)
		b[bit/8] ^= 1 << (bit % 8)
		if err := os.WriteFile(out+".part", b, 0o644); err != nil {
			t.Fatal(err)
		}
		j, err := OpenJournal(out, io.Discard)
		if (err != nil) != (bit/8 < len(journalMagic)) {
			t.Fatalf("bit %d: %v", bit, err)
		}
		if err != nil {
			if after, _ := os.ReadFile(out + ".part"); !bytes.Equal(after, b) {
				t.Fatal("a file that was refused was changed")
			}
			continue
		}
		found := 0
		for i := range 4 {
			key, want := testRecord(i)
			switch got, ok, err := j.Get(key); {
			case err != nil || ok && !bytes.Equal(got, want):
				t.Fatalf("bit %d: record %d: %q, %v", bit, i, got, err)
			case ok:
				found++
			}
		}
		if found == 4 {
			t.Fatalf("bit %d: all records found", bit)
		}
		j.f.Close()
	}
}

// TestJournalDamaged: a damaged record is computed again, and reported.
func TestJournalDamaged(t *testing.T) {
	out := filepath.Join(t.TempDir(), "r.csv")
	var said bytes.Buffer
	j := open(t, out, &said)
	putRecords(t, j, 3)
	key, value := testRecord(2)
	at := j.at[key].at
	j.f.WriteAt([]byte("!"), at)
	j.f.Close()
	j = open(t, out, &said)
	j.Get([32]byte{})
	if _, ok, err := j.Get(key); ok || err != nil {
		t.Fatalf("a damaged record: %v, %v", ok, err)
	}
	if err := j.Put(key, value); err != nil {
		t.Fatal(err)
	}
	j.f.Close()
	j = open(t, out, &said)
	if got, ok, err := j.Get(key); !ok || err != nil || !bytes.Equal(got, value) {
		t.Errorf("the second one: %q, %v, %v", got, ok, err)
	}
	first, _ := testRecord(0)
	j.f.WriteAt([]byte("!"), j.at[key].at)
	j.Get(key)
	j.Get(first)
	said.Reset()
	if err := j.Complete(); err != nil {
		t.Fatal(err)
	}
	if want := out + ".part: of the earlier run's 3 batches, 1 reused, 1 damaged; 0 computed\n"; said.String() != want {
		t.Errorf("said %q, wanted %q", said.String(), want)
	}
}

// TestJournalFull: a write that fails half-way leaves the records before it, and the run
// that follows goes on after them.
func TestJournalFull(t *testing.T) {
	for room := range 60 {
		out := filepath.Join(t.TempDir(), "r.csv")
		j := open(t, out, io.Discard)
		putRecords(t, j, 2)
		left := room
		j.write = func(b []byte, at int64) (int, error) {
			n := min(left, len(b))
			left -= n
			j.f.WriteAt(b[:n], at)
			if n < len(b) {
				return n, &os.PathError{Op: "write", Path: out + ".part", Err: syscall.ENOSPC}
			}
			return n, nil
		}
		key, value := testRecord(6) // 48 + 18 bytes
		if err := j.Put(key, value); !errors.Is(err, syscall.ENOSPC) || !strings.HasPrefix(err.Error(), "output "+out+": ") {
			t.Fatalf("room for %d bytes: %v", room, err)
		}
		if _, ok, _ := j.Get(key); ok {
			t.Fatal("a record that was not written was found")
		}
		j.f.Close()
		j = open(t, out, io.Discard)
		if len(j.at) != 2 || j.torn {
			t.Fatalf("room for %d bytes: %d records, torn %v", room, len(j.at), j.torn)
		}
		if err := j.Put(key, value); err != nil {
			t.Fatal(err)
		}
		if got, ok, err := j.Get(key); !ok || err != nil || !bytes.Equal(got, value) {
			t.Fatalf("put again: %q, %v, %v", got, ok, err)
		}
		j.f.Close()
	}
}

// TestJournalGone: a folder or file that vanishes is an error of the next batch, not only at
// the end.
func TestJournalGone(t *testing.T) {
	for want, vanish := range map[string]func(out string) error{
		": its folder is gone": func(out string) error { return os.RemoveAll(filepath.Dir(out)) },
		"r.csv.part was removed or replaced while it was in use": func(out string) error { return os.Remove(out + ".part") },
	} {
		dir := filepath.Join(t.TempDir(), "d")
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		var said bytes.Buffer
		j := open(t, filepath.Join(dir, "r.csv"), &said)
		putRecords(t, j, 2)
		if err := vanish(filepath.Join(dir, "r.csv")); err != nil {
			t.Fatal(err)
		}
		key, value := testRecord(3)
		if err := j.Put(key, value); err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("error %v, wanted %q", err, want)
		}
		if err := j.Close(); err != nil || said.Len() > 0 {
			t.Errorf("close: %v, said %q", err, said.String())
		}
	}
	if _, err := OpenJournal(filepath.Join(t.TempDir(), "no", "r.csv"), io.Discard); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "r.csv.part"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenJournal(filepath.Join(dir, "r.csv"), io.Discard); err == nil {
		t.Error("a folder was opened as a journal")
	}
}
