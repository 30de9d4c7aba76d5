package stats

import (
	"fmt"
	"math"
)

// TResult is the outcome of a t-test.
type TResult struct {
	N1, N2       int     // sizes; for one sample and for pairs N2 is 0 and N1 the number of values or pairs
	Mean1, Mean2 float64 // means of x and y; of one sample: the mean, and mu; of pairs: both means
	SD1, SD2     float64 // standard deviations (n-1); of pairs: SD1 is that of the differences, SD2 is 0
	Estimate     float64 // Mean1 - Mean2; for one sample Mean1
	SE           float64 // standard error of Estimate
	T, DF, P     float64 // statistic, degrees of freedom, p-value
	Interval     Interval
	Warnings     []error // doubts that did not stop the test
}

// R returns the correlation-like effect size |T|/sqrt(T² + DF), from 0 to 1.
func (r TResult) R() float64 {
	if math.IsInf(r.T, 0) {
		return 1
	}
	return math.Abs(r.T) / math.Sqrt(r.T*r.T+r.DF)
}

// Welch tests whether two independent samples have the same mean, without
// taking their variances to be equal:
//
//	t = (mean x - mean y) / sqrt(a + b),  a = var x / n1,  b = var y / n2
//	df = (a + b)² / (a²/(n1-1) + b²/(n2-1))
//
// (Welch 1947; R's t.test). Each sample needs two values (ErrSampleSize) and at
// least one of them some variance (ErrZeroVariance). Independence of the values
// is the caller's claim: for values that share prompts see Paired and Mixed.
func Welch(x, y []float64, o *TestOptions) (TResult, error) {
	r, opt, ss1, ss2, err := twoSamples("Welch", x, y, o)
	if err != nil {
		return r, err
	}
	n1, n2 := float64(r.N1), float64(r.N2)
	a, b := ss1/(n1-1)/n1, ss2/(n2-1)/n2
	r.SE = math.Sqrt(a + b)
	r.DF = (a + b) * (a + b) / (a*a/(n1-1) + b*b/(n2-1))
	if constant(r.SE, max(math.Abs(r.Mean1), math.Abs(r.Mean2))) {
		return r, fmt.Errorf("stats: Welch: %w: x and y are both constant", ErrZeroVariance)
	}
	for i, s := range []float64{r.SD1 / math.Sqrt(n1), r.SD2 / math.Sqrt(n2)} {
		if m := []float64{r.Mean1, r.Mean2}[i]; constant(s, m) {
			r.Warnings = append(r.Warnings, fmt.Errorf("stats: Welch: %s is constant: the test rests on the other sample's variance", "xy"[i:i+1]))
		}
	}
	r.finish(opt, 0)
	return r, nil
}

// Student is the t-test of two independent samples with a common variance:
//
//	t = (mean x - mean y) / sqrt(s² (1/n1 + 1/n2)),  df = n1 + n2 - 2
//
// s² the pooled variance (R's t.test with var.equal). Prefer Welch unless the
// variances are known to be equal. Errors as Welch, but one of the samples may
// have a single value.
func Student(x, y []float64, o *TestOptions) (TResult, error) {
	r, opt, ss1, ss2, err := twoSamples("Student", x, y, o)
	if err != nil {
		return r, err
	}
	n1, n2 := float64(r.N1), float64(r.N2)
	r.DF = n1 + n2 - 2
	r.SE = math.Sqrt((ss1 + ss2) / r.DF * (1/n1 + 1/n2))
	if constant(r.SE, max(math.Abs(r.Mean1), math.Abs(r.Mean2))) {
		return r, fmt.Errorf("stats: Student: %w: x and y are both constant", ErrZeroVariance)
	}
	r.finish(opt, 0)
	return r, nil
}

// Paired is the t-test of the differences x[i] - y[i] against 0: OneSample of
// the differences. The right test where the same prompts, or words, serve both
// samples. Lengths that differ are ErrLength.
func Paired(x, y []float64, o *TestOptions) (TResult, error) {
	if err := checkEqualLength("Paired", x, y); err != nil {
		return TResult{}, err
	}
	if err := checkPair("Paired", x, y, 2); err != nil {
		return TResult{}, err
	}
	d := make([]float64, len(x))
	for i := range x {
		d[i] = x[i] - y[i]
	}
	r, opt, err := oneSample("Paired", d, o)
	if err != nil {
		return r, err
	}
	m1, _ := meanVar(x)
	m2, _ := meanVar(y)
	if constant(r.SE, max(math.Abs(m1), math.Abs(m2))) {
		return r, fmt.Errorf("stats: Paired: %w: the differences are constant", ErrZeroVariance)
	}
	r.Mean1, r.Mean2 = m1, m2
	r.finish(opt, 0)
	return r, nil
}

// OneSample tests whether the mean of x is mu:
//
//	t = (mean x - mu) / (sd x / sqrt(n)),  df = n - 1
//
// Estimate and Interval are of the mean. Two values (ErrSampleSize) and some
// variance (ErrZeroVariance) are needed.
func OneSample(x []float64, mu float64, o *TestOptions) (TResult, error) {
	if math.IsNaN(mu) || math.IsInf(mu, 0) {
		return TResult{}, fmt.Errorf("stats: OneSample: %w: mu is %v", ErrNotFinite, mu)
	}
	r, opt, err := oneSample("OneSample", x, o)
	if err != nil {
		return r, err
	}
	if constant(r.SE, r.Mean1) {
		return r, fmt.Errorf("stats: OneSample: %w: x is constant", ErrZeroVariance)
	}
	r.Mean2 = mu
	r.finish(opt, mu)
	return r, nil
}

func oneSample(name string, x []float64, o *TestOptions) (TResult, TestOptions, error) {
	opt, err := o.settle(name)
	if err != nil {
		return TResult{}, opt, err
	}
	if err := check(name, "x", x, 2); err != nil {
		return TResult{}, opt, err
	}
	r := TResult{N1: len(x)}
	n := float64(r.N1)
	var ss float64
	r.Mean1, ss = meanVar(x)
	r.SD1 = math.Sqrt(ss / (n - 1))
	r.SE = r.SD1 / math.Sqrt(n)
	r.Estimate, r.DF = r.Mean1, n-1
	return r, opt, nil
}

func twoSamples(name string, x, y []float64, o *TestOptions) (r TResult, opt TestOptions, ss1, ss2 float64, err error) {
	if opt, err = o.settle(name); err != nil {
		return
	}
	least := 2
	if name == "Student" && len(x)+len(y) > 2 {
		least = 1
	}
	if err = checkPair(name, x, y, least); err != nil {
		return
	}
	r.N1, r.N2 = len(x), len(y)
	r.Mean1, ss1 = meanVar(x)
	r.Mean2, ss2 = meanVar(y)
	r.SD1, r.SD2 = sd(ss1, r.N1), sd(ss2, r.N2)
	r.Estimate = r.Mean1 - r.Mean2
	return
}

// sd is NaN for a single value: it has none.
func sd(ss float64, n int) float64 { return math.Sqrt(ss / float64(n-1)) }

// finish fills in statistic, p and interval from estimate, SE and DF.
func (r *TResult) finish(o TestOptions, null float64) {
	r.T = (r.Estimate - null) / r.SE
	r.P = pT(r.T, r.DF, o.Alternative)
	r.Interval = o.around(r.Estimate, r.SE, func(p float64) float64 { return QuantileT(p, r.DF) })
}

func pT(t, df float64, a Alternative) float64 {
	return a.pick(TailT(-t, df), TailT(t, df))
}
