package main

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/implicitreward/implicitreward/implicit/shard"
	"github.com/implicitreward/implicitreward/internal/cli/clitest"
)

func TestMain(m *testing.M) {
	if os.Getenv(clitest.AsProgram) != "" {
		main() // exits
	}
	os.Exit(m.Run())
}

// disturbed makes a plan with so many prompts, and copies it: want is finished by one worker that
// nobody disturbs, dir is to be.
func disturbed(t *testing.T, prompts int) (want, dir string) {
	t.Helper()
	var lines strings.Builder
	lines.WriteString("name,prompt\n")
	for i := range prompts {
		fmt.Fprintf(&lines, "p%d,%d times the best?\n", i, i)
	}
	want = planned(t, "-items", "4", "-prompts", write(t, "many.csv", lines.String()))
	dir = filepath.Join(t.TempDir(), "work")
	if err := os.CopyFS(dir, os.DirFS(want)); err != nil {
		t.Fatal(err)
	}
	must(t, "-shard", "0/1", "-out", want)
	must(t, "-merge", "-out", want)
	return want, dir
}

// TestKilled: workers that are killed at random moments, and started again in any order and
// number, leave the parts and the manifest of one worker that nobody disturbed, and nothing else.
func TestKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("long: a dozen processes")
	}
	want, dir := disturbed(t, 7)

	random := rand.New(rand.NewPCG(19, 1))
	kills := 0
	for round := 0; ; round++ {
		n := 1 + random.IntN(3)
		var workers []*clitest.Program
		for _, i := range random.Perm(n) {
			workers = append(workers, clitest.Start(t, "-shard", strconv.Itoa(i)+"/"+strconv.Itoa(n), "-out", dir))
		}
		for _, w := range workers {
			select {
			case <-w.Ended:
			case <-time.After(time.Duration(100+random.IntN(800*(1+round))) * time.Millisecond):
				w.Process.Kill()
				kills++
			}
		}
		all := true
		for _, w := range workers {
			<-w.Ended
			all = all && w.ProcessState.Success()
		}
		if all {
			break
		}
	}
	must(t, "-merge", "-out", dir)
	if got, want := clitest.Files(t, dir), clitest.Files(t, want); !maps.Equal(got, want) {
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
	w := clitest.Start(t, "-shard", "0/1", "-out", dir)
	time.Sleep(200 * time.Millisecond)
	w.Process.Signal(os.Interrupt)
	<-w.Ended
	if code := w.ProcessState.ExitCode(); code != 130 && code != 0 || code == 130 && !strings.HasSuffix(w.Stderr.String(), "scale: stopped\n") {
		t.Errorf("exit code %d: %s", code, w.Stderr.String())
	}
	for name := range clitest.Files(t, dir) {
		if strings.HasSuffix(name, ".tmp") {
			t.Errorf("%s is left", name)
		}
	}
}
