package words_test

import (
	"context"
	"fmt"
	"iter"
	"math"
	"strings"
	"testing"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/implicit/implicittest"
	"github.com/implicitreward/implicitreward/implicit/lexicon"
	"github.com/implicitreward/implicitreward/implicit/words"
	"github.com/implicitreward/implicitreward/logprob"
)

// counted is a fake that counts the texts that it scores.
type counted struct {
	*implicittest.Fake
	scored int
}

func (c *counted) Run(ctx context.Context, requests iter.Seq[logprob.Request]) iter.Seq2[logprob.Result, error] {
	return func(yield func(logprob.Result, error) bool) {
		for r, err := range c.Fake.Run(ctx, requests) {
			if c.scored++; !yield(r, err) {
				return
			}
		}
	}
}

// cachedPolicy is a policy over a counted fake that computes each text once, with the end
// of its last word.
func cachedPolicy(p *implicit.Policy) (*implicit.Policy, *counted) {
	c := &counted{Fake: p.LM.(*implicittest.Fake)}
	q := *p
	q.LM = c
	return implicit.Cached(&q, p.WordBoundaries()), c
}

// TestValues: every variant's values out of one run are those of a run of its own, and with
// Cached several pairs share what they can.
func TestValues(t *testing.T) {
	corpus, err := lexicon.ReadCorpus(strings.NewReader("category,word\na,love\na,Of the people\nb,abandon*\nb,power\nb,7\nb,tenderness\n"))
	if err != nil {
		t.Fatal(err)
	}
	prompts := []lexicon.Prompt{{Name: "p", Text: "Q? "}, {Name: "q", Text: "Which? "}, {Name: "r", Text: "Who? "}}
	variants := []words.Variant{
		{Measure: words.Pooled, Forms: lexicon.AllForms()},
		{Measure: words.Pooled, Forms: []lexicon.Form{" {}", " {upper}"}},
		{Measure: words.Exact, Forms: []lexicon.Form{"{title}", "{}"}},
		{Measure: words.WholeWord, Forms: lexicon.AllForms()},
		{Measure: words.Paper, Forms: lexicon.AllForms()},
		{Measure: words.Pooled, Forms: []lexicon.Form{"the {}"}},
	}
	tuned, tunedFake := cachedPolicy((&implicittest.Fake{Seed: 1}).Chat())
	raw, rawFake := cachedPolicy((&implicittest.Fake{Seed: 1}).Raw())
	base, baseFake := cachedPolicy((&implicittest.Fake{Seed: 2, Pairs: true}).Raw())
	last := 0
	values, err := words.Values(t.Context(), implicit.Pair{Tuned: tuned, Base: base}, corpus, prompts, variants, func(done, total int) {
		if done != last+1 || done > total {
			t.Fatalf("%d of %d done after %d", done, total, last)
		}
		last = done
	})
	if err != nil || len(values) != len(variants) {
		t.Fatalf("%d variants, %v", len(values), err)
	}
	scored := [3]int{tunedFake.scored, rawFake.scored, baseFake.scored}
	if scored[0] == 0 || scored[0] != scored[2] || last < scored[0] {
		t.Errorf("%v texts scored, %d replies told of", scored, last)
	}
	none := 0
	for v, variant := range variants {
		i := 0
		o := &words.Options{Forms: variant.Forms, Measures: []words.Measure{variant.Measure}}
		for w, err := range words.Rewards(t.Context(), implicit.Pair{Tuned: tuned, Base: base}, corpus, prompts, o) {
			if err != nil {
				t.Fatal(err)
			}
			want := math.NaN()
			if len(w.Scores) > 0 {
				want = w.Scores[0].LogRatio()
				if variant.Measure == words.Paper {
					want = w.Scores[0].MWLR
				}
			} else {
				none++
			}
			if got := values[v][i/6][i%6]; got != want && !(math.IsNaN(got) && math.IsNaN(want)) {
				t.Errorf("variant %d, word %q after %s: %v, wanted %v", v, w.Term, w.PromptName, got, want)
			}
			i++
		}
		if i != 18 {
			t.Fatalf("%d words", i)
		}
	}
	if none <= 3*len(variants) {
		t.Errorf("%d words without a value: besides the wildcard, wanted some for the paper's measure", none)
	}
	if now := [3]int{tunedFake.scored, rawFake.scored, baseFake.scored}; now != scored {
		t.Errorf("%v texts scored at the end, wanted %v as before", now, scored)
	}
	if _, err := words.Values(t.Context(), implicit.Pair{Tuned: raw, Base: base}, corpus, prompts, variants[:1], nil); err != nil {
		t.Fatal(err)
	}
	if rawFake.scored == 0 || baseFake.scored != scored[2] {
		t.Errorf("another pair: %d and %d texts scored, wanted none again of the base model", rawFake.scored, baseFake.scored)
	}

	// A model against itself has values of exactly 0 under every variant.
	same, err := words.Values(t.Context(), implicit.Pair{Tuned: base, Base: base}, corpus, prompts, variants, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range fmt.Sprint(same) {
		if !strings.ContainsRune("[0NaN ]", x) {
			t.Fatalf("a model against itself: %v", same)
		}
	}
}

func TestValuesErrors(t *testing.T) {
	corpus := &lexicon.Corpus{Entries: []lexicon.Entry{{Term: "love"}}}
	prompts := []lexicon.Prompt{{Name: "p", Text: "Q? "}}
	p := (&implicittest.Fake{Seed: 1}).Raw()
	p.WordBoundaries = nil
	for _, c := range []struct {
		variant words.Variant
		want    string
	}{
		{words.Variant{Measure: words.Pooled}, "words: a variant without forms, wanted at least one"},
		{words.Variant{Measure: "vague", Forms: lexicon.AllForms()}, "words: measure \"vague\", wanted exact, pooled, ended or paper"},
		{words.Variant{Measure: words.Pooled, Forms: []lexicon.Form{"word"}}, "lexicon: form \"word\", wanted one of {}, {lower}, {title}, {upper} in it, where the word goes"},
		{words.Variant{Measure: words.WholeWord, Forms: lexicon.AllForms()}, "words: tuned model: it does not say where words end (Policy.WordBoundaries, or a tokenizer), wanted for the measure ended"},
	} {
		if got, err := words.Values(t.Context(), implicit.Pair{Tuned: p, Base: p}, corpus, prompts, []words.Variant{c.variant}, nil); err == nil || err.Error() != c.want || got != nil {
			t.Errorf("%v, %v, wanted %s", got, err, c.want)
		}
	}
	if got, err := words.Values(t.Context(), implicit.Pair{Tuned: p, Base: p}, corpus, prompts, nil, nil); err != nil || len(got) != 0 {
		t.Errorf("no variants: %v, %v", got, err)
	}
	if _, err := (words.Word{}).Value(words.Variant{Measure: words.Pooled}); err == nil {
		t.Error("a value of no forms")
	}
	if x, err := (words.Word{Forms: []words.FormScore{{Text: "love", Forms: []lexicon.Form{"{}"}, TunedIDs: []int32{1}, BaseIDs: []int32{1},
		Tuned: logprob.Result{LogProbs: []float32{-1}}, Base: logprob.Result{LogProbs: []float32{-3}}}}}).Value(words.Variant{Measure: words.Exact, Forms: []lexicon.Form{"{}"}}); err != nil || x != 2 {
		t.Errorf("value %v, %v, wanted 2", x, err)
	}
}
