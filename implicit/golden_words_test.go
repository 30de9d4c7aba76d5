package implicit_test

import (
	"context"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/implicit/lexicon"
	"github.com/implicitreward/implicitreward/implicit/words"
	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

// tableScorer is a model that knows one token ahead: the tokens of a table, after one
// prompt.
type tableScorer struct {
	limits
	ids    map[string]int32
	column []float32
}

func (m tableScorer) Run(_ context.Context, requests iter.Seq[logprob.Request]) iter.Seq2[logprob.Result, error] {
	return func(yield func(logprob.Result, error) bool) {
		for text := range requests {
			s := logprob.Result{LogProbs: make([]float32, len(text.IDs)-text.From)}
			if len(s.LogProbs) == 1 {
				s.LogProbs[0] = m.column[text.IDs[text.From]]
			}
			if !yield(s, nil) {
				return
			}
		}
	}
}

// policy makes one token of a text that is one, and two of any other.
func (m tableScorer) policy() *implicit.Policy {
	return &implicit.Policy{LM: m, Encode: func(it implicit.Item) (tokenize.Encoded, error) {
		ids := []int32{-1, -2, -3}
		if id, ok := m.ids[it.Reply]; ok {
			ids = []int32{-1, id}
		}
		return tokenize.Encoded{IDs: ids, Reply: 1}, nil
	}}
}

// TestPaperMeasure holds Words' measure of the paper to fig3_lollipop.csv.
func TestPaperMeasure(t *testing.T) {
	scorer := func(model string) tableScorer {
		tab := readTable(t, model)
		column, ok := tab.Column(prompt)
		if !ok {
			t.Fatalf("%s has no prompt %s", model, prompt)
		}
		m := tableScorer{ids: map[string]int32{}}
		for i, tok := range tab.Tokens {
			if at, ok := m.ids[tok.Text]; ok { // the likelier counts
				m.column[at] = max(m.column[at], column[i])
				continue
			}
			m.ids[tok.Text] = int32(len(m.column))
			m.column = append(m.column, column[i])
		}
		return m
	}
	var forms []lexicon.Form
	for _, v := range expected(t, "fig3_variants_logprobs.csv") {
		for _, f := range lexicon.AllForms() {
			if text := v["token_decoded"]; (f.Of("love") == text || f.Of("freedom") == text) && f != "{}" && f != " {}" && !slices.Contains(forms, f) {
				forms = append(forms, f)
			}
		}
	}
	c := &lexicon.Corpus{Entries: []lexicon.Entry{{Term: "love"}, {Term: "freedom"}}}
	checked := 0
	for _, w := range expected(t, "fig3_lollipop.csv") {
		o := &words.Options{Forms: forms, Measures: []words.Measure{words.Paper}}
		for word, err := range words.Rewards(t.Context(), implicit.Pair{Tuned: scorer(w["llama_model"]).policy(), Base: scorer(w["gemma_model"]).policy()}, c, []lexicon.Prompt{{Name: prompt, Text: "x"}}, o) {
			if err != nil {
				t.Fatal(err)
			}
			var shared []string
			for _, f := range word.Forms {
				if f.Shared() {
					shared = append(shared, f.Text)
				}
			}
			same := 0
			for _, v := range expected(t, "fig3_variants_logprobs.csv") {
				if strings.EqualFold(strings.TrimSpace(v["token_decoded"]), word.Term) {
					same++
					if !slices.Contains(shared, v["token_decoded"]) {
						t.Errorf("%s: %q is not among the forms %q", word.Term, v["token_decoded"], shared)
					}
				}
			}
			if same != len(shared) {
				t.Errorf("%s: forms %q, wanted %d", word.Term, shared, same)
			}
			checked++
			near(t, w["llama_label"]+" "+w["gemma_label"]+" "+word.Term, word.Scores[0].MWLR, w.float(t, word.Term+"_mwlr"), 1e-12)
		}
	}
	if checked != 42 {
		t.Errorf("%d values compared, wanted 21 pairs of two words", checked)
	}
}
