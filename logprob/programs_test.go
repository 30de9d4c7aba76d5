package logprob_test

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/implicitreward/implicitreward/logprob"
)

// TestPrograms: of checkpoints that are loaded one after the other the first alone compiles, each
// has the numbers that it has alone, and none leaves anything in memory.
func TestPrograms(t *testing.T) {
	checkpoints := short(100, 20)
	const dir = "testdata/families/llama-mha"
	other := filepath.Join(t.TempDir(), "other") // the same config with other weights
	if err := os.CopyFS(other, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(other, "model.safetensors")
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	copy(b[len(b)-64:], make([]byte, 64)) // zeros in the last tensor
	if err := os.WriteFile(file, b, 0o644); err != nil {
		t.Fatal(err)
	}
	texts := someTexts(20)
	alone := [][]logprob.Result{scores(t, load(t, dir, pureGo(t), 0), texts...), scores(t, load(t, other, pureGo(t), 0), texts...)}
	if slices.EqualFunc(alone[0], alone[1], equal) {
		t.Fatal("the two checkpoints have the same numbers")
	}

	var programs logprob.Programs
	heap := func() int {
		runtime.GC()
		runtime.GC() // what the first finalised
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc)
	}
	compiled, before := 0, 0
	for i := range checkpoints {
		m, err := logprob.Load(t.Context(), []string{dir, other}[i%2], &logprob.Options{Backend: pureGo(t), Programs: &programs})
		if err != nil {
			t.Fatal(err)
		}
		got := scores(t, m, texts...)
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
		if !slices.EqualFunc(got, alone[i%2], equal) {
			t.Fatalf("checkpoint %d has other numbers", i)
		}
		if i == 0 {
			compiled = programs.Compiled()
		}
		if i == checkpoints/5 {
			before = heap()
		}
	}
	if n := programs.Compiled(); n != compiled || n == 0 {
		t.Errorf("%d programs after %d checkpoints, %d after the first", n, checkpoints, compiled)
	}
	// A checkpoint is 95 kB, so 80 of them would be 7.6 MB.
	if grown := heap() - before; grown > 1<<20 {
		t.Errorf("%d bytes more after %d checkpoints than after %d", grown, checkpoints, checkpoints/5)
	}
	programs.Close()
	if n := programs.Compiled(); n != 0 {
		t.Errorf("%d programs after Close", n)
	}
	if _, err := logprob.Load(t.Context(), dir, &logprob.Options{Backend: pureGo(t), Programs: &programs}); err == nil || !strings.Contains(err.Error(), "Programs that are closed") {
		t.Errorf("error %v, wanted one about closed Programs", err)
	}
}
