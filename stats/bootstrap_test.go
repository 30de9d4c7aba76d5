package stats

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func average1(x []float64) (float64, error) { m, _ := meanVar(x); return m, nil }

func TestBootstrapOfAMean(t *testing.T) {
	r := rand.New(rand.NewPCG(41, 42))
	x := make([]float64, 40)
	for i := range x {
		x[i] = r.ExpFloat64()
	}
	b := must[BootstrapResult](t)(Bootstrap(x, average1, nil))
	mean, ss := meanVar(x)
	near(t, "estimate", b.Estimate, mean, 1e-14)
	near(t, "SE", b.SE, math.Sqrt(ss)/40, 0.03) // the root of the plug-in variance over n; 1/sqrt(2·9999) = 0.7 %
	near(t, "mean", b.Mean, mean, 0.01)
	if b.Draws != 9999 || b.Percentile.Level != 0.95 || len(b.Warnings) != 0 {
		t.Errorf("%+v", b)
	}
	// A right-skewed sample: BCa lies right of Percentile, Basic left of it.
	if !(b.Basic.Upper < b.Percentile.Upper && b.Percentile.Upper < b.BCa.Upper && b.A > 0) {
		t.Errorf("upper ends %v, %v, %v of Basic, Percentile, BCa with a = %v", b.Basic.Upper, b.Percentile.Upper, b.BCa.Upper, b.A)
	}
	if again := must[BootstrapResult](t)(Bootstrap(shuffled(r, x), average1, nil)); again.BCa != b.BCa {
		t.Errorf("another order of rows gave %v, not %v", again.BCa, b.BCa)
	}
	if other := must[BootstrapResult](t)(Bootstrap(x, average1, &BootstrapOptions{Seed: 1})); other.BCa == b.BCa {
		t.Error("another seed gave the same interval")
	}
	narrow := must[BootstrapResult](t)(Bootstrap(x, average1, &BootstrapOptions{Level: 0.5})).BCa
	if !(narrow.Lower > b.BCa.Lower && narrow.Upper < b.BCa.Upper) {
		t.Errorf("level 0.5: %v, not within %v", narrow, b.BCa)
	}
}

func TestBootstrapAxes(t *testing.T) {
	r := rand.New(rand.NewPCG(43, 44))
	// An additive table: the mean of a two-way resample is that of the rows plus
	// that of the columns, the variances add.
	rows, cols := normals(r, 20, 0, 3), normals(r, 30, 0, 1)
	both := func(at [][]int) (float64, error) {
		var s float64
		for _, i := range at[0] {
			for _, j := range at[1] {
				s += rows[i] + cols[j]
			}
		}
		return s / 600, nil
	}
	b := must[BootstrapResult](t)(BootstrapAxes([]int{20, 30}, both, &BootstrapOptions{Draws: 4000}))
	_, sr := meanVar(rows)
	_, sc := meanVar(cols)
	near(t, "SE", b.SE, math.Sqrt(sr/400+sc/900), 0.05)

	// Two samples: of a difference of means the influence of a value is its
	// deviation, so a is known (Davison and Hinkley 1997, 5.3).
	x, y := []float64{1, 2, 9, 3}, []float64{4, 5, 4, 20, 6, 5}
	diff := func(at [][]int) (float64, error) {
		var s float64
		for _, i := range at[0] {
			s += x[i] / float64(len(at[0]))
		}
		for _, j := range at[1] {
			s -= y[j] / float64(len(at[1]))
		}
		return s, nil
	}
	b = must[BootstrapResult](t)(BootstrapAxes([]int{4, 6}, diff, nil))
	var cubes, squares float64
	for k, v := range [][]float64{x, y} {
		m, _ := meanVar(v)
		n := float64(len(v))
		for _, w := range v {
			l := (w - m) / n * []float64{1, -1}[k]
			squares += l * l
			cubes += l * l * l
		}
	}
	near(t, "a", b.A, cubes/(6*math.Pow(squares, 1.5)), 1e-10)
	if !slices.Equal(b.Sizes, []int{4, 6}) {
		t.Errorf("sizes %v", b.Sizes)
	}
}

func TestBootstrapDoubts(t *testing.T) {
	constant := must[BootstrapResult](t)(Bootstrap([]float64{2, 2, 2}, Median, nil))
	if constant.SE != 0 || constant.BCa != constant.Percentile || len(constant.Warnings) != 1 {
		t.Errorf("of equal values: %+v", constant)
	}
	distinct := func(x []float64) (float64, error) {
		return float64(len(slices.Compact(slices.Sorted(slices.Values(x))))), nil
	}
	sided := must[BootstrapResult](t)(Bootstrap(normals(rand.New(rand.NewPCG(45, 46)), 30, 0, 1), distinct, nil))
	if !math.IsNaN(sided.BCa.Lower) || len(sided.Warnings) != 1 || !errors.Is(sided.Warnings[0], ErrSampleSize) {
		t.Errorf("all resamples below the estimate: %+v", sided)
	}
	tied := must[BootstrapResult](t)(Bootstrap([]float64{1, 2, 2, 2, 3, 4}, Median, nil))
	if len(tied.Warnings) != 1 || math.IsNaN(tied.BCa.Lower) || math.Abs(tied.Z0) > 0.5 {
		t.Errorf("of a median with ties: %+v", tied)
	}
	few := must[BootstrapResult](t)(Bootstrap([]float64{1, 2, 4, 3}, average1, &BootstrapOptions{Draws: 20}))
	if len(few.Warnings) == 0 {
		t.Error("20 draws carry a 95 % interval without a warning")
	}
}
