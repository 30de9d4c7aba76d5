package main

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/implicitreward/implicitreward/implicit/shard"
)

// asProgram makes the test binary be the program.
const asProgram = "IMPLICITREWARD_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main() // exits
	}
	os.Exit(m.Run())
}

// worker process of a plan; ended is closed when it has ended.
type process struct {
	*exec.Cmd
	stderr bytes.Buffer
	ended  chan struct{}
}

func start(t *testing.T, args ...string) *process {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{Cmd: exec.Command(exe, args...), ended: make(chan struct{})}
	p.Env = append(os.Environ(), asProgram+"=1")
	p.Cmd.Stderr = &p.stderr
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Process.Kill() })
	go func() { p.Wait(); close(p.ended) }()
	return p
}

// TestKilled: workers that are killed at random moments, and started again in any order and
// number, leave the parts and the manifest of one worker that nobody disturbed, and nothing else.
func TestKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("long: a dozen processes")
	}
	var lines strings.Builder
	lines.WriteString("name,prompt\n")
	for i := range 7 {
		fmt.Fprintf(&lines, "p%d,%d times the best?\n", i, i)
	}
	want := planned(t, "-items", "4", "-prompts", write(t, "many.csv", lines.String()))
	dir := filepath.Join(t.TempDir(), "work")
	if err := os.CopyFS(dir, os.DirFS(want)); err != nil {
		t.Fatal(err)
	}
	must(t, "-shard", "0/1", "-out", want)
	must(t, "-merge", "-out", want)

	random := rand.New(rand.NewPCG(19, 1))
	kills := 0
	for round := 0; ; round++ {
		n := 1 + random.IntN(3)
		var workers []*process
		for _, i := range random.Perm(n) {
			workers = append(workers, start(t, "-shard", strconv.Itoa(i)+"/"+strconv.Itoa(n), "-out", dir))
		}
		for _, w := range workers {
			select {
			case <-w.ended:
			case <-time.After(time.Duration(100+random.IntN(800*(1+round))) * time.Millisecond):
				w.Process.Kill()
				kills++
			}
		}
		all := true
		for _, w := range workers {
			<-w.ended
			all = all && w.ProcessState.Success()
		}
		if all {
			break
		}
	}
	must(t, "-merge", "-out", dir)
	if got, want := files(t, dir), files(t, want); !maps.Equal(got, want) {
		for name := range got {
			if got[name] != want[name] {
				t.Errorf("%s is not that of a run that nobody disturbed", name)
			}
		}
		t.Errorf("%d files, wanted %d", len(got), len(want))
	}
	plan, err := shard.ReadPlan(t.Context(), shard.Folder{Path: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d shards, %d kills", len(plan.Shards), kills)
	if kills == 0 || len(plan.Shards) < 14 {
		t.Error("nothing was tested")
	}
}

// TestStopped: SIGINT ends a worker between shards or in one, and leaves nothing half done.
func TestStopped(t *testing.T) {
	if testing.Short() {
		t.Skip("long: a process")
	}
	dir := planned(t, "-items", "4")
	w := start(t, "-shard", "0/1", "-out", dir)
	time.Sleep(200 * time.Millisecond)
	w.Process.Signal(os.Interrupt)
	<-w.ended
	if code := w.ProcessState.ExitCode(); code != 130 && code != 0 || code == 130 && !strings.HasSuffix(w.stderr.String(), "scale: stopped\n") {
		t.Errorf("exit code %d: %s", code, w.stderr.String())
	}
	for name := range files(t, dir) {
		if strings.HasSuffix(name, ".tmp") {
			t.Errorf("%s is left", name)
		}
	}
}
