package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"

	"github.com/implicitreward/implicitreward/internal/arch"
	"github.com/implicitreward/implicitreward/internal/checkpoint"
)

// openWith opens a checkpoint in float32 with other options.
func openWith(t testing.TB, dir string, o Options) (*Engine, error) {
	t.Helper()
	config, err := checkpoint.ReadConfig(dir)
	if err != nil {
		t.Fatal(err)
	}
	w, err := checkpoint.OpenWeights(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	m, err := arch.New(config, func(name string) bool { _, ok := w.Get(name); return ok })
	if err != nil {
		t.Fatal(err)
	}
	backend, err := pureGo()
	if err != nil {
		t.Fatal(err)
	}
	o.DType = dtypes.Float32
	e, err := New(t.Context(), backend, m, w, o)
	if err == nil {
		t.Cleanup(e.Close)
	}
	return e, err
}

// sliced opens a checkpoint with slices of the vocabulary of so many rows.
func sliced(t testing.TB, name string, rows int) *Engine {
	t.Helper()
	e, err := openWith(t, filepath.Join(families, name), Options{sliceRows: rows})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// TestMemory: under every limit between the least and all, the numbers are the same to
// the last bit, over several steps; the least is what the error asks for.
func TestMemory(t *testing.T) {
	const sliceRows = 40 // several slices of a small vocabulary
	for _, name := range some("llama-gqa-tied", "gemma2-base", "gpt2-plain", "mistral-window", "gemma4-shared", "olmoe-clip", "qwen3_moe-step", "qwen3_5_text-hybrid", "falcon_h1-gate") {
		matches, err := filepath.Glob(filepath.Join(families, name+"*"))
		if err != nil || len(matches) == 0 {
			t.Fatalf("no checkpoint %s", name)
		}
		dir := matches[0]
		t.Run(filepath.Base(dir), func(t *testing.T) {
			whole, err := openWith(t, dir, Options{sliceRows: sliceRows})
			if err != nil {
				t.Fatal(err)
			}
			if slices.ContainsFunc(whole.store.shards, func(p *shard) bool { return !p.stays }) {
				t.Fatal("a small model is streamed without a limit")
			}
			least := whole.workBytes()
			texts := randomTexts(rand.New(rand.NewPCG(7, 8)), 60, min(whole.model.Context, 60), whole.model.V)
			whole.stepTokens, whole.batchTokens = 200, 48
			want, err := run(t.Context(), whole, texts)
			if err != nil {
				t.Fatal(err)
			}

			var total, largest int64
			for _, p := range whole.store.shards {
				total += p.size
				largest = max(largest, p.size)
			}
			least += largest
			if _, err := openWith(t, dir, Options{sliceRows: sliceRows, Memory: least - 1}); err == nil || !strings.Contains(err.Error(), "wanted at least "+mebibytes(least)) {
				t.Errorf("limit %d: error %v, wanted one that asks for %s", least-1, err, mebibytes(least))
			}
			for i := range int64(5) {
				memory := least + i*(total-largest)/5
				e, err := openWith(t, dir, Options{sliceRows: sliceRows, Memory: memory})
				if err != nil {
					t.Fatal(err)
				}
				e.stepTokens, e.batchTokens = 200, 48
				for range 2 { // the second time nothing is checked any more
					got, err := run(t.Context(), e, texts)
					if err != nil {
						t.Fatal(err)
					}
					for n := range got {
						if err := near(got[n], want[n], 0); err != nil || got[n].Greedy != want[n].Greedy {
							t.Fatalf("limit %d: text %d: %v", memory, n, err)
						}
					}
				}
				var held int64
				for _, p := range e.store.shards {
					if p.weights != nil {
						held += p.size
					}
				}
				if room := memory - least + largest; held > room {
					t.Errorf("limit %d: %d bytes stay, wanted at most %d", memory, held, room)
				}
				if i == 0 && held > 0 {
					t.Errorf("the least limit: %d bytes stay", held)
				}
			}
		})
	}
}

// TestStreamedErrors: what is found while blocks stream ends the run: a weight that is
// not finite, and a cancelled context; what was read ahead is freed.
func TestStreamedErrors(t *testing.T) {
	whole := open(t, "llama-mha")
	for _, p := range whole.store.shards {
		p.release()
		p.stays = false
	}
	for _, ahead := range []bool{false, true} {
		whole.store.places[0].ahead = ahead
		ctx, cancel := context.WithCancel(t.Context())
		calls := 0
		err := whole.store.each(ctx, false, func(p *shard) error {
			if calls++; calls == 2 {
				cancel()
			}
			return nil
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("ahead %v: error %v, wanted %v", ahead, err, context.Canceled)
		}
		stop := fmt.Errorf("enough")
		if err := whole.store.each(t.Context(), false, func(p *shard) error { return stop }); err != stop {
			t.Errorf("ahead %v: error %v, wanted %v", ahead, err, stop)
		}
		for i, p := range whole.store.shards {
			if p.weights != nil {
				t.Errorf("ahead %v: shard %d stays", ahead, i)
			}
		}
	}
}

// TestSlices: the head gives the same over slices of the vocabulary as over all of it,
// the likeliest token too, whatever its slice.
func TestSlices(t *testing.T) {
	for _, name := range some("llama-mha", "gemma2-base", "gpt_neox-hub") {
		var results [][]Result
		for _, rows := range []int{1 << 20, 1000, 48, 16} {
			e := sliced(t, name, rows)
			r := rand.New(rand.NewPCG(11, 12))
			texts := randomTexts(r, 40, min(e.model.Context, 40), e.model.V)
			for i := range texts { // each row comes to its likeliest token
				if texts[i].From < len(texts[i].IDs) {
					texts[i].Distribution = true
				}
			}
			got, err := run(t.Context(), e, texts)
			if err != nil {
				t.Fatal(err)
			}
			if n := len(e.store.shards) - len(e.model.Blocks) - 1; n != max(1, (e.model.V+rows-1)/rows) {
				t.Errorf("%s: %d slices of at most %d rows of %d", name, n, rows, e.model.V)
			}
			results = append(results, got)
			for i := range got {
				if err := near(got[i], results[0][i], 1e-5); err != nil || got[i].Greedy != results[0][i].Greedy {
					t.Fatalf("%s: slices of %d: text %d: %v, greedy %v", name, rows, i, err, got[i].Greedy)
				}
			}
		}
	}
}

// TestTop: the likeliest tokens are those of the sorted row, at every place of a reply and
// after it, from slices of any size.
func TestTop(t *testing.T) {
	for _, rows := range []int{16, 1 << 20} {
		e := sliced(t, "gemma2-base", rows)
		r := rand.New(rand.NewPCG(13, 14))
		n := 30
		if testing.Short() {
			n = 8
		}
		texts := randomTexts(r, n, min(e.model.Context, 30), e.model.V)
		for i := range texts {
			texts[i].Distribution, texts[i].TopK = false, []int{0, 1, 5, e.model.V + 3}[i%4]
		}
		got, err := run(t.Context(), e, texts)
		if err != nil {
			t.Fatal(err)
		}
		for i, text := range texts {
			if text.TopK == 0 {
				if got[i].Top != nil {
					t.Errorf("text %d has top tokens unasked", i)
				}
				continue
			}
			for n := text.From; n <= len(text.IDs); n++ {
				row, err := run(t.Context(), e, []Request{{IDs: text.IDs[:n], From: n, Distribution: true}})
				if err != nil {
					t.Fatal(err)
				}
				want := make([]TokenLogProb, e.model.V)
				for id, x := range row[0].Distribution {
					want[id] = TokenLogProb{int32(id), x}
				}
				slices.SortStableFunc(want, func(a, b TokenLogProb) int { return cmp.Compare(b.LogProb, a.LogProb) })
				want = want[:min(text.TopK, len(want))]
				top := got[i].Top[n-text.From]
				if len(top) != len(want) {
					t.Fatalf("text %d, place %d: %d tokens, wanted %d", i, n, len(top), len(want))
				}
				for j := range top {
					// Neighbours may change places where they differ by rounding only.
					if d := math.Abs(float64(top[j].LogProb - want[j].LogProb)); d > 1e-5 || math.Abs(float64(row[0].Distribution[top[j].ID]-top[j].LogProb)) > 1e-5 {
						t.Fatalf("text %d, place %d: token %d is %v, wanted %v", i, n, j, top[j], want[j])
					}
				}
			}
		}
	}
}

// TestWithin: the sum over a set of tokens is that over the distribution, for sets of many
// sizes, several in one window, equal ones in one slice and in two.
func TestWithin(t *testing.T) {
	e := sliced(t, "gemma2-base", 40)
	r := rand.New(rand.NewPCG(9, 10))
	sets := [][]bool{nil, {}, {false, true}}
	for _, share := range []float64{0, 0.01, 0.5, 1} {
		set := make([]bool, e.model.V)
		for i := range set {
			set[i] = r.Float64() < share
		}
		sets = append(sets, set, slices.Clone(set))
	}
	for kinds := 1; kinds <= len(sets); kinds++ {
		texts := randomTexts(r, 30, min(e.model.Context, 30), e.model.V)
		var want []Request
		for i := range texts {
			texts[i].Within, texts[i].Distribution = sets[len(sets)-1-i%kinds], false
			want = append(want, Request{IDs: texts[i].IDs, From: len(texts[i].IDs), Distribution: true})
		}
		got, err := run(t.Context(), e, texts)
		if err != nil {
			t.Fatal(err)
		}
		rows, err := run(t.Context(), e, want)
		if err != nil {
			t.Fatal(err)
		}
		for i := range texts {
			sum := 0.0
			for id, in := range texts[i].Within {
				if in {
					sum += math.Exp(float64(rows[i].Distribution[id]))
				}
			}
			if texts[i].Within == nil {
				sum = 1 // 0 is what stands where nothing was asked
			}
			if a := math.Exp(float64(got[i].Within)); math.Abs(a-sum) > 1e-5 {
				t.Errorf("%d sets: text %d: %v, wanted %v", kinds, i, a, sum)
			}
		}
	}
	if _, err := run(t.Context(), e, []Request{{IDs: []int32{1}, From: 1, Within: make([]bool, e.model.V+1)}}); err == nil || !strings.Contains(err.Error(), "a set of") {
		t.Errorf("error %v, wanted one about the set", err)
	}
}
