package stats

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/mathext"
)

// EffectOptions are the options of the effect sizes. nil and zero fields mean
// the defaults.
type EffectOptions struct {
	Level       float64 // confidence level of the interval; zero: 0.95
	Approximate bool    // HedgesG: J = 1 - 3/(4 df - 1) in place of the exact factor
}

// Effect is an effect size of x against y: positive where x is greater.
type Effect struct {
	N1, N2   int
	Estimate float64
	SE       float64  // large-sample standard error
	Interval Interval // two-sided
	Warnings []error
}

// CohenD returns the difference of means in units of the pooled standard
// deviation:
//
//	d = (mean x - mean y) / s,  s² = (ss x + ss y)/(n1 + n2 - 2)
//	SE² = (n1+n2)/(n1 n2) + d²/(2(n1+n2))
//
// Interval d ± z SE (Hedges and Olkin 1985, large samples). Two values a
// sample (ErrSampleSize) and some variance (ErrZeroVariance) are needed.
func CohenD(x, y []float64, o *EffectOptions) (Effect, error) {
	return cohen("CohenD", x, y, o, pooled)
}

// HedgesG returns Cohen's d times the factor that removes its bias in small
// samples:
//
//	J = Γ(m/2) / (sqrt(m/2) Γ((m-1)/2)),  m = n1 + n2 - 2
//
// or its approximation 1 - 3/(4m-1) (Hedges 1981). SE is J times that of d.
// Errors as CohenD.
func HedgesG(x, y []float64, o *EffectOptions) (Effect, error) {
	e, err := cohen("HedgesG", x, y, o, pooled)
	if err != nil {
		return e, err
	}
	m := float64(e.N1 + e.N2 - 2)
	j := math.Exp(lgamma(m/2)-lgamma((m-1)/2)) / math.Sqrt(m/2)
	if o != nil && o.Approximate {
		j = 1 - 3/(4*m-1)
	}
	e.Estimate *= j
	e.SE *= j
	e.Interval.Lower *= j
	e.Interval.Upper *= j
	return e, nil
}

// CohenDAverage returns the difference of means in units of the root of the
// mean of the two variances ("d av"), which does not take them to be equal:
//
//	d = (mean x - mean y) / s,  s² = (var x + var y)/2
//	SE² = d² (var x²/(n1-1) + var y²/(n2-1))/(8 s⁴) + (var x/(n1-1) + var y/(n2-1))/s²
//
// (Bonett 2008, independent samples). Errors as CohenD.
func CohenDAverage(x, y []float64, o *EffectOptions) (Effect, error) {
	return cohen("CohenDAverage", x, y, o, average)
}

// GlassDelta returns the difference of means in units of the standard
// deviation of y, the control:
//
//	Δ = (mean x - mean y) / sd y,  SE² = (n1+n2)/(n1 n2) + Δ²/(2(n2-1))
//
// Errors as CohenD; a constant y is ErrZeroVariance.
func GlassDelta(x, y []float64, o *EffectOptions) (Effect, error) {
	return cohen("GlassDelta", x, y, o, control)
}

// A standardiser returns the unit of an effect size and, for an effect d, the
// square of its standard error.
type standardiser func(n1, n2, v1, v2 float64) (s float64, se2 func(d float64) float64)

func pooled(n1, n2, v1, v2 float64) (float64, func(float64) float64) {
	s := math.Sqrt(((n1-1)*v1 + (n2-1)*v2) / (n1 + n2 - 2))
	return s, func(d float64) float64 { return (n1+n2)/(n1*n2) + d*d/(2*(n1+n2)) }
}

func average(n1, n2, v1, v2 float64) (float64, func(float64) float64) {
	s2 := (v1 + v2) / 2
	return math.Sqrt(s2), func(d float64) float64 {
		return d*d*(v1*v1/(n1-1)+v2*v2/(n2-1))/(8*s2*s2) + (v1/(n1-1)+v2/(n2-1))/s2
	}
}

func control(n1, n2, v1, v2 float64) (float64, func(float64) float64) {
	return math.Sqrt(v2), func(d float64) float64 { return (n1+n2)/(n1*n2) + d*d/(2*(n2-1)) }
}

func cohen(name string, x, y []float64, o *EffectOptions, unit standardiser) (Effect, error) {
	e, z, err := newEffect(name, x, y, 2, o)
	if err != nil {
		return e, err
	}
	m1, ss1 := meanVar(x)
	m2, ss2 := meanVar(y)
	n1, n2 := float64(e.N1), float64(e.N2)
	s, se2 := unit(n1, n2, ss1/(n1-1), ss2/(n2-1))
	if constant(s, max(math.Abs(m1), math.Abs(m2))) {
		return e, fmt.Errorf("stats: %s: %w: the standard deviation is 0", name, ErrZeroVariance)
	}
	e.Estimate = (m1 - m2) / s
	e.SE = math.Sqrt(se2(e.Estimate))
	e.Interval.Lower, e.Interval.Upper = e.Estimate-z*e.SE, e.Estimate+z*e.SE
	return e, nil
}

// newEffect checks the samples and returns the normal quantile of the interval.
func newEffect(name string, x, y []float64, least int, o *EffectOptions) (e Effect, z float64, err error) {
	var l float64
	if o != nil {
		l = o.Level
	}
	if l, err = level(name, l); err != nil {
		return
	}
	if err = checkPair(name, x, y, least); err != nil {
		return
	}
	e = Effect{N1: len(x), N2: len(y), Interval: Interval{Level: l}}
	return e, -mathext.NormalQuantile((1 - l) / 2), nil
}

// CliffDelta returns how much more often a value of x exceeds one of y than it
// falls short of it, over all pairs:
//
//	δ = (#(x > y) - #(x < y)) / (n1 n2) = 2U/(n1 n2) - 1
//
// from -1 to 1. SE is the root of Cliff's unbiased variance, at least
// (1-δ²)/(n1 n2 - 1); the interval is his asymmetric one, within [-1, 1] (Cliff
// 1996; Feng and Cliff 2004). With a single value on a side there is no
// variance: SE is NaN, the interval [-1, 1], and a warning says so.
func CliffDelta(x, y []float64, o *EffectOptions) (Effect, error) {
	e, z, err := newEffect("CliffDelta", x, y, 1, o)
	if err != nil {
		return e, err
	}
	e.cliff(compare(x, y), z)
	return e, nil
}

// dominance holds what the pairs of two samples say of their order.
type dominance struct {
	u      float64   // #(x > y) + #(x = y)/2
	dx, dy []float64 // for each x (y): the mean of sign(x - y) over the other sample
	equal  float64   // number of pairs that are equal
	ties   []int     // sizes of the groups of equal values, both samples together
}

// compare finds the dominance in O(n log n), from ranks: an x's rank among all
// less its rank among the x is #(y < x) + #(y = x)/2.
func compare(x, y []float64) dominance {
	all, ties := midranks(append(append(make([]float64, 0, len(x)+len(y)), x...), y...))
	own1, ties1 := midranks(x)
	own2, ties2 := midranks(y)
	n1, n2 := float64(len(x)), float64(len(y))
	d := dominance{dx: own1, dy: own2, ties: ties}
	for i, r := range own1 {
		above := all[i] - r
		d.u += above
		d.dx[i] = 2*above/n2 - 1
	}
	for j, r := range own2 {
		d.dy[j] = 1 - 2*(all[len(x)+j]-r)/n1
	}
	square := func(t float64) float64 { return t * t }
	d.equal = (tieSum(ties, square) - tieSum(ties1, square) - tieSum(ties2, square)) / 2
	return d
}

func (e *Effect) cliff(p dominance, z float64) {
	n1, n2 := float64(e.N1), float64(e.N2)
	d := 2*p.u/(n1*n2) - 1
	e.Estimate = d
	if e.N1 < 2 || e.N2 < 2 {
		e.SE = math.NaN()
		e.Interval.Lower, e.Interval.Upper = -1, 1
		e.Warnings = append(e.Warnings, fmt.Errorf("stats: CliffDelta: %w: a sample of one has no variance, the interval is all of the scale", ErrSampleSize))
		return
	}
	spread := func(v []float64) (s float64) {
		for _, a := range v {
			s += (a - d) * (a - d)
		}
		return s
	}
	pairs := n1*n2 - p.equal - n1*n2*d*d
	v := (n2*n2*spread(p.dx) + n1*n1*spread(p.dy) - pairs) / (n1 * n2 * (n1 - 1) * (n2 - 1))
	v = max(v, (1-d*d)/(n1*n2-1))
	e.SE = math.Sqrt(v)
	switch n := min(n1, n2); {
	case d >= 1:
		e.Interval.Lower, e.Interval.Upper = (n-z*z)/(n+z*z), 1
	case d <= -1:
		e.Interval.Lower, e.Interval.Upper = -1, -(n-z*z)/(n+z*z)
	default:
		half := z * e.SE * math.Sqrt((1-d*d)*(1-d*d)+z*z*v)
		e.Interval.Lower = (d - d*d*d - half) / (1 - d*d + z*z*v)
		e.Interval.Upper = (d - d*d*d + half) / (1 - d*d + z*z*v)
	}
}
