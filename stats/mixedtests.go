package stats

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"
)

// FTest is the test of a term of a mixed model.
type FTest struct {
	Term     string
	DF1, DF2 float64
	F, P     float64
}

// Contrast estimates Σ weights[i] Coefs[i], such as the difference of two cells,
// with the t-test against 0 by the fit's DFMethod (InnerOuter: the smallest
// degrees of freedom of the coefficients involved).
func (f *MixedFit) Contrast(name string, weights []float64) (Coefficient, error) {
	if len(weights) != len(f.Coefs) {
		return Coefficient{}, fmt.Errorf("stats: Contrast: %w: %d weights for %d coefficients", ErrLength, len(weights), len(f.Coefs))
	}
	if err := check("Contrast", "weights", weights, 1); err != nil {
		return Coefficient{}, err
	}
	var estimate float64
	for i, w := range weights {
		estimate += w * f.Coefs[i].Estimate
	}
	variance := f.variance(weights)
	if variance == 0 {
		return Coefficient{}, fmt.Errorf("stats: Contrast: %w: all weights are 0", ErrZeroVariance)
	}
	df, err := f.df(weights)
	if err != nil {
		return Coefficient{}, err
	}
	return newCoefficient(name, estimate, math.Sqrt(variance), df, f.level), nil
}

func (f *MixedFit) fillCoefs() error {
	for c := range f.Coefs {
		unit := make([]float64, len(f.Coefs))
		unit[c] = 1
		t, err := f.Contrast(f.Coefs[c].Name, unit)
		if err != nil {
			return err
		}
		f.Coefs[c] = t
	}
	return nil
}

func (f *MixedFit) variance(w []float64) float64 {
	a := solveUpperT(f.s, len(w), w)
	return f.Sigma * f.Sigma * dot(a, a)
}

// df returns the degrees of freedom of the contrast w.
func (f *MixedFit) df(w []float64) (float64, error) {
	if f.method == InnerOuter {
		df := math.Inf(1)
		inner, outer := f.innerOuter()
		for c, v := range w {
			if v == 0 {
				continue
			}
			if f.outer(c) {
				df = min(df, outer)
			} else {
				df = min(df, inner)
			}
		}
		if df <= 0 {
			return 0, fmt.Errorf("stats: Mixed: %w: %v degrees of freedom by InnerOuter", ErrSampleSize, df)
		}
		return df, nil
	}
	return f.satterthwaite(w)
}

// satterthwaite returns 2 v²/(g'Ag): v = w'Cw the variance of the contrast, g its
// derivatives in the variance parameters and A = 2H⁻¹ the covariance of
// their estimates. The parameters are σ² and the ratios θ that are not 0, in which
//
//	H_θθ = -|Z_k'WZ_l|² + 2 y'PK_kPK_lPy/σ²,  H_θσ = |Z_k'Py|²/σ⁴,  H_σσ = f/σ⁴
//	v = σ² |a|²,  dv/dθ_k = σ² |Z_k'V⁻¹Q U⁻¹ a|²,  a = S'⁻¹w
func (f *MixedFit) satterthwaite(w []float64) (float64, error) {
	var free []int
	for k, t := range f.theta {
		if t > 0 {
			free = append(free, k)
		}
	}
	n := len(free)
	sigma2 := f.Sigma * f.Sigma
	a := solveUpperT(f.s, len(w), w)
	v := sigma2 * dot(a, a)
	h := mat.NewSymDense(n+1, nil)
	g := mat.NewVecDense(n+1, nil)
	// In units that make all parameters alike: ln θ and ln σ².
	for i, k := range free {
		t := f.theta[k]
		for j, l := range free[:i+1] {
			u := f.theta[l]
			h.SetSym(i, j, t*u*(2*f.slope.quads.At(k, l)/sigma2-f.slope.traces.At(k, l)))
		}
		h.SetSym(i, n, t*f.slope.squares[k]/sigma2)
		var za mat.VecDense
		za.MulVec(f.slope.zq[k], mat.NewVecDense(len(a), a))
		g.SetVec(i, t*sigma2*mat.Dot(&za, &za))
	}
	h.SetSym(n, n, f.profile.dof())
	g.SetVec(n, v)
	var chol mat.Cholesky
	var x mat.VecDense
	if !chol.Factorize(h) || chol.SolveVecTo(&x, g) != nil {
		return 0, fmt.Errorf("stats: Mixed: %w: the variances are not told apart, no Satterthwaite degrees of freedom", ErrAliased)
	}
	return v * v / mat.Dot(g, &x), nil
}

// innerOuter returns nlme's degrees of freedom of terms that vary within the
// groups and of those that do not.
func (f *MixedFit) innerOuter() (inner, outer float64) {
	var columns float64
	for c := 1; c < len(f.Coefs); c++ {
		if f.outer(c) {
			columns++
		}
	}
	m := float64(len(f.Groups[0].Levels))
	return float64(f.N) - m - (float64(len(f.Coefs)-1) - columns), m - 1 - columns
}

// outer says whether all columns of column c's term are constant within each
// level of the first group; the intercept counts as inner.
func (f *MixedFit) outer(c int) bool {
	for _, t := range f.design.terms {
		for _, own := range t.columns {
			if own != c {
				continue
			}
			for _, col := range t.columns {
				if !f.constantWithin(col) {
					return false
				}
			}
			return true
		}
	}
	return false
}

func (f *MixedFit) constantWithin(column int) bool {
	first := make([]float64, len(f.Groups[0].Levels))
	for l := range first {
		first[l] = math.NaN()
	}
	for i, l := range f.codes[0] {
		v := f.design.row(i)[column]
		if math.IsNaN(first[l]) {
			first[l] = v
		}
		if first[l] != v {
			return false
		}
	}
	return true
}

// ANOVA tests the fixed terms by Wald's F, with sums of squares of type 1, 2 or
// 3 as the function ANOVA, in the metric of the fitted covariance:
//
//	F = (Lβ)'(LCL')⁻¹(Lβ)/DF1,  C the covariance of the coefficients
//
// DF2 is that of the fit's DFMethod. For a term of several columns
// Satterthwaite's are joined from the eigenvectors of LCL' as in lmerTest (Fai and
// Cornelius 1996), with L the sum-to-zero contrasts for type 3. Type 1 is nlme's
// sequential, type 3 lmerTest's default table.
func (f *MixedFit) ANOVA(typ int) ([]FTest, error) {
	if typ < 1 || typ > 3 {
		return nil, fmt.Errorf("stats: ANOVA: %w: type %d, wanted 1, 2 or 3", ErrOption, typ)
	}
	var sums [][]float64
	if typ == 3 {
		var err error
		if sums, err = f.sumContrasts(); err != nil {
			return nil, err
		}
	}
	var out []FTest
	for i, t := range f.design.terms {
		var rows [][]float64
		if typ == 3 {
			for _, c := range t.columns {
				rows = append(rows, sums[c])
			}
		} else {
			rows = hypothesis(f.s, f.design.before(i, typ), t.columns)
		}
		test, err := f.wald(rows)
		if err != nil {
			return nil, err
		}
		test.Term = t.name
		if f.method == InnerOuter { // the rows mix columns of other terms, the term does not
			inner, outer := f.innerOuter()
			if test.DF2 = inner; f.outer(t.columns[0]) {
				test.DF2 = outer
			}
		}
		test.P = TailF(test.F, test.DF1, test.DF2)
		out = append(out, test)
	}
	return out, nil
}

// wald fills in F and its degrees of freedom for the contrasts in rows.
func (f *MixedFit) wald(rows [][]float64) (FTest, error) {
	q := len(rows)
	lcl := mat.NewSymDense(q, nil)
	half := make([][]float64, q)
	for i, l := range rows {
		half[i] = solveUpperT(f.s, len(l), l)
		for j := range i + 1 {
			lcl.SetSym(i, j, f.Sigma*f.Sigma*dot(half[i], half[j]))
		}
	}
	var eigen mat.EigenSym
	if !eigen.Factorize(lcl, true) {
		return FTest{}, fmt.Errorf("stats: ANOVA: %w: eigenvalues", ErrConvergence)
	}
	var vectors mat.Dense
	eigen.VectorsTo(&vectors)
	t := FTest{DF1: float64(q)}
	dfs := make([]float64, q)
	for e, variance := range eigen.Values(nil) {
		w := make([]float64, len(f.Coefs))
		var estimate float64
		for i, l := range rows {
			for c, v := range l {
				w[c] += vectors.At(i, e) * v
			}
		}
		for c, v := range w {
			estimate += v * f.Coefs[c].Estimate
		}
		t.F += estimate * estimate / variance / t.DF1
		if f.method == Satterthwaite {
			var err error
			if dfs[e], err = f.satterthwaite(w); err != nil {
				return t, err
			}
		}
	}
	t.DF2 = joinDF(dfs)
	return t, nil
}

// joinDF makes one denominator of the degrees of freedom of independent t: with
// E = Σ v/(v-2), the F's expectation, 2E/(E - q); 2 where a v is not above 2.
func joinDF(v []float64) float64 {
	if len(v) == 1 {
		return v[0]
	}
	lo, hi, sum, e := math.Inf(1), 0.0, 0.0, 0.0
	for _, d := range v {
		lo, hi, sum = min(lo, d), max(hi, d), sum+d
		e += d / (d - 2)
	}
	q := float64(len(v))
	switch {
	case hi-lo < 1e-8*hi:
		return sum / q
	case lo <= 2:
		return 2
	}
	return 2 * e / (e - q)
}

// sumContrasts returns the coefficients in sum-to-zero contrasts as combinations
// of those in treatment contrasts: K with X = X_sum K.
func (f *MixedFit) sumContrasts() ([][]float64, error) {
	d := *f.design
	d.sums, d.terms = true, slices.Clone(d.terms)
	for i := range d.terms {
		d.terms[i].columns = nil
	}
	d.fill()
	p := d.p()
	both := mat.NewDense(d.n, 2*p, nil)
	for i := range d.n {
		copy(both.RawRowView(i), d.row(i))
		copy(both.RawRowView(i)[p:], f.design.row(i))
	}
	r := triangle(both)
	k := make([][]float64, p)
	for i := range k {
		k[i] = make([]float64, p)
	}
	for c := range p {
		for i, v := range solveUpper(r, p, column(r, p+c, p)) {
			k[i][c] = v
		}
	}
	return k, nil
}
