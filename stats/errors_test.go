package stats

import (
	"errors"
	"math"
	"strings"
	"testing"
)

// twoColumns calls every function of two samples.
var twoColumns = map[string]func(x, y []float64) error{
	"Welch":       func(x, y []float64) error { _, err := Welch(x, y, nil); return err },
	"Student":     func(x, y []float64) error { _, err := Student(x, y, nil); return err },
	"Paired":      func(x, y []float64) error { _, err := Paired(x, y, nil); return err },
	"MannWhitney": func(x, y []float64) error { _, err := MannWhitney(x, y, nil); return err },
	"Permutation": func(x, y []float64) error { _, err := Permutation(x, y, nil); return err },
	"PermutationT": func(x, y []float64) error {
		_, err := Permutation(x, y, &ResampleOptions{Statistic: WelchT})
		return err
	},
	"Pearson":         func(x, y []float64) error { _, err := Pearson(x, y, nil); return err },
	"Spearman":        func(x, y []float64) error { _, err := Spearman(x, y, nil); return err },
	"Kendall":         func(x, y []float64) error { _, err := Kendall(x, y, nil); return err },
	"CohenD":          func(x, y []float64) error { _, err := CohenD(x, y, nil); return err },
	"HedgesG":         func(x, y []float64) error { _, err := HedgesG(x, y, nil); return err },
	"CohenDAverage":   func(x, y []float64) error { _, err := CohenDAverage(x, y, nil); return err },
	"GlassDelta":      func(x, y []float64) error { _, err := GlassDelta(x, y, nil); return err },
	"CliffDelta":      func(x, y []float64) error { _, err := CliffDelta(x, y, nil); return err },
	"OneSample":       func(x, y []float64) error { _, err := OneSample(x, 0, nil); return err },
	"SignFlip":        func(x, y []float64) error { _, err := SignFlip(x, nil); return err },
	"Ranks":           func(x, y []float64) error { _, err := Ranks(x); return err },
	"RanksDescending": func(x, y []float64) error { _, err := RanksDescending(x); return err },
	"Quantiles":       func(x, y []float64) error { _, err := Quantiles(x, 0.5); return err },
	"Median":          func(x, y []float64) error { _, err := Median(x); return err },
	"IQR":             func(x, y []float64) error { _, err := IQR(x); return err },
	"MAD":             func(x, y []float64) error { _, err := MAD(x); return err },
	"NRD0":            func(x, y []float64) error { _, err := BandwidthNRD0(x); return err },
	"Scott":           func(x, y []float64) error { _, err := BandwidthScott(x); return err },
	"Silverman":       func(x, y []float64) error { _, err := BandwidthSilverman(x); return err },
	"Density":         func(x, y []float64) error { _, err := Density(x, x, 1); return err },
	"Bootstrap": func(x, y []float64) error {
		_, err := Bootstrap(x, Median, nil)
		return err
	},
	"OLS": func(x, y []float64) error {
		_, err := OLS(x, []Variable{{Name: "z", Numbers: []float64{1, 2, 4, 3}}}, nil)
		return err
	},
	"ANOVA": func(x, y []float64) error {
		_, err := ANOVA(x, []Variable{{Name: "z", Labels: []string{"a", "a", "b", "b"}}}, nil)
		return err
	},
	"Mixed": func(x, y []float64) error {
		_, err := Mixed(x, nil, []Variable{{Name: "z", Labels: []string{"a", "a", "b", "b"}}}, nil)
		return err
	},
}

func TestRefusal(t *testing.T) {
	good := []float64{1, 3, 2, 5}
	other := []float64{2, 2.5, 4, 4.5}
	same := []float64{0.1, 0.1, 0.1, 0.1}
	ordersOnly := map[string]bool{"Ranks": true, "RanksDescending": true, "Quantiles": true, "Median": true, "IQR": true, "MAD": true, "Density": true}
	for name, f := range twoColumns {
		if err := f(good, other); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
			if err := f([]float64{1, bad, 2, 3}, other); !errors.Is(err, ErrNotFinite) || !strings.Contains(err.Error(), "[1]") {
				t.Errorf("%s with %v: %v, want ErrNotFinite that names the place", name, bad, err)
			}
		}
		if err := f(nil, nil); !errors.Is(err, ErrSampleSize) {
			t.Errorf("%s of nothing: %v, want ErrSampleSize", name, err)
		}
		err := f(same, same)
		switch {
		case ordersOnly[name], name == "CliffDelta", name == "SignFlip", name == "Bootstrap": // can be had of equal values
			if err != nil {
				t.Errorf("%s of equal values: %v", name, err)
			}
		case !errors.Is(err, ErrZeroVariance):
			t.Errorf("%s of equal values: %v, want ErrZeroVariance", name, err)
		}
		if err := f(good, other); err != nil && !strings.HasPrefix(err.Error(), "stats: ") {
			t.Errorf("%s: %v, want the package's name first", name, err)
		}
	}
	for _, name := range []string{"Paired", "Pearson", "Spearman", "Kendall"} {
		if err := twoColumns[name](good, good[:3]); !errors.Is(err, ErrLength) {
			t.Errorf("%s of 4 and 3: %v, want ErrLength", name, err)
		}
	}
	if err := twoColumns["SignFlip"]([]float64{0, 0}, nil); !errors.Is(err, ErrZeroVariance) {
		t.Errorf("SignFlip of zeros: %v", err)
	}
}

func TestRefusedOptions(t *testing.T) {
	x, y := []float64{1, 3, 2, 5}, []float64{2, 2.5, 4, 4.5}
	g := []Variable{{Name: "g", Labels: []string{"a", "a", "b", "b"}}}
	for name, err := range map[string]error{
		"level":        second(Welch(x, y, &TestOptions{Level: 95})),
		"alternative":  second(Welch(x, y, &TestOptions{Alternative: 7})),
		"mu":           second(OneSample(x, math.NaN(), nil)),
		"effect level": second(CohenD(x, y, &EffectOptions{Level: -1})),
		"u":            second(MannWhitney(x, y, &MannWhitneyOptions{Alternative: -1})),
		"draws":        second(Permutation(x, y, &ResampleOptions{Draws: -1})),
		"limit":        second(Permutation(x, y, &ResampleOptions{ExactLimit: -2})),
		"statistic":    second(SignFlip(x, &ResampleOptions{Statistic: WelchT})),
		"p":            second(Quantiles(x, 1.5)),
		"p NaN":        second(Quantiles(x, math.NaN())),
		"bandwidth":    second(Density(x, y, 0)),
		"adjust":       second(Holm([]float64{0.1, math.NaN()})),
		"adjust > 1":   second(BenjaminiHochberg([]float64{1.1})),
		"boot draws":   second(Bootstrap(x, Median, &BootstrapOptions{Draws: 1})),
		"boot level":   second(Bootstrap(x, Median, &BootstrapOptions{Level: 2})),
		"no axis":      second(BootstrapAxes(nil, nil, nil)),
		"axis of 1":    second(BootstrapAxes([]int{5, 1}, nil, nil)),
		"type":         second(ANOVA(x, g, &ANOVAOptions{Type: 4})),
		"mixed df":     second(Mixed(x, nil, g, &MixedOptions{DF: 9})),
		"no group":     second(Mixed(x, nil, nil, nil)),
	} {
		if err == nil || !strings.HasPrefix(err.Error(), "stats: ") || !(errors.Is(err, ErrOption) || errors.Is(err, ErrSampleSize) || errors.Is(err, ErrNotFinite)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	boom := errors.New("boom")
	if _, err := Bootstrap(x, func([]float64) (float64, error) { return 0, boom }, nil); !errors.Is(err, boom) {
		t.Errorf("an error of the statistic: %v", err)
	}
	if _, err := Bootstrap(x, func([]float64) (float64, error) { return math.NaN(), nil }, nil); !errors.Is(err, ErrNotFinite) {
		t.Errorf("a statistic of NaN: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }

func TestRefusedDesigns(t *testing.T) {
	y := []float64{1, 3, 2, 5, 4, 7, 6, 9}
	a := Variable{Name: "A", Labels: strings.Split("xxxxzzzz", "")}
	b := Variable{Name: "B", Labels: strings.Split("uuvvuuvv", "")}
	c := Variable{Name: "C", Labels: strings.Split("ssttssss", "")} // none in z:t
	n := Variable{Name: "N", Numbers: []float64{1, 1, 1, 1, 2, 2, 2, 2}}
	pairs := Variable{Name: "pair", Labels: strings.Split("11223344", "")}
	again := Variable{Name: "again", Labels: strings.Split("aabbccdd", "")}
	rows := Variable{Name: "row", Labels: strings.Split("12345678", "")}
	ols := func(terms []string, vs ...Variable) error { return second(OLS(y, vs, &OLSOptions{Terms: terms})) }
	mixed := func(fixed []Variable, groups ...Variable) error { return second(Mixed(y, fixed, groups, nil)) }
	for _, k := range []struct {
		name string
		err  error
		is   error
		says string
	}{
		{"empty cell", ols(nil, a, c), ErrAliased, "term A:C: no observation in A[z]:C[t]"},
		{"empty cell, anova", second(ANOVA(y, []Variable{a, c}, nil)), ErrAliased, "A[z]:C[t]"},
		{"level without rows", ols(nil, Variable{Name: "A", Labels: a.Labels, Levels: []string{"x", "z", "q"}}), ErrAliased, "no observation in A[q]"},
		{"aliased covariate", ols([]string{"A", "N"}, a, n), ErrAliased, "N is a combination of the other columns"},
		{"unknown label", ols(nil, Variable{Name: "A", Labels: a.Labels, Levels: []string{"x", "y"}}), ErrOption, `A[4] is "z"`},
		{"level twice", ols(nil, Variable{Name: "A", Labels: a.Labels, Levels: []string{"x", "x", "z"}}), ErrOption, `"x"`},
		{"one level", ols(nil, Variable{Name: "A", Labels: strings.Split("xxxxxxxx", "")}), ErrSampleSize, "1 level"},
		{"short labels", ols(nil, Variable{Name: "A", Labels: a.Labels[:7]}), ErrLength, "7 labels"},
		{"short numbers", ols(nil, Variable{Name: "N", Numbers: n.Numbers[:7]}), ErrLength, "7 numbers"},
		{"no values at all", ols(nil, Variable{Name: "N"}), ErrLength, "0 numbers"},
		{"both", ols(nil, Variable{Name: "A", Labels: a.Labels, Numbers: n.Numbers}), ErrOption, "labels and numbers"},
		{"no name", ols(nil, Variable{Labels: a.Labels}), ErrOption, `""`},
		{"colon", ols(nil, Variable{Name: "a:b", Labels: a.Labels}), ErrOption, "a:b"},
		{"name twice", ols(nil, a, a), ErrOption, "two variables"},
		{"margin missing", ols([]string{"A", "A:B"}, a, b), ErrOption, `"A:B" wants "B"`},
		{"unknown term", ols([]string{"Q"}, a), ErrOption, `"Q"`},
		{"term twice", ols([]string{"A", "B", "A:B", "B:A"}, a, b), ErrOption, "twice"},
		{"saturated", second(OLS(y, []Variable{rows}, nil)), ErrSampleSize, "8 observations for 8 coefficients"},
		{"exact fit", second(OLS(n.Numbers, []Variable{a}, nil)), ErrZeroVariance, "without a residual"},
		{"group of rows", mixed(nil, rows), ErrAliased, "a level for each"},
		{"group told by fixed", mixed([]Variable{a}, Variable{Name: "g", Labels: a.Labels}), ErrAliased, "group g"},
		{"same groups", mixed(nil, pairs, again), ErrAliased, "pair and again are the same"},
		{"group without labels", mixed(nil, n), ErrOption, "no labels"},
		{"group level without rows", mixed(nil, Variable{Name: "g", Labels: a.Labels, Levels: []string{"x", "z", "q"}}), ErrAliased, "g[q]"},
		{"constant within", second(Mixed([]float64{1, 1, 5, 5, 2, 2, 9, 9}, nil, []Variable{pairs}, nil)), ErrZeroVariance, "pair"},
		{"inner-outer of two", second(Mixed(y, nil, []Variable{a, b}, &MixedOptions{DF: InnerOuter})), ErrOption, "1 group"},
	} {
		if !errors.Is(k.err, k.is) || !strings.Contains(k.err.Error(), k.says) {
			t.Errorf("%s: %v, want %v that says %q", k.name, k.err, k.is, k.says)
		}
	}
	f, err := Mixed(y, []Variable{b}, []Variable{pairs}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.ANOVA(0); !errors.Is(err, ErrOption) {
		t.Errorf("type 0: %v", err)
	}
	if _, err := f.Contrast("c", []float64{1}); !errors.Is(err, ErrLength) {
		t.Errorf("1 weight: %v", err)
	}
	if _, err := f.Contrast("c", []float64{0, 0}); !errors.Is(err, ErrZeroVariance) {
		t.Errorf("no weights: %v", err)
	}
	if len(f.Warnings) == 0 || !strings.Contains(f.Warnings[0].Error(), "4 levels") {
		t.Errorf("warnings %v, want one of few levels", f.Warnings)
	}
}

func TestInputIsNotChanged(t *testing.T) {
	for name, f := range twoColumns {
		x, y := []float64{1, 3, 2, 5}, []float64{2, 2.5, 4, 4.5}
		if err := f(x, y); err != nil {
			t.Error(err)
		}
		if x[1] != 3 || x[2] != 2 || y[0] != 2 || y[1] != 2.5 || y[2] != 4 {
			t.Errorf("%s changed its input to %v, %v", name, x, y)
		}
	}
}

func TestOneValueASample(t *testing.T) {
	one, many := []float64{9}, []float64{1, 2, 4, 3}
	s := must[TResult](t)(Student(one, many, nil))
	if s.DF != 3 || !math.IsNaN(s.SD1) {
		t.Errorf("Student: %+v", s)
	}
	if m := must[MannWhitneyResult](t)(MannWhitney(one, many, nil)); m.P != 0.4 || len(m.Warnings) != 1 { // 2 of 5 places
		t.Errorf("MannWhitney: %+v", m)
	}
	if p := must[ResampleResult](t)(Permutation(one, many, nil)); p.P != 0.2 || p.Arrangements != 5 {
		t.Errorf("Permutation: %+v", p)
	}
	if d := must[Effect](t)(CliffDelta(one, many, nil)); d.Estimate != 1 || d.Interval.Lower != -1 || len(d.Warnings) != 1 {
		t.Errorf("CliffDelta: %+v", d)
	}
	for _, err := range []error{second(Welch(one, many, nil)), second(Student(one, one, nil)), second(CohenD(one, many, nil)), second(Permutation(one, many, &ResampleOptions{Statistic: WelchT}))} {
		if !errors.Is(err, ErrSampleSize) {
			t.Errorf("%v, want ErrSampleSize", err)
		}
	}
	w := must[TResult](t)(Welch(many, []float64{7, 7, 7}, nil))
	if len(w.Warnings) != 1 || w.DF != 3 {
		t.Errorf("Welch with a constant sample: %+v", w)
	}
	if p := must[ResampleResult](t)(Permutation([]float64{1, 1, 1}, []float64{2, 2, 2}, &ResampleOptions{Statistic: WelchT})); p.P != 0.1 || !math.IsInf(p.Statistic, -1) {
		t.Errorf("two constant samples: %+v", p)
	}
}
