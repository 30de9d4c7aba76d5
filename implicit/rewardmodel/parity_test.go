//go:build !nodaulet

package rewardmodel

import (
	"path/filepath"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"

	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

// needXLA is the backend of -xla, which compiles for too long for -short.
func needXLA(t testing.TB) compute.Backend {
	t.Helper()
	if testing.Short() {
		t.Skip("long: XLA compiles")
	}
	b, err := onXLA()
	if err != nil {
		t.Skip("needs XLA's plugin: ", err)
	}
	return b
}

// TestXLA holds what XLA computes to the goldens too: the trunk of each kind of block, and
// heads that read one state and two.
func TestXLA(t *testing.T) {
	b := needXLA(t)
	for _, name := range []string{"llama-three", "gemma2-one", "gemma3_text-one", "qwen3-one", "phi3-one", "gpt2-one", "gpt_neox-one", "olmo2-one"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // most of it is XLA compiling
			dir := filepath.Join("testdata/families", name)
			var g goldenFamily
			readJSON(t, filepath.Join(dir, "golden.json"), &g)
			m, err := load(t, dir, &Options{Output: "column=0", Model: logprob.Options{Backend: b, DType: dtypes.Float32}})
			if err != nil {
				t.Fatal(err)
			}
			var texts []tokenize.Encoded
			var all []float64
			for _, text := range g.Texts {
				texts = append(texts, tokenize.Encoded{IDs: text.IDs})
				all = append(all, text.Last.Outputs...)
			}
			for i, got := range results(t, m, texts...) {
				nearOf(t, name, got.Outputs, g.Texts[i].Last.Outputs, all)
			}
		})
	}
	for _, name := range []string{"linear-trl", "armorm", "qrm-gemma", "token-tied"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join("testdata/heads", name)
			g := readGolden(t, dir)
			m, err := load(t, dir, &Options{Output: g.Output, Model: logprob.Options{Backend: b, DType: dtypes.Float32}})
			if err != nil {
				t.Fatal(err)
			}
			var texts []tokenize.Encoded
			for _, text := range g.Texts {
				texts = append(texts, tokenize.Encoded{IDs: text.IDs})
			}
			for i, got := range results(t, m, texts...) {
				golden(t, m, g.Texts[i], got)
			}
		})
	}
}
