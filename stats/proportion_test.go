package stats

import (
	"errors"
	"math"
	"testing"
)

// TestWilson: the values of scipy 1.17.1,
//
//	binomtest(k, n, alternative=a).proportion_ci(level, method='wilson')
func TestWilson(t *testing.T) {
	for _, c := range []struct {
		k, n         int
		o            TestOptions
		lower, upper float64
	}{
		{0, 1, TestOptions{}, 0, 0.7934506856227626},
		{7, 10, TestOptions{}, 0.39677814746114526, 0.892208732593699},
		{7, 10, TestOptions{Level: 0.99}, 0.32002467920110256, 0.9204336834769342},
		{50, 50, TestOptions{}, 0.9286524008666412, 1},
		{513, 1000, TestOptions{Level: 0.9}, 0.48700137074576927, 0.5389284749299971},
		{7, 10, TestOptions{Alternative: Greater}, 0.4416997958698351, 1},
		{7, 10, TestOptions{Alternative: Less}, 0, 0.8731234160968021},
	} {
		r, err := Wilson(float64(c.k), c.n, &c.o)
		if err != nil {
			t.Fatal(err)
		}
		if math.Abs(r.Interval.Lower-c.lower) > 1e-12 || math.Abs(r.Interval.Upper-c.upper) > 1e-12 || r.N != c.n || r.Estimate != float64(c.k)/float64(c.n) {
			t.Errorf("%d of %d: %+v, wanted %v to %v", c.k, c.n, r, c.lower, c.upper)
		}
	}
}

// TestWilsonProperties: failures mirror successes, the estimate is inside, halves lie
// between their neighbours, and a wrong count is an error.
func TestWilsonProperties(t *testing.T) {
	for n := 1; n < 30; n++ {
		last := -1.0
		for k := 0.0; k <= float64(n); k += 0.5 {
			a, err := Wilson(k, n, nil)
			if err != nil {
				t.Fatal(err)
			}
			b, err := Wilson(float64(n)-k, n, nil)
			if err != nil {
				t.Fatal(err)
			}
			if math.Abs(a.Interval.Lower-(1-b.Interval.Upper)) > 1e-15 || a.Interval.Level != 0.95 {
				t.Errorf("%v of %d: %v, mirrored %v", k, n, a.Interval, b.Interval)
			}
			if !(0 <= a.Interval.Lower && a.Interval.Lower <= a.Estimate && a.Estimate <= a.Interval.Upper && a.Interval.Upper <= 1 && a.Interval.Lower < a.Interval.Upper) || k > 0 && a.Interval.Lower <= last {
				t.Errorf("%v of %d: %+v", k, n, a)
			}
			last = a.Interval.Lower
		}
	}
	for _, c := range []struct {
		k    float64
		n    int
		want error
	}{{0, 0, ErrSampleSize}, {-1, 3, ErrOption}, {4, 3, ErrOption}, {math.NaN(), 3, ErrOption}} {
		if _, err := Wilson(c.k, c.n, nil); !errors.Is(err, c.want) {
			t.Errorf("%v of %d: %v, wanted %v", c.k, c.n, err, c.want)
		}
	}
	if _, err := Wilson(1, 2, &TestOptions{Level: 95}); !errors.Is(err, ErrOption) {
		t.Error(err)
	}
}
