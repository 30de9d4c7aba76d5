package stats

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/mathext"
)

// CorrelationResult is the outcome of a test of association.
type CorrelationResult struct {
	N         int
	Estimate  float64 // r, rho or tau-b, from -1 to 1
	Statistic float64 // t of Pearson and Spearman, z of Kendall; NaN if Exact
	DF        float64 // n-2 of Pearson and Spearman; NaN for Kendall
	P         float64 // of no association
	Exact     bool    // Kendall: P is of the exact distribution
	Interval  Interval
	Warnings  []error
}

// Pearson returns the product-moment correlation
//
//	r = Σ(x-mx)(y-my) / sqrt(Σ(x-mx)² Σ(y-my)²),  t = r sqrt((n-2)/(1-r²)),  df = n-2
//
// with Fisher's interval tanh(atanh r ± z/sqrt(n-3)) (R's cor.test; for n = 3 it
// is [-1, 1] with a warning). Three pairs (ErrSampleSize), equal lengths
// (ErrLength) and variance in both (ErrZeroVariance) are needed. For points on a
// line t is infinite or nearly so and P is 0 or tiny.
func Pearson(x, y []float64, o *TestOptions) (CorrelationResult, error) {
	opt, err := settlePairs("Pearson", x, y, o)
	if err != nil {
		return CorrelationResult{}, err
	}
	r, err := productMoment("Pearson", x, y, opt)
	if err != nil {
		return r, err
	}
	r.fisher("Pearson", 1, 3, opt)
	return r, nil
}

// Spearman returns the rank correlation rho: Pearson's r of the midranks, with
// its t and df. P is an approximation, good from about n = 10 (a warning below).
// The interval is Fisher's with variance (1 + rho²/2)/(n-3) (Bonett and Wright
// 2000). Errors as Pearson.
func Spearman(x, y []float64, o *TestOptions) (CorrelationResult, error) {
	opt, err := settlePairs("Spearman", x, y, o)
	if err != nil {
		return CorrelationResult{}, err
	}
	rx, _ := midranks(x)
	ry, _ := midranks(y)
	r, err := productMoment("Spearman", rx, ry, opt)
	if err != nil {
		return r, err
	}
	if r.N < 10 {
		r.Warnings = append(r.Warnings, fmt.Errorf("stats: Spearman: %d pairs: the t approximation of P wants 10", r.N))
	}
	r.fisher("Spearman", 1+r.Estimate*r.Estimate/2, 3, opt)
	return r, nil
}

// Kendall returns the rank correlation tau-b, which allows for ties:
//
//	tau = S / sqrt((m - mx)(m - my)),  m = n(n-1)/2
//
// S the concordant less the discordant pairs, mx and my the pairs tied in x and
// in y. Without ties and with n < 50, P is exact; otherwise that of z = S/sd(S)
// with the tie-corrected variance, without continuity correction (R's cor.test;
// Kendall 1970). The interval is Fisher's with variance 0.437/(n-4) (Fieller,
// Hartley and Pearson 1957; for n <= 4 it is [-1, 1] with a warning). S is
// counted in O(n log n) (Knight 1966). Errors as Pearson.
func Kendall(x, y []float64, o *TestOptions) (CorrelationResult, error) {
	opt, err := settlePairs("Kendall", x, y, o)
	if err != nil {
		return CorrelationResult{}, err
	}
	_, tx := midranks(x)
	_, ty := midranks(y)
	r := CorrelationResult{N: len(x), Statistic: math.NaN(), DF: math.NaN()}
	for i, t := range [][]int{tx, ty} {
		if len(t) == 1 {
			return r, fmt.Errorf("stats: Kendall: %w: %s is constant", ErrZeroVariance, "xy"[i:i+1])
		}
	}
	n := float64(r.N)
	pairs := func(t float64) float64 { return t * (t - 1) / 2 }
	discordant, both := discordance(x, y)
	mx, my := tieSum(tx, pairs), tieSum(ty, pairs)
	s := pairs(n) - mx - my + both - 2*discordant
	r.Estimate = s / math.Sqrt(pairs(n)-mx) / math.Sqrt(pairs(n)-my)
	if r.N < 50 && !hasTies(tx) && !hasTies(ty) {
		r.Exact = true
		r.P = opt.Alternative.pick(concordanceTails(r.N, int(pairs(n)-discordant)))
	} else {
		v := func(t float64) float64 { return t * (t - 1) * (2*t + 5) }
		three := func(t float64) float64 { return t * (t - 1) * (t - 2) }
		variance := (v(n)-tieSum(tx, v)-tieSum(ty, v))/18 + 2*mx*my/(n*(n-1)) + tieSum(tx, three)*tieSum(ty, three)/(9*three(n))
		r.Statistic = s / math.Sqrt(variance)
		r.P = opt.Alternative.pick(TailNormal(-r.Statistic), TailNormal(r.Statistic))
	}
	r.fisher("Kendall", 0.437, 4, opt)
	return r, nil
}

func settlePairs(name string, x, y []float64, o *TestOptions) (TestOptions, error) {
	opt, err := o.settle(name)
	if err != nil {
		return opt, err
	}
	if err := checkEqualLength(name, x, y); err != nil {
		return opt, err
	}
	return opt, checkPair(name, x, y, 3)
}

func productMoment(name string, x, y []float64, o TestOptions) (CorrelationResult, error) {
	r := CorrelationResult{N: len(x), DF: float64(len(x) - 2)}
	mx, sx := meanVar(x)
	my, sy := meanVar(y)
	n := float64(r.N)
	if constant(math.Sqrt(sx/n), mx) {
		return r, fmt.Errorf("stats: %s: %w: x is constant", name, ErrZeroVariance)
	}
	if constant(math.Sqrt(sy/n), my) {
		return r, fmt.Errorf("stats: %s: %w: y is constant", name, ErrZeroVariance)
	}
	// 1-r and 1+r as sums of squares: 1-r² keeps its digits where |r| is near 1.
	var less, more float64
	for i := range x {
		a, b := (x[i]-mx)/math.Sqrt(sx), (y[i]-my)/math.Sqrt(sy)
		r.Estimate += a * b
		less += (a - b) * (a - b) / 2
		more += (a + b) * (a + b) / 2
	}
	r.Estimate = max(-1, min(1, r.Estimate))
	r.Statistic = r.Estimate * math.Sqrt(r.DF/(less*more))
	r.P = pT(r.Statistic, r.DF, o.Alternative)
	return r, nil
}

// fisher fills in the interval tanh(atanh(estimate) ± z sqrt(factor/(n-lost))).
func (r *CorrelationResult) fisher(name string, factor float64, lost int, o TestOptions) {
	if r.N <= lost {
		r.Interval = Interval{-1, 1, o.Level}
		r.Warnings = append(r.Warnings, fmt.Errorf("stats: %s: %d pairs: an interval wants %d", name, r.N, lost+1))
		return
	}
	i := o.around(math.Atanh(r.Estimate), math.Sqrt(factor/float64(r.N-lost)), mathext.NormalQuantile)
	r.Interval = Interval{math.Tanh(i.Lower), math.Tanh(i.Upper), i.Level}
}

// discordance returns the number of pairs that x and y order differently and
// of those tied in both: sorted by x, the exchanges that sort y.
func discordance(x, y []float64) (exchanges, both float64) {
	order := make([]int, len(x))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(x[a], x[b]), cmp.Compare(y[a], y[b]))
	})
	v, run := make([]float64, len(y)), 0
	for k, i := range order {
		v[k] = y[i]
		if k > 0 && x[i] == x[order[k-1]] && y[i] == y[order[k-1]] {
			run++
			both += float64(run)
		} else {
			run = 0
		}
	}
	buffer := make([]float64, len(v))
	for width := 1; width < len(v); width *= 2 {
		for lo := 0; lo < len(v); lo += 2 * width {
			mid, hi := min(lo+width, len(v)), min(lo+2*width, len(v))
			i, j := lo, mid
			for k := lo; k < hi; k++ {
				if j == hi || i < mid && v[i] <= v[j] {
					buffer[k] = v[i]
					i++
				} else {
					buffer[k] = v[j]
					exchanges += float64(mid - i)
					j++
				}
			}
		}
		v, buffer = buffer, v
	}
	return exchanges, both
}

// concordanceTails returns P(C <= c) and P(C >= c) for the number C of
// concordant pairs of n values in random order: the number of orders with C = c
// is that of n-1 values, summed over c-n+1 to c.
func concordanceTails(n, c int) (lower, upper float64) {
	p := []float64{1}
	for k := 2; k <= n; k++ {
		next := make([]float64, k*(k-1)/2+1)
		for i, v := range p {
			for j := range k {
				next[i+j] += v / float64(k)
			}
		}
		p = next
	}
	for i, v := range p {
		if i <= c {
			lower += v
		}
		if i >= c {
			upper += v
		}
	}
	return lower, upper
}
