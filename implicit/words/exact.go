package words

import "github.com/implicitreward/implicitreward/implicit"

// Exact is each form separately,
//
//	P = p(f | x)
//
// with one Score for each.
const Exact Measure = "exact"

var exact = measure{
	name:   Exact,
	doc:    "each form by itself: ln p(form | prompt), a row a form",
	byForm: true,
	compute: func(_ Word, of []*FormScore) ([]Score, error) {
		var all []Score
		for _, f := range of {
			s := newScore([]*FormScore{f})
			s.Tuned, s.Base, s.as = f.Tuned.Sum(), f.Base.Sum(), f.Forms
			s.MWLR = implicit.MWLR(s.Tuned, s.Base)
			all = append(all, s)
		}
		return all, nil
	},
}
