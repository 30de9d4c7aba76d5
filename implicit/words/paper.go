package words

import (
	"math"
	"slices"

	"github.com/implicitreward/implicitreward/implicit"
)

// Paper is the paper's measure (Christian et al. 2026, Figure 3): the mean MWLR of the forms
// that are one token in both vocabularies,
//
//	1/n sum_f ½ (p(f|x) + q(f|x)) (ln p(f|x) − ln q(f|x))
//
// Words without such a form have no value. Score.Tuned and Base are the means of the forms'
// ln p, which the paper does not use. The paper takes every token that equals the word up to
// case and white space; AllForms lacks "LoVe", "\tlove" and the like.
const Paper Measure = "paper"

var paper = measure{
	name: Paper,
	doc: "the mean over forms that are one token in both models of MWLR,\n" +
		"(p + q)/2 (ln p - ln q); logp_tuned and logp_base are means too",
	compute: meanMWLR,
	rankBy:  func(s *Score) float64 { return s.MWLR },
}

func meanMWLR(_ Word, of []*FormScore) ([]Score, error) {
	of = slices.DeleteFunc(of, func(f *FormScore) bool { return !f.Shared() })
	if len(of) == 0 {
		return nil, &noValue{"no form is one token in both models, wanted one for the measure " + string(Paper)}
	}
	s := newScore(of)
	for _, f := range of {
		s.Tuned += f.Tuned.Sum()
		s.Base += f.Base.Sum()
		s.MWLR += implicit.MWLR(f.Tuned.Sum(), f.Base.Sum())
	}
	n := float64(len(of))
	s.Tuned, s.Base, s.MWLR = s.Tuned/n, s.Base/n, s.MWLR/n
	if math.IsNaN(s.MWLR) {
		return nil, &noValue{"its forms have MWLR Inf and -Inf, which have no mean"}
	}
	return []Score{s}, nil
}

// Shared reports whether the form is one token in each model that does not straddle the
// prompt boundary.
func (f FormScore) Shared() bool {
	return len(f.TunedIDs) == 1 && len(f.BaseIDs) == 1 && !slices.Contains(f.Flags, implicit.FlagTunedStraddle) && !slices.Contains(f.Flags, implicit.FlagBaseStraddle)
}
