package stats

import (
	"fmt"
	"math"
	"slices"
)

// RankSummary says where a group of items ranks under one variant of a measurement, and
// how well the variant keeps the order that the first variant has.
type RankSummary struct {
	N int // items of the group with a value in at least one block
	// MedianRank is the median over blocks of the median over the group's items of the
	// percentile rank, 100 (r - ½)/n, where r is the item's midrank from the greatest
	// value of its block, 1, to the least, n. 0 is the top, 100 the bottom, and the
	// median of all items is 50 but for ties. NaN where no item has a value.
	MedianRank float64
	// Correlation is the median over blocks of Spearman's rho between the values of this
	// variant and of the first, over the group's items that have both. A block takes
	// part that has three such items, not all equal in either. 1 for the first variant;
	// NaN where no block takes part.
	Correlation float64
	Lowest      float64 // the lowest rho of a block; NaN likewise
}

// Sensitivity is what one variant makes of the ranks.
type Sensitivity struct {
	All    RankSummary   // of all items
	Groups []RankSummary // of each group, ranked among all items
}

// Sensitivities compares variants of a measurement of the same items in the same blocks,
// as of words after prompts, with the first of them, by ranks within the block:
// values[v][b][i] is that of item i in block b by variant v, NaN where there is none.
// Infinities are values as others: equal ones share a rank. groups[g] are the items of group
// g; an item may be in several, or none. There is a result a variant, in their order.
//
// An item without a value takes no rank, so n is of the block and variant. No variants,
// blocks or items and an item that does not exist are an error, and so are variants and
// blocks of different sizes.
func Sensitivities(values [][][]float64, groups [][]int) ([]Sensitivity, error) {
	const name = "Sensitivities"
	if len(values) == 0 || len(values[0]) == 0 || len(values[0][0]) == 0 {
		return nil, fmt.Errorf("stats: %s: %w: no variants, blocks or items, wanted one of each", name, ErrSampleSize)
	}
	blocks, items := len(values[0]), len(values[0][0])
	for v, variant := range values {
		if len(variant) != blocks {
			return nil, fmt.Errorf("stats: %s: %w: variant %d has %d blocks, the first %d", name, ErrLength, v, len(variant), blocks)
		}
		for b, x := range variant {
			if len(x) != items {
				return nil, fmt.Errorf("stats: %s: %w: variant %d has %d items in block %d, wanted %d", name, ErrLength, v, len(x), b, items)
			}
		}
	}
	all := make([]int, items)
	for i := range all {
		all[i] = i
	}
	for g, group := range groups {
		for _, i := range group {
			if i < 0 || i >= items {
				return nil, fmt.Errorf("stats: %s: %w: group %d has item %d, wanted 0 to %d", name, ErrOption, g, i, items-1)
			}
		}
	}
	results := make([]Sensitivity, len(values))
	for v, variant := range values {
		ranks := make([][]float64, blocks)
		for b, x := range variant {
			ranks[b] = percentiles(x)
		}
		results[v].All = summarize(variant, values[0], ranks, all)
		for _, group := range groups {
			results[v].Groups = append(results[v].Groups, summarize(variant, values[0], ranks, group))
		}
	}
	return results, nil
}

// percentiles returns the percentile ranks of x from the top, NaN where x is.
func percentiles(x []float64) []float64 {
	var present []float64
	for _, v := range x {
		if !math.IsNaN(v) {
			present = append(present, v)
		}
	}
	r, _ := midranks(present)
	out := make([]float64, len(x))
	n, k := float64(len(present)), 0
	for i, v := range x {
		if out[i] = math.NaN(); !math.IsNaN(v) {
			out[i] = 100 * (n + 0.5 - r[k]) / n
			k++
		}
	}
	return out
}

// summarize is one group's summary under a variant with these values and percentile ranks.
func summarize(variant, first, ranks [][]float64, group []int) RankSummary {
	var medians, rhos []float64
	seen := map[int]bool{}
	for b := range variant {
		var r, x, y []float64
		for _, i := range group {
			if math.IsNaN(variant[b][i]) {
				continue
			}
			seen[i] = true
			r = append(r, ranks[b][i])
			if !math.IsNaN(first[b][i]) {
				x, y = append(x, variant[b][i]), append(y, first[b][i])
			}
		}
		if len(r) > 0 {
			slices.Sort(r)
			medians = append(medians, quantile(r, 0.5))
		}
		if rho, ok := rankCorrelation(x, y); ok {
			rhos = append(rhos, rho)
		}
	}
	s := RankSummary{N: len(seen), MedianRank: math.NaN(), Correlation: math.NaN(), Lowest: math.NaN()}
	if len(medians) > 0 {
		slices.Sort(medians)
		s.MedianRank = quantile(medians, 0.5)
	}
	if len(rhos) > 0 {
		slices.Sort(rhos)
		s.Correlation, s.Lowest = quantile(rhos, 0.5), rhos[0]
	}
	return s
}

// rankCorrelation is Spearman's rho, which infinities do not hinder; false for fewer than
// three pairs or where one side is constant.
func rankCorrelation(x, y []float64) (rho float64, ok bool) {
	if len(x) < 3 {
		return 0, false
	}
	rx, tx := midranks(x)
	ry, ty := midranks(y)
	switch {
	case len(tx) == 1 || len(ty) == 1:
		return 0, false
	case slices.Equal(rx, ry):
		return 1, true // to the last digit
	}
	r, err := productMoment("Spearman", rx, ry, TestOptions{})
	return r.Estimate, err == nil
}
