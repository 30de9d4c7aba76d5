package words

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/implicit/lexicon"
	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

// toy is a model over a vocabulary small enough to enumerate: the probabilities of the next
// token are random, some of them 0, and depend on the seed and the last two tokens. Its
// tokenizer takes the longest token that fits; the last token of the vocabulary ends texts.
type toy struct {
	seed  uint64
	vocab []string
	merge map[string]string // a spelling that the tokenizer takes for another
	spoil float64           // added to every ln p
}

func (m *toy) next(ids []int32) []float64 {
	var last [2]uint64
	for i, id := range ids[max(0, len(ids)-2):] {
		last[i] = uint64(id) + 1
	}
	rng := rand.New(rand.NewPCG(m.seed, last[0]<<32|last[1]))
	p := make([]float64, len(m.vocab))
	sum := 0.0
	for i := range p {
		if rng.IntN(8) > 0 {
			p[i] = rng.ExpFloat64()
		}
		sum += p[i]
	}
	for i := range p {
		p[i] /= sum
	}
	return p
}

func (m *toy) encode(s string) (ids []int32, spans [][2]int) {
	if to, ok := m.merge[s]; ok {
		s = to
	}
	for at := 0; at < len(s); {
		best := -1
		for i, v := range m.vocab {
			if strings.HasPrefix(s[at:], v) && (best < 0 || len(v) > len(m.vocab[best])) {
				best = i
			}
		}
		if best < 0 {
			return nil, nil
		}
		ids, spans = append(ids, int32(best)), append(spans, [2]int{at, at + len(m.vocab[best])})
		at += len(m.vocab[best])
	}
	return ids, spans
}

func (m *toy) Tokenizer() *tokenize.Tokenizer { return nil }
func (m *toy) VocabSize() int                 { return len(m.vocab) }
func (m *toy) MaxTokens() int                 { return math.MaxInt }

func (m *toy) Run(_ context.Context, requests iter.Seq[logprob.Request]) iter.Seq2[logprob.Result, error] {
	return func(yield func(logprob.Result, error) bool) {
		for r := range requests {
			var s logprob.Result
			for i := r.From; i < len(r.IDs); i++ {
				s.LogProbs = append(s.LogProbs, float32(math.Log(m.next(r.IDs[:i])[r.IDs[i]])+m.spoil))
			}
			if r.Within != nil {
				sum := 0.0
				for v, p := range m.next(r.IDs) {
					if r.Within[v] {
						sum += p
					}
				}
				s.Within = float32(math.Log(sum))
			}
			if !yield(s, nil) {
				return
			}
		}
	}
}

func (m *toy) ends() []bool {
	var ends []bool
	for i, v := range m.vocab {
		ends = append(ends, i == len(m.vocab)-1 || IsBoundary([]byte(v)))
	}
	return ends
}

// policy encodes prompt and reply together; a token may straddle the two.
func (m *toy) policy() *implicit.Policy {
	return &implicit.Policy{LM: m, WordBoundaries: m.ends, Encode: func(it implicit.Item) (tokenize.Encoded, error) {
		prompt, reply := it.Prompt, it.Reply
		if to, ok := m.merge[reply]; ok {
			reply = to
		}
		t := tokenize.Encoded{Rendered: prompt + reply, Start: len(prompt)}
		if t.IDs, t.Spans = m.encode(t.Rendered); t.IDs == nil {
			return t, errors.New("toy: no token")
		}
		for t.Reply < len(t.IDs) && t.Spans[t.Reply][1] <= t.Start {
			t.Reply++
		}
		t.Straddle = t.Reply < len(t.IDs) && t.Spans[t.Reply][0] < t.Start
		return t, nil
	}}
}

// truth enumerates every continuation of the prompt's tokens of depth tokens and adds up
// the probabilities of those that begin with one of the sequences and, with ends, go on
// with a token that ends the word.
func (m *toy) truth(prompt []int32, depth int, sequences [][]int32, ends []bool) float64 {
	total := 0.0
	var walk func(ids []int32, p float64)
	walk = func(ids []int32, p float64) {
		reply := ids[len(prompt):]
		for _, s := range sequences {
			is := len(reply) >= len(s) && slices.Equal(reply[:len(s)], s)
			if is && (ends == nil || len(reply) > len(s) && ends[reply[len(s)]]) {
				total += p
				return
			}
		}
		if len(reply) == depth || p == 0 {
			return
		}
		for v, q := range m.next(ids) {
			walk(append(slices.Clone(ids), int32(v)), p*q)
		}
	}
	walk(slices.Clone(prompt), 1)
	return total
}

func toys(seed uint64) (tuned, base *toy) {
	return &toy{seed: seed, vocab: []string{"?", "l", "o", "lo", " ", " lo", "L", "O", "s", ".", "<end>"}},
		&toy{seed: seed + 100, vocab: []string{"l", "o", "L", "O", "?", " ", " l", "s", ".", "Lo", "<end>"}}
}

// TestMeasures compares pooled and ended with the enumeration of all continuations, for
// models with different tokens, forms that are prefixes of others, forms with the same
// tokens, and prompts whose end merges with a form's first token.
func TestMeasures(t *testing.T) {
	lists := [][]lexicon.Form{
		lexicon.AllForms(), {"{}"}, {" {upper}", "{title}"},
		{"{}", "{}s", "{}.", "{} lo", "{}ss"}, // prefixes of others, with and without a word end between
		{"{}.", "{}", "{title}"},
	}
	corpus := &lexicon.Corpus{Entries: []lexicon.Entry{{Term: "lo"}, {Term: "l"}, {Term: "o"}, {Term: "oO"}, {Term: "lo lo"}, {Term: " "}}}
	for seed := range uint64(6) {
		tuned, base := toys(seed)
		if seed == 1 {
			tuned.merge = map[string]string{"LO": "Lo", " LO": "Lo"} // forms with the same tokens
		}
		for k, forms := range lists {
			for _, prompt := range []string{"?", "? "} {
				name := fmt.Sprintf("seed %d, list %d, prompt %q", seed, k, prompt)
				o := &Options{Forms: forms, Measures: Measures()}
				for w, err := range Rewards(t.Context(), implicit.Pair{Tuned: tuned.policy(), Base: base.policy()}, corpus, []lexicon.Prompt{{Name: "p", Text: prompt}}, o) {
					if err != nil {
						t.Fatalf("%s: %v", name, err)
					}
					checkMeasured(t, name, w, [2]*toy{tuned, base}, prompt)
				}
			}
		}
	}
}

// checkMeasured compares a word's scores with what they should be.
func checkMeasured(t *testing.T, name string, w Word, models [2]*toy, prompt string) {
	t.Helper()
	near := func(what string, ln, p float64) {
		if math.Abs(math.Exp(ln)-p) > 1e-6 || ln > 0 {
			t.Errorf("%s: %q: %s: exp(%v) = %v, enumerated %v", name, w.Term, what, ln, math.Exp(ln), p)
		}
	}
	exact, paper := 0, 0.0
	for _, s := range w.Scores {
		switch s.Measure {
		case Exact:
			f := w.Forms[exact]
			exact++
			if s.Text != f.Text || s.Tuned != f.Tuned.Sum() || s.Base != f.Base.Sum() || s.Forms != 1 || s.Tokens != len(f.TunedIDs) {
				t.Errorf("%s: %q: exact %+v of %+v", name, w.Term, s, f)
			}
		case Pooled, WholeWord:
			for i, m := range models {
				got := []float64{s.Tuned, s.Base}[i]
				var ends []bool
				if s.Measure == WholeWord {
					ends = m.ends()
				}
				var sequences [][]int32
				var context []int32
				depth := 0
				for _, f := range w.Forms {
					text, _ := models[i].policy().Encode(implicit.Item{Prompt: prompt, Reply: f.Text})
					if prompt == "?" || summed(w, f) {
						sequences = append(sequences, text.IDs[text.Reply:])
						context = text.IDs[:text.Reply]
						depth = max(depth, len(sequences[len(sequences)-1])+1)
					}
				}
				if s.Forms != len(sequences) {
					t.Errorf("%s: %q: %d forms, wanted %d", name, w.Term, s.Forms, len(sequences))
				}
				if depth <= 5 {
					near(fmt.Sprint(s.Measure, " of model ", i), got, m.truth(context, depth, sequences, ends))
				}
			}
			if want := implicit.MWLR(s.Tuned, s.Base); s.MWLR != want {
				t.Errorf("%s: %q: MWLR %v, wanted %v", name, w.Term, s.MWLR, want)
			}
		case Paper:
			n := 0.0
			for _, f := range w.Forms {
				if len(f.TunedIDs) == 1 && len(f.BaseIDs) == 1 && !slices.Contains(f.Flags, implicit.FlagTunedStraddle) && !slices.Contains(f.Flags, implicit.FlagBaseStraddle) {
					paper += implicit.MWLR(f.Tuned.Sum(), f.Base.Sum())
					n++
				}
			}
			if paper /= n; s.MWLR != paper || float64(s.Forms) != n {
				t.Errorf("%s: %q: paper %v of %d forms, wanted %v of %v", name, w.Term, s.MWLR, s.Forms, paper, n)
			}
		}
	}
	if exact != len(w.Forms) {
		t.Errorf("%s: %q: %d exact scores of %d forms", name, w.Term, exact, len(w.Forms))
	}
}

// summed reports whether a form continues the same tokens as most of the word's forms, in
// both models.
func summed(w Word, f FormScore) bool {
	for i := range 2 {
		count := map[int]int{}
		for _, g := range w.Forms {
			count[g.context[i]]++
		}
		most := w.Forms[0].context[i]
		for _, g := range w.Forms {
			if count[g.context[i]] > count[most] {
				most = g.context[i]
			}
		}
		if f.context[i] != most {
			return false
		}
	}
	return true
}

// TestDisjoint: pooled, words of which none is a prefix of another sum to at most 1; with
// the end of the word so do words without spaces, even if some are prefixes of others.
func TestDisjoint(t *testing.T) {
	for seed := range uint64(20) {
		tuned, base := toys(seed)
		for _, test := range []struct {
			measure Measure
			words   []string
		}{
			{Pooled, []string{"l", "o", "s", "."}},
			{WholeWord, []string{"l", "o", "s", "lo", "ol", "ll", "oo", "los", "lol", "sol", "so", "ss", "os", "ls"}},
		} {
			c := &lexicon.Corpus{}
			for _, w := range test.words {
				c.Entries = append(c.Entries, lexicon.Entry{Term: w})
			}
			sum := [2]float64{}
			for w, err := range Rewards(t.Context(), implicit.Pair{Tuned: tuned.policy(), Base: base.policy()}, c, []lexicon.Prompt{{Name: "p", Text: "?"}}, &Options{Measures: []Measure{test.measure}}) {
				if err != nil {
					t.Fatal(err)
				}
				sum[0] += math.Exp(w.Scores[0].Tuned)
				sum[1] += math.Exp(w.Scores[0].Base)
			}
			if sum[0] > 1+1e-6 || sum[1] > 1+1e-6 || sum[0] < 0.05 {
				t.Errorf("seed %d: %s: probabilities sum to %v", seed, test.measure, sum)
			}
		}
	}
}

// TestImpossible: a sum that is no probability is an error that ends the work; rounding is
// not.
func TestImpossible(t *testing.T) {
	tuned, base := toys(3)
	c := &lexicon.Corpus{Entries: []lexicon.Entry{{Term: "l"}, {Term: "o"}}}
	for spoil, want := range map[float64]string{0: "", 5: "sum to"} {
		tuned.spoil = spoil
		var last error
		n := 0
		for _, err := range Rewards(t.Context(), implicit.Pair{Tuned: tuned.policy(), Base: base.policy()}, c, []lexicon.Prompt{{Name: "p", Text: "?"}}, nil) {
			n, last = n+1, err
		}
		if want == "" && (last != nil || n != 2) || want != "" && (last == nil || n != 1) {
			t.Errorf("spoilt by %v: %d words, error %v", spoil, n, last)
		}
		if want != "" && !strings.Contains(last.Error(), want) {
			t.Errorf("error %v", last)
		}
	}
	w := Word{Forms: []FormScore{{TunedIDs: []int32{1}, BaseIDs: []int32{1}, Tuned: logprob.Result{LogProbs: []float32{1e-6}}, Base: logprob.Result{LogProbs: []float32{-1}}}}}
	s, err := w.Measure(Pooled)
	if err != nil || s[0].Tuned != 0 {
		t.Errorf("%v, %v, wanted ln 1 for what rounding has put above it", s, err)
	}
}

// TestInfinite: probability 0 in all forms, in one model or in both.
func TestInfinite(t *testing.T) {
	inf := float32(math.Inf(-1))
	form := func(text string, id int32, p, q float32) FormScore {
		return FormScore{Text: text, TunedIDs: []int32{id}, BaseIDs: []int32{id}, Tuned: logprob.Result{LogProbs: []float32{p}}, Base: logprob.Result{LogProbs: []float32{q}}}
	}
	plus, minus := math.Inf(1), math.Inf(-1)
	for _, test := range []struct {
		forms       []FormScore
		measure     Measure
		ratio, mwlr float64
		none        bool
	}{
		{[]FormScore{form("a", 1, inf, inf), form("b", 2, inf, inf)}, Pooled, 0, 0, false},
		{[]FormScore{form("a", 1, inf, inf), form("b", 2, -1, inf)}, Pooled, plus, plus, false},
		{[]FormScore{form("a", 1, inf, -1), form("b", 2, inf, -2)}, Pooled, minus, minus, false},
		{[]FormScore{form("a", 1, inf, -1), form("b", 2, -1, inf)}, Pooled, 0, 0, false},
		{[]FormScore{form("a", 1, inf, -1), form("b", 2, inf, inf)}, Paper, 0, minus, false},
		{[]FormScore{form("a", 1, inf, -1), form("b", 2, -1, inf)}, Paper, 0, 0, true},
		{nil, Exact, 0, 0, true},
		{nil, Pooled, 0, 0, true},
	} {
		s, err := Word{Forms: test.forms}.Measure(test.measure)
		if test.none {
			if !errors.As(err, new(*noValue)) {
				t.Errorf("%+v: %+v, %v, wanted no value", test, s, err)
			}
		} else if err != nil || s[0].LogRatio() != test.ratio || s[0].MWLR != test.mwlr {
			t.Errorf("%+v: %+v, %v", test, s, err)
		}
	}
}

func TestParseMeasures(t *testing.T) {
	if got, err := ParseMeasures("ended,exact"); err != nil || !slices.Equal(got, []Measure{WholeWord, Exact}) {
		t.Errorf("%v, %v", got, err)
	}
	for list, want := range map[string]string{
		"":              `words: measure "", wanted exact, pooled, ended or paper`,
		"mean":          `words: measure "mean", wanted exact, pooled, ended or paper`,
		"exact,":        `words: measure "", wanted`,
		"paper,paper":   `words: measure "paper" stands twice, wanted each once`,
		"exact, pooled": `words: measure " pooled", wanted`,
	} {
		if _, err := ParseMeasures(list); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: error %v, wanted %q", list, err, want)
		}
	}
}
