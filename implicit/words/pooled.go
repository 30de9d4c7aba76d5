package words

import (
	"fmt"
	"math"
	"slices"

	"github.com/implicitreward/implicitreward/implicit"
)

// Pooled is the probability that the reply begins with the word in any of its forms,
//
//	P = sum_f p(f | x),  ln P = ln sum_f exp(ln p(f | x))
//
// summed over the distinct token sequences of the forms. Beginning with one sequence and
// beginning with another are disjoint events, unless one sequence is a prefix of the other;
// then the longer one's event is contained in the shorter one's and is left out. So P is a
// probability, and ln P is at most 0. This needs forms that continue the same tokens: a form
// whose first token straddles the prompt boundary (implicit.Reward.Flags) continues fewer
// than the others. Only the forms with the most frequent context, in both models' tokens,
// are summed; Score.Forms counts them.
const Pooled Measure = "pooled"

var pooled = measure{
	name:    Pooled,
	doc:     "ln of the sum of the forms' probabilities: the reply begins with the word",
	compute: func(w Word, of []*FormScore) ([]Score, error) { return w.pool(of, false) },
}

// WholeWord is Pooled with the end-of-word correction: the probability that the reply begins
// with the word, in any form, and that the word ends there, "free" and not "freedom":
//
//	P = sum_f p(f | x) p(word ends | x, f),  p(word ends | x, f) = sum_v p(v | x, f)
//
// over the tokens v that may follow a finished word (Boundaries). A form that continues
// another (by a template such as "{} and") is left out only if the token by which it does so
// ends the other. Pimentel and Meister (2024), eq. 7, also divide by the probability that a
// word begins after x; here this would be a constant of the prompt and the model, which
// changes no rank by log-ratio.
const WholeWord Measure = "ended"

var wholeWord = measure{
	name:       WholeWord,
	doc:        "the same, and the word ends there: \"free\" without \"freedom\"",
	boundaries: true,
	compute:    func(w Word, of []*FormScore) ([]Score, error) { return w.pool(of, true) },
}

// pool sums the forms' probabilities, for whole words each times that of the word's end.
func (w Word) pool(of []*FormScore, whole bool) ([]Score, error) {
	if whole && (w.ends[0] == nil || w.ends[1] == nil) {
		return nil, fmt.Errorf("words: %q: the ends of words were not asked for, wanted them for the measure %s (Options.Measures)", w.Term, WholeWord)
	}
	usual := [2]int{usualContext(of, 0), usualContext(of, 1)}
	of = slices.DeleteFunc(of, func(f *FormScore) bool { return f.context != usual })
	if len(of) == 0 {
		return nil, &noValue{"its forms continue different tokens of the prompt, wanted some that continue the same in both models"}
	}
	s := newScore(of)
	for i, to := range []*float64{&s.Tuned, &s.Base} {
		var ends []bool
		if whole {
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
			return nil, fmt.Errorf("words: %q after %s: the probabilities of its forms sum to %g, wanted at most 1: they are no probabilities", w.Term, w.PromptName, math.Exp(*to))
		}
		*to = min(*to, 0)
	}
	s.MWLR = implicit.MWLR(s.Tuned, s.Base)
	return []Score{s}, nil
}

// ids returns the form's tokens in the tuned (0) or base model (1).
func (f *FormScore) ids(model int) []int32 {
	if model == 0 {
		return f.TunedIDs
	}
	return f.BaseIDs
}

// ln is ln p(f), or with the end of the word ln p(f) p(end | f).
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

// holds reports whether the event of sequence a contains that of b: a is a prefix of b, and,
// if ends is not nil, the next token of b ends a. Of two equal sequences the first contains
// the other.
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

// usualContext returns the most frequent context of the forms, the first of several.
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

// logSumExp returns ln sum_i exp(x_i); -Inf for no values.
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
