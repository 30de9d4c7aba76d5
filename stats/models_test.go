package stats

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"
)

// factorial is a design with the given numbers of levels, each cell n times, less
// the share drop of rows.
func factorial(r *rand.Rand, n int, drop float64, levels ...int) (y []float64, vs []Variable) {
	cells := n
	for _, l := range levels {
		cells *= l
	}
	for k := range levels {
		vs = append(vs, Variable{Name: string(rune('A' + k))})
	}
	for c := range cells {
		if c >= cells/n && r.Float64() < drop { // the first of each cell stays
			continue
		}
		v := r.NormFloat64()
		rest := c
		for k, l := range levels {
			vs[k].Labels = append(vs[k].Labels, fmt.Sprint(rest%l))
			v += float64(rest % l)
			rest /= l
		}
		y = append(y, v)
	}
	return y, vs
}

func reorder(order []int, y []float64, vs []Variable) ([]float64, []Variable) {
	z := make([]float64, len(y))
	out := slices.Clone(vs)
	for k := range out {
		out[k].Labels = make([]string, len(y))
	}
	for i, o := range order {
		z[i] = y[o]
		for k := range vs {
			out[k].Labels[i] = vs[k].Labels[o]
		}
	}
	return z, out
}

func TestANOVAProperties(t *testing.T) {
	r := rand.New(rand.NewPCG(21, 22))
	for _, levels := range [][]int{{2}, {4}, {2, 3}, {3, 2, 2}, {2, 2, 2, 3}} {
		y, vs := factorial(r, 4, 0, levels...)
		t1 := must[*ANOVATable](t)(ANOVA(y, vs, &ANOVAOptions{Type: 1}))
		sum := t1.Residual.SS
		for typ := 2; typ <= 3; typ++ {
			other := must[*ANOVATable](t)(ANOVA(y, vs, &ANOVAOptions{Type: typ}))
			for i, row := range other.Rows {
				near(t, "balanced, "+row.Term, row.SS, t1.Rows[i].SS, 1e-9)
			}
		}
		for _, row := range t1.Rows {
			sum += row.SS
			inUnit(t, row.Term, row.P)
		}
		near(t, "sum of SS", sum, t1.Total, 1e-12)

		y, vs = factorial(r, 4, 0.4, levels...)
		z, shuffled := reorder(r.Perm(len(y)), y, vs)
		for typ := 1; typ <= 3; typ++ {
			a := must[*ANOVATable](t)(ANOVA(y, vs, &ANOVAOptions{Type: typ}))
			b := must[*ANOVATable](t)(ANOVA(z, shuffled, &ANOVAOptions{Type: typ}))
			for i := range a.Rows {
				near(t, "shuffled rows", b.Rows[i].SS, a.Rows[i].SS, 1e-8)
				if want := strings.Count(a.Rows[i].Term, ":"); i > 0 && want < strings.Count(a.Rows[i-1].Term, ":") {
					t.Error("terms are not in order of degree")
				}
			}
			// The highest interaction is the same in all types.
			last := len(a.Rows) - 1
			one := must[*ANOVATable](t)(ANOVA(y, vs, &ANOVAOptions{Type: 1}))
			near(t, "highest interaction", a.Rows[last].SS, one.Rows[last].SS, 1e-8)
			near(t, "residual", a.Residual.SS, one.Residual.SS, 1e-12)
		}
	}
	// One factor of two levels is Student's t.
	y, vs := factorial(r, 9, 0.3, 2)
	var x0, x1 []float64
	for i, l := range vs[0].Labels {
		if l == "0" {
			x0 = append(x0, y[i])
		} else {
			x1 = append(x1, y[i])
		}
	}
	s := must[TResult](t)(Student(x1, x0, nil))
	a := must[*ANOVATable](t)(ANOVA(y, vs, nil))
	near(t, "F = t²", a.Rows[0].F, s.T*s.T, 1e-12)
	near(t, "P", a.Rows[0].P, s.P, 1e-12)
	c := must[*LinearFit](t)(OLS(y, vs, nil)).Coefs[1]
	near(t, "coefficient", c.Estimate, s.Estimate, 1e-12)
	near(t, "its interval", c.Interval.Lower, s.Interval.Lower, 1e-12)
	// Levels in another order turn the sign.
	vs[0].Levels = []string{"1", "0"}
	near(t, "other reference", must[*LinearFit](t)(OLS(y, vs, nil)).Coefs[1].Estimate, -c.Estimate, 1e-12)
}

// Values compared against statsmodels 0.15.0: ols("w ~ C(g)*z"), anova_lm of
// types 1 and 2, and of type 3 with C(g, Sum).
func TestCovariate(t *testing.T) {
	vs := []Variable{
		{Name: "g", Labels: strings.Split("abcabcabaaccba", "")},
		{Name: "z", Numbers: []float64{0.3, 1.2, 2.2, 0.8, 1.9, 0.1, 1.1, 2.7, 3.0, 0.4, 1.5, 2.9, 0.2, 1.7}},
	}
	w := []float64{1.2, 2.9, 4.8, 1.1, 3.9, 2.2, 2.0, 5.5, 4.9, 0.7, 3.3, 7.1, 1.4, 2.2}
	f := must[*LinearFit](t)(OLS(w, vs, nil))
	est, se, _, _, p := estimates(f.Coefs)
	// the package's order of columns is R's and patsy's
	nearAll(t, "est", est, []float64{0.24505709624795996, 0.7524281108526314, 1.3018816792622414, 1.4561174551386629, 0.16222574012760838, 0.2173519326164401}, tenth)
	nearAll(t, "se", se, []float64{0.3618804772915942, 0.6274342868033027, 0.6248436825390529, 0.2369910375924045, 0.3755647170822648, 0.35083063386267604}, tenth)
	nearAll(t, "p", p, []float64{0.5173931934149164, 0.264755798864983, 0.07072580065772047, 0.00027574718766370404, 0.6771826759491063, 0.5527950760623089}, tenth)
	near(t, "R2", f.R2, 0.9518783294598573, tenth)
	near(t, "logLik", f.LogLik, -7.207679936606636, tenth)
	near(t, "AIC", f.AIC, 2*7.207679936606636+14, tenth) // R counts sigma, statsmodels does not
	for typ, want := range [][2][]float64{
		1: {{13.7113095238095, 31.5705650859914, 0.120002053064435}, {0.000422803435484222, 5.93294638736964e-06, 0.815587861380833}},
		2: {{6.27026631684864, 31.5705650859913, 0.120002053064436}, {0.00515602209419639, 5.93294638736965e-06, 0.815587861380832}},
		3: {{1.32728522993064, 31.0998903866187, 0.120002053064436}, {0.161166214031954, 6.27710848016207e-06, 0.815587861380832}},
	} {
		if typ == 0 {
			continue
		}
		table := must[*ANOVATable](t)(ANOVA(w, vs, &ANOVAOptions{Type: typ}))
		for i, row := range table.Rows {
			near(t, row.Term, row.SS, want[0][i], tenth)
			near(t, row.Term+" p", row.P, want[1][i], tenth)
		}
	}
	additive := must[*LinearFit](t)(OLS(w, vs, &OLSOptions{Terms: []string{"z", "g"}}))
	if got := additive.Coefs[1].Name + " " + additive.Coefs[3].Name; got != "z g[c]" {
		t.Errorf("columns %q, want the caller's order of terms", got)
	}
}

// mixedRows draws rows of a random unbalanced design with two crossing groups.
func mixedRows(r *rand.Rand, prompts, words int, sp, sw, drop float64) (y []float64, fixed, groups []Variable) {
	up, uw := normals(r, prompts, 0, sp), normals(r, words, 0, sw)
	fixed = []Variable{{Name: "family"}, {Name: "category"}}
	groups = []Variable{{Name: "prompt"}, {Name: "word"}}
	for m := range 2 {
		for p := range prompts {
			for w := range words {
				if r.Float64() < drop {
					continue
				}
				y = append(y, 5+up[p]+uw[w]+float64(m*(w%2))+r.NormFloat64())
				fixed[0].Labels = append(fixed[0].Labels, fmt.Sprint(m))
				fixed[1].Labels = append(fixed[1].Labels, fmt.Sprint(w%2))
				groups[0].Labels = append(groups[0].Labels, fmt.Sprint("p", p))
				groups[1].Labels = append(groups[1].Labels, fmt.Sprint("w", w))
			}
		}
	}
	return y, fixed, groups
}

func TestMixedDerivatives(t *testing.T) {
	r := rand.New(rand.NewPCG(31, 32))
	for _, sizes := range [][2]int{{5, 9}, {9, 5}} {
		y, fixed, groups := mixedRows(r, sizes[0], sizes[1], 1, 1, 0.2)
		for _, ml := range []bool{false, true} {
			p := must[*MixedFit](t)(Mixed(y, fixed, groups, &MixedOptions{ML: ml})).profile
			for _, theta := range [][]float64{{0.3, 2}, {1.5, 0.01}, {40, 0.7}, {0.02, 900}, {900, 400}} {
				s := p.derivatives(p.at(theta))
				for k := range theta {
					h := 1e-5 * theta[k]
					move := func(by float64) []float64 {
						m := slices.Clone(theta)
						m[k] += by
						return m
					}
					up, down := p.at(move(h)), p.at(move(-h))
					near(t, "gradient", s.gradient[k], (up.deviance-down.deviance)/(2*h), 1e-6)
					su, sd := p.derivatives(up), p.derivatives(down)
					for l := range theta {
						if d := math.Abs(s.hessian.At(k, l) - (su.gradient[l]-sd.gradient[l])/(2*h)); d > 1e-6*(1+math.Abs(s.hessian.At(k, l))) {
							t.Errorf("hessian[%d,%d] at %v is off by %v", k, l, theta, d)
						}
					}
				}
			}
		}
	}
}

func TestMixedClosedForms(t *testing.T) {
	r := rand.New(rand.NewPCG(33, 34))
	// One group, balanced, one mean: σ² = MSW, s² = (MSB - MSW)/n by REML.
	const m, n = 7, 5
	var y []float64
	g := Variable{Name: "g"}
	for i := range m {
		for range n {
			y = append(y, 3+2*float64(i%4)+r.NormFloat64())
			g.Labels = append(g.Labels, fmt.Sprint(i))
		}
	}
	a := must[*ANOVATable](t)(ANOVA(y, []Variable{g}, nil))
	f := must[*MixedFit](t)(Mixed(y, nil, []Variable{g}, nil))
	near(t, "σ²", f.Sigma*f.Sigma, a.Residual.MS, 1e-12)
	near(t, "s²", f.Groups[0].SD*f.Groups[0].SD, (a.Rows[0].MS-a.Residual.MS)/n, 1e-12)
	near(t, "se", f.Coefs[0].SE, math.Sqrt(a.Rows[0].MS/(m*n)), 1e-12)
	near(t, "df", f.Coefs[0].DF, m-1, 1e-9)
	mean, _ := meanVar(y)
	shrink := 1 - a.Residual.MS/a.Rows[0].MS
	for i, b := range f.Groups[0].BLUP {
		own, _ := meanVar(y[i*n : (i+1)*n])
		near(t, "BLUP", b, shrink*(own-mean), 1e-11)
	}
	// Two crossing groups, balanced: σ² = MSE, s_row² = (MSR - MSE)/columns.
	y, _, groups := mixedRows(r, 8, 6, 2, 3, 0)
	a = must[*ANOVATable](t)(ANOVA(y, groups, &ANOVAOptions{Terms: []string{"prompt", "word"}}))
	f = must[*MixedFit](t)(Mixed(y, nil, groups, nil))
	near(t, "crossed σ²", f.Sigma*f.Sigma, a.Residual.MS, 1e-11)
	near(t, "crossed s² of prompts", f.Groups[0].SD*f.Groups[0].SD, (a.Rows[0].MS-a.Residual.MS)/12, 1e-11)
	near(t, "crossed s² of words", f.Groups[1].SD*f.Groups[1].SD, (a.Rows[1].MS-a.Residual.MS)/16, 1e-11)
	// A balanced within-group contrast of two conditions is the paired t-test of means.
	var x, z, both []float64
	cond, item := Variable{Name: "cond"}, Variable{Name: "item"}
	for i := range 12 {
		u := 3 * r.NormFloat64()
		x, z = append(x, u+1+r.NormFloat64()), append(z, u+r.NormFloat64())
		both = append(both, x[i], z[i])
		cond.Labels = append(cond.Labels, "x", "z")
		item.Labels = append(item.Labels, fmt.Sprint(i), fmt.Sprint(i))
	}
	p := must[TResult](t)(Paired(z, x, nil))
	for _, df := range []DFMethod{Satterthwaite, InnerOuter} {
		c := must[*MixedFit](t)(Mixed(both, []Variable{cond}, []Variable{item}, &MixedOptions{DF: df})).Coefs[1]
		near(t, "paired t", c.T, p.T, 1e-10)
		near(t, "paired df", c.DF, p.DF, 1e-8)
		near(t, "paired p", c.P, p.P, 1e-8)
	}
}

func TestMixedProperties(t *testing.T) {
	r := rand.New(rand.NewPCG(35, 36))
	boundaries := 0
	for trial := range 60 {
		y, fixed, groups := mixedRows(r, 4+r.IntN(5), 4+r.IntN(9), float64(trial%3), float64(trial%2), 0.2)
		o := &MixedOptions{ML: trial%4 == 3}
		f := must[*MixedFit](t)(Mixed(y, fixed, groups, o))
		// No neighbour is better, nor is any point of a coarse grid.
		best := f.profile.at(f.theta).deviance
		for range 30 {
			theta := slices.Clone(f.theta)
			for k := range theta {
				theta[k] = theta[k]*math.Exp(0.1*r.NormFloat64()) + 1e-4*r.Float64()
				if r.IntN(3) == 0 {
					theta[k] = math.Pow(10, 8*r.Float64()-4)
				}
			}
			if d := f.profile.at(theta).deviance; d < best-1e-10 {
				t.Errorf("deviance %v at %v, below the optimum's %v at %v", d, theta, best, f.theta)
			}
		}
		// Rows in another order, groups exchanged, y moved and scaled.
		all := slices.Concat(fixed, groups)
		z, vs := reorder(r.Perm(len(y)), y, all)
		for i := range z {
			z[i] = 10*z[i] - 700
		}
		g := must[*MixedFit](t)(Mixed(z, vs[:2], []Variable{vs[3], vs[2]}, o))
		for c := range f.Coefs {
			want := 10 * f.Coefs[c].Estimate
			if c == 0 {
				want -= 700
			}
			near(t, "estimate", g.Coefs[c].Estimate, want, 1e-8)
			near(t, "se", g.Coefs[c].SE, 10*f.Coefs[c].SE, 1e-7)
			near(t, "df", g.Coefs[c].DF, f.Coefs[c].DF, 1e-5)
			inUnit(t, "Mixed", f.Coefs[c].P)
		}
		for k := range 2 {
			if d := math.Abs(g.Groups[1-k].SD - 10*f.Groups[k].SD); d > 1e-6 {
				t.Errorf("SD %v, want %v", g.Groups[1-k].SD, 10*f.Groups[k].SD)
			}
			var sum float64
			for _, b := range f.Groups[k].BLUP {
				sum += b
			}
			if math.Abs(sum) > 1e-8 {
				t.Errorf("BLUPs sum to %v", sum)
			}
		}
		// t² and type 3 of a factor with two levels and no interaction above it.
		tests := must[[]FTest](t)(f.ANOVA(3))
		last := f.Coefs[3]
		near(t, "F of the interaction", tests[2].F, last.T*last.T, 1e-9)
		near(t, "its P", tests[2].P, last.P, 1e-9)
		if f.Groups[0].SD == 0 && f.Groups[1].SD == 0 {
			boundaries++
			equalsOLS(t, f, y, fixed)
		}
	}
	if boundaries == 0 {
		t.Error("no trial hit the boundary: nothing was compared with OLS")
	}
}

// Standard deviations from 1e-3 to 1e3 times the residual's and small broken
// designs: every fit ends, at a point that random ones do not beat, or is refused for a
// reason of the data.
func TestMixedStress(t *testing.T) {
	r := rand.New(rand.NewPCG(99, 1))
	fits := 0
	for trial := range 3000 {
		sp, sw := math.Pow(10, 6*r.Float64()-3), math.Pow(10, 6*r.Float64()-3)
		if r.IntN(4) == 0 {
			sp = 0
		}
		y, fixed, groups := mixedRows(r, 2+r.IntN(6), 2+r.IntN(8), sp, sw, 0.6*r.Float64())
		if r.IntN(5) == 0 {
			y = coarse(y)
		}
		if r.IntN(3) == 0 {
			groups = groups[:1]
		}
		if r.IntN(3) == 0 {
			fixed = nil
		}
		f, err := Mixed(y, fixed, groups, &MixedOptions{ML: r.IntN(2) == 0})
		if errors.Is(err, ErrConvergence) {
			t.Errorf("trial %d: %v", trial, err)
		}
		if err != nil {
			continue
		}
		fits++
		best := f.profile.at(f.theta)
		for range 20 {
			theta := slices.Clone(f.theta)
			for k := range theta {
				if r.IntN(3) > 0 {
					theta[k] = math.Pow(10, 14*r.Float64()-6)
				}
			}
			c := f.profile.at(theta)
			if d := best.deviance - c.deviance; d > 1e-9+f.profile.dof()*(f.profile.noise(best)+f.profile.noise(c)) {
				t.Errorf("trial %d: deviance lower by %v at %v than at %v", trial, d, theta, f.theta)
			}
		}
	}
	if fits < 2500 {
		t.Errorf("%d of 3000 fitted, wanted 2500", fits)
	}
}

func equalsOLS(t *testing.T, f *MixedFit, y []float64, fixed []Variable) {
	t.Helper()
	o := must[*LinearFit](t)(OLS(y, fixed, nil))
	ratio := 1.0
	if !f.REML {
		ratio = math.Sqrt(o.DF / float64(o.N)) // ML divides by n
		near(t, "logLik", f.LogLik, o.LogLik, 1e-12)
	}
	near(t, "sigma", f.Sigma, o.Sigma*ratio, 1e-12)
	for i, c := range f.Coefs {
		near(t, "est", c.Estimate, o.Coefs[i].Estimate, 1e-11)
		near(t, "se", c.SE, o.Coefs[i].SE*ratio, 1e-11)
		if f.REML {
			near(t, "df", c.DF, o.DF, 1e-11)
			near(t, "p", c.P, o.Coefs[i].P, 1e-9)
		}
	}
	// The types of F of the mixed model are those of ANOVA.
	if f.REML {
		for typ := 1; typ <= 3; typ++ {
			a := must[*ANOVATable](t)(ANOVA(y, fixed, &ANOVAOptions{Type: typ}))
			for i, test := range must[[]FTest](t)(f.ANOVA(typ)) {
				near(t, fmt.Sprintf("type %d F %s", typ, test.Term), test.F, a.Rows[i].F, 1e-8)
				near(t, "df", test.DF2, a.Residual.DF, 1e-10)
			}
		}
	}
}

func TestMixedContrast(t *testing.T) {
	y, fixed, groups := mixedRows(rand.New(rand.NewPCG(37, 38)), 6, 8, 1, 1, 0.1)
	f := must[*MixedFit](t)(Mixed(y, fixed, groups, nil))
	// Coefs: mean, family, category, family:category. The family difference in category 1,
	// as the coefficient of the model with that reference level.
	c := must[Coefficient](t)(f.Contrast("difference", []float64{0, 1, 0, 1}))
	fixed[1].Levels = []string{"1", "0"}
	g := must[*MixedFit](t)(Mixed(y, fixed, groups, nil)).Coefs[1]
	for i, pair := range [][2]float64{{c.Estimate, g.Estimate}, {c.SE, g.SE}, {c.DF, g.DF}, {c.P, g.P}, {c.Interval.Upper, g.Interval.Upper}} {
		near(t, "number "+itoa(i), pair[0], pair[1], 1e-8)
	}
}

func TestHypothesisIsOrthonormal(t *testing.T) {
	// rows L of the triangle with information R'R: L (R'R)⁻¹ L' = I
	m := mat.NewDense(9, 4, normals(rand.New(rand.NewPCG(39, 40)), 36, 0, 1))
	r := triangle(m)
	rows := hypothesis(r, []int{0, 2}, []int{3, 1})
	for i, a := range rows {
		for j, b := range rows {
			got := dot(solveUpperT(r, 4, a), solveUpperT(r, 4, b))
			want := 0.0
			if i == j {
				want = 1
			}
			if math.Abs(got-want) > 1e-13 {
				t.Errorf("LCL'[%d,%d] = %v, want %v", i, j, got, want)
			}
		}
	}
}
