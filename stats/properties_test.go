package stats

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func normals(r *rand.Rand, n int, mean, sd float64) []float64 {
	x := make([]float64, n)
	for i := range x {
		x[i] = mean + sd*r.NormFloat64()
	}
	return x
}

// coarse rounds, to make ties.
func coarse(x []float64) []float64 {
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = math.Round(2 * v)
	}
	return out
}

func shuffled[T any](r *rand.Rand, x []T) []T {
	out := slices.Clone(x)
	r.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

func TestTwoSampleProperties(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		x, y := normals(r, 2+r.IntN(7), 0, 1), normals(r, 2+r.IntN(7), r.NormFloat64(), 3)
		if r.IntN(2) == 0 {
			x, y = coarse(x), coarse(y)
		}
		a, err := Welch(x, y, nil)
		if err != nil { // both constant by chance
			continue
		}
		b := must[TResult](t)(Welch(y, x, nil))
		if a.P != b.P || a.T != -b.T || a.DF != b.DF || a.Interval.Lower != -b.Interval.Upper {
			t.Errorf("Welch is not symmetric: %+v, %+v", a, b)
		}
		s := must[TResult](t)(Student(x, y, nil))
		if len(x) == len(y) {
			near(t, "t of equal sizes", a.T, s.T, 1e-12)
		}
		less := must[TResult](t)(Welch(x, y, &TestOptions{Alternative: Less}))
		greater := must[TResult](t)(Welch(x, y, &TestOptions{Alternative: Greater}))
		near(t, "two tails", less.P+greater.P, 1, 1e-14)
		if d := must[Effect](t)(CliffDelta(x, y, nil)); d.Interval.Lower > d.Estimate || d.Interval.Upper < d.Estimate || d.Interval.Lower < -1 || d.Interval.Upper > 1 {
			t.Errorf("interval of delta %+v", d)
		}
		if m, err := MannWhitney(x, y, nil); err == nil {
			n := must[MannWhitneyResult](t)(MannWhitney(y, x, nil))
			if m.U+n.U != float64(len(x)*len(y)) {
				t.Errorf("U and U' sum to %v", m.U+n.U)
			}
			near(t, "p of U'", n.P, m.P, 1e-12)
			inUnit(t, "Mann-Whitney", m.P)
		}
		for _, o := range []*ResampleOptions{nil, {Statistic: WelchT}, {ExactLimit: -1, Draws: 50}, {Alternative: Less}} {
			p := must[ResampleResult](t)(Permutation(x, y, o))
			q := must[ResampleResult](t)(Permutation(shuffled(r, x), shuffled(r, y), o))
			if p.P != q.P || p.P == 0 {
				t.Errorf("Permutation %+v: P = %v, after shuffling rows %v", o, p.P, q.P)
			}
			inUnit(t, "Permutation", p.P)
		}
		inUnit(t, "Welch", a.P)
		inUnit(t, "Student", s.P)
	}
}

func inUnit(t *testing.T, what string, p float64) {
	t.Helper()
	if !(p >= 0 && p <= 1) {
		t.Errorf("%s: P = %v", what, p)
	}
}

func TestRankProperties(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 200 {
		x := normals(r, 1+r.IntN(40), 0, 2)
		if r.IntN(2) == 0 {
			x = coarse(x)
		}
		up := must[[]float64](t)(Ranks(x))
		down := must[[]float64](t)(RanksDescending(x))
		n := float64(len(x))
		var sum float64
		for i, v := range up {
			sum += v
			if v+down[i] != n+1 {
				t.Errorf("ranks %v and %v, want a sum of %v", v, down[i], n+1)
			}
			// #smaller + (#equal + 1)/2, by counting
			var below, equal float64
			for _, w := range x {
				if w < x[i] {
					below++
				} else if w == x[i] {
					equal++
				}
			}
			if v != below+(equal+1)/2 {
				t.Errorf("rank %v, want %v", v, below+(equal+1)/2)
			}
		}
		if sum != n*(n+1)/2 {
			t.Errorf("ranks sum to %v, want %v", sum, n*(n+1)/2)
		}
	}
}

func TestAdjustProperties(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for range 300 {
		p := make([]float64, r.IntN(12))
		for i := range p {
			p[i] = math.Pow(r.Float64(), 3)
			if r.IntN(4) == 0 && i > 0 {
				p[i] = p[i-1]
			}
		}
		bh, by := must[[]float64](t)(BenjaminiHochberg(p)), must[[]float64](t)(BenjaminiYekutieli(p))
		holm, bonferroni := must[[]float64](t)(Holm(p)), must[[]float64](t)(Bonferroni(p))
		hochberg := must[[]float64](t)(Hochberg(p))
		for i := range p {
			chain := []float64{p[i], bh[i], hochberg[i], holm[i], bonferroni[i], 1}
			if !slices.IsSorted(chain) || by[i] < bh[i] || by[i] > 1 {
				t.Errorf("p %v: BH %v <= Hochberg %v <= Holm %v <= Bonferroni %v, BY %v", chain[0], chain[1], chain[2], chain[3], chain[4], by[i])
			}
			for j := range p {
				for _, a := range [][]float64{bh, by, holm, hochberg, bonferroni} {
					if p[i] <= p[j] && a[i] > a[j] {
						t.Errorf("p %v <= %v but adjusted %v > %v", p[i], p[j], a[i], a[j])
					}
				}
			}
		}
		order := r.Perm(len(p))
		q := make([]float64, len(p))
		for i, o := range order {
			q[i] = p[o]
		}
		for i, v := range must[[]float64](t)(BenjaminiHochberg(q)) {
			if v != bh[order[i]] {
				t.Error("BH depends on the order")
			}
		}
	}
}

// subsets calls f with each choice of k of n.
func subsets(n, k int, f func(in []bool)) {
	for mask := range 1 << n {
		in := make([]bool, n)
		c := 0
		for i := range n {
			if mask>>i&1 == 1 {
				in[i] = true
				c++
			}
		}
		if c == k {
			f(in)
		}
	}
}

func TestExactEqualsEnumeration(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	for trial := range 60 {
		x, y := normals(r, 2+r.IntN(4), 0, 1), normals(r, 2+r.IntN(4), 1, 2)
		if trial%2 == 0 {
			x, y = coarse(x), coarse(y)
		}
		all := slices.Concat(x, y)
		pick := func(in []bool) (a, b []float64) {
			for i, v := range all {
				if in[i] {
					a = append(a, v)
				} else {
					b = append(b, v)
				}
			}
			return
		}
		mean := func(a, b []float64) float64 {
			m, _ := meanVar(a)
			n, _ := meanVar(b)
			return m - n
		}
		welch := func(a, b []float64) float64 {
			m, ss := meanVar(a)
			n, tt := meanVar(b)
			na, nb := float64(len(a)), float64(len(b))
			v := ss/(na-1)/na + tt/(nb-1)/nb
			if v < 1e-20 {
				return math.Copysign(math.Inf(1), m-n)
			}
			return (m - n) / math.Sqrt(v)
		}
		for s, f := range []func(a, b []float64) float64{MeanDifference: mean, WelchT: welch} {
			observed := f(x, y)
			var n, two, up, down float64
			subsets(len(all), len(x), func(in []bool) {
				v := f(pick(in))
				n++
				if math.Abs(v) >= math.Abs(observed)-1e-9 {
					two++
				}
				if v >= observed-1e-9 {
					up++
				}
				if v <= observed+1e-9 {
					down++
				}
			})
			for a, want := range []float64{TwoSided: two, Less: down, Greater: up} {
				got, err := Permutation(x, y, &ResampleOptions{Statistic: Statistic(s), Alternative: Alternative(a)})
				if err != nil { // all equal
					continue
				}
				if got.P != want/n || float64(got.Arrangements) != n {
					t.Errorf("x %v, y %v, statistic %d, alternative %d: P = %v, want %v/%v", x, y, s, a, got.P, want, n)
				}
			}
		}
		// Mann-Whitney without ties
		if trial%2 == 1 {
			observed := compare(x, y).u
			var n, up, down float64
			subsets(len(all), len(x), func(in []bool) {
				u := compare(pick(in)).u
				n++
				if u >= observed {
					up++
				}
				if u <= observed {
					down++
				}
			})
			for a, want := range []float64{TwoSided: min(1, 2*min(up, down)/n), Less: down / n, Greater: up / n} {
				got := must[MannWhitneyResult](t)(MannWhitney(x, y, &MannWhitneyOptions{Alternative: Alternative(a)}))
				near(t, "exact U", got.P, want, 1e-14)
			}
		}
		// sign flips
		var sum float64
		for _, v := range x {
			sum += v
		}
		var extreme float64
		for mask := range 1 << len(x) {
			var s float64
			for i, v := range x {
				if mask>>i&1 == 1 {
					v = -v
				}
				s += v
			}
			if math.Abs(s) >= math.Abs(sum)-1e-12 {
				extreme++
			}
		}
		if got, err := SignFlip(x, nil); err == nil && got.P != extreme/float64(int(1)<<len(x)) {
			t.Errorf("sign flips of %v: P = %v, want %v", x, got.P, extreme)
		}
	}
}

func TestMonteCarloNearExact(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	x, y := normals(r, 9, 0, 1), normals(r, 8, 0.8, 1)
	for _, s := range []Statistic{MeanDifference, WelchT} {
		exact := must[ResampleResult](t)(Permutation(x, y, &ResampleOptions{Statistic: s}))
		random := must[ResampleResult](t)(Permutation(x, y, &ResampleOptions{Statistic: s, ExactLimit: -1, Draws: 40000, Seed: 5}))
		if math.Abs(exact.P-random.P) > 4*random.SE || random.Exact || !exact.Exact {
			t.Errorf("P = %v exact, %v ± %v random", exact.P, random.P, random.SE)
		}
		again := must[ResampleResult](t)(Permutation(x, y, &ResampleOptions{Statistic: s, ExactLimit: -1, Draws: 40000, Seed: 5}))
		if again.P != random.P {
			t.Error("the same seed gave another result")
		}
	}
	exact := must[ResampleResult](t)(SignFlip(x, nil))
	random := must[ResampleResult](t)(SignFlip(x, &ResampleOptions{ExactLimit: -1, Draws: 40000}))
	if math.Abs(exact.P-random.P) > 4*random.SE {
		t.Errorf("sign flips: P = %v exact, %v ± %v random", exact.P, random.P, random.SE)
	}
	// 100 differences of one sign: no draw comes near, and P says so.
	far := must[ResampleResult](t)(SignFlip(normals(r, 100, 10, 1), nil))
	if far.P != 1e-4 || len(far.Warnings) != 1 {
		t.Errorf("P = %v with %v, want the floor of 1e-4 and a warning", far.P, far.Warnings)
	}
	few := must[ResampleResult](t)(Permutation([]float64{1, 2, 3}, []float64{4, 5, 6}, nil))
	if few.P != 0.1 || len(few.Warnings) != 1 { // 2 of 20
		t.Errorf("P = %v with %v, want 0.1 and a warning", few.P, few.Warnings)
	}
}

func TestKendallAndCliffByCounting(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	sign := func(v float64) float64 {
		switch {
		case v > 0:
			return 1
		case v < 0:
			return -1
		}
		return 0
	}
	for trial := range 100 {
		n := 4 + r.IntN(20)
		x, y := normals(r, n, 0, 1), normals(r, n, 0, 1)
		if trial%2 == 0 {
			x, y = coarse(x), coarse(y)
		}
		k, err := Kendall(x, y, nil)
		if err == nil {
			var s, a, b float64
			for i := range x {
				for j := range i {
					s += sign(x[i]-x[j]) * sign(y[i]-y[j])
					a += math.Abs(sign(x[i] - x[j]))
					b += math.Abs(sign(y[i] - y[j]))
				}
			}
			near(t, "tau-b", k.Estimate, s/math.Sqrt(a)/math.Sqrt(b), 1e-14)
			inUnit(t, "Kendall", k.P)
			for _, f := range []func(x, y []float64, o *TestOptions) (CorrelationResult, error){Pearson, Spearman, Kendall} {
				xy := must[CorrelationResult](t)(f(x, y, nil))
				yx := must[CorrelationResult](t)(f(y, x, nil))
				near(t, "exchanged", yx.Estimate, xy.Estimate, 1e-12)
				near(t, "exchanged P", yx.P, xy.P, 1e-10)
				if xy.Interval.Lower > xy.Estimate || xy.Interval.Upper < xy.Estimate {
					t.Errorf("interval %v of %v", xy.Interval, xy.Estimate)
				}
			}
		}
		// Cliff's variance from the matrix of signs (Cliff 1996)
		m := 3 + r.IntN(8)
		z := normals(r, m, 0.5, 1)
		if trial%2 == 0 {
			z = coarse(z)
		}
		e := must[Effect](t)(CliffDelta(x, z, nil))
		nx, nz := float64(n), float64(m)
		var d float64
		rows, cols := make([]float64, n), make([]float64, m)
		for i := range x {
			for j := range z {
				s := sign(x[i] - z[j])
				d += s / (nx * nz)
				rows[i] += s / nz
				cols[j] += s / nx
			}
		}
		var v float64
		for i := range x {
			v += nz * nz * (rows[i] - d) * (rows[i] - d)
			for j := range z {
				v -= (sign(x[i]-z[j]) - d) * (sign(x[i]-z[j]) - d)
			}
		}
		for j := range z {
			v += nx * nx * (cols[j] - d) * (cols[j] - d)
		}
		v = max(v/(nx*nz*(nx-1)*(nz-1)), (1-d*d)/(nx*nz-1))
		if math.Abs(e.Estimate-d) > 1e-14 || math.Abs(e.SE-math.Sqrt(v)) > 1e-12 {
			t.Errorf("delta %v ± %v, want %v ± %v", e.Estimate, e.SE, d, math.Sqrt(v))
		}
	}
}

func TestCliffVarianceFloor(t *testing.T) {
	// By hand: δ = -3/4, Cliff's unbiased variance 1/16, below (1-δ²)/(n1 n2 - 1) = 7/48.
	e := must[Effect](t)(CliffDelta([]float64{4, 0}, []float64{4, 6}, nil))
	near(t, "δ", e.Estimate, -0.75, 1e-15)
	near(t, "SE²", e.SE*e.SE, 7.0/48, 1e-12)
}

// Values compared against scipy 1.17.1: kendalltau(method="exact"), spearmanr,
// pearsonr, ttest_rel, mannwhitneyu.
func TestAgainstScipy(t *testing.T) {
	x, y := []float64{2.1, 3.4, 1.2, 5.6, 4.4, 7.7, 6.1}, []float64{1.0, 2.5, 3.1, 4.2, 6.3, 5.9, 8.8}
	a, b := []float64{1.1, 2.2, 3.3, 4.4, 7.9, 8.1}, []float64{0.5, 1.9, 2.8, 6.1, 3.0}
	for _, c := range []struct {
		alternative                                     Alternative
		kendall, spearman, pearson, paired, exact, tied float64
	}{
		{TwoSided, 0.1361111111111111, 0.07134356146753766, 0.07068229500675906, 0.8038231368485322, 0.32900432900432897, 0.3709135906252776},
		{Less, 0.9654761904761905, 0.9643282192662311, 0.9646588524966209, 0.4019115684242661, 0.8766233766233766, 0.8548463280424041},
		{Greater, 0.06805555555555555, 0.03567178073376883, 0.03534114750337953, 0.5980884315757339, 0.16450216450216448, 0.1854567953126388},
	} {
		o := &TestOptions{Alternative: c.alternative}
		near(t, "kendall", must[CorrelationResult](t)(Kendall(x, y, o)).P, c.kendall, 1e-12)
		near(t, "spearman", must[CorrelationResult](t)(Spearman(x, y, o)).P, c.spearman, 1e-12)
		near(t, "pearson", must[CorrelationResult](t)(Pearson(x, y, o)).P, c.pearson, 1e-12)
		near(t, "paired", must[TResult](t)(Paired(x, y, o)).P, c.paired, 1e-12)
		m := &MannWhitneyOptions{Alternative: c.alternative}
		near(t, "exact U", must[MannWhitneyResult](t)(MannWhitney(a, b, m)).P, c.exact, 1e-12)
		near(t, "U with a tie", must[MannWhitneyResult](t)(MannWhitney(append(slices.Clone(a), 2.8), b, m)).P, c.tied, 1e-12)
	}
	i := must[TResult](t)(Paired(x, y, &TestOptions{Level: 0.9})).Interval
	nearAll(t, "interval", []float64{i.Lower, i.Upper}, []float64{-1.5756420223233853, 1.2042134508948124}, 1e-12)
	i = must[CorrelationResult](t)(Pearson(x, y, &TestOptions{Alternative: Greater})).Interval
	nearAll(t, "one-sided interval", []float64{i.Lower, i.Upper}, []float64{0.07563785986006966, 1}, 1e-12)
	if r := must[CorrelationResult](t)(Pearson(x, x, nil)); r.Estimate < 1-1e-15 || r.P > 1e-30 {
		t.Errorf("a line: r %v, P %v", r.Estimate, r.P)
	}
}

func TestDensityIntegratesToOne(t *testing.T) {
	x := normals(rand.New(rand.NewPCG(15, 16)), 50, 3, 2)
	h := must[float64](t)(BandwidthScott(x))
	lo, hi := slices.Min(x)-9*h, slices.Max(x)+9*h
	grid := make([]float64, 2001)
	for i := range grid {
		grid[i] = lo + (hi-lo)*float64(i)/2000
	}
	var area float64
	for _, v := range must[[]float64](t)(Density(x, grid, h)) {
		area += v * (hi - lo) / 2000
	}
	near(t, "area", area, 1, 1e-12)
}
