package output

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/implicitreward/implicitreward/internal/regular"
)

// Journal is a logprob.Store in a file beside an output, OUT.part, with which a run that was
// stopped, killed or out of disk space can be continued. It is removed when the output is
// complete. One process at a time may use it.
//
// The file is a magic line and records, each with its key, its length and two checksums (see
// record), appended and never changed. A kill can truncate only the last record, which the
// next run removes; a record damaged otherwise is computed again. A crash of the system can
// lose unsynced data: the file is synced every few seconds.
//
// Keys decide what is reused, so records of runs with other models or options are never
// used. Records with the key machineKey name the machines that computed the others.
type Journal struct {
	out, path string
	stderr    io.Writer

	mu       sync.Mutex
	f        *os.File
	end      int64               // end of the last whole record
	found    map[[32]byte]bool   // records of earlier runs; true once used
	at       map[[32]byte]extent // all records
	computed int                 // records of this run
	damaged  int                 // records found to be damaged
	synced   time.Time
	torn     bool                                  // an incomplete record was removed
	told     bool                                  // a message that no record fits has been printed
	machines []string                              // that made records, as in On
	machine  string                                // this one, if still to be written; "" for none
	write    func(b []byte, at int64) (int, error) // f.WriteAt, except in tests
}

// extent is the place of a record's value in the file.
type extent struct {
	at, size int64
	sum      uint32
}

const (
	journalMagic = "implicitreward partial result 1\n"
	recordHead   = 32 + 8 + 4 + 4 // key, length of the value, its CRC-32C, CRC-32C of these
	syncEvery    = 5 * time.Second
)

// machineKey is not a SHA-256 that occurs.
var machineKey = [32]byte([]byte("the machine of the records after"))

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// OpenJournal opens or creates the journal of an output. It is an error if another process
// has it. Messages about records of an earlier run go to stderr.
func OpenJournal(out string, stderr io.Writer) (*Journal, error) {
	j := &Journal{out: out, path: out + ".part", stderr: stderr, found: map[[32]byte]bool{}, at: map[[32]byte]extent{}}
	for {
		f, err := os.OpenFile(j.path, os.O_RDWR|os.O_CREATE, 0o666)
		if err != nil {
			return nil, fmt.Errorf("output %s: %w", out, err)
		}
		err = tryLock(f)
		if errors.Is(err, errLocked) {
			f.Close()
			return nil, fmt.Errorf("output %s: another process is writing it (it has %s): wait for that to end, or choose another output", out, j.path)
		}
		if err != nil && !errors.Is(err, errors.ErrUnsupported) { // without locks, continue without
			f.Close()
			return nil, fmt.Errorf("output %s: %w", out, err)
		}
		if sameFile(f, j.path) { // otherwise its owner has removed it since it was opened
			j.f, j.write = f, f.WriteAt
			break
		}
		f.Close()
	}
	if err := j.scan(); err != nil {
		j.f.Close()
		return nil, err
	}
	j.synced = time.Now()
	if n := len(j.at); n > 0 || j.torn {
		fmt.Fprintf(stderr, "%s: an earlier run has left %s (%d bytes)", j.path, batches(n), j.end)
		if j.torn {
			fmt.Fprint(stderr, " and one that it did not finish")
		}
		fmt.Fprintln(stderr)
	}
	return j, nil
}

// scan finds the records and truncates the file after the last whole one.
func (j *Journal) scan() error {
	info, err := j.f.Stat()
	if err != nil {
		return fmt.Errorf("output %s: %w", j.out, err)
	}
	length := info.Size()
	head := make([]byte, min(length, int64(len(journalMagic))))
	if _, err := j.f.ReadAt(head, 0); err != nil && err != io.EOF {
		return j.unreadable(err)
	}
	if !info.Mode().IsRegular() || string(head) != journalMagic[:len(head)] {
		return fmt.Errorf("output %s: %s is no partial result of this program and version: move it away", j.out, j.path)
	}
	j.end = int64(len(journalMagic))
	if length < j.end { // new, or killed before the magic line was complete
		_, err := j.f.WriteAt([]byte(journalMagic), 0)
		if err == nil {
			err = j.f.Sync()
		}
		if err != nil {
			return fmt.Errorf("output %s: %w", j.out, err)
		}
		return nil
	}
	record := make([]byte, recordHead)
	for length-j.end >= recordHead {
		if _, err := j.f.ReadAt(record, j.end); err != nil {
			return j.unreadable(err)
		}
		key, e, ok := parseHead(record)
		if !ok || e.size > length-j.end-recordHead {
			break
		}
		e.at = j.end + recordHead
		if key != machineKey {
			j.at[key] = e
			j.found[key] = false
		} else if value, err := j.value(e); err != nil {
			return err
		} else if value != nil {
			j.machines = append(j.machines, string(value))
		}
		j.end = e.at + e.size
	}
	if j.torn = j.end < length; j.torn {
		if err := j.f.Truncate(j.end); err != nil {
			return fmt.Errorf("output %s: %w", j.out, err)
		}
	}
	return nil
}

// IsJournal reports whether a file begins like a journal.
func IsJournal(path string) bool {
	f, _, err := regular.Open(path, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, len(journalMagic))
	_, err = io.ReadFull(f, head)
	return err == nil && string(head) == journalMagic
}

func (j *Journal) unreadable(err error) error {
	return fmt.Errorf("%s cannot be read (%w): remove it to compute everything anew", j.path, err)
}

func parseHead(b []byte) (key [32]byte, e extent, ok bool) {
	n := binary.LittleEndian.Uint64(b[32:])
	e = extent{size: int64(n), sum: binary.LittleEndian.Uint32(b[40:])}
	ok = binary.LittleEndian.Uint32(b[44:]) == crc32.Checksum(b[:44], castagnoli) && e.size >= 0
	return [32]byte(b[:32]), e, ok
}

// Get returns the value stored under the key, by this run or an earlier one.
func (j *Journal) Get(key [32]byte) (value []byte, ok bool, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	e, ok := j.at[key]
	if !ok {
		return nil, false, nil
	}
	if value, err = j.value(e); err != nil {
		return nil, false, err
	}
	if value == nil {
		delete(j.at, key)
		delete(j.found, key)
		j.damaged++
		return nil, false, nil
	}
	if _, earlier := j.found[key]; earlier {
		j.found[key] = true
	}
	return value, true, nil
}

// value reads a record's value; nil if it is damaged.
func (j *Journal) value(e extent) ([]byte, error) {
	value := make([]byte, e.size)
	if _, err := j.f.ReadAt(value, e.at); err != nil && err != io.EOF {
		return nil, j.unreadable(err)
	}
	if crc32.Checksum(value, castagnoli) != e.sum {
		return nil, nil
	}
	return value, nil
}

// On records the machine of this run: its kind of processor, and the plugin. If the earlier
// run was on another, whose records fit no key of this run, a message goes to stderr. On a
// nil Journal it does nothing.
func (j *Journal) On(machine string) {
	if j == nil {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if machine == j.machine || slices.Contains(j.machines, machine) {
		return
	}
	if j.machine = machine; len(j.machines) > 0 && len(j.found) > 0 {
		fmt.Fprintf(j.stderr, "%s: made on another machine (%s), and this one (%s) may round differently: nothing of it is reused\n", j.path, strings.Join(j.machines, "; "), machine)
		j.told = true
	}
}

// Put appends a record. After an error the records before it are intact.
func (j *Journal) Put(key [32]byte, value []byte) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.found) > 0 && j.used() == 0 && !j.told {
		j.told = true
		fmt.Fprintf(j.stderr, "%s: nothing in it fits this run so far (other models, tokenizer, texts, dtype, backend, plugin, kind of processor or version): computing\n", j.path)
	}
	if !sameFile(j.f, j.path) {
		if _, err := os.Stat(filepath.Dir(j.path)); err != nil {
			return fmt.Errorf("output %s: its folder is gone", j.out)
		}
		return fmt.Errorf("output %s: %s was removed or replaced while it was in use", j.out, j.path)
	}
	if j.machine != "" {
		if _, err := j.append(machineKey, []byte(j.machine)); err != nil {
			return err
		}
		j.machines, j.machine = append(j.machines, j.machine), ""
	}
	e, err := j.append(key, value)
	if err != nil {
		return err
	}
	j.at[key] = e
	j.computed++
	return nil
}

// append writes a record after the others.
func (j *Journal) append(key [32]byte, value []byte) (extent, error) {
	head := make([]byte, 0, recordHead)
	head = append(head, key[:]...)
	head = binary.LittleEndian.AppendUint64(head, uint64(len(value)))
	sum := crc32.Checksum(value, castagnoli)
	head = binary.LittleEndian.AppendUint32(head, sum)
	head = binary.LittleEndian.AppendUint32(head, crc32.Checksum(head, castagnoli))
	_, err := j.write(head, j.end)
	if err == nil {
		_, err = j.write(value, j.end+recordHead)
	}
	if err == nil && time.Since(j.synced) > syncEvery {
		err = j.f.Sync()
		j.synced = time.Now()
	}
	if err != nil {
		j.f.Truncate(j.end) // if this fails too, the next run truncates
		return extent{}, fmt.Errorf("output %s: %w", j.out, err)
	}
	e := extent{j.end + recordHead, int64(len(value)), sum}
	j.end = e.at + e.size
	return e, nil
}

// used returns the number of the earlier run's records that this run has used.
func (j *Journal) used() (n int) {
	for _, used := range j.found {
		if used {
			n++
		}
	}
	return n
}

// Complete removes the journal, since the output is complete. If there was an earlier run, a
// message about what was reused goes to stderr. On a nil Journal, of no output, it does
// nothing.
func (j *Journal) Complete() error {
	if j == nil || j.f == nil {
		return nil
	}
	if n := len(j.found) + j.damaged; n > 0 {
		fmt.Fprintf(j.stderr, "%s: of the earlier run's %s, %d reused", j.path, batches(n), j.used())
		if j.damaged > 0 {
			fmt.Fprintf(j.stderr, ", %d damaged", j.damaged)
		}
		fmt.Fprintf(j.stderr, "; %d computed\n", j.computed)
	}
	j.at = nil
	return j.close()
}

// Close closes the journal. The file stays, with a message to stderr, unless it is empty.
// After Complete, and on a nil Journal, it does nothing.
func (j *Journal) Close() error {
	if j == nil || j.f == nil {
		return nil
	}
	if len(j.at) > 0 && sameFile(j.f, j.path) {
		fmt.Fprintf(j.stderr, "%s keeps what was computed: the same command goes on from there\n", j.path)
	}
	return j.close()
}

// close removes the file if nothing in it is needed.
func (j *Journal) close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	var err error
	if len(j.at) > 0 {
		err = j.f.Sync()
	} else if sameFile(j.f, j.path) { // still locked: no other process uses it
		err = os.Remove(j.path)
	}
	if closed := j.f.Close(); err == nil {
		err = closed
	}
	j.f = nil
	if err != nil {
		return fmt.Errorf("output %s: %w", j.out, err)
	}
	return nil
}

// sameFile reports whether f is still the file of that name.
func sameFile(f *os.File, path string) bool {
	a, err := f.Stat()
	if err != nil {
		return false
	}
	b, err := os.Stat(path)
	return err == nil && os.SameFile(a, b)
}

func batches(n int) string {
	if n == 1 {
		return "1 batch"
	}
	return fmt.Sprintf("%d batches", n)
}
