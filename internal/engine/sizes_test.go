package engine

import (
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"github.com/gomlx/compute/dtypes"

	"github.com/implicitreward/implicitreward/internal/arch"
)

// TestAccelerated: what an engine computes for an accelerator, in large batches and over the whole
// vocabulary at once, is what it computes on a CPU but for rounding; here on the pure-Go backend.
func TestAccelerated(t *testing.T) {
	for _, name := range some(kinds...) {
		t.Run(name, func(t *testing.T) {
			e := open(t, name)
			a, err := openWith(t, filepath.Join(families, name), Options{Accelerated: true})
			if err != nil {
				t.Fatal(err)
			}
			if a.sliceRows != e.model.V || a.invariant {
				t.Fatalf("sizes %+v", a.sizes)
			}
			r := rand.New(rand.NewPCG(17, 18))
			texts := randomTexts(r, 150, min(e.model.Context, 60), e.model.V)
			for i := range texts {
				text := &texts[i]
				if i%3 == 0 {
					text.TopK = 1 + i%5
				}
				if i%7 == 0 {
					text.Within = make([]bool, e.model.V)
					for id := range text.Within {
						text.Within[id] = id%(2+i%2) == 0
					}
				}
				if i%11 == 0 {
					text.States = []int{0, len(text.IDs) - 1}
				}
			}
			want, err := run(t.Context(), e, texts)
			if err != nil {
				t.Fatal(err)
			}
			for _, a.headStates = range []int{a.headStates, 64} {
				got, err := run(t.Context(), a, texts)
				if err != nil {
					t.Fatal(err)
				}
				for i := range got {
					holdResult(t, i, got[i], want[i])
				}
			}
		})
	}
}

// holdResult compares all of a result but for rounding.
func holdResult(t *testing.T, text int, got, want Result) {
	t.Helper()
	const rounding = 2e-5 // as of the reference checkpoints
	if err := near(got, want, rounding); err != nil {
		t.Fatalf("text %d: %v", text, err)
	}
	if d := math.Abs(float64(got.Within - want.Within)); d > rounding || got.Greedy != want.Greedy {
		t.Errorf("text %d: within %g, greedy %v, wanted %g, %v", text, got.Within, got.Greedy, want.Within, want.Greedy)
	}
	if len(got.Top) != len(want.Top) || len(got.States) != len(want.States) {
		t.Fatalf("text %d: %d tops and %d states, wanted %d and %d", text, len(got.Top), len(got.States), len(want.Top), len(want.States))
	}
	for i, top := range got.Top {
		for j, x := range top {
			if y := want.Top[i][j]; math.Abs(float64(x.LogProb-y.LogProb)) > rounding {
				t.Errorf("text %d: likeliest tokens %v, wanted %v", text, top, want.Top[i])
			}
		}
	}
	for i, state := range got.States {
		for j, x := range state {
			if y := want.States[i][j]; math.Abs(float64(x-y)) > 1e-4*max(1, math.Abs(float64(y))) {
				t.Fatalf("text %d: state %d has %g in channel %d, wanted %g", text, i, x, j, y)
			}
		}
	}
}

// TestAcceleratedSizes: the logits that the head has at a time are bounded for any vocabulary, and
// batches of all numbers of tokens have few shapes.
func TestAcceleratedSizes(t *testing.T) {
	for _, v := range []int{100, 32_000, 151_936, 262_208, 2_000_000} {
		z := sizesOf(true, dtypes.BFloat16, &arch.Model{V: v})
		if z.headStates < 64 || z.headStates > 64 && 4*z.headStates*v > 256<<20 || z.sliceRows != v {
			t.Errorf("vocabulary of %d: %+v", v, z)
		}
	}
	z := sizesOf(true, dtypes.BFloat16, &arch.Model{V: 100})
	var shapes []int
	for n := 1; n <= z.batchTokens; n += 13 {
		s := planOf([]Request{{IDs: make([]int32, n+1), From: 1}}).steps(z.stepTokens, z.savedKeys)[0]
		batches := s.batches(z.batchTokens)
		if err := s.shape(batches, 1e9, z, nil); err != nil {
			t.Fatal(err)
		}
		for _, b := range batches {
			if b.T < b.n || b.T > 4*b.n && b.T > chunkTokens {
				t.Errorf("%d rows for %d tokens", b.T, b.n)
			}
			if !slices.Contains(shapes, b.T) {
				shapes = append(shapes, b.T)
			}
		}
	}
	if len(shapes) > 4 {
		t.Errorf("batches of %v rows", shapes)
	}
}
