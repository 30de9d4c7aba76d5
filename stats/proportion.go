package stats

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/mathext"
)

// ProportionResult is a share of successes.
type ProportionResult struct {
	N        int
	Estimate float64  // successes / N
	Interval Interval // Wilson's
}

// Wilson returns the share of successes among n independent trials with Wilson's score
// interval (Wilson 1927; R's prop.test without continuity correction),
//
//	(p + z²/2n ± z sqrt(p(1-p)/n + z²/4n²)) / (1 + z²/n),  p = successes/n
//
// with z the normal quantile of the level. It holds within [0, 1], has no width of 0 at
// p = 0 or 1, and covers about as often as it says for small n too. For Less and Greater
// it is one-sided, from 0 or to 1.
//
// successes may be fractions, such as a half for each tie: the formula stands, and as half
// successes vary less than whole ones, the interval is on the safe side. It fails where
// n < 1 (ErrSampleSize) and where successes is not in [0, n] (ErrOption).
func Wilson(successes float64, n int, o *TestOptions) (ProportionResult, error) {
	opt, err := o.settle("Wilson")
	if err != nil {
		return ProportionResult{}, err
	}
	if n < 1 {
		return ProportionResult{}, fmt.Errorf("stats: Wilson: %w: n is %d, wanted at least 1", ErrSampleSize, n)
	}
	if !(successes >= 0 && successes <= float64(n)) {
		return ProportionResult{}, fmt.Errorf("stats: Wilson: %w: %v successes of %d", ErrOption, successes, n)
	}
	tail := 1 - opt.Level
	if opt.Alternative == TwoSided {
		tail /= 2
	}
	z := -mathext.NormalQuantile(tail)
	size := float64(n)
	p := successes / size
	scale := 1 + z*z/size
	middle, half := (p+z*z/(2*size))/scale, z*math.Sqrt(p*(1-p)/size+z*z/(4*size*size))/scale
	r := ProportionResult{N: n, Estimate: p, Interval: Interval{Lower: max(middle-half, 0), Upper: min(middle+half, 1), Level: opt.Level}}
	if p == 0 || opt.Alternative == Less { // rounding aside, the formula has 0 here
		r.Interval.Lower = 0
	}
	if p == 1 || opt.Alternative == Greater {
		r.Interval.Upper = 1
	}
	return r, nil
}
