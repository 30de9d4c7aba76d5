package stats

import (
	"fmt"
	"math"
	"slices"
)

// Quantiles returns the sample quantiles of x for the probabilities p, by
// linear interpolation between order statistics (type 7 of Hyndman and Fan
// 1996; the default of R and numpy):
//
//	h = (n-1)p,  Q(p) = x[⌊h⌋] + (h-⌊h⌋)(x[⌊h⌋+1] - x[⌊h⌋]),  x sorted, from 0
//
// Q(0) is the least and Q(1) the greatest value. x is not changed. An empty x,
// NaN, infinities or a p outside [0, 1] are an error.
func Quantiles(x []float64, p ...float64) ([]float64, error) {
	if err := check("Quantiles", "x", x, 1); err != nil {
		return nil, err
	}
	for i, v := range p {
		if !(v >= 0 && v <= 1) {
			return nil, fmt.Errorf("stats: Quantiles: %w: p[%d] is %v, wanted 0 to 1", ErrOption, i, v)
		}
	}
	sorted := slices.Sorted(slices.Values(x))
	q := make([]float64, len(p))
	for i, v := range p {
		q[i] = quantile(sorted, v)
	}
	return q, nil
}

// Median returns the middle value of x, or the mean of the two middle ones:
// Quantiles(x, 0.5).
func Median(x []float64) (float64, error) {
	if err := check("Median", "x", x, 1); err != nil {
		return 0, err
	}
	return quantile(slices.Sorted(slices.Values(x)), 0.5), nil
}

// IQR returns the interquartile range Q(0.75) - Q(0.25), of type 7.
func IQR(x []float64) (float64, error) {
	q, err := Quantiles(x, 0.25, 0.75)
	if err != nil {
		return 0, err
	}
	return q[1] - q[0], nil
}

// MAD returns the median absolute deviation from the median, not scaled (R's
// mad(x, constant = 1)).
func MAD(x []float64) (float64, error) {
	m, err := Median(x)
	if err != nil {
		return 0, err
	}
	d := make([]float64, len(x))
	for i, v := range x {
		d[i] = math.Abs(v - m)
	}
	slices.Sort(d)
	return quantile(d, 0.5), nil
}

// quantile is the type-7 quantile of sorted values.
func quantile(sorted []float64, p float64) float64 {
	h := float64(len(sorted)-1) * p
	lo := int(h)
	if lo+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return sorted[lo] + (h-float64(lo))*(sorted[lo+1]-sorted[lo])
}
