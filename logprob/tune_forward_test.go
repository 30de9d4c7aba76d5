package logprob_test

import (
	"math"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"github.com/gomlx/compute/dtypes"

	"github.com/implicitreward/implicitreward/logprob"
)

// TestTuneForward: what training computes forward is what scoring does, for texts that share
// what they begin with and for rows of several groups.
func TestTuneForward(t *testing.T) {
	for _, c := range []struct{ base, adapter string }{
		{"gemma2-base", ""}, {"gpt2-plain", ""}, {"mistral-window", ""}, {"gpt_neox-serial", ""},
		{"qwen3_5_text-hybrid", ""}, {"granitemoehybrid-dense", ""},
		{"qwen3_5_moe_text-hybrid", "new"}, {"nemotron_h-experts", "new"},
		{"", "llama-rslora"}, {"", "qwen3-alllinear"}, {"", "gpt2-conv1d"},
	} {
		t.Run(c.base+c.adapter, func(t *testing.T) {
			t.Parallel()
			for _, backend := range backends(t) {
				dir := filepath.Join("testdata/families", c.base)
				beside := filepath.Join("testdata/adapters", c.adapter)
				for _, a := range adapterCases(t) {
					if filepath.Base(a.dir) == c.adapter {
						dir = a.base
					}
				}
				if c.adapter == "new" {
					beside = filepath.Join(t.TempDir(), "new")
					if err := logprob.NewAdapter(t.Context(), dir, beside, &logprob.AdapterOptions{R: 2}); err != nil {
						t.Fatal(err)
					}
				}
				m := loadUnmeasured(t, dir, backend, dtypes.Float32)
				if c.adapter != "" {
					var err error
					if m, err = m.WithAdapter(t.Context(), beside, nil); err != nil {
						t.Fatal(err)
					}
					defer m.Close()
				}
				tuning, err := m.Tune(t.Context(), &logprob.TuneOptions{Tokens: 192})
				if err != nil {
					t.Fatal(err)
				}
				defer tuning.Close()
				groups := tuneGroups(rand.New(rand.NewPCG(1, 2)), m)
				seen := 0
				for _, numbers := range tuning.Split(groups) {
					var together [][]logprob.Request
					for _, n := range numbers {
						together = append(together, groups[n])
					}
					holdForward(t, m, tuning, together)
					seen += len(numbers)
				}
				if seen != len(groups) {
					t.Errorf("%d groups in all passes, wanted %d", seen, len(groups))
				}
			}
		})
	}
}

// tuneGroups are pairs of texts with a common prompt, of one token or longer.
func tuneGroups(rng *rand.Rand, m *logprob.Model) [][]logprob.Request {
	ids := func(n int) []int32 {
		all := make([]int32, n)
		for i := range all {
			all[i] = int32(rng.IntN(m.VocabSize()))
		}
		return all
	}
	var groups [][]logprob.Request
	for range 12 {
		prompt := ids(1 + rng.IntN(20))
		var group []logprob.Request
		for range 2 {
			r := logprob.Request{IDs: append(append([]int32(nil), prompt...), ids(1+rng.IntN(20))...), From: len(prompt)}
			r.States = []int{len(r.IDs) - 1, rng.IntN(len(r.IDs))}
			group = append(group, r)
		}
		groups = append(groups, group)
	}
	return groups
}

func holdForward(t *testing.T, m *logprob.Model, tuning *logprob.Tuning, groups [][]logprob.Request) {
	t.Helper()
	p, err := tuning.Forward(t.Context(), groups)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for g, group := range groups {
		for k, want := range states(t, m, group...) {
			got := p.Outputs[g][k]
			if len(got.LogProbs) != len(want.LogProbs) || len(got.States) != len(want.States) {
				t.Fatalf("group %d, text %d: %d log-probabilities and %d states, wanted %d and %d", g, k, len(got.LogProbs), len(got.States), len(want.LogProbs), len(want.States))
			}
			for i, w := range want.LogProbs {
				if !(math.Abs(got.LogProbs[i]-float64(w)) <= 2e-5*max(1, math.Abs(float64(w)))) {
					t.Errorf("group %d, text %d, token %d: %g, wanted %g", g, k, i, got.LogProbs[i], w)
				}
			}
			for i, state := range want.States {
				for j, w := range state {
					if !(math.Abs(got.States[i][j]-float64(w)) <= 5e-5*max(1, math.Abs(float64(w)))) {
						t.Errorf("group %d, text %d, state %d, channel %d: %g, wanted %g", g, k, i, j, got.States[i][j], w)
					}
				}
			}
		}
	}
}

// gradients are those of every parameter, of a loss of all numbers.
func gradients(t *testing.T, m *logprob.Model) []float32 {
	t.Helper()
	tuning, err := m.Tune(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tuning.Close()
	return gradientsOf(t, tuning, tuneGroups(rand.New(rand.NewPCG(3, 4)), m))
}

func gradientsOf(t *testing.T, tuning *logprob.Tuning, groups [][]logprob.Request) []float32 {
	t.Helper()
	for _, param := range tuning.Params() {
		clear(param.Grad)
	}
	p, err := tuning.Forward(t.Context(), groups)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := p.Backward(t.Context(), p.Outputs); err != nil { // any derivatives
		t.Fatal(err)
	}
	var all []float32
	for _, param := range tuning.Params() {
		all = append(all, param.Grad...)
	}
	return all
}

// holdNear holds gradients to others within a share of their largest.
func holdNear(t *testing.T, got, want []float32, share float64) {
	t.Helper()
	largest := 0.0
	for _, w := range want {
		largest = max(largest, math.Abs(float64(w)))
	}
	for i, w := range want {
		if !(math.Abs(float64(got[i]-w)) <= share*largest) {
			t.Fatalf("gradient %d: %g, wanted %g", i, got[i], w)
		}
	}
}

// TestTuneParts: the gradients of a pass that XLA's CPU client computes in several parts, of 512 tokens
// each, have the same bits however many of them compute at a time, and are those of the pure-Go
// backend, which computes it in one.
func TestTuneParts(t *testing.T) {
	var first []float32
	for _, backend := range backends(t) {
		m, err := logprob.Load(t.Context(), "testdata/families/llama-sharded", &logprob.Options{Backend: backend, DType: dtypes.Float32, Adapter: "testdata/adapters/llama-layers"})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		tuning, err := m.Tune(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer tuning.Close()
		rng := rand.New(rand.NewPCG(5, 6))
		groups := slices.Concat(tuneGroups(rng, m), tuneGroups(rng, m), tuneGroups(rng, m)) // three parts: two add up alike in both orders
		got := gradientsOf(t, tuning, groups)
		func() {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2 * runtime.NumCPU()))
			if !slices.Equal(gradientsOf(t, tuning, groups), got) {
				t.Errorf("backend %s: other bits with more parts at a time", backend.Name())
			}
		}()
		if first == nil {
			first = got
		}
		holdNear(t, got, first, 2e-5)
	}
}

// TestTuneStreams: the gradients of a model larger than its memory, whose blocks are read
// forward and backward, have the bits that they have in memory.
func TestTuneStreams(t *testing.T) {
	const base, dir = "testdata/families/llama-sharded", "testdata/adapters/llama-layers"
	o := &logprob.Options{Backend: pureGo(t), DType: dtypes.Float32, Adapter: dir}
	whole, err := logprob.Load(t.Context(), base, o)
	if err != nil {
		t.Fatal(err)
	}
	defer whole.Close()
	want := gradients(t, whole)
	for o.MemoryLimit = 1; ; o.MemoryLimit *= 2 {
		m, err := logprob.Load(t.Context(), base, o)
		if err != nil {
			if o.MemoryLimit > 1<<40 {
				t.Fatal(err)
			}
			continue
		}
		defer m.Close()
		if !slices.Equal(gradients(t, m), want) {
			t.Errorf("other gradients in a memory of %d bytes", o.MemoryLimit)
		}
		break
	}
}

// TestTuneBFloat16: with frozen weights in bfloat16, which hold the checkpoint's exactly,
// gradients are those with weights in float32: no adjoint is rounded.
func TestTuneBFloat16(t *testing.T) {
	const base, dir = "testdata/families/llama-bf16", "testdata/adapters/llama-bf16"
	for _, backend := range backends(t) {
		var want []float32
		for _, dtype := range []dtypes.DType{dtypes.Float32, dtypes.BFloat16} {
			m, err := load(t, base, backend, dtype).WithAdapter(t.Context(), dir, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			got := gradients(t, m)
			if want == nil {
				want = got
			}
			holdNear(t, got, want, 1e-5) // an adjoint in bfloat16 would be off by 4e-3
		}
	}
}
