package plot

import (
	"math"
	"slices"
	"strings"
	"testing"
	"testing/quick"

	"github.com/implicitreward/implicitreward/stats"
)

// TestMarkAt compares the places of the stars of figure 1 with the paper's code (label_y of the golden file).
func TestMarkAt(t *testing.T) {
	c := realViolins(t)
	if c == nil {
		t.Skip("needs ../shared")
	}
	tests := golden(t, "real/fig1_big2_panel_tests.csv")
	all, err := c.profiles()
	if err != nil {
		t.Fatal(err)
	}
	_, axes := c.extents(all, 100)
	for _, r := range tests {
		i, j := slices.Index(c.Rows, r["prompt_framing"]), slices.Index(c.Columns, r["Category"])
		if got, want := axes[i], (extent{num(r["axis_min"]), num(r["axis_max"]), true}); math.Abs(got.lo-want.lo)+math.Abs(got.hi-want.hi) > 1e-9 {
			t.Errorf("%s %s: axis %v, wanted %v", r["Category"], r["prompt_framing"], got, want)
		}
		var values []float64
		for _, s := range c.Cells[i][j].Samples {
			values = append(values, s.Values...)
		}
		if got, want := markAt(values, axes[i]), num(r["label_y"]); math.Abs(got-want) > 1e-9 {
			t.Errorf("%s %s: mark at %v, wanted %v", r["Category"], r["prompt_framing"], got, want)
		}
	}
}

// TestProfile compares densities with the direct sums of the golden file, and bandwidths and
// means with those of the panel tests.
func TestProfile(t *testing.T) {
	c := realViolins(t)
	if c == nil {
		t.Skip("needs ../shared")
	}
	for _, r := range golden(t, "real/fig1_big2_violin_density.csv") {
		i, j := slices.Index(c.Rows, r["prompt_framing"]), slices.Index(c.Columns, r["Category"])
		k := slices.IndexFunc(c.Groups, func(g Group) bool { return g.Name == r["base_model"] })
		q, err := c.profile(c.Cells[i][j].Samples[k].Values)
		if err != nil {
			t.Fatal(err)
		}
		x, want := num(r["x"]), num(r["density_exact"])
		at := max(1, min(len(q.at)-1, slices.IndexFunc(q.at, func(v float64) bool { return v >= x-1e-9 })))
		share := (x - q.at[at-1]) / (q.at[at] - q.at[at-1])
		got := q.density[at-1] + share*(q.density[at]-q.density[at-1])
		if math.Abs(got-want) > 0.003*0.06 { // linear between 128 points; 0.06 is about the greatest density
			t.Errorf("density at %v is %v, wanted %v", x, got, want)
		}
	}
	for _, r := range golden(t, "real/fig1_big2_panel_tests.csv") {
		i, j := slices.Index(c.Rows, r["prompt_framing"]), slices.Index(c.Columns, r["Category"])
		q, err := c.profile(c.Cells[i][j].Samples[0].Values)
		if err != nil {
			t.Fatal(err)
		}
		if math.Abs(q.mean-num(r["mean_gemma"])) > 1e-9 || math.Abs(q.bar-num(r["se_gemma"])) > 1e-9 {
			t.Errorf("mean %v ± %v, wanted %v ± %v", q.mean, q.bar, r["mean_gemma"], r["se_gemma"])
		}
	}
}

// TestProfileArea: the drawn density of a sample with an outlier still integrates to nearly 1.
func TestProfileArea(t *testing.T) {
	for name, v := range map[string][]float64{
		"usual":   made(1, 200, 0, 1),
		"outlier": append(made(2, 200, 0, 1), 1e5),
		"two":     {1, 2},
	} {
		c := &Violins{Cut: 4}
		q, err := c.profile(v)
		if err != nil {
			t.Fatal(err)
		}
		area := 0.0
		for i := 1; i < len(q.at); i++ {
			area += (q.at[i] - q.at[i-1]) * (q.density[i] + q.density[i-1]) / 2
		}
		if math.Abs(area-1) > 0.03 {
			t.Errorf("%s: the density has the area %v, wanted 1", name, area)
		}
	}
}

func TestProfileWithoutDensity(t *testing.T) {
	c := &Violins{Means: MeanSE}
	for _, v := range [][]float64{{3}, {3, 3, 3}} {
		q, err := c.profile(v)
		if err != nil || !q.flat || q.at != nil || q.mean != 3 || q.bar != 0 {
			t.Errorf("%v: %+v, %v, wanted a flat profile at 3", v, q, err)
		}
	}
}

// TestSwarm: dots of a swarm do not touch and stay within its width.
func TestSwarm(t *testing.T) {
	for _, n := range []int{1, 2, 30, 200} {
		y := made(uint64(n), n, 50, 20)
		offsets, radius := swarm(y, 1.5, 30)
		for i := range y {
			if math.Abs(offsets[i]) > 30 {
				t.Errorf("n = %d: offset %v, wanted at most 30", n, offsets[i])
			}
			for j := range i {
				if d := math.Hypot(offsets[i]-offsets[j], y[i]-y[j]); d < 2*radius {
					t.Errorf("n = %d: dots %v apart, wanted %v", n, d, 2*radius)
				}
			}
		}
	}
	if offsets, radius := swarm(make([]float64, 2700), 1.5, 30); radius != 0.5 || slices.Max(offsets) > 30 || slices.Max(offsets) < 29 {
		t.Errorf("2,700 ties: radius %v, reach %v, wanted 0.5 and nearly 30", radius, slices.Max(offsets))
	}
}

// TestTicks: ticks lie within the axis, ascend evenly and have labels that differ and can be read back.
func TestTicks(t *testing.T) {
	check := func(a, b float64, exponent int8, n uint8) bool {
		f := math.Pow(10, float64(exponent%100))
		var e extent
		e.add(math.Mod(a, 1000)*f, math.Mod(b, 1000)*f)
		e = e.padded(0.05, 0.05)
		ticks := e.ticks(2 + int(n%8))
		if len(ticks) < 2 || len(ticks) > 11 {
			return false
		}
		step := ticks[1].At - ticks[0].At
		for i, k := range ticks {
			if k.At < e.lo-1e-6*step || k.At > e.hi+1e-6*step {
				return false
			}
			if i > 0 && (math.Abs(k.At-ticks[i-1].At-step) > 1e-6*step || k.Label == ticks[i-1].Label) {
				return false
			}
			if back := num(strings.ReplaceAll(k.Label, "−", "-")); math.Abs(back-k.At) > 1e-6*step {
				return false
			}
		}
		return true
	}
	if err := quick.Check(check, nil); err != nil {
		t.Error(err)
	}
	for _, c := range []struct {
		v, step, most float64
		want          string
	}{{-0.5, 0.1, 1, "−0.5"}, {1e-20, 1, 5, "0"}, {200000, 200000, 1e6, "0.2e6"}, {1.5e-7, 1e-8, 2e-7, "1.5e−7"}, {1000, 500, 2000, "1000"}} {
		if got := number(c.v, c.step, c.most); got != c.want {
			t.Errorf("number(%v, %v, %v) = %q, wanted %q", c.v, c.step, c.most, got, c.want)
		}
	}
}

// TestBlock: text is wrapped within the width and keeps all of its characters.
func TestBlock(t *testing.T) {
	p := newPen(nil)
	for _, text := range []string{"", "love", "Skywork/Skywork-Reward-Gemma-2-27B-v0.2", "a b", strings.Repeat("x", 200), "two words", "one\ntwo", "self-determination and independence"} {
		for _, wide := range []float64{20, 40, 120, 1000} {
			b := p.block(text, labelStyle, wide)
			if b.w > wide {
				t.Errorf("%q is %v wide, wanted at most %v", text, b.w, wide)
			}
			bare := func(s string) string { return strings.Join(strings.Fields(s), "") }
			if got := bare(strings.Join(b.lines, "")); got != bare(text) {
				t.Errorf("%q became %q", text, b.lines)
			}
			if b.style.size < leastSize {
				t.Errorf("%q has %v points", text, b.style.size)
			}
		}
	}
	if got := p.visible("a\t自\U0001f600é−→±\u0000"); got != `a\u0009\u81ea\U0001f600é−→±\u0000` {
		t.Errorf("visible: %q", got)
	}
}

// TestSpread: places pushed apart keep their order and their distance.
func TestSpread(t *testing.T) {
	for _, at := range [][]float64{{1}, {1, 1, 1}, {0, 50, 99, 100}, {90, 95, 100}} {
		got := spread(at, 10, 0, 100)
		for i := range got {
			if i > 0 && got[i]-got[i-1] < 10-1e-9 || got[i] < 0 || got[i] > 100 {
				t.Errorf("spread(%v) = %v", at, got)
			}
		}
	}
}

// TestColors: the palette's text shades can be read on white (contrast 4.5, WCAG 2).
func TestColors(t *testing.T) {
	for _, c := range palette(make([]Group, 8)) {
		if contrast := 1.05 / (luminance(c.dark()) + 0.05); contrast < 4.5 {
			t.Errorf("%06x has contrast %.1f, wanted 4.5", uint32(c.dark()), contrast)
		}
	}
}

// TestQuartiles: the box has type-7 quartiles, and whiskers that end at values.
func TestQuartiles(t *testing.T) {
	v := []float64{1, 2, 3, 4, 5, 6, 7, 8, 40}
	q, err := (&Violins{}).profile(v)
	if err != nil {
		t.Fatal(err)
	}
	want, err := stats.Quantiles(v, 0.25, 0.5, 0.75)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(q.quartiles[:], want) || q.whiskers != [2]float64{1, 8} {
		t.Errorf("quartiles %v and whiskers %v, wanted %v and [1 8]", q.quartiles, q.whiskers, want)
	}
}

// TestExtremes: values at the ends of what is allowed are drawn, without NaN or infinities in
// the SVG, and with labels that keep apart.
func TestExtremes(t *testing.T) {
	for _, v := range [][]float64{{-1e150, 1e150}, {1e-300, 2e-300}, {0, 0}, {1e15, 1e15 + 1}, {-1e-12, 1e12}, {1e150, 1e150}, {0, 1e-300}} {
		a, b := v[0], v[1]
		g := []Group{{Name: "a"}, {Name: "b"}}
		pair := []Sample{{Values: []float64{a, b, a, a}, Models: []Model{{"m", a, 0}}}, {Values: []float64{b}}}
		for name, c := range map[string]Chart{
			"violins":   &Violins{Groups: g, Rows: []string{"r"}, Columns: []string{"c"}, Cells: [][]Cell{{{Samples: pair, Mark: "*"}}}, Box: true, Points: Beeswarm, Means: MeanSD, Join: true},
			"split":     &Violins{Groups: g, Rows: []string{"r"}, Columns: []string{"c"}, Cells: [][]Cell{{{Samples: pair, Mark: "*"}}}, Split: true, Cut: 2, Points: Jitter, Means: MeanSE},
			"lollipop":  &Lollipop{Groups: g, Rows: []LollipopRow{{"r", v}}},
			"lines":     &Lines{Groups: g, Facets: []LineFacet{{Name: "f", Lines: []Line{{X: v, Y: v, Lower: v, Upper: v, Label: "a"}}}}},
			"points":    &Points{Groups: g, Facets: []PointFacet{{Name: "f", Note: "n", Points: []Point{{X: a, Y: b, Label: "a"}, {X: b, Y: a, Group: 1}}}}, ZeroX: true, ZeroY: true},
			"bars":      &Bars{Groups: g, Facets: []BarFacet{{Bars: []Bar{{Label: "x", Value: a}, {Label: "y", Value: b}}}}},
			"intervals": &Intervals{Groups: g, Sections: []IntervalSection{{Rows: []IntervalRow{{Label: "r", Estimates: []Estimate{{0, a, a, b}}}}}}},
		} {
			f := &Figure{Title: name, Chart: c}
			wrong, err := faults(f)
			if err != nil || len(wrong) > 0 {
				t.Errorf("%s of %v: %v %v", name, v, wrong, err)
				continue
			}
			if got := string(svg(t, f)); strings.Contains(got, "NaN") || strings.Contains(got, "Inf") {
				t.Errorf("%s of %v: NaN or Inf in the SVG", name, v)
			}
		}
	}
}
