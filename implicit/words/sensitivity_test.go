package words_test

import (
	"context"
	"encoding/csv"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/implicit/implicittest"
	"github.com/implicitreward/implicitreward/implicit/lexicon"
	"github.com/implicitreward/implicitreward/implicit/words"
	"github.com/implicitreward/implicitreward/stats"
)

// fakePairs supplies pairs of fakes that count what they score. The base model has no chat
// rendering, and another dtype is another seed.
type fakePairs struct {
	dtypes []string
	tuned  counted
	base   counted
}

var errNoChat = errors.New("base: no chat template")

func (f *fakePairs) pair(_ context.Context, v words.Variant) (implicit.Pair, error) {
	if !slices.Contains(f.dtypes, v.DType) {
		f.dtypes = append(f.dtypes, v.DType)
		seed := uint64(10 * len(f.dtypes))
		f.tuned.Fake, f.base.Fake = &implicittest.Fake{Seed: seed}, &implicittest.Fake{Seed: seed + 1}
	}
	if v.BaseAs == "chat" {
		return implicit.Pair{}, errNoChat
	}
	tuned, base := f.tuned.Raw(), f.base.Raw()
	if v.TunedAs == "chat" {
		tuned = f.tuned.Chat()
	}
	tuned.LM, base.LM = &f.tuned, &f.base
	return implicit.Pair{Tuned: tuned, Base: base}, nil
}

// TestSensitivity: the ranks of every variant are those of a run of its own, and each model
// computes each text once per rendering and dtype.
func TestSensitivity(t *testing.T) {
	corpus, err := lexicon.ReadCorpus(strings.NewReader("category,word\na,love\na,Of the people\na,joy\nb,power\nb,7\nb,tenderness\nb,abandon\n"))
	if err != nil {
		t.Fatal(err)
	}
	prompts := []lexicon.Prompt{{Name: "p", Text: "Q? "}, {Name: "q", Text: "Which? "}}
	fakes := &fakePairs{}
	def := words.Variant{TunedAs: "chat", BaseAs: "raw", Measure: words.Pooled, Forms: lexicon.AllForms()}
	s, err := words.NewSensitivity(fakes.pair, def, words.Dimensions(), [2]string{"f32", "f32"})
	if err != nil {
		t.Fatal(err)
	}
	pair, err := s.Pair(t.Context(), words.Pooled, words.WholeWord)
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range words.Rewards(t.Context(), pair, corpus, prompts, &words.Options{Measures: []words.Measure{words.Pooled, words.WholeWord}}) {
		if err != nil {
			t.Fatal(err)
		}
	}
	scored := [2]int{fakes.tuned.scored, fakes.base.scored}
	var shown []string
	report, err := s.Run(t.Context(), corpus, prompts, func(v words.Variant) func(done, total int) {
		shown = append(shown, v.Name)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(shown, " "); got != "default rendering=raw/raw dtype=bf16" {
		t.Errorf("scored for %s", got)
	}
	if got := strings.Join(fakes.dtypes, " "); got != " bf16" {
		t.Errorf("dtypes %q", got)
	}
	// Once more of the tuned model in raw, and of both in bf16; nothing of the base model twice.
	if scored[0] == 0 || fakes.tuned.scored != 3*scored[0] || fakes.base.scored != 2*scored[1] {
		t.Errorf("%d and %d texts scored, after %v by the default", fakes.tuned.scored, fakes.base.scored, scored)
	}

	alone := &fakePairs{}
	var values [][][]float64
	for _, v := range report.Variants {
		if v.Err != nil {
			if v.Name != "rendering=chat/chat" || !errors.Is(v.Err, errNoChat) {
				t.Errorf("%s: %v", v.Name, v.Err)
			}
			continue
		}
		pair, err := alone.pair(t.Context(), v.Variant)
		if err != nil {
			t.Fatal(err)
		}
		of, err := words.Values(t.Context(), pair, corpus, prompts, []words.Variant{v.Variant}, nil)
		if err != nil {
			t.Fatal(err)
		}
		values = append(values, of[0])
	}
	want, err := stats.Sensitivities(values, [][]int{{0, 1, 2}, {3, 4, 5, 6}})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := report.WriteCSV(&b); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(strings.NewReader(b.String())).ReadAll()
	if err != nil || len(rows) != 1+3*len(want)+1 || len(want) != 10 {
		t.Fatalf("%d rows of %d variants, %v", len(rows), len(want), err)
	}
	for _, v := range report.Variants {
		if v.Err != nil {
			continue
		}
		if !sameRanks(v.All, want[0].All) || !slices.EqualFunc(v.Groups, want[0].Groups, sameRanks) {
			t.Errorf("%s: %v, wanted %v", v.Name, v.Sensitivity, want[0])
		}
		want = want[1:]
	}

	var text strings.Builder
	if err := report.WriteText(&text, "f.csv"); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"Sensitivity, one change at a time from the default, rendering=raw/chat forms=all measure=pooled dtype=f32 (base/tuned); also in f.csv\n",
		"not computed: rendering=chat/chat: base: no chat template\n", "Does the finding survive? ",
	} {
		if !strings.Contains(text.String(), line) {
			t.Errorf("no line %q in\n%s", line, text.String())
		}
	}
}

func sameRanks(a, b stats.RankSummary) bool {
	return a.N == b.N && same(a.MedianRank, b.MedianRank) && same(a.Correlation, b.Correlation) && same(a.Lowest, b.Lowest)
}

func same(x, y float64) bool { return x == y || x != x && y != y }

// TestSensitivityErrors: an error that is not about a rendering ends the analysis.
func TestSensitivityErrors(t *testing.T) {
	corpus := &lexicon.Corpus{Entries: []lexicon.Entry{{Term: "love"}}}
	failing := func(context.Context, words.Variant) (implicit.Pair, error) { return implicit.Pair{}, errNoChat }
	s, err := words.NewSensitivity(failing, words.Variant{TunedAs: "raw", BaseAs: "raw", Measure: words.Pooled, Forms: lexicon.AllForms()}, nil, [2]string{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Pair(t.Context()); !errors.Is(err, errNoChat) {
		t.Errorf("error %v", err)
	}
	_, err = s.Run(t.Context(), corpus, []lexicon.Prompt{{Name: "p", Text: "Q? "}}, nil)
	if want := "words: sensitivity: default: base: no chat template"; err == nil || err.Error() != want {
		t.Errorf("error %v, wanted %s", err, want)
	}
}
