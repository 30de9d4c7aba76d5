package words

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/implicit/lexicon"
	"github.com/implicitreward/implicitreward/logprob"
)

// TestWords: every entry after every prompt in order, what cannot be scored in its place
// with its reason, duplicates, and progress.
func TestWords(t *testing.T) {
	tuned, base := toys(11)
	c, err := lexicon.ReadCorpus(strings.NewReader("DicTerm,A,B\nlo,X,\nso*,X,\nzz,X,\nlo,,X\n\"\",X,\nO,X,X\n"))
	if err != nil {
		t.Fatal(err)
	}
	prompts := []lexicon.Prompt{{Name: "p", Text: "?"}, {Name: "q", Text: "s?"}}
	type told struct{ done, total int }
	var last told
	o := &Options{Measures: []Measure{Paper, Pooled}, Progress: func(done, total int) {
		if done != last.done+1 {
			t.Errorf("progress %d after %d", done, last.done)
		}
		last = told{done, total}
	}}
	var all []Word
	cover := &Coverage{}
	var reasons []string
	for w, err := range Rewards(t.Context(), implicit.Pair{Tuned: tuned.policy(), Base: base.policy()}, c, prompts, o) {
		if want := prompts[len(all)/6].Name; w.PromptName != want || w.Index != len(all)%6 || w.Term != c.Entries[w.Index].Term {
			t.Fatalf("result %d is %q (%d) after %s", len(all), w.Term, w.Index, w.PromptName)
		}
		if err != nil {
			t.Fatal(err)
		}
		if w.Err != nil {
			var item *implicit.ItemError
			if !errors.As(w.Err, &item) || item.Item.PromptName != w.PromptName || len(w.Scores) > 0 {
				t.Fatalf("%q: %v, scores %v", w.Term, w.Err, w.Scores)
			}
			reasons = append(reasons, w.Err.Error())
		}
		cover.Add(w)
		all = append(all, w)
	}
	forms := 6 + 6 + 6 + 1 + 4 // lo, zz, lo, "", O
	if len(all) != 12 || last != (told{2 * forms, 2 * forms}) {
		t.Errorf("%d results, told %v, wanted 12 and %d", len(all), last, 2*forms)
	}
	wanted := []string{
		`implicit: reply "so*" to p: a wildcard, wanted a word: expand it with a list of words`,
		`implicit: reply "zz" to p: tuned model: toy: no token`,
		`implicit: reply "" to p: empty, wanted text`,
	}
	if len(reasons) != 6 || !slices.Equal(reasons[:3], wanted) {
		t.Errorf("refused: %q, wanted %q", reasons, wanted)
	}
	if a, b := all[0].Scores, all[3].Scores; !slices.EqualFunc(a, b, func(x, y Score) bool { return x.LogRatio() == y.LogRatio() && x.Rank == y.Rank }) {
		t.Errorf("a word that stands twice is scored %+v and %+v", a, b)
	}
	// "lo" has no form of one token in both: the paper has none of it, and ranks "O" alone.
	if s := all[0].Scores; len(s) != 1 || s[0].Measure != Pooled || s[0].Forms != 6 || s[0].Text != "" {
		t.Errorf("lo: %+v", s)
	}
	if s := all[5].Scores; len(s) != 2 || s[0].Measure != Paper || s[0].Rank != 1 || s[0].Forms != 2 || s[0].Text != "" {
		t.Errorf("O: %+v", s)
	}
	var table strings.Builder
	if err := cover.WriteCSV(&table); err != nil {
		t.Fatal(err)
	}
	const want = `entry,wildcard,category,status,reason,prompts,forms,refused_forms,one_token_tuned,one_token_base,one_token_both,several_tokens,pooled
lo,,A,scored,,2,6,0,2,1,0,6,6
so*,,A,refused,"a wildcard, wanted a word: expand it with a list of words",0,0,0,0,0,0,0,0
zz,,A,refused,tuned model: toy: no token,0,0,0,0,0,0,0,0
lo,,B,scored,,2,6,0,2,1,0,6,6
,,A,refused,"empty, wanted text",0,0,0,0,0,0,0,0
O,,A;B,scored,,2,4,0,2,2,2,2,4
`
	if table.String() != want {
		t.Errorf("coverage\n%s\nwanted\n%s", table.String(), want)
	}
	rows := all[5].Records(0.5)
	if len(rows) != 2 || rows[1].Reward != 0.5*all[5].Scores[1].LogRatio() || rows[1].Measure != "pooled" || rows[1].Category != "A;B" || rows[1].Forms != 4 || rows[1].NTokens != 1 {
		t.Errorf("rows %+v", rows)
	}
}

// short is a toy with a context.
type short struct {
	*toy
	context int
}

func (s short) MaxTokens() int { return s.context }

// TestWordsPartly: forms and prompts that are too long leave the others.
func TestWordsPartly(t *testing.T) {
	tuned, base := toys(5)
	p := tuned.policy()
	p.LM = short{tuned, 4}
	c := &lexicon.Corpus{Entries: []lexicon.Entry{{Term: "lo"}, {Term: "lololo"}}}
	cover := &Coverage{}
	for w, err := range Rewards(t.Context(), implicit.Pair{Tuned: p, Base: base.policy()}, c, []lexicon.Prompt{{Name: "p", Text: "?"}, {Name: "q", Text: "???"}, {Name: "r", Text: "????"}}, &Options{Forms: []lexicon.Form{"{}", "{upper}"}}) {
		cover.Add(w)
		if w.Index == 0 && w.PromptName == "q" && (err != nil || w.Err != nil || w.Forms[0].Err != nil || w.Forms[1].Err == nil || w.Scores[0].Forms != 1 || w.Scores[0].Text != "lo") {
			t.Errorf("%v, %+v", err, w)
		}
	}
	lo, long := cover.Entries[0], cover.Entries[1]
	if lo.Scored != 2 || lo.Asked != 3 || lo.Refused() || lo.Forms != 2 || !strings.Contains(lo.Reason, "5 tokens, wanted at most 4") {
		t.Errorf("%+v", lo)
	}
	if long.Scored != 1 || long.Forms != 1 || long.RefusedForms != 1 || long.Refused() || !strings.Contains(long.Reason, "7 tokens, wanted at most 4") {
		t.Errorf("%+v", long)
	}
}

// TestWordsWrong: options and models that do not go together end the work at once, what
// the scorer cannot do where it happens.
func TestWordsWrong(t *testing.T) {
	tuned, base := toys(1)
	c := &lexicon.Corpus{Entries: []lexicon.Entry{{Term: "l"}}}
	ended := &Options{Measures: []Measure{WholeWord}}
	noEnds := base.policy()
	noEnds.WordBoundaries = nil
	failing := tuned.policy()
	failing.LM = failed{tuned}
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	for _, test := range []struct {
		ctx         context.Context
		tuned, base *implicit.Policy
		o           *Options
		want        string
	}{
		{t.Context(), tuned.policy(), noEnds, ended, "words: base model: it does not say where words end (Policy.WordBoundaries, or a tokenizer), wanted for the measure ended"},
		{t.Context(), tuned.policy(), nil, nil, "words: no base model, wanted a pair"},
		{t.Context(), tuned.policy(), base.policy(), &Options{Measures: []Measure{"mean"}}, `words: measure "mean", wanted exact, pooled, ended or paper`},
		{t.Context(), tuned.policy(), base.policy(), &Options{Forms: []lexicon.Form{"word"}}, `lexicon: form "word", wanted one of`},
		{t.Context(), failing, base.policy(), nil, "implicit: rewards: tuned model: broken"},
		{stopped, tuned.policy(), base.policy(), nil, "implicit: rewards: context canceled"},
	} {
		n := 0
		var last error
		for _, err := range Rewards(test.ctx, implicit.Pair{Tuned: test.tuned, Base: test.base}, c, []lexicon.Prompt{{Name: "p", Text: "?"}, {Name: "q", Text: "?"}}, test.o) {
			n, last = n+1, err
		}
		if n != 1 || last == nil || !strings.HasPrefix(last.Error(), test.want) {
			t.Errorf("%d results, %v, wanted %q", n, last, test.want)
		}
	}
	for range Rewards(t.Context(), implicit.Pair{Tuned: tuned.policy(), Base: base.policy()}, c, []lexicon.Prompt{{Name: "p", Text: "?"}, {Name: "q", Text: "?"}}, nil) {
		break // must not panic
	}
	for range Rewards(t.Context(), implicit.Pair{Tuned: tuned.policy(), Base: base.policy()}, &lexicon.Corpus{}, []lexicon.Prompt{{Name: "p", Text: "?"}}, nil) {
		t.Error("an empty corpus has results")
	}
	w := Word{Entry: lexicon.Entry{Term: "l"}, Forms: []FormScore{{TunedIDs: []int32{1}, BaseIDs: []int32{1}}}}
	if _, err := w.Measure(WholeWord); err == nil || !strings.Contains(err.Error(), "were not asked for") {
		t.Errorf("ends that nobody asked for: %v", err)
	}
	if _, err := w.Measure("mean"); err == nil {
		t.Error("an unknown measure has a value")
	}
}

type failed struct{ *toy }

func (failed) Run(context.Context, iter.Seq[logprob.Request]) iter.Seq2[logprob.Result, error] {
	return func(yield func(logprob.Result, error) bool) { yield(logprob.Result{}, errors.New("broken")) }
}

// TestEndsAskedFor: the ends of words cost a node a form, and are asked for only where a
// measure needs them; and a wrong one is an error.
func TestEndsAskedFor(t *testing.T) {
	tuned, base := toys(2)
	c := &lexicon.Corpus{Entries: []lexicon.Entry{{Term: "l"}}}
	for _, m := range Measures() {
		p := tuned.policy()
		asked := &counting{toy: tuned}
		p.LM = asked
		for w, err := range Rewards(t.Context(), implicit.Pair{Tuned: p, Base: base.policy()}, c, []lexicon.Prompt{{Name: "p", Text: "?"}}, &Options{Measures: []Measure{m}}) {
			if err != nil || w.Err != nil || (w.Forms[0].Tuned.Within != 0) != (m == WholeWord) {
				t.Errorf("%s: %v, end %v", m, err, w.Forms[0].Tuned.Within)
			}
		}
		if (asked.n > 0) != (m == WholeWord) {
			t.Errorf("%s: ends were asked for %d times", m, asked.n)
		}
	}
	p := tuned.policy()
	p.LM = &counting{toy: tuned, end: float32(math.NaN())}
	for _, err := range Rewards(t.Context(), implicit.Pair{Tuned: p, Base: base.policy()}, c, []lexicon.Prompt{{Name: "p", Text: "?"}}, &Options{Measures: []Measure{WholeWord}}) {
		if err == nil || !strings.Contains(err.Error(), "its end is NaN") {
			t.Errorf("a NaN end gives %v", err)
		}
	}
}

// counting counts the requests for ends, and may answer wrongly.
type counting struct {
	*toy
	n   int
	end float32
}

func (c *counting) Run(ctx context.Context, requests iter.Seq[logprob.Request]) iter.Seq2[logprob.Result, error] {
	counted := func(yield func(logprob.Request) bool) {
		for r := range requests {
			if r.Within != nil {
				c.n++
			}
			if !yield(r) {
				return
			}
		}
	}
	return func(yield func(logprob.Result, error) bool) {
		for s, err := range c.toy.Run(ctx, counted) {
			if c.end != 0 {
				s.Within = c.end
			}
			if !yield(s, err) {
				return
			}
		}
	}
}

// TestSubsets: a measure over some of the forms is that of a run with these forms alone.
func TestSubsets(t *testing.T) {
	tuned, base := toys(8)
	c := &lexicon.Corpus{Entries: []lexicon.Entry{{Term: "lo"}, {Term: "O"}}}
	prompts := []lexicon.Prompt{{Name: "p", Text: "? "}}
	sets := [][]lexicon.Form{{"{}"}, {" {}", "{upper}"}, {"{title}", "{lower}", " {lower}"}}
	index := map[string]Word{}
	for w, err := range Rewards(t.Context(), implicit.Pair{Tuned: tuned.policy(), Base: base.policy()}, c, prompts, &Options{Measures: Measures()}) {
		if err != nil {
			t.Fatal(err)
		}
		index[w.Term] = w
	}
	for _, forms := range sets {
		for w, err := range Rewards(t.Context(), implicit.Pair{Tuned: tuned.policy(), Base: base.policy()}, c, prompts, &Options{Forms: forms, Measures: Measures()}) {
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range Measures() {
				var want []string
				for _, s := range w.Scores {
					if s.Measure == m {
						want = append(want, fmt.Sprint(s.Text, s.Forms, s.Tokens, s.Tuned, s.Base, s.MWLR))
					}
				}
				scores, err := index[w.Term].Measure(m, forms...)
				var got []string
				for _, s := range scores {
					if err == nil {
						got = append(got, fmt.Sprint(s.Text, s.Forms, s.Tokens, s.Tuned, s.Base, s.MWLR))
					}
				}
				slices.Sort(got) // the order is that of the run
				slices.Sort(want)
				if !slices.Equal(got, want) {
					t.Errorf("%q, %s of %q: %q, wanted %q", w.Term, m, forms, got, want)
				}
			}
		}
	}
}

// TestExactRanks: a form ranks among the words in the same form.
func TestExactRanks(t *testing.T) {
	score := func(text string, ratio float32, as ...lexicon.Form) Word {
		f := FormScore{Text: text, Forms: as, TunedIDs: []int32{1}, BaseIDs: []int32{1}, Tuned: logprob.Result{LogProbs: []float32{ratio - 9}}, Base: logprob.Result{LogProbs: []float32{-9}}}
		w := Word{Forms: []FormScore{f}}
		w.Scores, _ = w.Measure(Exact)
		return w
	}
	words := []Word{score("a", 1, "{}"), score("A", 5, "{title}"), score("God", 3, "{}", "{title}"), score("b", 3, "{}"), score("B", 7, "{title}")}
	rankWords(words, []Measure{Exact}, []lexicon.Form{"{}", "{title}"})
	for i, want := range []float64{3, 2, 1.5, 1.5, 1} {
		if got := words[i].Scores[0].Rank; got != want {
			t.Errorf("%s: rank %v, wanted %v", words[i].Forms[0].Text, got, want)
		}
	}
}
