package words

import (
	"fmt"
	"slices"

	"github.com/implicitreward/implicitreward/implicit/lexicon"
)

// ScoreMeasure names a way to make one number of a reward model's rewards r(f) = r(x, f) of a
// word's forms f after a prompt x. Rewards are no probabilities, so that the measures of the
// implicit side (Measure) do not apply. Forms that are the same text to the model count once
// (FlagSameText).
type ScoreMeasure string

const (
	// ExactForm is each form separately, r(f), with one WordScore for each, ranked among the
	// words in the same form.
	ExactForm ScoreMeasure = "exact"
	// BestForm is the reward of the form that the model likes best, max_f r(f); of several
	// the first.
	BestForm ScoreMeasure = "best"
	// MeanForm is the mean over the forms, 1/n sum_f r(f).
	MeanForm ScoreMeasure = "mean"
)

// scoreMeasures are all, with their help in lines of at most 70 characters.
var scoreMeasures = []struct {
	name ScoreMeasure
	doc  string
}{
	{ExactForm, "each form by itself, a row a form"},
	{BestForm, "the reward of the word's best form"},
	{MeanForm, "the mean over the word's forms; forms that are the same text to the\nmodel, as where its template trims replies, count once"},
}

// ScoreMeasures returns all measures.
func ScoreMeasures() (all []ScoreMeasure) {
	for _, m := range scoreMeasures {
		all = append(all, m.name)
	}
	return all
}

// ParseScoreMeasures parses a comma-separated list of measures. Unknown and repeated measures
// are errors.
func ParseScoreMeasures(list string) ([]ScoreMeasure, error) {
	all := splitNames[ScoreMeasure](list)
	return all, checkNames(all, ScoreMeasures())
}

// Doc describes the measure for a program's help, in lines of at most 70 characters.
func (m ScoreMeasure) Doc() string {
	for _, def := range scoreMeasures {
		if def.name == m {
			return def.doc
		}
	}
	return ""
}

// WordScore is the value of a measure for a word after a prompt.
type WordScore struct {
	Measure ScoreMeasure
	Text    string    // text of the form, for a score of one form; "" for several
	Forms   int       // number of forms included that differ to the model
	Tokens  int       // fewest tokens of those forms, for BestForm those of the best
	Reward  float64   // in the reward model's own unit
	Outputs []float64 // the head's outputs by the same measure, in the order of RM.Outputs
	Flags   []string  // of the forms that were included, and FlagSameText if one counted once for several
	// Rank is the word's rank among the corpus' words after the prompt, 1 for the greatest
	// reward; ties share their mean rank. ExactForm ranks a text among the words in the same
	// form (the first that produces it). A word that is listed twice takes two ranks; one that
	// could not be scored takes none.
	Rank float64

	as []lexicon.Form // forms that produce Text, for ExactForm
}

func (s *WordScore) order() float64            { return s.Reward }
func (s *WordScore) spelledAs() []lexicon.Form { return s.as }
func (s *WordScore) setRank(rank float64)      { s.Rank = rank }

// Measure computes a measure from the word's forms. Ranks are 0. It is an error for an unknown
// measure, and if no form could be scored.
func (w ScoredWord) Measure(m ScoreMeasure) ([]WordScore, error) {
	if err := checkNames([]ScoreMeasure{m}, ScoreMeasures()); err != nil {
		return nil, err
	}
	scores := w.measure(m)
	if len(scores) == 0 {
		return nil, fmt.Errorf("words: %q: no form could be scored", w.Term)
	}
	return scores, nil
}

// measure computes a measure that is known.
func (w ScoredWord) measure(m ScoreMeasure) []WordScore {
	var each []WordScore
	var distinct []*ScoredForm
	for i := range w.Forms {
		f := &w.Forms[i]
		if f.Err != nil {
			continue
		}
		s := scoreOf(f)
		s.Measure, s.as = m, f.Forms
		each = append(each, s)
		if !slices.Contains(f.Flags, FlagSameText) {
			distinct = append(distinct, f)
		}
	}
	if m == ExactForm || len(each) == 0 {
		return each
	}
	s := best(distinct)
	if m == MeanForm {
		s = mean(distinct)
	}
	s.Measure, s.Forms = m, len(distinct)
	if len(distinct) < len(each) {
		s.Flags = append(s.Flags, FlagSameText)
	}
	return []WordScore{s}
}

func scoreOf(f *ScoredForm) WordScore {
	return WordScore{Text: f.Text, Forms: 1, Tokens: f.Tokens, Reward: f.Reward, Outputs: f.Outputs, Flags: slices.Clone(f.Flags)}
}

func best(of []*ScoredForm) WordScore {
	best := of[0]
	for _, f := range of {
		if f.Reward > best.Reward {
			best = f
		}
	}
	return scoreOf(best)
}

func mean(of []*ScoredForm) WordScore {
	s := scoreOf(of[0])
	if len(of) == 1 {
		return s
	}
	s.Text, s.Outputs = "", slices.Clone(s.Outputs)
	for _, f := range of[1:] {
		s.Tokens = min(s.Tokens, f.Tokens)
		s.Reward += f.Reward
		for i, v := range f.Outputs {
			s.Outputs[i] += v
		}
		for _, flag := range f.Flags {
			if !slices.Contains(s.Flags, flag) {
				s.Flags = append(s.Flags, flag)
			}
		}
	}
	n := float64(len(of))
	s.Reward /= n
	for i := range s.Outputs {
		s.Outputs[i] /= n
	}
	return s
}

// rankScored sets the ranks of one prompt's words.
func rankScored(words []ScoredWord, measures []ScoreMeasure, forms []lexicon.Form) {
	for _, m := range measures {
		var all []*WordScore
		for i := range words {
			for j := range words[i].Scores {
				if s := &words[i].Scores[j]; s.Measure == m {
					all = append(all, s)
				}
			}
		}
		if m == ExactForm {
			rankByForm(all, forms)
		} else {
			rank(all)
		}
	}
}
