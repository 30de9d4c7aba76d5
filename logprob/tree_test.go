package logprob_test

import (
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"

	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

// each calls test with each checkpoint.
func each(t *testing.T, dirs []string, test func(t *testing.T, dir string)) {
	for _, dir := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) { test(t, dir) })
	}
}

// number is how many texts to try: fewer in -short runs, which the race detector slows down.
func number(n int) int {
	if testing.Short() {
		return n / 5
	}
	return n
}

// randomTexts makes n texts of at most longest tokens with much in common: duplicates,
// empty replies, replies that begin others, texts of one token and of all.
func randomTexts(rng *rand.Rand, n, longest, rows int) []tokenize.Encoded {
	id := func() int32 { return int32(rng.IntN(rows)) }
	texts := []tokenize.Encoded{{IDs: []int32{1}, Reply: 1}, {IDs: []int32{1, id()}, Reply: 2}}
	full := make([]int32, longest)
	for i := range full {
		full[i] = id()
	}
	texts = append(texts, tokenize.Encoded{IDs: full, Reply: 1}, tokenize.Encoded{IDs: full, Reply: longest})
	for len(texts) < n {
		from := texts[rng.IntN(len(texts))]
		if rng.IntN(6) == 0 { // the same, or its reply cut elsewhere
			from.Reply = 1 + rng.IntN(len(from.IDs))
			texts = append(texts, from)
			continue
		}
		ids := slices.Clone(from.IDs[:1+rng.IntN(len(from.IDs))]) // a beginning of it
		for range rng.IntN(10) {
			if len(ids) < longest {
				ids = append(ids, id())
			}
		}
		texts = append(texts, tokenize.Encoded{IDs: ids, Reply: 1 + rng.IntN(len(ids))})
	}
	rng.Shuffle(len(texts), func(i, j int) { texts[i], texts[j] = texts[j], texts[i] })
	return texts
}

// alike compares scores: same lengths, no value further off than 1e-5 nats.
func alike(got, want logprob.Result) error {
	if len(got.LogProbs) != len(want.LogProbs) || got.Greedy != want.Greedy {
		return fmt.Errorf("%d values, greedy %v, wanted %d, %v", len(got.LogProbs), got.Greedy, len(want.LogProbs), want.Greedy)
	}
	return within(1e-5, got.LogProbs, want.LogProbs)
}

func within(nats float64, got, want []float32) error {
	for i, v := range got {
		if !(math.Abs(float64(v-want[i])) <= nats) {
			return fmt.Errorf("value %d is %v, wanted %v", i, v, want[i])
		}
	}
	return nil
}

// TestTreeAlone scores random trees of texts at once and each text in a call of its own,
// in float32, with texts beyond every window (8 and 9 tokens in these checkpoints) and up
// to the last of the learned positions (44 and 80): what texts share must not matter, nor
// their order, nor where the calls to the device part.
func TestTreeAlone(t *testing.T) {
	backend := pureGo(t)
	dirs := oneEach(t)
	for _, path := range references(t) {
		if dir := filepath.Dir(path); strings.Contains(dir, "window") || filepath.Base(dir) == "gemma3-inner" {
			dirs = append(dirs, dir)
		}
	}
	slices.Sort(dirs)
	each(t, slices.Compact(dirs), func(t *testing.T, dir string) {
		m := load(t, dir, backend, dtypes.Float32)
		rng := rand.New(rand.NewPCG(1, uint64(len(dir))))
		texts := randomTexts(rng, number(40), min(m.MaxTokens(), 80), m.VocabSize())
		var alone []logprob.Result
		for _, text := range texts {
			alone = append(alone, scores(t, m, text)...)
		}
		for _, window := range []int{1 << 16, 150} {
			m.SetWindow(window)
			for i, s := range scores(t, m, texts...) {
				if err := alike(s, alone[i]); err != nil {
					t.Fatalf("windows of %d: text %d, %v: %v", window, i, texts[i], err)
				}
			}
		}
		m.SetWindow(1 << 16)
		order := rng.Perm(len(texts))
		var other []tokenize.Encoded
		for _, i := range order {
			other = append(other, texts[i])
		}
		for k, s := range scores(t, m, other...) {
			if err := alike(s, alone[order[k]]); err != nil {
				t.Fatalf("in another order: text %v: %v", other[k], err)
			}
		}

		// Rows, with the same sharing. A row is what one state says of all tokens, and a few
		// states magnify rounding: after [1 92], gemma3-inner, transformers' own float32 is
		// 3.5e-6 from its float64. XLA takes few states and many through the same products;
		// the pure-Go backend through different ones, which there part by 1.1e-5.
		few := texts[:number(12)]
		for i, backend := range backends(t) {
			m, nats := m, 2e-5
			if i > 0 {
				if filepath.Base(dir) != "gemma3-inner" {
					continue // compiling takes two seconds a checkpoint
				}
				m, nats = load(t, dir, backend, dtypes.Float32), 1e-5
			}
			for i, row := range rows(t, m, few...) {
				if err := within(nats, row, rows(t, m, few[i])[0]); err != nil {
					t.Fatalf("%s: the row after text %v: %v", logprob.BackendName(backend), few[i], err)
				}
			}
		}
	})
}

// exactly makes texts whose beginnings, without each text's last token, are n different
// ones: as many hidden states as a tree of them needs.
func exactly(rng *rand.Rand, n, longest, rows int) []tokenize.Encoded {
	seen := map[string]bool{}
	count := func(ids []int32, add bool) int { // beginnings that are new
		fresh := 0
		for k := 1; k < len(ids); k++ {
			if key := fmt.Sprint(ids[:k]); !seen[key] {
				fresh++
				if add {
					seen[key] = true
				}
			}
		}
		return fresh
	}
	texts := []tokenize.Encoded{{IDs: []int32{2, 3, 4}, Reply: 1}}
	count(texts[0].IDs, true)
	for len(seen) < n {
		from := texts[rng.IntN(len(texts))]
		ids := slices.Clone(from.IDs[:1+rng.IntN(len(from.IDs))])
		for range 1 + rng.IntN(10) {
			if len(ids) < longest {
				ids = append(ids, int32(rng.IntN(rows)))
			}
		}
		if over := count(ids, false) - (n - len(seen)); over > 0 {
			ids = ids[:len(ids)-over] // the new ones are its last
		}
		if len(ids) > 1 {
			count(ids, true)
			texts = append(texts, tokenize.Encoded{IDs: ids, Reply: 1 + rng.IntN(len(ids))})
		}
	}
	return texts
}

// TestTreeFull scores trees that just fill a batch of 256 states or a pass of 4,096, or
// have one or two more or less, and a sample of their texts alone.
func TestTreeFull(t *testing.T) {
	sizes := []int{255, 256, 257, 258, 512, 513, 4095, 4096, 4097, 4098}
	if testing.Short() {
		sizes = []int{256, 257}
	}
	for _, name := range []string{"llama-mha", "gemma2-base", "gpt2-plain", "mistral-window"} {
		m := load(t, "testdata/families/"+name, pureGo(t), dtypes.Float32)
		for _, n := range sizes {
			if n > 600 && name != "llama-mha" && name != "gemma2-base" {
				continue
			}
			rng := rand.New(rand.NewPCG(2, uint64(n)))
			texts := exactly(rng, n, 70, m.VocabSize())
			together := scores(t, m, texts...)
			for k := range 12 {
				i := len(texts) - 1 // the last made the tree full
				if k > 0 {
					i = rng.IntN(len(texts))
				}
				if err := alike(together[i], scores(t, m, texts[i])[0]); err != nil {
					t.Fatalf("%s: %d states: text %d of %d, %v: %v", name, n, i, len(texts), texts[i], err)
				}
			}
		}
	}
}

// asking asks for the replies of texts and, after each, for a set of tokens.
func asking(set []bool, texts ...tokenize.Encoded) iter.Seq[logprob.Request] {
	return func(yield func(logprob.Request) bool) {
		for _, t := range texts {
			r := logprob.RequestOf(t)
			if r.Within = set; !yield(r) {
				return
			}
		}
	}
}

// ended scores texts and a set of tokens after each.
func ended(t *testing.T, m *logprob.Model, ends []bool, texts ...tokenize.Encoded) []logprob.Result {
	t.Helper()
	var all []logprob.Result
	for s, err := range m.Run(t.Context(), asking(ends, texts...)) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	if len(all) != len(texts) {
		t.Fatalf("%d scores of %d texts", len(all), len(texts))
	}
	return all
}

// TestTreeWithin compares Result.Within with the log-sum-exp of the row after the text, by Next,
// for random sets of tokens, none and all, and LogProb with Score's.
func TestTreeWithin(t *testing.T) {
	backend := pureGo(t)
	var dirs []string
	for _, name := range kinds {
		dirs = append(dirs, checkpoints+name)
	}
	each(t, dirs, func(t *testing.T, dir string) {
		m := load(t, dir, backend, dtypes.Float32)
		rng := rand.New(rand.NewPCG(3, uint64(len(dir))))
		texts := randomTexts(rng, number(24), min(m.MaxTokens(), 80), m.VocabSize())
		plain, after := scores(t, m, texts...), rows(t, m, texts...)
		none, every, some, few := make([]bool, m.VocabSize()), make([]bool, m.VocabSize()), make([]bool, m.VocabSize()), make([]bool, m.VocabSize()/2)
		for i := range every {
			every[i], some[i] = true, rng.IntN(3) == 0
		}
		few[rng.IntN(len(few))] = true // and no ids beyond the half
		sets := map[string][]bool{"none": none, "every": every, "some": some, "one, of half as many": few, "no ids": {}}
		if testing.Short() {
			sets = map[string][]bool{"some": some, "one, of half as many": few}
		}
		for name, ends := range sets {
			for i, s := range ended(t, m, ends, texts...) {
				if err := alike(logprob.Result{LogProbs: s.LogProbs, Greedy: s.Greedy}, plain[i]); err != nil {
					t.Fatalf("%s: text %v: %v", name, texts[i], err)
				}
				sum := 0.0
				for id, on := range ends {
					if on {
						sum += math.Exp(float64(after[i][id]))
					}
				}
				want := math.Log(sum)
				if got := float64(s.Within); got != want && !(math.Abs(got-want) <= 1e-5) {
					t.Fatalf("%s: after text %v the end is %v, wanted %v", name, texts[i], got, want)
				}
			}
		}
		// Alone, an empty reply among them: it too has an end.
		for i, text := range texts[:number(12)] {
			text.Reply = len(text.IDs)
			s := ended(t, m, some, text)[0]
			want := ended(t, m, some, texts[i])[0]
			if len(s.LogProbs) != 0 || !(math.Abs(float64(s.Within-want.Within)) <= 1e-5) {
				t.Fatalf("the empty reply of %v: %v, wanted the end %v", text, s, want.Within)
			}
		}
		for _, err := range m.Run(t.Context(), asking(make([]bool, m.VocabSize()+1), texts...)) {
			if want := fmt.Sprintf("logprob: %s: text 0: a set of %d tokens, wanted at most %d, one for each row of the vocabulary", dir, m.VocabSize()+1, m.VocabSize()); err == nil || err.Error() != want {
				t.Errorf("error %v, wanted %s", err, want)
			}
		}
	})
}
