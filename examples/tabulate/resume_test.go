package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/implicitreward/implicitreward/internal/cli/clitest"
	"github.com/implicitreward/implicitreward/internal/demo"
)

func TestMain(m *testing.M) {
	if os.Getenv(clitest.AsProgram) != "" {
		main() // exits
	}
	os.Exit(m.Run())
}

// process is the program, on the pure-Go backend.
type process struct{ *clitest.Program }

func start(t *testing.T, args ...string) *process {
	t.Helper()
	return &process{clitest.Start(t, append([]string{"-backend", "go"}, args...)...)}
}

// after waits until the journal has grown n times, and answers false if the process has
// ended before.
func (p *process) after(n int, file string) bool {
	size := int64(100) // a journal without a batch is smaller
	if info, err := os.Stat(file); err == nil {
		size = info.Size()
	}
	for n > 0 {
		select {
		case <-p.Ended:
			return false
		case <-time.After(time.Millisecond):
		}
		if info, err := os.Stat(file); err == nil && info.Size() > size {
			size = info.Size()
			n--
		}
	}
	return true
}

var reuse = regexp.MustCompile(`of the earlier run's (\d+) batch(?:es)?, (\d+) reused; (\d+) computed\n`)

// reused reads how many batches were there, were reused and were computed.
func (p *process) reused(t *testing.T) (n [3]int) {
	t.Helper()
	m := reuse.FindStringSubmatch(p.Stderr.String())
	if m == nil {
		t.Fatalf("nothing about reuse in %q", p.Stderr.String())
	}
	for i := range n {
		n[i], _ = strconv.Atoi(m[i+1])
	}
	return n
}

// same compares the files of two folders, but for the folders' names in them.
func same(t *testing.T, got, want string) {
	t.Helper()
	a, b := clitest.Files(t, got), clitest.Files(t, want)
	for name, content := range b {
		if strings.ReplaceAll(a[name], got, want) != content {
			t.Errorf("%s is another than that of an uninterrupted run", name)
		}
		delete(a, name)
	}
	for name := range a {
		t.Errorf("%s was left behind", name)
	}
}

// TestKilled: a run that is killed again and again, at moments of all kinds, ends with the
// bytes of an uninterrupted one; no batch that was finished is computed again, and none of
// another run is used.
func TestKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("long: a dozen runs")
	}
	_, model, err := demo.Pair{Name: "llama"}.Extract(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	const n = 640
	var list strings.Builder
	list.WriteString("name,prompt\n")
	for i := range n {
		fmt.Fprintf(&list, "p%d,What is the %d. thing in the world of all that there are?\n", i, i)
	}
	prompts := filepath.Join(t.TempDir(), "prompts.csv")
	if err := os.WriteFile(prompts, []byte(list.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	args := func(dir, as string) []string {
		return []string{"-model", model, "-prompts", prompts, "-as", as, "-out", filepath.Join(dir, "t.csv")}
	}
	want := map[string]string{}
	for _, as := range []string{"chat", "raw"} {
		want[as] = t.TempDir()
		if p := start(t, args(want[as], as)...); p.Code() != 0 {
			t.Fatal(p.Stderr.String())
		}
	}

	random := rand.New(rand.NewPCG(4, 4))
	dir := t.TempDir()
	part := filepath.Join(dir, "t.csv.part")
	kills := 0
	var p *process
	for done := false; !done; {
		p = start(t, args(dir, "chat")...)
		grown := true
		if random.IntN(3) > 0 { // otherwise at any moment, loading included
			grown = p.after(1+random.IntN(2), part)
		}
		select {
		case <-p.Ended:
			done = true
		case <-time.After(time.Duration(random.IntN(60)) * time.Millisecond):
			p.Process.Kill()
			kills++
			done = p.Code() == 0
		}
		if !grown && !done {
			t.Fatal("a process that had ended was killed")
		}
	}
	if p.Code() != 0 {
		t.Fatal(p.Stderr.String())
	}
	same(t, dir, want["chat"])
	total := (n + 63) / 64
	r := p.reused(t)
	t.Logf("%d kills; at last %d of %d batches computed", kills, r[2], total)
	if r[0] != r[1] || r[1]+r[2] != total || r[0] == 0 || kills < 2 {
		t.Errorf("%d kills; %d batches found, %d reused, %d computed, wanted all of what was found and %d in all", kills, r[0], r[1], r[2], total)
	}

	// Another run's batches are not used, and stay until an output takes their place.
	dir = t.TempDir()
	p = start(t, args(dir, "chat")...)
	if !p.after(2, filepath.Join(dir, "t.csv.part")) {
		t.Fatalf("ended before its second batch: %s", p.Stderr.String())
	}
	p.Process.Kill()
	p.Code()
	p = start(t, args(dir, "raw")...)
	if p.Code() != 0 || !strings.Contains(p.Stderr.String(), "nothing in it fits this run so far") {
		t.Errorf("exit code %d, stderr %q", p.Code(), p.Stderr.String())
	}
	if r := p.reused(t); r[0] == 0 || r[1] != 0 || r[2] != total {
		t.Errorf("%d batches found, %d reused, %d computed, wanted some, none and %d", r[0], r[1], r[2], total)
	}
	same(t, dir, want["raw"])
}

// TestStopped: a second process on the same output is refused; Ctrl-C ends the first with
// a message, what was there before stays, and the same command goes on.
func TestStopped(t *testing.T) {
	_, model, err := demo.Pair{Name: "llama"}.Extract(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var list strings.Builder
	list.WriteString("name,prompt\n")
	for i := range 640 {
		fmt.Fprintf(&list, "p%d,Which is the best of the %d things?\n", i, i)
	}
	dir, clean := t.TempDir(), t.TempDir()
	prompts := filepath.Join(t.TempDir(), "prompts.csv")
	out := filepath.Join(dir, "t.parquet")
	for name, content := range map[string]string{prompts: list.String(), out: "old"} {
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	args := []string{"-force", "-model", model, "-prompts", prompts, "-out", out}
	first := start(t, args...)
	if !first.after(2, out+".part") {
		t.Fatalf("ended before its second batch: %s", first.Stderr.String())
	}
	if err := first.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if code := first.Code(); code != 130 {
		t.Errorf("exit code %d, wanted 130: %s", code, first.Stderr.String())
	}
	want := "tabulate: stopping (once more to stop at once)\n" + out + ".part keeps what was computed: the same command goes on from there\ntabulate: stopped\n"
	if got := first.Stderr.String(); got != want {
		t.Errorf("stderr %q, wanted %q", got, want)
	}
	if b, err := os.ReadFile(out); string(b) != "old" || err != nil {
		t.Errorf("the output is %q (%v), wanted what was there before", b, err)
	}

	second := start(t, args...)
	if !second.after(1, out+".part") {
		t.Fatalf("ended before its first batch: %s", second.Stderr.String())
	}
	if third := start(t, args...); third.Code() != 1 || !strings.Contains(third.Stderr.String(), "another process is writing it") {
		t.Errorf("a second process: exit code %d, %q", third.Code(), third.Stderr.String())
	}
	if second.Code() != 0 {
		t.Error(second.Stderr.String())
	}
	// A batch may have been seen to grow in pieces, so that the second was not there yet; one
	// that was begun is written to its end.
	if r := second.reused(t); r[0] == 0 || r[0] != r[1] {
		t.Errorf("%d batches found, %d reused, wanted some, and all of them", r[0], r[1])
	}
	if p := start(t, append(args[:len(args)-1], filepath.Join(clean, "t.parquet"))...); p.Code() != 0 {
		t.Fatal(p.Stderr.String())
	}
	same(t, dir, clean)
}
