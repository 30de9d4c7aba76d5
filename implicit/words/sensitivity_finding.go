package words

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/implicitreward/implicitreward/stats"
)

// difference compares two categories: the first ranks before the second in the default, or
// level with it.
type difference struct {
	first, second string
	byDefault     float64   // median rank of the second minus that of the first, at least 0
	compared      int       // variants besides the default in which both have words
	least, most   float64   // difference in these variants; NaN if there are none
	where         [2]string // variants of least and most
	changed       []string  // variants in which the sign differs
}

// differences compares each two categories that have words in the default.
func (r *SensitivityReport) differences() []difference {
	def := r.Variants[0].Groups
	var order []int
	for g := range r.Categories {
		if !math.IsNaN(def[g].MedianRank) {
			order = append(order, g)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(def[a].MedianRank, def[b].MedianRank) })
	var all []difference
	for k, a := range order {
		for _, b := range order[k+1:] {
			d := difference{first: r.Categories[a], second: r.Categories[b], byDefault: by(def, a, b), least: math.NaN(), most: math.NaN()}
			for _, v := range r.Variants[1:] {
				if v.Err == nil {
					d.add(v.Name, by(v.Groups, a, b))
				}
			}
			all = append(all, d)
		}
	}
	return all
}

// by returns the difference of two categories' median ranks, exactly 0 where it is rounding.
func by(groups []stats.RankSummary, first, second int) float64 {
	x := groups[second].MedianRank - groups[first].MedianRank
	if math.Abs(x) < 1e-9 {
		return 0
	}
	return x
}

// add counts the difference in a variant; NaN if a category has no words there.
func (d *difference) add(variant string, by float64) {
	if math.IsNaN(by) {
		return
	}
	d.compared++
	if !(by >= d.least) {
		d.least, d.where[0] = by, variant
	}
	if !(by <= d.most) {
		d.most, d.where[1] = by, variant
	}
	if cmp.Compare(by, 0) != cmp.Compare(d.byDefault, 0) {
		d.changed = append(d.changed, variant)
	}
}

// maxPairs is the number of pairs of categories up to which all are printed, not only those
// that change.
const maxPairs = 6

// writeFinding answers whether the order of the categories survives.
func (r *SensitivityReport) writeFinding(w io.Writer) {
	pairs := r.differences()
	if len(pairs) == 0 {
		fmt.Fprintln(w, "Does the finding survive? There are no two categories with words to compare: see the correlations.")
		return
	}
	computed := 0
	for _, v := range r.Variants[1:] {
		if v.Err == nil {
			computed++
		}
	}
	variants, changed, missing := map[string]bool{}, 0, 0
	for _, d := range pairs {
		if len(d.changed) > 0 {
			changed++
		}
		missing += computed - d.compared
		for _, name := range d.changed {
			variants[name] = true
		}
		if len(d.changed) == 0 && len(pairs) > maxPairs {
			continue
		}
		stand := "before"
		if d.byDefault == 0 {
			stand = "level with"
		}
		fmt.Fprintf(w, "%s %s %s: by %s points in the default", d.first, stand, d.second, rounded(d.byDefault, 1))
		if d.compared > 0 {
			fmt.Fprintf(w, ", by %s (%s) to %s (%s) in %s", rounded(d.least, 1), d.where[0], rounded(d.most, 1), d.where[1], plural(d.compared, "variant"))
		}
		if len(d.changed) > 0 {
			fmt.Fprintf(w, "; not so in %s", strings.Join(d.changed, ", "))
		}
		fmt.Fprintln(w)
	}
	fmt.Fprint(w, "Does the finding survive? ")
	switch {
	case missing == computed*len(pairs):
		fmt.Fprintln(w, "No variant could be compared with the default.")
	case changed == 0:
		fmt.Fprintf(w, "Yes: none of %s changes the order of two categories.\n", plural(computed, "variant"))
	default:
		fmt.Fprintf(w, "Not every variant: in %d of %d, %d of %s of categories change their order.\n", len(variants), computed, changed, plural(len(pairs), "pair"))
	}
	if missing > 0 && missing < computed*len(pairs) {
		fmt.Fprintf(w, "%s of two categories in a variant could not be made: one of them has no words there.\n", plural(missing, "comparison"))
	}
}

// plural is a number of things.
func plural(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprint(n, " ", thing)
}
