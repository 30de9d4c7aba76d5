package stats

import (
	"errors"
	"fmt"
	"math"
)

// The errors that a caller may branch on (errors.Is). Each is wrapped in a
// message that names the function, the argument and what was wanted.
var (
	ErrSampleSize   = errors.New("too few values")
	ErrZeroVariance = errors.New("no variance")
	ErrNotFinite    = errors.New("not a finite number")
	ErrLength       = errors.New("lengths differ")
	ErrOption       = errors.New("option out of range")
	ErrAliased      = errors.New("not estimable")
	ErrConvergence  = errors.New("did not converge")
)

// Alternative is the hypothesis against which a test is made. It speaks of
// x relative to y (or to mu): Less says that x is smaller.
type Alternative int

// The alternatives. For Less and Greater p is one-sided and the interval, where
// the result has one, is open on the other side (-Inf or +Inf), as in R.
const (
	TwoSided Alternative = iota
	Less
	Greater
)

// TestOptions are the options of the classical tests. nil and zero fields
// mean the defaults.
type TestOptions struct {
	Alternative Alternative // zero: TwoSided
	Level       float64     // confidence level of the interval, in (0, 1); zero: 0.95
}

// Interval is a confidence interval.
type Interval struct {
	Lower, Upper float64
	Level        float64 // nominal coverage, such as 0.95
}

// settle returns the options with their defaults filled in.
func (o *TestOptions) settle(name string) (TestOptions, error) {
	var s TestOptions
	if o != nil {
		s = *o
	}
	var err error
	s.Level, err = level(name, s.Level)
	if err != nil {
		return s, err
	}
	return s, s.Alternative.check(name)
}

func (a Alternative) check(name string) error {
	if a < TwoSided || a > Greater {
		return fmt.Errorf("stats: %s: %w: Alternative %d, wanted TwoSided, Less or Greater", name, ErrOption, a)
	}
	return nil
}

func level(name string, l float64) (float64, error) {
	if l == 0 {
		return 0.95, nil
	}
	if !(l > 0 && l < 1) {
		return l, fmt.Errorf("stats: %s: %w: Level %v, wanted 0 < Level < 1", name, ErrOption, l)
	}
	return l, nil
}

// pick chooses the p-value of an alternative from the two tails.
func (a Alternative) pick(lower, upper float64) float64 {
	switch a {
	case Less:
		return lower
	case Greater:
		return upper
	}
	return min(1, 2*min(lower, upper))
}

// around returns estimate ± q(level)*se, open on one side for a one-sided
// alternative; quantile is that of the standardised distribution.
func (o TestOptions) around(estimate, se float64, quantile func(p float64) float64) Interval {
	switch o.Alternative {
	case Less:
		return Interval{math.Inf(-1), estimate + quantile(o.Level)*se, o.Level}
	case Greater:
		return Interval{estimate - quantile(o.Level)*se, math.Inf(1), o.Level}
	}
	h := quantile(0.5+o.Level/2) * se
	return Interval{estimate - h, estimate + h, o.Level}
}

// check reports too few values and values that are NaN or infinite.
func check(name, arg string, x []float64, least int) error {
	if len(x) < least {
		return fmt.Errorf("stats: %s: %w: %s has %d, wanted at least %d", name, ErrSampleSize, arg, len(x), least)
	}
	for i, v := range x {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("stats: %s: %w: %s[%d] is %v", name, ErrNotFinite, arg, i, v)
		}
	}
	return nil
}

func checkPair(name string, x, y []float64, least int) error {
	if err := check(name, "x", x, least); err != nil {
		return err
	}
	return check(name, "y", y, least)
}

func checkEqualLength(name string, x, y []float64) error {
	if len(x) != len(y) {
		return fmt.Errorf("stats: %s: %w: x has %d values, y has %d", name, ErrLength, len(x), len(y))
	}
	return nil
}

// meanVar returns the mean and the sum of squared deviations from it, both in
// two passes with the correction for the rounding of the first.
func meanVar(x []float64) (mean, ss float64) {
	n := float64(len(x))
	var s float64
	for _, v := range x {
		s += v
	}
	mean = s / n
	var d float64
	for _, v := range x {
		d += v - mean
	}
	mean += d / n
	d = 0
	for _, v := range x {
		e := v - mean
		d += e
		ss += e * e
	}
	return mean, max(0, ss-d*d/n)
}

// constant says whether a spread is nothing but the rounding of the mean (the
// bound of R's t.test).
func constant(se, mean float64) bool {
	return se <= 10*epsilon*math.Abs(mean)
}

const epsilon = 0x1p-52
