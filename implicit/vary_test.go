package implicit_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/implicit/lexicon"
	"github.com/implicitreward/implicitreward/logprob"
)

// endingPolicy is a fake policy that knows the ends of words.
func endingPolicy(seed uint64, size int, prefix string) (*implicit.Policy, *fake) {
	f := &fake{seed: seed, size: size}
	p := f.policy(prefix)
	p.WordEnds = func() []bool { return []bool{true} }
	return p, f
}

// TestVary: every variant's values out of one run are those of a run of its own, and with
// Cached several pairs share what they can.
func TestVary(t *testing.T) {
	corpus, err := lexicon.ReadCorpus(strings.NewReader("category,word\na,love\na,Of the people\nb,abandon*\nb,power\nb,7\nb,tenderness\n"))
	if err != nil {
		t.Fatal(err)
	}
	prompts := []lexicon.Prompt{{Name: "p", Text: "Q? "}, {Name: "q", Text: "Which? "}, {Name: "r", Text: "Who? "}}
	variants := []implicit.Variant{
		{Measure: implicit.MeasurePooled, Forms: lexicon.AllForms()},
		{Measure: implicit.MeasurePooled, Forms: []lexicon.Form{" {}", " {upper}"}},
		{Measure: implicit.MeasureExact, Forms: []lexicon.Form{"{title}", "{}"}},
		{Measure: implicit.MeasureEnded, Forms: lexicon.AllForms()},
		{Measure: implicit.MeasurePaper, Forms: lexicon.AllForms()},
		{Measure: implicit.MeasurePooled, Forms: []lexicon.Form{"the {}"}},
	}
	tuned, tunedFake := endingPolicy(1, 5, "User: ")
	raw, rawFake := endingPolicy(1, 5, "")
	base, baseFake := endingPolicy(2, 4, "")
	if tuned, err = implicit.Cached(tuned, true); err != nil {
		t.Fatal(err)
	}
	if raw, err = implicit.Cached(raw, true); err != nil {
		t.Fatal(err)
	}
	if base, err = implicit.Cached(base, true); err != nil {
		t.Fatal(err)
	}
	last := 0
	values, err := implicit.Vary(t.Context(), implicit.Pair{Tuned: tuned, Base: base}, corpus, prompts, variants, func(done, total int) {
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
		o := &implicit.WordOptions{Forms: variant.Forms, Measures: []implicit.Measure{variant.Measure}}
		for w, err := range implicit.Words(t.Context(), implicit.Pair{Tuned: tuned, Base: base}, corpus, prompts, o) {
			if err != nil {
				t.Fatal(err)
			}
			want := math.NaN()
			if len(w.Scores) > 0 {
				want = w.Scores[0].LogRatio()
				if variant.Measure == implicit.MeasurePaper {
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
	if _, err := implicit.Vary(t.Context(), implicit.Pair{Tuned: raw, Base: base}, corpus, prompts, variants[:1], nil); err != nil {
		t.Fatal(err)
	}
	if rawFake.scored == 0 || baseFake.scored != scored[2] {
		t.Errorf("another pair: %d and %d texts scored, wanted none again of the base model", rawFake.scored, baseFake.scored)
	}

	// A model against itself has values of exactly 0 under every variant.
	same, err := implicit.Vary(t.Context(), implicit.Pair{Tuned: base, Base: base}, corpus, prompts, variants, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range fmt.Sprint(same) {
		if !strings.ContainsRune("[0NaN ]", x) {
			t.Fatalf("a model against itself: %v", same)
		}
	}
}

func TestVaryErrors(t *testing.T) {
	corpus := &lexicon.Corpus{Entries: []lexicon.Entry{{Term: "love"}}}
	prompts := []lexicon.Prompt{{Name: "p", Text: "Q? "}}
	p := (&fake{seed: 1, size: 5}).policy("")
	for _, c := range []struct {
		variant implicit.Variant
		want    string
	}{
		{implicit.Variant{Measure: implicit.MeasurePooled}, "implicit: a variant without forms, wanted at least one"},
		{implicit.Variant{Measure: "vague", Forms: lexicon.AllForms()}, "implicit: measure \"vague\", wanted exact, pooled, ended or paper"},
		{implicit.Variant{Measure: implicit.MeasurePooled, Forms: []lexicon.Form{"word"}}, "lexicon: form \"word\", wanted one of {}, {lower}, {title}, {upper} in it, where the word goes"},
		{implicit.Variant{Measure: implicit.MeasureEnded, Forms: lexicon.AllForms()}, "implicit: words: tuned model: it does not say where words end (Policy.WordEnds, or a tokenizer), wanted for the measure ended"},
	} {
		if got, err := implicit.Vary(t.Context(), implicit.Pair{Tuned: p, Base: p}, corpus, prompts, []implicit.Variant{c.variant}, nil); err == nil || err.Error() != c.want || got != nil {
			t.Errorf("%v, %v, wanted %s", got, err, c.want)
		}
	}
	if got, err := implicit.Vary(t.Context(), implicit.Pair{Tuned: p, Base: p}, corpus, prompts, nil, nil); err != nil || len(got) != 0 {
		t.Errorf("no variants: %v, %v", got, err)
	}
	if _, err := (implicit.WordReward{}).Value(implicit.Variant{Measure: implicit.MeasurePooled}); err == nil {
		t.Error("a value of no forms")
	}
	if x, err := (implicit.WordReward{Forms: []implicit.FormScore{{Text: "love", Forms: []lexicon.Form{"{}"}, TunedIDs: []int32{1}, BaseIDs: []int32{1},
		Tuned: logprob.Result{LogProbs: []float32{-1}}, Base: logprob.Result{LogProbs: []float32{-3}}}}}).Value(implicit.Variant{Measure: implicit.MeasureExact, Forms: []lexicon.Form{"{}"}}); err != nil || x != 2 {
		t.Errorf("value %v, %v, wanted 2", x, err)
	}
}
