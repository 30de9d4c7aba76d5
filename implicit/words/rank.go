package words

import (
	"cmp"
	"slices"

	"github.com/implicitreward/implicitreward/implicit/lexicon"
)

// ranked is a score of one measure for a word after a prompt.
type ranked interface {
	order() float64            // the value by which it is ranked
	spelledAs() []lexicon.Form // of a score of one form, the forms that produce its text
	setRank(float64)
}

// rank sets the ranks of scores among each other: 1 for the greatest value, and for equal ones
// their mean rank.
func rank[S ranked](scores []S) { rankOnly(scores, func(S) bool { return true }) }

// rankByForm sets the ranks of scores of one form among those of the same form. A text that
// several forms produce counts in each of them, and has its rank in the first.
func rankByForm[S ranked](scores []S, forms []lexicon.Form) {
	for _, f := range forms {
		of := slices.DeleteFunc(slices.Clone(scores), func(s S) bool { return !slices.Contains(s.spelledAs(), f) })
		rankOnly(of, func(s S) bool { return s.spelledAs()[0] == f })
	}
}

// rankOnly sets the ranks of those scores for which know is true among all. It sorts them.
func rankOnly[S ranked](all []S, know func(S) bool) {
	slices.SortStableFunc(all, func(a, b S) int { return cmp.Compare(b.order(), a.order()) })
	for i := 0; i < len(all); {
		j := i
		for j < len(all) && all[j].order() == all[i].order() {
			j++
		}
		for _, s := range all[i:j] {
			if know(s) {
				s.setRank(float64(i+1+j) / 2)
			}
		}
		i = j
	}
}
