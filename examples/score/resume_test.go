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

	"github.com/implicitreward/implicitreward/implicit/lexicon"
	"github.com/implicitreward/implicitreward/internal/cli/clitest"
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
// bytes of an uninterrupted one, and no batch that was finished is computed again. So it
// is after Ctrl-C.
func TestKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("long: a dozen runs")
	}
	tuned, base := pair(t, "llama")
	rm := rewardModel(t, "llama")
	words := []string{"power", "tenderness", "rain", "a longer phrase"}
	kinds := []string{"r.csv", "r.jsonl", "rm.csv", "rm.jsonl"}
	corpus := write(t, "words.txt", strings.Join(words, "\n")+"\n")
	var lines strings.Builder
	for _, p := range lexicon.PaperPrompts() {
		for _, w := range words {
			// Prompts of a hundred tokens, so that there are several batches.
			fmt.Fprintf(&lines, "{\"prompt\": %q, \"reply\": %q}\n", strings.Repeat(p.Text+" ", 10), w)
		}
	}
	pairs := write(t, "pairs.jsonl", lines.String())
	random := rand.New(rand.NewPCG(4, 4))
	for _, kind := range kinds {
		args := func(dir string) []string {
			args := []string{"-tuned", tuned, "-base", base, "-out", filepath.Join(dir, kind)}
			if strings.HasPrefix(kind, "rm") {
				args = []string{"-rm", rm, "-out", filepath.Join(dir, kind)}
			}
			if strings.HasSuffix(kind, ".jsonl") {
				return append(args, "-pairs", pairs)
			}
			if strings.HasPrefix(kind, "rm") {
				return append(args, "-corpus", corpus, "-forms", "all", "-measure", "exact,mean")
			}
			return append(args, "-corpus", corpus, "-measure", "exact,pooled,ended,paper")
		}
		want, dir := t.TempDir(), t.TempDir()
		if p := start(t, args(want)...); p.Code() != 0 {
			t.Fatal(p.Stderr.String())
		}
		part := filepath.Join(dir, kind+".part")
		kills := 0
		var p *process
		for done := false; !done; {
			p = start(t, args(dir)...)
			signal := os.Kill
			if kills == 0 || random.IntN(3) > 0 { // otherwise at any moment, loading included
				p.after(1, part)
				if random.IntN(4) == 0 {
					signal = os.Interrupt
				}
			}
			select {
			case <-p.Ended:
				done = true
			case <-time.After(time.Duration(random.IntN(60)) * time.Millisecond):
				p.Process.Signal(signal)
				kills++
				done = p.Code() == 0
				if signal == os.Interrupt && !done && (p.Code() != 130 || !strings.HasSuffix(p.Stderr.String(), "keeps what was computed: the same command goes on from there\nscore: stopped\n")) {
					t.Errorf("after Ctrl-C: exit code %d, %q", p.Code(), p.Stderr.String())
				}
			}
		}
		if p.Code() != 0 {
			t.Fatal(p.Stderr.String())
		}
		same(t, dir, want)
		r := p.reused(t)
		t.Logf("%s: %d kills; at last %d of %d batches computed", kind, kills, r[2], r[1]+r[2])
		if r[0] != r[1] || r[0] == 0 || kills == 0 {
			t.Errorf("%s: %d kills; %d batches found, %d reused, %d computed, wanted all of what was found", kind, kills, r[0], r[1], r[2])
		}
	}
}
