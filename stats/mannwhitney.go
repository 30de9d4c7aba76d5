package stats

import (
	"fmt"
	"math"
)

// MannWhitneyOptions are the options of MannWhitney. nil and zero fields mean
// the defaults.
type MannWhitneyOptions struct {
	Alternative  Alternative // zero: TwoSided
	Level        float64     // confidence level of the interval; zero: 0.95
	Approximate  bool        // the normal approximation even where the exact distribution is at hand
	NoContinuity bool        // no continuity correction in the approximation
}

// MannWhitneyResult is the outcome of a Mann-Whitney test.
type MannWhitneyResult struct {
	N1, N2   int
	U        float64  // #(x > y) + #(x = y)/2 over all pairs: R's W
	Z        float64  // normal deviate of the approximation; NaN if Exact
	P        float64  // p-value
	Exact    bool     // P is of the exact distribution of U
	Estimate float64  // U/(n1 n2): the chance that a value of x exceeds one of y, ties half; 0.5 is no effect
	Interval Interval // two-sided, of Estimate: that of CliffDelta, moved to [0, 1]
	Warnings []error
}

// MannWhitney is the Wilcoxon rank-sum test of two independent samples. Without
// ties and with fewer than 50 values a sample, P is of the exact distribution
// of U (all orders equally likely); otherwise of the normal one:
//
//	z = (U - n1 n2/2 - c) / σ,  c = ±1/2 towards 0 (continuity)
//	σ² = n1 n2/12 (N + 1 - Σ(t³-t)/(N(N-1))),  N = n1 + n2, t the sizes of ties
//
// as R's wilcox.test. One value a sample is enough (ErrSampleSize); values all
// equal are ErrZeroVariance.
func MannWhitney(x, y []float64, o *MannWhitneyOptions) (MannWhitneyResult, error) {
	var opt MannWhitneyOptions
	if o != nil {
		opt = *o
	}
	r := MannWhitneyResult{N1: len(x), N2: len(y), Z: math.NaN()}
	if err := opt.Alternative.check("MannWhitney"); err != nil {
		return r, err
	}
	e, z, err := newEffect("MannWhitney", x, y, 1, &EffectOptions{Level: opt.Level})
	if err != nil {
		return r, err
	}
	d := compare(x, y)
	if len(d.ties) == 1 {
		return r, fmt.Errorf("stats: MannWhitney: %w: all values are equal", ErrZeroVariance)
	}
	e.cliff(d, z)
	r.U, r.Estimate, r.Warnings = d.u, (e.Estimate+1)/2, e.Warnings
	r.Interval = Interval{(e.Interval.Lower + 1) / 2, (e.Interval.Upper + 1) / 2, e.Interval.Level}
	const exactBelow = 50 // as R
	small := r.N1 < exactBelow && r.N2 < exactBelow
	tied := hasTies(d.ties)
	if small && !tied && !opt.Approximate {
		r.Exact = true
		r.P = opt.Alternative.pick(uTails(int(r.U), r.N1, r.N2))
		return r, nil
	}
	if tied && min(r.N1, r.N2) < 10 {
		r.Warnings = append(r.Warnings, fmt.Errorf("stats: MannWhitney: ties: the p-value of %d and %d values is that of the normal approximation", r.N1, r.N2))
	}
	n1, n2 := float64(r.N1), float64(r.N2)
	n := n1 + n2
	sigma := math.Sqrt(n1 * n2 / 12 * (n + 1 - tieSum(d.ties, func(t float64) float64 { return t*t*t - t })/(n*(n-1))))
	dev := d.u - n1*n2/2
	c := 0.5
	if opt.NoContinuity {
		c = 0
	}
	switch opt.Alternative {
	case Less:
		dev += c
	case Greater:
		dev -= c
	default: // never past 0: at dev = 0 p is 1
		dev = math.Copysign(max(0, math.Abs(dev)-c), dev)
	}
	r.Z = dev / sigma
	r.P = opt.Alternative.pick(TailNormal(-r.Z), TailNormal(r.Z))
	return r, nil
}

// uTails returns P(U <= u) and P(U >= u) without ties. The number of orders of
// i values of x and j of y with U = u obeys (Mann and Whitney 1947), by what the
// greatest value is,
//
//	c(i, j, u) = c(i-1, j, u-j) + c(i, j-1, u)
func uTails(u, n1, n2 int) (lower, upper float64) {
	c := make([][]float64, n1+1)
	for i := range c {
		c[i] = make([]float64, i*n2+1)
		c[i][0] = 1 // j = 0
	}
	for j := 1; j <= n2; j++ {
		for i := 1; i <= n1; i++ {
			for v := j; v <= i*j; v++ {
				c[i][v] += c[i-1][v-j]
			}
		}
	}
	var sum float64
	for v, k := range c[n1] {
		sum += k
		if v <= u {
			lower += k
		}
		if v >= u {
			upper += k
		}
	}
	return lower / sum, upper / sum
}
