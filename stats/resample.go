package stats

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// Statistic is what a permutation test compares.
type Statistic int

// The statistics of Permutation.
const (
	MeanDifference Statistic = iota // mean x - mean y
	WelchT                          // Welch's t: valid for large samples also where the variances differ (Janssen 1997)
)

// ResampleOptions are the options of Permutation and SignFlip. nil and zero
// fields mean the defaults.
type ResampleOptions struct {
	Alternative Alternative // zero: TwoSided, by the absolute value of the statistic
	Statistic   Statistic   // Permutation only; zero: MeanDifference
	ExactLimit  int         // enumerate up to this many arrangements; zero: 2^20; -1: never
	Draws       int         // random arrangements where there are more; zero: 9999
	Seed        uint64      // of the draws: the same seed gives the same result
}

// ResampleResult is the outcome of a permutation or sign-flip test.
type ResampleResult struct {
	N1, N2       int     // sizes; of SignFlip N1 the differences, N2 0
	Estimate     float64 // mean x - mean y, or the mean difference
	Statistic    float64 // observed; Estimate unless WelchT was asked for
	Arrangements int     // enumerated, or drawn at random
	Exceed       int     // of these, at least as extreme as the observed one
	Tied         int     // of these, exactly as extreme
	P            float64 // exact: Exceed/Arrangements; random: (Exceed+1)/(Arrangements+1)
	Exact        bool
	SE           float64 // Monte Carlo standard error of P; 0 if Exact
	Warnings     []error
}

// Permutation tests whether two samples are exchangeable, by their statistic
// under all relabelings of the pooled values, N!/(n1! n2!) of them, if these are
// at most ExactLimit, and under random ones otherwise. The observed arrangement is
// one of the enumerated, and counts as one more among the random ones (Phipson and
// Smyth 2010): P is never 0. Arrangements whose statistics differ by rounding only
// are tied and count as extreme. (MKinfer's perm.t.test, whose strict b/B leaves
// ties out, is (Exceed-Tied)/Arrangements.)
//
// One value a sample is enough, two for WelchT (ErrSampleSize); values all equal
// are ErrZeroVariance. A warning says when no arrangement could give P < 0.05 and
// when a random P has reached its floor.
func Permutation(x, y []float64, o *ResampleOptions) (ResampleResult, error) {
	opt, err := o.settle("Permutation")
	r := ResampleResult{N1: len(x), N2: len(y)}
	if err != nil {
		return r, err
	}
	least := 1
	if opt.Statistic == WelchT {
		least = 2
	}
	if err := checkPair("Permutation", x, y, least); err != nil {
		return r, err
	}
	m1, _ := meanVar(x)
	m2, _ := meanVar(y)
	r.Estimate = m1 - m2
	// The sums of the smaller group tell all; values are centred so that they
	// lose no digits.
	small, large, sign := x, y, 1.0
	if len(x) > len(y) {
		small, large, sign = y, x, -1
	}
	c := append(append(make([]float64, 0, len(x)+len(y)), small...), large...)
	center, ss := meanVar(c)
	if constant(math.Sqrt(ss/float64(len(c))), center) {
		return r, fmt.Errorf("stats: Permutation: %w: all values are equal", ErrZeroVariance)
	}
	var size, total float64
	for i, v := range c {
		size = max(size, math.Abs(v))
		c[i] = v - center
		total += math.Abs(c[i])
	}
	k := len(small)
	stat, tolerance := meanStatistic(sign), epsilon*float64(len(c))*(size+total)
	if opt.Statistic == WelchT {
		stat = welchStatistic(c, k, sign)
	}
	var sum, square float64
	for _, v := range c[:k] {
		sum += v
		square += v * v
	}
	observed := stat(sum, square)
	r.Statistic = r.Estimate
	if opt.Statistic == WelchT {
		r.Statistic = observed
		tolerance = 1e-8 * max(1, math.Abs(observed)) // a small variance in a group loses digits
		if math.IsInf(observed, 0) {
			tolerance = 0
		}
	}
	slices.Sort(c) // so that the draws do not depend on the order of rows
	t := tally{opt.Alternative, observed, tolerance, &r}
	if n, ok := choose(len(c), k, opt.ExactLimit); ok {
		r.Exact, r.Arrangements = true, n
		combinations(c, k, func(sum, square float64) { t.count(stat(sum, square)) })
	} else {
		r.Arrangements = opt.Draws
		random := rand.New(rand.NewPCG(opt.Seed, seedStream))
		for range opt.Draws {
			sum, square = 0, 0
			for i := range k {
				j := i + random.IntN(len(c)-i)
				v := c[j]
				c[i], c[j] = v, c[i]
				sum += v
				square += v * v
			}
			t.count(stat(sum, square))
		}
	}
	r.finish("Permutation", opt.Alternative == TwoSided)
	return r, nil
}

// SignFlip tests whether differences are symmetric about 0, by their mean under
// all 2^n choices of their signs if these are at most ExactLimit, and under
// random ones otherwise; P and Warnings as Permutation. It is the permutation test
// of pairs: d[i] = x[i] - y[i]. One difference is enough (ErrSampleSize); all
// zero is ErrZeroVariance.
func SignFlip(d []float64, o *ResampleOptions) (ResampleResult, error) {
	opt, err := o.settle("SignFlip")
	r := ResampleResult{N1: len(d)}
	if err != nil {
		return r, err
	}
	if opt.Statistic != MeanDifference {
		return r, fmt.Errorf("stats: SignFlip: %w: Statistic %d, wanted MeanDifference", ErrOption, opt.Statistic)
	}
	if err := check("SignFlip", "d", d, 1); err != nil {
		return r, err
	}
	var sum, total float64
	size := make([]float64, len(d))
	for i, v := range d {
		sum += v
		size[i] = math.Abs(v)
		total += size[i]
	}
	slices.Sort(size) // so that the draws do not depend on the order of rows
	if total == 0 {
		return r, fmt.Errorf("stats: SignFlip: %w: all differences are 0", ErrZeroVariance)
	}
	r.Estimate = sum / float64(len(d))
	r.Statistic = r.Estimate
	t := tally{opt.Alternative, sum, epsilon * float64(len(d)) * total, &r}
	if len(d) < 62 && 1<<len(d) <= opt.ExactLimit {
		r.Exact, r.Arrangements = true, 1<<len(d)
		signs(size, 0, t.count)
	} else {
		r.Arrangements = opt.Draws
		random := rand.New(rand.NewPCG(opt.Seed, seedStream))
		for range opt.Draws {
			var s float64
			var bits uint64
			for i, v := range size {
				if i%64 == 0 {
					bits = random.Uint64()
				}
				s += math.Float64frombits(math.Float64bits(v) ^ bits<<63) // ±v
				bits >>= 1
			}
			t.count(s)
		}
	}
	r.finish("SignFlip", opt.Alternative == TwoSided)
	return r, nil
}

// seedStream is the second half of every seed, fixed so that one number names
// a stream.
const seedStream = 0x9e3779b97f4a7c15

func (o *ResampleOptions) settle(name string) (ResampleOptions, error) {
	var s ResampleOptions
	if o != nil {
		s = *o
	}
	if s.ExactLimit == 0 {
		s.ExactLimit = 1 << 20
	}
	if s.Draws == 0 {
		s.Draws = 9999
	}
	switch {
	case s.ExactLimit < -1:
		return s, fmt.Errorf("stats: %s: %w: ExactLimit %d, wanted -1 or more", name, ErrOption, s.ExactLimit)
	case s.Draws < 1:
		return s, fmt.Errorf("stats: %s: %w: Draws %d, wanted 1 or more", name, ErrOption, s.Draws)
	case s.Statistic < MeanDifference || s.Statistic > WelchT:
		return s, fmt.Errorf("stats: %s: %w: Statistic %d, wanted MeanDifference or WelchT", name, ErrOption, s.Statistic)
	}
	return s, s.Alternative.check(name)
}

// tally counts the arrangements that are at least as extreme as the observed.
type tally struct {
	alternative         Alternative
	observed, tolerance float64
	result              *ResampleResult
}

func (t *tally) count(v float64) {
	at := t.observed
	switch t.alternative {
	case TwoSided:
		v, at = math.Abs(v), math.Abs(at)
	case Less:
		v, at = -v, -at
	}
	switch {
	case v == at || math.Abs(v-at) <= t.tolerance: // the first: infinite ones
		t.result.Exceed++
		t.result.Tied++
	case v > at:
		t.result.Exceed++
	}
}

func (r *ResampleResult) finish(name string, twoSided bool) {
	n := float64(r.Arrangements)
	if r.Exact {
		r.P = float64(r.Exceed) / n
		least := 1 / n
		if twoSided && (r.N1 == r.N2 || r.N2 == 0) { // each arrangement has its mirror image
			least *= 2
		}
		if least >= 0.05 {
			r.Warnings = append(r.Warnings, fmt.Errorf("stats: %s: %w: %d arrangements cannot give P < 0.05", name, ErrSampleSize, r.Arrangements))
		}
		return
	}
	r.P = float64(r.Exceed+1) / (n + 1)
	r.SE = math.Sqrt(r.P * (1 - r.P) / n)
	if r.Exceed == 0 {
		r.Warnings = append(r.Warnings, fmt.Errorf("stats: %s: none of %d draws is as extreme: P is at its floor, more Draws would lower it", name, r.Arrangements))
	}
}

// meanStatistic is monotone in the difference of means: of centred values the
// groups' sums are s and -s.
func meanStatistic(sign float64) func(sum, square float64) float64 {
	return func(sum, _ float64) float64 { return sign * sum }
}

// welchStatistic gives Welch's t from the sum and the sum of squares of the
// first group; of the second they are what is left of the whole.
func welchStatistic(c []float64, k int, sign float64) func(sum, square float64) float64 {
	var all, squares float64
	for _, v := range c {
		all += v
		squares += v * v
	}
	n1, n2 := float64(k), float64(len(c)-k)
	noise := 16 * epsilon * squares // of a variance that is 0
	return func(sum, square float64) float64 {
		rest := all - sum
		ss1, ss2 := square-sum*sum/n1, squares-square-rest*rest/n2
		if ss1 < noise {
			ss1 = 0
		}
		if ss2 < noise {
			ss2 = 0
		}
		d := sum/n1 - rest/n2
		return sign * d / math.Sqrt(ss1/(n1-1)/n1+ss2/(n2-1)/n2)
	}
}

// choose returns n over k if it is at most limit.
func choose(n, k, limit int) (int, bool) {
	c := 1.0
	for i := 1; i <= k; i++ {
		c = c * float64(n-k+i) / float64(i) // whole after each step
		if c > float64(limit) {
			return 0, false
		}
	}
	return int(c), 1 <= limit
}

// combinations visits every choice of k of the values, with its sum and its
// sum of squares; sums of leading values are kept, never subtracted from, so that
// no rounding builds up.
func combinations(c []float64, k int, visit func(sum, square float64)) {
	at := make([]int, k)
	sum, square := make([]float64, k+1), make([]float64, k+1)
	level := 0
	for level >= 0 {
		if at[level] > len(c)-k+level {
			level--
			if level >= 0 {
				at[level]++
			}
			continue
		}
		v := c[at[level]]
		sum[level+1], square[level+1] = sum[level]+v, square[level]+v*v
		if level < k-1 {
			at[level+1] = at[level] + 1
			level++
			continue
		}
		visit(sum[k], square[k])
		at[level]++
	}
}

func signs(d []float64, sum float64, visit func(float64)) {
	if len(d) == 0 {
		visit(sum)
		return
	}
	signs(d[1:], sum+d[0], visit)
	signs(d[1:], sum-d[0], visit)
}
