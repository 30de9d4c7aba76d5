package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/implicitreward/implicitreward/internal/cli"
	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

// TestMixtures: a narrow checkpoint of each mixture has the tensors that its config asks for, and
// scores.
func TestMixtures(t *testing.T) {
	if !tokenize.Available {
		t.Skip("needs the Rust tokenizers")
	}
	backend, err := cli.Backend("go", os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	defer backend.Finalize()
	const donor = "../demo/data/llama/tuned"
	for _, m := range mixtures() {
		c := m.config
		if n := c.parameters(); n < 1.7e9 || n > 2.8e9 {
			t.Errorf("%s: %d parameters, wanted 1.8 and 2.7 billion", m.name, n)
		}
		c.D, c.Inner, c.Layers, c.Heads, c.KVHeads, c.Vocab, c.Context = 32, 16, 2, 4, 2, 700, 256
		if c.HeadDim > 0 {
			c.HeadDim, c.ExpertInner = 16, 8
		}
		dir := filepath.Join(t.TempDir(), m.name)
		if err := writeRandom(t.Context(), dir, donor, c, &bytes.Buffer{}); err != nil {
			t.Fatal(err)
		}
		model, err := logprob.Load(t.Context(), dir, &logprob.Options{Backend: backend})
		if err != nil {
			t.Fatal(err)
		}
		for s, err := range logprob.Score(t.Context(), model, slices.Values([]tokenize.Encoded{{IDs: []int32{5, 6, 7, 8}, Reply: 1}})) {
			if err != nil || !(s.Sum() < 0) {
				t.Errorf("%s: ln p %g, %v", m.name, s.Sum(), err)
			}
		}
		model.Close()
	}
	c := mixtures()[0].config
	// Of OLMoE's shape q, k, v and o are 2048x2048, the router 64x2048, and 8 experts of 3 matrices 2048x1024.
	if got, want := c.operations(counts{nodes: 10}), 2.0*10*4*(4*2048*2048+64*2048+8*3*2048*1024); got != want {
		t.Errorf("%g operations, wanted %g", got, want)
	}
}
