package logprob_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/dtypes/bfloat16"

	"github.com/implicitreward/implicitreward/internal/checkpoint"
	"github.com/implicitreward/implicitreward/logprob"
)

// states asks for the states of texts, each alone in its text's order.
func states(t *testing.T, m *logprob.Model, requests ...logprob.Request) []logprob.Result {
	t.Helper()
	var all []logprob.Result
	for r, err := range m.Run(t.Context(), slices.Values(requests)) {
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Check(requests[len(all)], m.VocabSize()); err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	return all
}

// statesOf makes requests for some states of texts, in no order, now and then with
// log-probabilities beside them.
func statesOf(rng *rand.Rand, n, context, rows int, scored bool) []logprob.Request {
	var all []logprob.Request
	for _, text := range randomTexts(rng, n, min(context, 60), rows) {
		if len(text.IDs) == 0 {
			continue
		}
		r := logprob.Request{IDs: text.IDs, From: len(text.IDs)}
		for range 1 + rng.IntN(3) {
			r.States = append(r.States, rng.IntN(len(r.IDs)))
		}
		if scored && rng.IntN(2) == 0 {
			r.From = max(text.Reply, 1)
			r.Distribution = rng.IntN(2) == 0
		}
		all = append(all, r)
	}
	return all
}

func TestStates(t *testing.T) {
	for _, family := range kinds {
		t.Run(family, func(t *testing.T) {
			dir := filepath.Join("testdata/families", family)
			all := backends(t)
			d := dense(t, dir, all[0], dtypes.Float64)
			asked := statesOf(rand.New(rand.NewPCG(3, 1)), number(40), d.Model.Context, d.Model.V, true)
			var texts [][]int32
			for _, r := range asked {
				texts = append(texts, r.IDs)
			}
			want, err := d.States(t.Context(), texts)
			if err != nil {
				t.Fatal(err)
			}
			for _, backend := range all {
				m := load(t, dir, backend, dtypes.Float32)
				got := states(t, m, asked...)
				for i, r := range got {
					for k, at := range asked[i].States {
						for c, x := range r.States[k] {
							w := want[i][at*m.Width()+c]
							if math.Abs(float64(x)-w) > 2e-5*max(1, math.Abs(w)) {
								t.Fatalf("text %d, state %d, channel %d: %g, wanted %g", i, at, c, x, w)
							}
						}
					}
				}
				plain := slices.Clone(asked) // log-probabilities are the same without states beside them
				for i := range plain {
					plain[i].States = nil
				}
				for i, r := range states(t, m, plain...) {
					if err := alike(got[i], r); err != nil {
						t.Errorf("text %d: %v", i, err)
					}
				}
			}
		})
	}
}

// TestHeadBFloat16: in bfloat16 the head multiplies the final state by the rounded matrix as if it
// were float32, where rounding to bfloat16 the state, too, would cost 2^-9 of a logit.
func TestHeadBFloat16(t *testing.T) {
	dir := "testdata/families/llama-gqa-tied"
	w, err := checkpoint.OpenWeights(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	stored, _ := w.Get("model.embed_tokens.weight")
	table, err := stored.Float32s()
	if err != nil {
		t.Fatal(err)
	}
	for _, backend := range backends(t) {
		m := load(t, dir, backend, dtypes.BFloat16)
		ids := []int32{5, 17, 3, 99, 42, 8}
		r := states(t, m, logprob.Request{IDs: ids, From: len(ids), Distribution: true, States: []int{len(ids) - 1}})[0]
		logits, top := make([]float64, m.VocabSize()), math.Inf(-1)
		for v := range logits {
			for c, x := range r.States[0] {
				logits[v] += float64(x) * float64(bfloat16.FromFloat32(table[v*m.Width()+c]).Float32())
			}
			top = max(top, logits[v])
		}
		sum := 0.0
		for _, z := range logits {
			sum += math.Exp(z - top)
		}
		for v, z := range logits {
			// What two parts leave of a number, 2^-17, of logits of up to 10 or so.
			if want := z - top - math.Log(sum); math.Abs(float64(r.Distribution[v])-want) > 1e-4 {
				t.Errorf("%s, token %d: %g, wanted %g", logprob.BackendName(backend), v, r.Distribution[v], want)
			}
		}
	}
}

// TestTrunk: a model without its head has the same states, to the bit, and gives nothing else.
func TestTrunk(t *testing.T) {
	for _, dir := range []string{"testdata/families/gemma2-base", "testdata/families/gpt2-plain", "testdata/families/llama-gqa-tied"} {
		whole := load(t, dir, pureGo(t), dtypes.Float32)
		trunk, err := logprob.Load(t.Context(), dir, &logprob.Options{Backend: pureGo(t), DType: dtypes.Float32, Trunk: true})
		if err != nil {
			t.Fatal(err)
		}
		defer trunk.Close()
		asked := statesOf(rand.New(rand.NewPCG(5, 1)), 30, whole.MaxTokens(), whole.VocabSize(), false)
		want := states(t, whole, asked...)
		for i, r := range states(t, trunk, asked...) {
			for k := range r.States {
				if !slices.Equal(r.States[k], want[i].States[k]) {
					t.Fatalf("%s: text %d: other states", dir, i)
				}
			}
		}
		for _, r := range []logprob.Request{{IDs: []int32{1, 2}, From: 1}, {IDs: []int32{1, 2}, From: 2, TopK: 1}} {
			for _, err := range trunk.Run(t.Context(), slices.Values([]logprob.Request{r})) {
				if err == nil || !strings.Contains(err.Error(), "without its vocabulary head, wanted States alone") {
					t.Errorf("%s: error %v", dir, err)
				}
			}
		}
		for name := range slices.Values(trunk.Beside()) {
			if shape, values, err := trunk.Tensor(name); err != nil || len(shape) != 2 || len(values) != shape[0]*shape[1] {
				t.Errorf("%s: %v, %d values, %v", name, shape, len(values), err)
			}
		}
		if fmt.Sprint(whole.Beside()) != "[]" {
			t.Errorf("%s: %v beside a whole model", dir, whole.Beside())
		}
	}
}

// TestStatesStored: a Store returns states as they were, also beside log-probabilities, and
// does not take the results of other states for these.
func TestStatesStored(t *testing.T) {
	s := &shelf{values: map[[32]byte][]byte{}}
	dir := "testdata/families/qwen2-tied"
	m := stored(t, s, dir, dtypes.Float32, nil)
	asked := statesOf(rand.New(rand.NewPCG(7, 1)), 30, m.MaxTokens(), m.VocabSize(), true)
	want := states(t, m, asked...)
	hits := 0
	again := stored(t, s, dir, dtypes.Float32, func(_ int, known bool) {
		if known {
			hits++
		}
	})
	for i, r := range states(t, again, asked...) {
		if !equal(r, want[i]) || fmt.Sprint(r.States) != fmt.Sprint(want[i].States) {
			t.Fatalf("text %d differs", i)
		}
	}
	if hits == 0 {
		t.Error("nothing was known")
	}
	other := slices.Clone(asked)
	for i := range other {
		other[i].States = []int{len(other[i].IDs) - 1}
	}
	hits = 0
	states(t, again, other...)
	if hits > 0 {
		t.Error("results of other states were taken for these")
	}
}

func TestStatesRefused(t *testing.T) {
	m := load(t, "testdata/families/llama-mha", pureGo(t), 0)
	for _, at := range []int{-1, 3} {
		for _, err := range m.Run(t.Context(), slices.Values([]logprob.Request{{IDs: []int32{1, 2, 3}, From: 3, States: []int{at}}})) {
			if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("a state after token %d of 3", at)) {
				t.Errorf("error %v", err)
			}
		}
	}
}

// TestStatesCached: with caches of prompts and of answers states are the same up to rounding,
// also where the prompt's keys were saved by another request.
func TestStatesCached(t *testing.T) {
	dir := "testdata/families/gemma2-base"
	plain := load(t, dir, pureGo(t), dtypes.Float32)
	cached, err := logprob.Load(t.Context(), dir, &logprob.Options{Backend: pureGo(t), DType: dtypes.Float32, PromptCache: 1 << 20, AnswerCache: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer cached.Close()
	asked := statesOf(rand.New(rand.NewPCG(9, 1)), 40, plain.MaxTokens(), plain.VocabSize(), true)
	want := states(t, plain, asked...)
	for range 3 {
		for i, r := range states(t, cached, asked...) {
			for k := range r.States {
				if err := within(1e-5, r.States[k], want[i].States[k]); err != nil {
					t.Fatalf("text %d: %v", i, err)
				}
			}
			if err := alike(r, want[i]); err != nil {
				t.Fatalf("text %d: %v", i, err)
			}
		}
	}
}

// TestStatesCompany: where the model says so, short texts have the same states to the bit
// alone and in company.
func TestStatesCompany(t *testing.T) {
	for _, backend := range backends(t) {
		m := load(t, "testdata/families/llama-gqa-tied", backend, dtypes.Float32)
		invariant, err := m.BatchInvariant()
		if err != nil {
			t.Fatal(err)
		}
		if !invariant {
			t.Logf("%s: not promised here", logprob.BackendName(backend))
			continue
		}
		asked := statesOf(rand.New(rand.NewPCG(11, 1)), 60, m.MaxTokens(), m.VocabSize(), false)
		together := states(t, m, asked...)
		for i := range asked {
			alone := states(t, m, asked[i])[0]
			for k := range alone.States {
				if !slices.Equal(alone.States[k], together[i].States[k]) {
					t.Fatalf("text %d: other bits in company", i)
				}
			}
		}
	}
}

// TestLogit: of a state and the rows of the vocabulary head Model.Logit makes logits, which differ as
// the log-probabilities of the tokens after it do.
func TestLogit(t *testing.T) {
	for _, name := range []string{"cohere-norm", "cohere2-hybrid", "falcon_h1-norm", "gemma2-base", "gemma3_text-softcap", "gemma4_text-dense", "granite-factors",
		"granitemoe-factors", "granitemoehybrid-experts", "llama-mha", "gpt2-plain"} {
		t.Run(name, func(t *testing.T) {
			m := load(t, checkpoints+name, pureGo(t), dtypes.Float32)
			ids := []int32{1, 5, 9, 2}
			r := states(t, m, logprob.Request{IDs: ids, From: len(ids), States: []int{len(ids) - 1}, Distribution: true})[0]
			table := "lm_head.weight"
			if m.TiedEmbeddings() {
				table = m.EmbeddingTable()
			}
			logit := func(id int) float64 {
				row, err := m.TensorRow(table, id)
				if err != nil {
					t.Fatal(err)
				}
				sum := 0.0
				for i, w := range row {
					sum += float64(w) * float64(r.States[0][i])
				}
				return m.Logit(sum)
			}
			first := logit(0)
			for id := range m.VocabSize() {
				got, want := logit(id)-first, float64(r.Distribution[id]-r.Distribution[0])
				if !(math.Abs(got-want) <= 5e-5) {
					t.Fatalf("token %d: logits differ by %g from that of token 0, log-probabilities by %g", id, got, want)
				}
			}
		})
	}
}
