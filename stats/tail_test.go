package stats

import (
	"encoding/json"
	"math"
	"os"
	"strconv"
	"testing"
)

func parse(t *testing.T, v any) float64 {
	t.Helper()
	switch v := v.(type) {
	case float64:
		return v
	case string:
		f, err := strconv.ParseFloat(v, 64)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	t.Fatalf("unexpected %T", v)
	return 0
}

func relative(got, want float64) float64 {
	if got == want {
		return 0
	}
	return math.Abs(got-want) / math.Abs(want)
}

// Expected values: testdata/tails.json, written by testdata/tails.py (mpmath, 350 digits).
func TestTailsAgainstMpmath(t *testing.T) {
	data, err := os.ReadFile("testdata/tails.json")
	if err != nil {
		t.Fatal(err)
	}
	var table map[string][][]any
	if err := json.Unmarshal(data, &table); err != nil {
		t.Fatal(err)
	}
	functions := map[string]func(a []float64) float64{
		"normal": func(a []float64) float64 { return TailNormal(a[0]) },
		"t":      func(a []float64) float64 { return TailT(a[0], a[1]) },
		"F":      func(a []float64) float64 { return TailF(a[0], a[1], a[2]) },
		"qt":     func(a []float64) float64 { return QuantileT(a[0], a[1]) },
	}
	for name, f := range functions {
		var worst float64
		smallest := 1.0
		for _, row := range table[name] {
			args := make([]float64, len(row)-1)
			for i := range args {
				args[i] = parse(t, row[i])
			}
			want, got := parse(t, row[len(row)-1]), f(args)
			r := relative(got, want)
			worst = max(worst, r)
			smallest = min(smallest, math.Abs(want))
			if r > 1e-12 {
				t.Errorf("%s%v = %.17g, want %.17g (relative error %.1e)", name, args, got, want, r)
			}
		}
		if len(table[name]) < 8 {
			t.Errorf("%s: %d rows, too few", name, len(table[name]))
		}
		t.Logf("%s: %d values, worst relative error %.1e, smallest %.1e", name, len(table[name]), worst, smallest)
	}
}

func TestTailEdges(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	for _, c := range []struct {
		name      string
		got, want float64
	}{
		{"T(Inf)", TailT(inf, 3), 0}, {"T(-Inf)", TailT(-inf, 3), 1}, {"T(0)", TailT(0, 3), 0.5},
		{"T df 0", TailT(1, 0), nan}, {"T NaN", TailT(nan, 3), nan}, {"T df Inf", TailT(2, inf), TailNormal(2)},
		{"F(0)", TailF(0, 1, 2), 1}, {"F(Inf)", TailF(inf, 1, 2), 0}, {"F(-1)", TailF(-1, 1, 2), 1},
		{"F df 0", TailF(1, 0, 2), nan}, {"F NaN", TailF(nan, 1, 2), nan},
		{"Q(0)", QuantileT(0, 3), -inf}, {"Q(1)", QuantileT(1, 3), inf}, {"Q(.5)", QuantileT(0.5, 3), 0}, {"Q(2)", QuantileT(2, 3), nan},
	} {
		if c.got != c.want && !(math.IsNaN(c.got) && math.IsNaN(c.want)) {
			t.Errorf("%s = %v, want %v", c.name, c.got, c.want)
		}
	}
	// t² is F(1, df): two ways to one number.
	for _, df := range []float64{1, 4.5, 268} {
		for _, x := range []float64{0.1, 2, 30} {
			if r := relative(2*TailT(x, df), TailF(x*x, 1, df)); r > 1e-13 {
				t.Errorf("2 T(%v, %v) and F(t²) differ by %.1e", x, df, r)
			}
			if s := TailT(x, df) + TailT(-x, df); math.Abs(s-1) > 1e-15 {
				t.Errorf("T(%v) + T(-%v) = %v, want 1", x, x, s)
			}
		}
	}
	if got, want := TailF(1e308, 1000, 1), 7.9768511462771630562e-155; relative(got, want) > 1e-12 { // mpmath 1.4.1; d1 f/d2 overflows
		t.Errorf("F(1e308; 1000, 1) = %v, want %v", got, want)
	}
	if got, want := TailF(3, 2, inf), math.Exp(-3); relative(got, want) > 1e-13 { // chi-squared(2) is exponential
		t.Errorf("F(3; 2, Inf) = %v, want %v", got, want)
	}
}
