package words

import (
	"fmt"
	"slices"
	"strings"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/implicit/lexicon"
)

// Measure names a way to make one number, for each model, of a word's forms. The formulas
// use p(f) = p(f | x), the probability of form f after prompt x: exp(Result.Sum()) of its
// tokens.
type Measure string

// measure is the definition of a Measure. A new one is a file with its definition and an
// entry in measures.
type measure struct {
	name       Measure
	doc        string // for the help of programs; lines of at most 70 characters
	boundaries bool   // needs FormScore.Tuned.Within and Base.Within, the probability that the word ends
	byForm     bool   // has a score for each form, ranked among those of the same form
	// compute returns the scores of a word from its forms, at least one, without Measure and
	// Rank.
	compute func(w Word, of []*FormScore) ([]Score, error)
	rankBy  func(*Score) float64 // nil means LogRatio
}

var measures = []measure{exact, pooled, wholeWord, paper}

// Measures returns all measures.
func Measures() []Measure {
	var all []Measure
	for _, m := range measures {
		all = append(all, m.name)
	}
	return all
}

// Doc describes the measure for a program's help, in lines of at most 70 characters.
func (m Measure) Doc() string {
	def, _ := m.definition()
	return def.doc
}

// NeedsBoundaries reports whether the measure needs the probability that the word ends, for
// which every form's last token must be run through the model as well.
func (m Measure) NeedsBoundaries() bool {
	def, _ := m.definition()
	return def.boundaries
}

// definition returns an error for an unknown measure.
func (m Measure) definition() (measure, error) {
	for _, def := range measures {
		if def.name == m {
			return def, nil
		}
	}
	return measure{}, unknownMeasure(m, Measures())
}

// ParseMeasures parses a comma-separated list of measures. Unknown and repeated measures are
// errors.
func ParseMeasures(list string) ([]Measure, error) {
	all := splitNames[Measure](list)
	return all, checkMeasures(all)
}

func splitNames[M ~string](list string) (all []M) {
	for name := range strings.SplitSeq(list, ",") {
		all = append(all, M(name))
	}
	return all
}

func checkMeasures(all []Measure) error { return checkNames(all, Measures()) }

// checkNames returns an error for an unknown or a repeated measure.
func checkNames[M ~string](all, known []M) error {
	for i, m := range all {
		if !slices.Contains(known, m) {
			return fmt.Errorf("words: %w", unknownMeasure(m, known))
		}
		if slices.Contains(all[:i], m) {
			return fmt.Errorf("words: measure %q stands twice, wanted each once", string(m))
		}
	}
	return nil
}

func unknownMeasure[M ~string](m M, known []M) error {
	names := make([]string, len(known))
	for i, k := range known {
		names[i] = string(k)
	}
	last := len(names) - 1
	return fmt.Errorf("measure %q, wanted %s or %s", string(m), strings.Join(names[:last], ", "), names[last])
}

// Score is the value of a measure for a word after a prompt.
type Score struct {
	Measure     Measure
	Text        string  // text of the form, for a score of one form; "" for several
	Forms       int     // number of forms included
	Tokens      int     // fewest tokens of those forms in the tuned model
	Tuned, Base float64 // ln P of the measure in each model
	MWLR        float64 // ½ (P + Q) (ln P − ln Q), P tuned and Q base; for Paper the mean over forms
	// Rank is the word's rank among the corpus' words after the prompt, 1 for the greatest
	// log-ratio; ties share their mean rank. Paper ranks by MWLR. Exact ranks a text among
	// the words in the same form (the first that produces it). A word that is listed twice
	// takes two ranks; one that could not be scored takes none.
	Rank float64

	as []lexicon.Form // forms that produce Text, for Exact
}

// LogRatio returns ln P_tuned - ln P_base: the word's implicit reward by this measure for
// beta = 1, without c(x). It is 0 if both are equal, including both -Inf.
func (s Score) LogRatio() float64 { return implicit.LogRatio(s.Tuned, s.Base) }

// noValue is the reason why a measure has no value for a word.
type noValue struct{ reason string }

func (e *noValue) Error() string { return e.reason }

// Measure computes a measure from the word's forms, or from those written as one of the
// given forms. Ranks are 0. It is an error if the measure has no value (no form; for Paper
// no form of one token in both models; for WholeWord no Result.Within), or if the
// probabilities of disjoint continuations sum to more than 1 (by over 10 %; less is taken
// for rounding, and P for 1).
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
	def, err := m.definition()
	if err != nil {
		return nil, err
	}
	scores, err := def.compute(w, of)
	for i := range scores {
		scores[i].Measure = m
	}
	return scores, err
}

func newScore(of []*FormScore) Score {
	s := Score{Forms: len(of), Tokens: len(of[0].TunedIDs)}
	for _, f := range of {
		s.Tokens = min(s.Tokens, len(f.TunedIDs))
	}
	if len(of) == 1 {
		s.Text = of[0].Text
	}
	return s
}

// rankWords sets the ranks of one prompt's words.
func rankWords(words []Word, measures []Measure, forms []lexicon.Form) {
	for _, m := range measures {
		var all []*Score
		for i := range words {
			for j := range words[i].Scores {
				if s := &words[i].Scores[j]; s.Measure == m {
					all = append(all, s)
				}
			}
		}
		if def, err := m.definition(); err == nil && def.byForm {
			rankByForm(all, forms)
		} else {
			rank(all)
		}
	}
}

// order is the value by which a score is ranked.
func (s *Score) order() float64 {
	if def, err := s.Measure.definition(); err == nil && def.rankBy != nil {
		return def.rankBy(s)
	}
	return s.LogRatio()
}

func (s *Score) spelledAs() []lexicon.Form { return s.as }
func (s *Score) setRank(rank float64)      { s.Rank = rank }
