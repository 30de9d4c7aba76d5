package logprob_test

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"

	"github.com/implicitreward/implicitreward/internal/arch"
	"github.com/implicitreward/implicitreward/internal/checkpoint"
	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

// TestTies: where a router gives experts the same logit, the first of them is chosen, in the
// engine as in the reference, and every choice is counted as close, with a warning. The third
// expert of olmoe-clip's three is then one of two with the same row. (torch.topk, and so
// transformers, takes either: of 500 such rows the first in 189.)
func TestTies(t *testing.T) {
	dir := tied(t, "testdata/families/olmoe-clip")
	g := readGolden(t, "testdata/families/olmoe-clip")
	for _, backend := range backends(t) {
		m := load(t, dir, backend, dtypes.Float32)
		if r := m.Routing(); r.Choices != 0 || !math.IsInf(r.Smallest, 1) || len(m.Warnings()) != 0 {
			t.Errorf("before the first choice: %+v, %v", r, m.Warnings())
		}
		var texts []tokenize.Encoded
		var all [][]int32
		states := 0
		for _, text := range g.Texts {
			texts, all = append(texts, tokenize.Encoded{IDs: text.IDs, Reply: 1}), append(all, text.IDs)
			states += len(text.IDs) - 1
		}
		var got []arch.LogProbs
		for _, score := range scores(t, m, texts...) {
			got = append(got, arch.LogProbs{Tokens: float64s(score.LogProbs)})
		}
		want, err := dense(t, dir, backend, dtypes.Float64).LogProbs(t.Context(), all)
		if err != nil {
			t.Fatal(err)
		}
		for i := range want {
			want[i].Next = nil
		}
		if largest := furthest(t, got, want); !(largest <= 2e-5) {
			t.Errorf("%s: differs by up to %.2g nats, wanted at most 2e-5", logprob.BackendName(backend), largest)
		}
		r := m.Routing()
		// Two mixtures; the first text begins the third, and is computed once.
		if want := int64(2 * (states - len(g.Texts[0].IDs) + 1)); r.Choices != want || r.Close != want || r.Smallest != 0 {
			t.Errorf("%s: %+v, wanted %d choices, all close, the smallest 0", logprob.BackendName(backend), r, want)
		}
		const say = "choices of experts were made by a gap of at most 1e-05 between two logits of a router (the smallest is 0)"
		if !slices.ContainsFunc(m.Warnings(), func(err error) bool { return strings.Contains(err.Error(), say) }) {
			t.Errorf("%s: warnings %v, wanted one that says %q", logprob.BackendName(backend), m.Warnings(), say)
		}
	}
}

// tied writes a checkpoint anew, in which every second row of a router is the one before.
func tied(t *testing.T, from string) string {
	t.Helper()
	dir := t.TempDir()
	w, err := checkpoint.OpenWeights(from)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	var all []checkpoint.Tensor
	for _, name := range w.Names() {
		tensor, _ := w.Get(name)
		values, err := tensor.Float32s()
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, ".mlp.gate.weight") {
			values = slices.Clone(values)
			row := tensor.Shape[1]
			for e := 1; e < tensor.Shape[0]; e += 2 {
				copy(values[e*row:(e+1)*row], values[(e-1)*row:])
			}
		}
		all = append(all, checkpoint.Float32(name, values, tensor.Shape...))
	}
	config, err := os.ReadFile(filepath.Join(from, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(dir, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "config.json"), config, 0o600), checkpoint.Write(f, all, nil), f.Close()); err != nil {
		t.Fatal(err)
	}
	return dir
}
