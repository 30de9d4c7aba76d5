package stats

import (
	"cmp"
	"fmt"
	"slices"
)

// Bonferroni returns p adjusted for the number m of tests, in the order of p:
// min(1, m p(i)). "Adjusted <= α" holds the family-wise error rate at α under
// any dependence of the tests.
//
// All the adjustments of this file give values from p(i) to 1 that rise with p
// (p(1) is the smallest below), an empty result for an empty p, and an error for NaN or
// a value outside [0, 1]. They agree with R's p.adjust.
func Bonferroni(p []float64) ([]float64, error) {
	return adjust("Bonferroni", p, func(m, i float64) float64 { return m }, up)
}

// Holm returns adjusted p-values: the running maximum, from the smallest p on, of
// min(1, (m-i+1) p(i)) (Holm 1979). Family-wise error rate, valid under any
// dependence, and never weaker than Bonferroni. Errors as there.
func Holm(p []float64) ([]float64, error) {
	return adjust("Holm", p, func(m, i float64) float64 { return m - i + 1 }, up)
}

// Hochberg returns adjusted p-values: the running minimum, from the greatest p
// on, of (m-i+1) p(i) (Hochberg 1988). Family-wise error rate, valid for
// independent or positively dependent tests. Errors as Bonferroni.
func Hochberg(p []float64) ([]float64, error) {
	return adjust("Hochberg", p, func(m, i float64) float64 { return m - i + 1 }, down)
}

// BenjaminiHochberg returns adjusted p-values: the running minimum, from the
// greatest p on, of m p(i) / i (Benjamini and Hochberg 1995). "Adjusted <= α" holds
// the false discovery rate at α for independent or positively dependent tests.
// Errors as Bonferroni.
func BenjaminiHochberg(p []float64) ([]float64, error) {
	return adjust("BenjaminiHochberg", p, func(m, i float64) float64 { return m / i }, down)
}

// BenjaminiYekutieli returns adjusted p-values: the running minimum, from the
// greatest p on, of c m p(i) / i with c = 1 + 1/2 + ... + 1/m (Benjamini and
// Yekutieli 2001). False discovery rate under any dependence. Errors as
// Bonferroni.
func BenjaminiYekutieli(p []float64) ([]float64, error) {
	var c float64
	for i := range p {
		c += 1 / float64(i+1)
	}
	return adjust("BenjaminiYekutieli", p, func(m, i float64) float64 { return c * m / i }, down)
}

// up makes the values rise with the raw p by a running maximum.
func up(p []float64, order []int) {
	for k := 1; k < len(order); k++ {
		p[order[k]] = max(p[order[k]], p[order[k-1]])
	}
}

// down does so by a running minimum from the greatest p.
func down(p []float64, order []int) {
	for k := len(order) - 2; k >= 0; k-- {
		p[order[k]] = min(p[order[k]], p[order[k+1]])
	}
}

func adjust(name string, p []float64, factor func(m, i float64) float64, monotone func(p []float64, order []int)) ([]float64, error) {
	for i, v := range p {
		if !(v >= 0 && v <= 1) {
			return nil, fmt.Errorf("stats: %s: %w: p[%d] is %v, wanted 0 to 1", name, ErrOption, i, v)
		}
	}
	order := make([]int, len(p))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(p[a], p[b]) })
	out := make([]float64, len(p))
	for k, i := range order {
		out[i] = min(1, factor(float64(len(p)), float64(k+1))*p[i])
	}
	monotone(out, order)
	return out, nil
}
