package stats

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"
)

// Coefficient is an estimated coefficient, or a combination of some, with its
// t-test against 0.
type Coefficient struct {
	Name     string // "(Intercept)", "family[Llama]:framing[negative]"
	Estimate float64
	SE       float64
	T, DF, P float64 // two-sided
	Interval Interval
}

func newCoefficient(name string, estimate, se, df, level float64) Coefficient {
	c := Coefficient{Name: name, Estimate: estimate, SE: se, T: estimate / se, DF: df}
	c.P = pT(c.T, df, TwoSided)
	c.Interval = TestOptions{Level: level}.around(estimate, se, func(p float64) float64 { return QuantileT(p, df) })
	return c
}

// OLSOptions are the options of OLS. nil and zero fields mean the defaults.
type OLSOptions struct {
	Terms []string // such as "A", "B", "A:B"; nil: all variables and all their interactions
	Level float64  // confidence level of the intervals; zero: 0.95
}

// LinearFit is a linear model fitted by least squares.
type LinearFit struct {
	N        int
	Coefs    []Coefficient
	Cov      [][]float64 // covariance of the coefficients
	Sigma    float64     // residual standard deviation, sqrt(RSS/DF)
	DF       float64     // residual degrees of freedom
	R2       float64     // 1 - RSS/SS of y about its mean
	LogLik   float64     // at the maximum, normal errors
	AIC, BIC float64     // with len(Coefs)+1 parameters
}

// OLS fits y = Xβ + e by least squares (Householder QR). Factors have treatment
// contrasts: a coefficient is the difference of a level from its variable's first, and
// interactions are differences of differences, as R's lm. Terms come in order of
// degree; a term wants those contained in it.
//
// Errors: lengths that differ (ErrLength), numbers not finite (ErrNotFinite),
// no observation in a cell of an interaction, or a column that others make up
// (ErrAliased, with its name), as many coefficients as observations
// (ErrSampleSize), a fit without residual (ErrZeroVariance).
func OLS(y []float64, variables []Variable, o *OLSOptions) (*LinearFit, error) {
	var opt OLSOptions
	if o != nil {
		opt = *o
	}
	l, err := level("OLS", opt.Level)
	if err != nil {
		return nil, err
	}
	d, err := newDesign("OLS", y, variables, opt.Terms, false)
	if err != nil {
		return nil, err
	}
	r, err := d.factor("OLS", y)
	if err != nil {
		return nil, err
	}
	n, p := float64(d.n), d.p()
	rss := r.At(p, p) * r.At(p, p)
	f := &LinearFit{N: d.n, DF: n - float64(p)}
	f.Sigma = math.Sqrt(rss / f.DF)
	f.R2 = 1 - rss/(rss+effectSS(r, p))
	f.LogLik = -n / 2 * (math.Log(2*math.Pi*rss/n) + 1)
	f.AIC = -2*f.LogLik + 2*float64(p+1)
	f.BIC = -2*f.LogLik + math.Log(n)*float64(p+1)
	beta := solveUpper(r, p, column(r, p, p))
	f.Cov = covariance(r, p, f.Sigma*f.Sigma)
	for c, b := range beta {
		f.Coefs = append(f.Coefs, newCoefficient(d.names[c], b, math.Sqrt(f.Cov[c][c]), f.DF, l))
	}
	return f, nil
}

// factor returns the triangle of [X y], after the checks that the model can be
// estimated and leaves a residual.
func (d *design) factor(name string, y []float64) (*mat.Dense, error) {
	p := d.p()
	if d.n <= p {
		return nil, fmt.Errorf("stats: %s: %w: %d observations for %d coefficients, wanted more", name, ErrSampleSize, d.n, p)
	}
	r := triangle(d.matrix(y))
	if err := d.checkRank(name, r); err != nil {
		return nil, err
	}
	var norm float64
	for i := 0; i <= p; i++ {
		norm = math.Hypot(norm, r.At(i, p))
	}
	if math.Abs(r.At(p, p)) <= 4*epsilon*math.Sqrt(float64(d.n))*norm {
		return nil, fmt.Errorf("stats: %s: %w: the model fits y without a residual", name, ErrZeroVariance)
	}
	return r, nil
}

// effectSS is the sum of squares of y about its mean that the model explains:
// the first column is the intercept.
func effectSS(r *mat.Dense, p int) float64 {
	var s float64
	for i := 1; i < p; i++ {
		s += r.At(i, p) * r.At(i, p)
	}
	return s
}

func column(m *mat.Dense, c, n int) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = m.At(i, c)
	}
	return v
}

// solveUpper returns R⁻¹b for the leading p×p triangle of r.
func solveUpper(r *mat.Dense, p int, b []float64) []float64 {
	x := make([]float64, p)
	for i := p - 1; i >= 0; i-- {
		s := b[i]
		for j := i + 1; j < p; j++ {
			s -= r.At(i, j) * x[j]
		}
		x[i] = s / r.At(i, i)
	}
	return x
}

// solveUpperT returns R'⁻¹b for the leading p×p triangle of r.
func solveUpperT(r *mat.Dense, p int, b []float64) []float64 {
	x := make([]float64, p)
	for i := range p {
		s := b[i]
		for j := range i {
			s -= r.At(j, i) * x[j]
		}
		x[i] = s / r.At(i, i)
	}
	return x
}

// covariance returns scale (R'R)⁻¹.
func covariance(r *mat.Dense, p int, scale float64) [][]float64 {
	inverse := make([][]float64, p) // rows of R'⁻¹ by unit vectors: columns of R⁻¹
	for c := range p {
		unit := make([]float64, p)
		unit[c] = 1
		inverse[c] = solveUpperT(r, p, unit)
	}
	cov := make([][]float64, p)
	for a := range p {
		cov[a] = make([]float64, p)
		for b := range p {
			cov[a][b] = scale * dot(inverse[a], inverse[b])
		}
	}
	return cov
}

func dot(a, b []float64) float64 {
	var s float64
	for i, v := range a {
		s += v * b[i]
	}
	return s
}
