package logprob_test

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/gomlx/compute/dtypes"

	"github.com/implicitreward/implicitreward/internal/checkpoint"
)

// TestGGUF: a file that llama.cpp's converter has made of a checkpoint computes what transformers computes with
// the checkpoint: see testdata/gguf.py.
func TestGGUF(t *testing.T) {
	paths, err := filepath.Glob("testdata/gguf/*/golden.json")
	if err != nil || len(paths) < 2 {
		t.Fatalf("%d files, %v", len(paths), err)
	}
	for _, path := range paths {
		dir := filepath.Dir(path)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			t.Parallel()
			sameRows(t, dir)
			m := load(t, dir, pureGo(t), dtypes.Float32)
			if largest, _ := worst(t, m, readGolden(t, dir)); !(largest <= 2e-5) {
				t.Errorf("differs by up to %.2g nats, wanted at most 2e-5", largest)
			}
		})
	}
}

// sameRows: a tensor's rows from one on are those of the whole.
func sameRows(t *testing.T, dir string) {
	t.Helper()
	_, w, err := checkpoint.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for _, name := range w.Names() {
		tensor, _ := w.Get(name)
		whole, err := tensor.Float32s()
		if err != nil {
			t.Fatal(err)
		}
		if len(tensor.Shape) == 0 {
			continue
		}
		n := tensor.Shape[0]
		part, err := tensor.Rows(n/2, n).Float32s()
		if err != nil || !slices.Equal(part, whole[len(whole)-len(part):]) {
			t.Errorf("%s: rows from %d on differ from those of the whole: %v", name, n/2, err)
		}
	}
}
