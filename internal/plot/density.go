package plot

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/implicitreward/implicitreward/stats"
)

// A profile is what is drawn of one sample.
type profile struct {
	values      []float64 // sorted, so that the figure does not depend on the order of the input
	at, density []float64 // nil if there is no density
	flat        bool      // there is no density: the sample is a line at its value
	mean, bar   float64
	quartiles   [3]float64
	whiskers    [2]float64
}

// profile estimates the density of a sample and its summary.
func (c *Violins) profile(values []float64) (profile, error) {
	var out profile
	if len(values) == 0 {
		return out, nil
	}
	values = slices.Sorted(slices.Values(values))
	out.values = values
	n := float64(len(values))
	for _, v := range values {
		out.mean += v / n
	}
	var ss float64
	for _, v := range values {
		ss += (v - out.mean) * (v - out.mean)
	}
	if n > 1 {
		out.bar = math.Sqrt(ss / (n - 1))
	}
	if c.Means == MeanSE {
		out.bar /= math.Sqrt(n)
	}
	q, err := stats.Quantiles(values, 0.25, 0.5, 0.75)
	if err != nil {
		return out, fmt.Errorf("plot: violins: %w", err)
	}
	out.quartiles = [3]float64(q)
	out.whiskers = [2]float64{q[0], q[2]}
	for _, v := range values {
		if reach := 1.5 * (q[2] - q[0]); v >= q[0]-reach && v <= q[2]+reach {
			out.whiskers[0], out.whiskers[1] = min(out.whiskers[0], v), max(out.whiskers[1], v)
		}
	}
	h, err := c.Bandwidth.of(values)
	switch {
	case errors.Is(err, stats.ErrZeroVariance), errors.Is(err, stats.ErrSampleSize):
		out.flat = true
		return out, nil
	case err != nil:
		return out, fmt.Errorf("plot: violins: %w", err)
	}
	out.at = densityGrid(values, h, c.Cut)
	if out.density, err = stats.Density(values, out.at, h); err != nil {
		return out, fmt.Errorf("plot: violins: %w", err)
	}
	return out, nil
}

func (b Bandwidth) of(values []float64) (float64, error) {
	if b == Scott {
		return stats.BandwidthScott(values)
	}
	return stats.BandwidthNRD0(values)
}

// densityGrid returns the points at which the density of sorted values is drawn: even steps
// or, if outliers make these too wide for the kernel, steps around each cluster of values.
func densityGrid(values []float64, h, cut float64) []float64 {
	const steps, reach = 128, 8 // at 8 bandwidths a kernel has 1e-14 of its height
	lo, hi := values[0]-cut*h, values[len(values)-1]+cut*h
	if (hi-lo)/(steps-1) <= h {
		return evenly(nil, lo, hi, steps)
	}
	var out []float64
	for from, i := 0, 1; i <= len(values); i++ {
		if i < len(values) && values[i]-values[i-1] <= 2*reach*h {
			continue
		}
		a, b := max(values[from]-reach*h, lo), min(values[i-1]+reach*h, hi)
		out = evenly(out, a, b, int(min(max(2*(b-a)/h, 2*reach), 4*steps)))
		from = i
	}
	return out
}

// evenly appends n points from lo to hi.
func evenly(to []float64, lo, hi float64, n int) []float64 {
	for i := range n {
		to = append(to, lo+(hi-lo)*float64(i)/float64(n-1))
	}
	return to
}

// markAt returns the y position of a cell's mark beside its violins: of 50 values over the
// axis, the one with the least
//
//	density/max(density) + 0.3 |y - centre| / half range
//
// where the density is that of all values of the cell, with the NRD0 bandwidth. (From the
// code of the paper's figure 1.)
func markAt(values []float64, axis extent) float64 {
	const candidates = 50
	at := make([]float64, candidates)
	for i := range at {
		at[i] = axis.lo + (axis.hi-axis.lo)*float64(i)/(candidates-1)
	}
	h, err := stats.BandwidthNRD0(values)
	if err != nil { // no density: beside the middle, where the values may be
		return at[candidates/4]
	}
	density, err := stats.Density(values, at, h)
	if err != nil {
		return at[candidates/4]
	}
	top := slices.Max(density)
	centre, half := (axis.lo+axis.hi)/2, (axis.hi-axis.lo)/2
	best, least := at[0], math.Inf(1)
	for i, v := range at {
		cost := 0.3 * math.Abs(v-centre) / half
		if top > 0 {
			cost += density[i] / top
		}
		if cost < least {
			best, least = v, cost
		}
	}
	return best
}
