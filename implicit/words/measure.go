package words

import (
	"cmp"
	"fmt"
	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/implicit/lexicon"
	"math"
	"slices"
	"strings"
)

// Measure is a way to make one number of a word's forms, for each model. With p(f) the
// probability of the form f after the prompt x, that is exp(Score.Sum()) of its tokens:
type Measure string

const (
	// Exact is each form by itself:
	//
	//	P = p(f | x)
	//
	// It gives a Score a form.
	Exact Measure = "exact"

	// Pooled is the probability that the reply begins with the word in any of its
	// forms,
	//
	//	P = sum_f p(f | x),  ln P = ln sum_f exp(ln p(f | x))
	//
	// over the different token sequences of the forms. That a text's tokens begin with
	// one sequence and that they begin with another are disjoint events, unless one of the
	// two sequences is the beginning of the other, whose event then holds the longer
	// one's, which is left out. So P is a probability and ln P never above 0. That holds
	// for continuations of the same tokens: a form whose first token also covers the end
	// of the prompt (Reward.Flags) continues fewer tokens than the others, so that only
	// the forms that continue the same tokens are summed, those of the most frequent
	// beginning, by both models' tokens; Score.Forms says how many.
	Pooled Measure = "pooled"

	// WholeWord is Pooled with the end-of-word correction: the probability that
	// the reply's first word (or words) is this one, in any form, and no longer one,
	// "free" and not "freedom":
	//
	//	P = sum_f p(f | x) p(word ends | x, f),  p(word ends | x, f) = sum_v p(v | x, f)
	//
	// over the tokens v that may follow a finished word: see Boundaries. A form that continues
	// another (by a template such as "{} and") counts unless the token by which it does so
	// ends the other. Pimentel and Meister (2024), eq. 7, also divide by the probability
	// that a word begins after x at all. Here that is given, and it would be a constant
	// of the prompt and the model: no rank by log-ratio would change.
	WholeWord Measure = "ended"

	// Paper is the paper's (Christian et al. 2026, Figure 3): the plain mean of the
	// MWLR of the forms that are one token in both vocabularies,
	//
	//	1/n sum_f ½ (p(f|x) + q(f|x)) (ln p(f|x) − ln q(f|x))
	//
	// Words without such a form have none. Score.Tuned and Base are the means of the
	// forms' ln p, which the paper does not use. The paper takes every token that is the
	// word but for case and white space: with AllForms "LoVe", "\tlove" and the like are
	// not among the forms.
	Paper Measure = "paper"
)

// Measures returns all measures.
func Measures() []Measure {
	return []Measure{Exact, Pooled, WholeWord, Paper}
}

// ParseMeasures reads a list of measures, separated by commas. An unknown measure, and
// one that stands twice, is an error.
func ParseMeasures(list string) ([]Measure, error) {
	var measures []Measure
	for name := range strings.SplitSeq(list, ",") {
		measures = append(measures, Measure(name))
	}
	return measures, checkMeasures(measures)
}

func checkMeasures(measures []Measure) error {
	for i, m := range measures {
		if !slices.Contains(Measures(), m) {
			return fmt.Errorf("words: measure %q, wanted exact, pooled, ended or paper", string(m))
		}
		if slices.Contains(measures[:i], m) {
			return fmt.Errorf("words: measure %q stands twice, wanted each once", string(m))
		}
	}
	return nil
}

// Score is a measure of a word after a prompt.
type Score struct {
	Measure     Measure
	Text        string  // the form's, where it is of one form alone; "" where it is of several
	Forms       int     // that went into it
	Tokens      int     // of the form with the fewest, as the tuned model cuts it
	Tuned, Base float64 // ln P of the measure, P being the model's; natural logarithms
	MWLR        float64 // ½ (P + Q) (ln P − ln Q), P tuned and Q base; for Paper the mean over forms
	// Rank is the place of the word among the corpus' words after the prompt by this
	// measure, from 1 for the greatest log-ratio, equal ones sharing the mean of their
	// places. For Paper the order is MWLR's. For Exact a text ranks
	// among the words in the same form (the first that writes it). A word that stands
	// twice in the corpus takes two places; one that is refused takes none.
	Rank float64

	as []lexicon.Form // of the form, for Exact
}

// LogRatio returns ln P_tuned - ln P_base, the implicit reward of the word by this
// measure for beta = 1, without the unknown c(x). It is 0 where both are equal, also
// where both are -Inf.
func (s Score) LogRatio() float64 { return implicit.LogRatio(s.Tuned, s.Base) }

// noValue says why a measure has no value of a word.
type noValue struct{ reason string }

func (e *noValue) Error() string { return e.reason }

// Measure computes a measure from the word's forms, or from those alone that are written
// as one of the given forms. Ranks are left at 0. It fails where the measure has no
// value: of no form, of no form of one token in both models for Paper, without
// Result.Within for WholeWord; and where the probabilities of disjoint continuations sum
// to more than 1 (by 10 %: less is rounding, and taken for 1).
func (w Word) Measure(m Measure, forms ...lexicon.Form) ([]Score, error) {
	var of []*FormScore
	for i := range w.Forms {
		f := &w.Forms[i]
		wanted := len(forms) == 0 || slices.ContainsFunc(f.Forms, func(form lexicon.Form) bool { return slices.Contains(forms, form) })
		if f.Err == nil && wanted {
			of = append(of, f)
		}
	}
	if len(of) == 0 {
		return nil, &noValue{"no form could be scored"}
	}
	switch m {
	case Exact:
		var all []Score
		for _, f := range of {
			s := newWordScore(m, []*FormScore{f})
			s.Tuned, s.Base, s.as = f.Tuned.Sum(), f.Base.Sum(), f.Forms
			s.MWLR = implicit.MWLR(s.Tuned, s.Base)
			all = append(all, s)
		}
		return all, nil
	case Pooled, WholeWord:
		s, err := w.pooled(m, of)
		return []Score{s}, err
	case Paper:
		s, err := paperMeasure(of)
		return []Score{s}, err
	}
	return nil, checkMeasures([]Measure{m})
}

func newWordScore(m Measure, of []*FormScore) Score {
	s := Score{Measure: m, Forms: len(of), Tokens: len(of[0].TunedIDs)}
	for _, f := range of {
		s.Tokens = min(s.Tokens, len(f.TunedIDs))
	}
	if len(of) == 1 {
		s.Text = of[0].Text
	}
	return s
}

// pooled is Pooled or WholeWord.
func (w Word) pooled(m Measure, of []*FormScore) (Score, error) {
	if m == WholeWord && (w.ends[0] == nil || w.ends[1] == nil) {
		return Score{}, fmt.Errorf("words: %q: the ends of words were not asked for, wanted them for the measure %s (Options.Measures)", w.Term, m)
	}
	usual := [2]int{usualContext(of, 0), usualContext(of, 1)}
	of = slices.DeleteFunc(of, func(f *FormScore) bool { return f.context != usual })
	if len(of) == 0 {
		return Score{}, &noValue{"its forms continue different tokens of the prompt, wanted some that continue the same in both models"}
	}
	s := newWordScore(m, of)
	for i, to := range []*float64{&s.Tuned, &s.Base} {
		var ends []bool
		if m == WholeWord {
			ends = w.ends[i]
		}
		var ln []float64
		for j, f := range of {
			covered := false
			for k, g := range of {
				covered = covered || k != j && holds(g.ids(i), f.ids(i), ends, k < j)
			}
			if !covered {
				ln = append(ln, f.ln(i, ends != nil))
			}
		}
		*to = logSumExp(ln)
		if *to > 0.1 {
			return s, fmt.Errorf("words: %q after %s: the probabilities of its forms sum to %g, wanted at most 1: they are no probabilities", w.Term, w.PromptName, math.Exp(*to))
		}
		*to = min(*to, 0)
	}
	s.MWLR = implicit.MWLR(s.Tuned, s.Base)
	return s, nil
}

// ids are the form's tokens in the tuned (0) or the base model (1).
func (f *FormScore) ids(model int) []int32 {
	if model == 0 {
		return f.TunedIDs
	}
	return f.BaseIDs
}

// ln is ln p(f), and with the end of the word ln p(f) p(end | f).
func (f *FormScore) ln(model int, ended bool) float64 {
	score := f.Tuned
	if model == 1 {
		score = f.Base
	}
	if ended {
		return score.Sum() + float64(score.Within)
	}
	return score.Sum()
}

// holds tells whether the event of the sequence a holds that of b: b is a and more, the
// first token of which, if ends is not nil, ends a. Of two that are the same, the first
// holds the other.
func holds(a, b []int32, ends []bool, first bool) bool {
	if len(a) > len(b) || !slices.Equal(a, b[:len(a)]) {
		return false
	}
	if len(a) == len(b) {
		return first
	}
	next := b[len(a)]
	return ends == nil || int(next) < len(ends) && ends[next]
}

// usualContext is the beginning that most forms continue, the first of several.
func usualContext(of []*FormScore, model int) int {
	count := map[int]int{}
	for _, f := range of {
		count[f.context[model]]++
	}
	usual := of[0].context[model]
	for _, f := range of {
		if c := f.context[model]; count[c] > count[usual] {
			usual = c
		}
	}
	return usual
}

// logSumExp returns ln sum_i exp(x_i), -Inf of nothing.
func logSumExp(x []float64) float64 {
	top := math.Inf(-1)
	for _, v := range x {
		top = max(top, v)
	}
	if math.IsInf(top, -1) {
		return top
	}
	sum := 0.0
	for _, v := range x {
		sum += math.Exp(v - top)
	}
	return top + math.Log(sum)
}

func paperMeasure(of []*FormScore) (Score, error) {
	of = slices.DeleteFunc(of, func(f *FormScore) bool { return !f.Shared() })
	if len(of) == 0 {
		return Score{}, &noValue{"no form is one token in both models, wanted one for the measure " + string(Paper)}
	}
	s := newWordScore(Paper, of)
	for _, f := range of {
		s.Tuned += f.Tuned.Sum()
		s.Base += f.Base.Sum()
		s.MWLR += implicit.MWLR(f.Tuned.Sum(), f.Base.Sum())
	}
	n := float64(len(of))
	s.Tuned, s.Base, s.MWLR = s.Tuned/n, s.Base/n, s.MWLR/n
	if math.IsNaN(s.MWLR) {
		return s, &noValue{"its forms have MWLR Inf and -Inf, which have no mean"}
	}
	return s, nil
}

// Shared tells whether the form is one token in each model, by itself and no part of the
// prompt.
func (f FormScore) Shared() bool {
	return len(f.TunedIDs) == 1 && len(f.BaseIDs) == 1 && !slices.Contains(f.Flags, implicit.FlagTunedStraddle) && !slices.Contains(f.Flags, implicit.FlagBaseStraddle)
}

// rankWords fills in the ranks of one prompt's words.
func rankWords(words []Word, measures []Measure, forms []lexicon.Form) {
	for _, m := range measures {
		switch m {
		case Exact:
			for _, f := range forms {
				rankScores(words, m, func(s *Score) bool { return slices.Contains(s.as, f) }, func(s *Score) bool { return s.as[0] == f })
			}
		default:
			all := func(*Score) bool { return true }
			rankScores(words, m, all, all)
		}
	}
}

// rankScores ranks the scores of a measure that take part among each other, and tells
// those their ranks that are to know.
func rankScores(words []Word, m Measure, part, know func(*Score) bool) {
	var all []*Score
	for i := range words {
		for j := range words[i].Scores {
			if s := &words[i].Scores[j]; s.Measure == m && part(s) {
				all = append(all, s)
			}
		}
	}
	value := (*Score).order
	slices.SortStableFunc(all, func(a, b *Score) int { return cmp.Compare(value(b), value(a)) })
	for i := 0; i < len(all); {
		j := i
		for j < len(all) && value(all[j]) == value(all[i]) {
			j++
		}
		for _, s := range all[i:j] {
			if know(s) {
				s.Rank = float64(i+1+j) / 2
			}
		}
		i = j
	}
}

// order is what a score is ranked by.
func (s *Score) order() float64 {
	if s.Measure == Paper {
		return s.MWLR
	}
	return s.LogRatio()
}
