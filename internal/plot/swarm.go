package plot

import (
	"math"
	"sort"
)

// jitter returns sideways offsets from -1 to 1 for values, spread by the golden
// ratio over the sorted values, so that neighbours lie apart and the order of the input
// does not matter but for equal values.
func jitter(values []float64) []float64 {
	const golden = 0.6180339887498949
	out := make([]float64, len(values))
	for i, at := range order(values) {
		_, frac := math.Modf(float64(i+1) * golden)
		out[at] = 2*frac - 1
	}
	return out
}

// order returns the indices of values in ascending order, equal ones as they stand.
func order(values []float64) []int {
	out := make([]int, len(values))
	for i := range out {
		out[i] = i
	}
	sort.SliceStable(out, func(i, j int) bool { return values[out[i]] < values[out[j]] })
	return out
}

// swarm returns sideways offsets in points for dots at the heights y, the least that
// keep them from touching, and the radius: smaller than asked for where dots would
// else lie beyond wide to either side. Where even the least radius does not help,
// the dots are jittered, and spread the wider the more of them lie about a height.
func swarm(y []float64, radius, wide float64) ([]float64, float64) {
	const least = 0.5
	sorted := order(y)
	for {
		if offsets, ok := settle(y, sorted, 2.1*radius, wide); ok {
			return offsets, radius
		}
		if radius <= least {
			break
		}
		radius = max(radius*0.85, least)
	}
	offsets := crowdedJitter(y, 6*radius)
	for i := range offsets {
		offsets[i] *= wide
	}
	return offsets, radius
}

// crowdedJitter is jitter in proportion to how many values lie within a distance.
func crowdedJitter(y []float64, within float64) []float64 {
	offsets := jitter(y)
	near := crowd(y, order(y), within)
	most := 0.0
	for _, n := range near {
		most = max(most, n)
	}
	for i := range offsets {
		offsets[i] *= near[i] / most
	}
	return offsets
}

// settle puts each dot, from the lowest up, as near to the middle as the dots
// below it allow, and fails where that is further than wide.
func settle(y []float64, sorted []int, apart, wide float64) ([]float64, bool) {
	offsets := make([]float64, len(y))
	var taken []span
	for k, i := range sorted {
		taken = taken[:0]
		for b := k - 1; b >= 0; b-- {
			j := sorted[b]
			dy := y[i] - y[j]
			if dy >= apart {
				break
			}
			dx := math.Sqrt(apart*apart - dy*dy)
			taken = append(taken, span{offsets[j] - dx + 1e-9, offsets[j] + dx - 1e-9})
		}
		if offsets[i] = free(taken, k%2 == 0); math.Abs(offsets[i]) > wide {
			return nil, false
		}
	}
	return offsets, true
}

// crowd counts the values within a distance of each.
func crowd(y []float64, sorted []int, within float64) []float64 {
	out := make([]float64, len(y))
	lo, hi := 0, 0
	for _, i := range sorted {
		for y[sorted[lo]] < y[i]-within {
			lo++
		}
		for hi < len(sorted) && y[sorted[hi]] <= y[i]+within {
			hi++
		}
		out[i] = float64(hi - lo)
	}
	return out
}

// A span is an open interval.
type span struct{ lo, hi float64 }

// free returns the number nearest to 0 in none of the spans; right chooses
// between two that are equally near.
func free(taken []span, right bool) float64 {
	lo, hi := 0.0, 0.0
	sort.Slice(taken, func(i, j int) bool { return taken[i].lo < taken[j].lo })
	for _, s := range taken {
		if s.lo < hi && s.hi > hi {
			hi = s.hi
		}
	}
	sort.Slice(taken, func(i, j int) bool { return taken[i].hi > taken[j].hi })
	for _, s := range taken {
		if s.hi > lo && s.lo < lo {
			lo = s.lo
		}
	}
	if hi < -lo || (hi == -lo && right) {
		return hi
	}
	return lo
}
