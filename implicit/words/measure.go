package words

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/implicit/lexicon"
)

// Measure is a way to make one number of a word's forms, for each model. With p(f) the
// probability of the form f after the prompt x, that is exp(Score.Sum()) of its tokens:
type Measure string

// measure is the definition of a Measure. A new one is a file with its definition and its
// row in the table of measures.
type measure struct {
	name       Measure
	doc        string // for the help of programs, lines of at most 70 characters
	boundaries bool   // it needs to know where words end: FormScore.Tuned.Within and Base.Within
	byForm     bool   // it has a score for each form, which ranks among those of the same form
	// compute makes the scores of a word of its forms, at least one, without Measure and Rank.
	compute func(w Word, of []*FormScore) ([]Score, error)
	rankBy  func(*Score) float64 // nil for LogRatio
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

// Doc says what a measure is, for the help of a program: lines of at most 70 characters.
func (m Measure) Doc() string {
	def, _ := m.definition()
	return def.doc
}

// NeedsBoundaries tells whether the measure needs to know where words end, which costs the
// computation of every form's last token.
func (m Measure) NeedsBoundaries() bool {
	def, _ := m.definition()
	return def.boundaries
}

// definition is an error of an unknown measure.
func (m Measure) definition() (measure, error) {
	names := make([]string, len(measures))
	for i, def := range measures {
		if def.name == m {
			return def, nil
		}
		names[i] = string(def.name)
	}
	last := len(names) - 1
	return measure{}, fmt.Errorf("measure %q, wanted %s or %s", string(m), strings.Join(names[:last], ", "), names[last])
}

// ParseMeasures reads a list of measures, separated by commas. An unknown measure, and
// one that is listed twice, is an error.
func ParseMeasures(list string) ([]Measure, error) {
	var all []Measure
	for name := range strings.SplitSeq(list, ",") {
		all = append(all, Measure(name))
	}
	return all, checkMeasures(all)
}

func checkMeasures(all []Measure) error {
	for i, m := range all {
		if _, err := m.definition(); err != nil {
			return fmt.Errorf("words: %w", err)
		}
		if slices.Contains(all[:i], m) {
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

// rankWords fills in the ranks of one prompt's words.
func rankWords(words []Word, measures []Measure, forms []lexicon.Form) {
	for _, m := range measures {
		if def, err := m.definition(); err == nil && def.byForm {
			for _, f := range forms {
				rankScores(words, m, func(s *Score) bool { return slices.Contains(s.as, f) }, func(s *Score) bool { return s.as[0] == f })
			}
		} else {
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
	if def, err := s.Measure.definition(); err == nil && def.rankBy != nil {
		return def.rankBy(s)
	}
	return s.LogRatio()
}
