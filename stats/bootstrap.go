package stats

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/mathext"
)

// BootstrapOptions are the options of the bootstraps. nil and zero fields mean
// the defaults.
type BootstrapOptions struct {
	Draws int     // resamples; zero: 9999
	Level float64 // confidence level of the intervals; zero: 0.95
	Seed  uint64  // of the draws: the same seed gives the same result
}

// BootstrapResult is the outcome of a bootstrap.
type BootstrapResult struct {
	Sizes      []int   // number of units of each axis
	Draws      int     // resamples made
	Estimate   float64 // of the units as given
	Mean, SE   float64 // of the resamples; Mean - Estimate is the bias
	Percentile Interval
	Basic      Interval
	BCa        Interval
	Z0, A      float64 // bias correction and acceleration of BCa
	Warnings   []error
}

// Bootstrap resamples the values of one sample: BootstrapAxes with one axis. The
// values are sorted first, so that the result does not depend on their order.
//
//	r, err := stats.Bootstrap(x, stats.Median, nil)
func Bootstrap(x []float64, statistic func(x []float64) (float64, error), o *BootstrapOptions) (BootstrapResult, error) {
	if err := check("Bootstrap", "x", x, 2); err != nil {
		return BootstrapResult{}, err
	}
	x = slices.Sorted(slices.Values(x))
	buffer := make([]float64, 0, len(x))
	return bootstrap("Bootstrap", []int{len(x)}, func(at [][]int) (float64, error) {
		buffer = buffer[:0]
		for _, i := range at[0] {
			buffer = append(buffer, x[i])
		}
		return statistic(buffer)
	}, o)
}

// BootstrapAxes resamples the units of each axis with replacement, each axis
// on its own, and calls the statistic with the chosen indices, at[axis]. One
// axis of n rows is the ordinary bootstrap (of pairs, too); two axes that hold
// two independent samples are the two-sample bootstrap; and two axes that cross,
// prompts and words of a table, are the pigeonhole bootstrap (McCullagh 2000; Owen
// 2007), whose intervals hold for new prompts and new words and are on the safe
// side. Words of two categories are two axes beside that of the prompts.
//
//	Percentile  [Q(α/2), Q(1-α/2)] of the resamples, type 7
//	Basic       [2θ - Q(1-α/2), 2θ - Q(α/2)]
//	BCa         [Q(Φ(z0 + (z0+z)/(1-a(z0+z))))], z = ±z(α/2)
//	z0 = Φ⁻¹(share of resamples < θ)
//	a  = Σ l³/n³ / (6 (Σ l²/n²)^1.5),  l = (n-1)(mean of jackknife - jackknife[i])
//
// with sums over the units of all axes, n the size of the unit's axis (Efron
// 1987; Davison and Hinkley 1997, 5.3, for several samples). Where more than 1 % of
// the resamples equal θ, as with medians of ranks, half of these count as below it
// (as in scipy), and beyond 10 % a warning says so. Each axis needs two units
// (ErrSampleSize). The slices passed to the statistic are reused. An error or a
// value that is not finite from the statistic ends the work (ErrNotFinite).
// Where BCa cannot be had, all resamples on one side of the estimate or too few
// beyond its limits, its bounds are NaN, and a warning says so.
func BootstrapAxes(sizes []int, statistic func(at [][]int) (float64, error), o *BootstrapOptions) (BootstrapResult, error) {
	return bootstrap("BootstrapAxes", sizes, statistic, o)
}

func bootstrap(name string, sizes []int, statistic func(at [][]int) (float64, error), o *BootstrapOptions) (BootstrapResult, error) {
	r := BootstrapResult{Sizes: slices.Clone(sizes)}
	var opt BootstrapOptions
	if o != nil {
		opt = *o
	}
	l, err := level(name, opt.Level)
	if err != nil {
		return r, err
	}
	opt.Draws = cmp.Or(opt.Draws, 9999)
	if opt.Draws < 2 {
		return r, fmt.Errorf("stats: %s: %w: Draws %d, wanted 2 or more", name, ErrOption, opt.Draws)
	}
	if len(sizes) == 0 {
		return r, fmt.Errorf("stats: %s: %w: no axis, wanted at least 1", name, ErrSampleSize)
	}
	at := make([][]int, len(sizes))
	for axis, n := range sizes {
		if n < 2 {
			return r, fmt.Errorf("stats: %s: %w: axis %d has %d, wanted at least 2", name, ErrSampleSize, axis, n)
		}
		at[axis] = make([]int, n)
	}
	value := func() (float64, error) {
		v, err := statistic(at)
		if err != nil {
			return v, fmt.Errorf("stats: %s: statistic: %w", name, err)
		}
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return v, fmt.Errorf("stats: %s: statistic: %w: %v", name, ErrNotFinite, v)
		}
		return v, nil
	}
	for axis := range at {
		count(at[axis])
	}
	if r.Estimate, err = value(); err != nil {
		return r, err
	}
	jackknife := make([][]float64, len(sizes))
	for axis, n := range sizes {
		jackknife[axis] = make([]float64, n)
		for out := range n {
			at[axis] = at[axis][:n-1]
			count(at[axis])
			for i := out; i < n-1; i++ {
				at[axis][i]++
			}
			if jackknife[axis][out], err = value(); err != nil {
				return r, err
			}
		}
		at[axis] = at[axis][:n]
		count(at[axis])
	}
	random := rand.New(rand.NewPCG(opt.Seed, seedStream))
	resamples := make([]float64, opt.Draws)
	for b := range resamples {
		for axis, n := range sizes {
			for i := range at[axis] {
				at[axis][i] = random.IntN(n)
			}
		}
		if resamples[b], err = value(); err != nil {
			return r, err
		}
	}
	r.intervals(name, resamples, jackknife, l)
	return r, nil
}

// count sets indices to 0, 1, 2, ...
func count(indices []int) {
	for i := range indices {
		indices[i] = i
	}
}

// intervals fills in the result from the resampled statistics, which it sorts.
func (r *BootstrapResult) intervals(name string, resamples []float64, jackknife [][]float64, level float64) {
	slices.Sort(resamples)
	r.Draws = len(resamples)
	n := float64(r.Draws)
	mean, ss := meanVar(resamples)
	r.Mean, r.SE = mean, math.Sqrt(ss/(n-1))
	tail := (1 - level) / 2
	lo, hi := quantile(resamples, tail), quantile(resamples, 1-tail)
	r.Percentile = Interval{lo, hi, level}
	r.Basic = Interval{2*r.Estimate - hi, 2*r.Estimate - lo, level}

	var cubes, squares float64
	for _, axis := range jackknife {
		m, _ := meanVar(axis)
		k := float64(len(axis))
		for _, v := range axis {
			l := (k - 1) * (m - v) / k
			squares += l * l
			cubes += l * l * l
		}
	}
	if squares > 0 {
		r.A = cubes / (6 * math.Pow(squares, 1.5))
	}
	rounding := 1e-9 * r.SE
	var below, equal float64
	for _, v := range resamples {
		switch {
		case v < r.Estimate-rounding:
			below++
		case v <= r.Estimate+rounding:
			equal++
		}
	}
	if equal > 0.01*n { // a discrete statistic
		below += equal / 2
	}
	r.Z0 = mathext.NormalQuantile(below / n)
	z := mathext.NormalQuantile(tail)
	prob := func(z float64) float64 {
		w := r.Z0 + z
		return TailNormal(-r.Z0 - w/(1-r.A*w))
	}
	p, q := prob(z), prob(-z)
	r.BCa = Interval{math.NaN(), math.NaN(), level}
	if math.IsInf(r.Z0, 0) || p*n < 1 || (1-q)*n < 1 || 1-r.A*(r.Z0-z) <= 0 {
		r.Warnings = append(r.Warnings, fmt.Errorf("stats: %s: BCa: %w: limits at shares %.3g and %.3g of %d resamples", name, ErrSampleSize, p, q, r.Draws))
	} else {
		r.BCa.Lower, r.BCa.Upper = quantile(resamples, p), quantile(resamples, q)
	}
	if equal > 0.1*n {
		r.Warnings = append(r.Warnings, fmt.Errorf("stats: %s: BCa: %.0f%% of the resamples equal the estimate: its limits are coarse", name, 100*equal/n))
	}
}
