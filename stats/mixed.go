package stats

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"
)

// DFMethod says how Mixed finds the degrees of freedom of its tests.
type DFMethod int

// The methods.
const (
	// Satterthwaite matches the first two moments of each variance estimate
	// (Fai and Cornelius 1996), as R's lmerTest: from the second derivatives of
	// the deviance in the variances, exact here, numerical there.
	Satterthwaite DFMethod = iota
	// InnerOuter is nlme's rule (Pinheiro and Bates 2000, 2.4.2), for one grouping
	// factor with M levels: a term that is constant within every level has
	// M - 1 - (columns of such terms) degrees of freedom, all others and the
	// intercept N - M - (columns of the other terms).
	InnerOuter
)

// MixedOptions are the options of Mixed. nil and zero fields mean the defaults.
type MixedOptions struct {
	Terms []string // fixed terms, such as "A", "B", "A:B"; nil: all variables and all their interactions
	ML    bool     // maximum likelihood; zero: REML
	DF    DFMethod // zero: Satterthwaite
	Level float64  // confidence level of the intervals; zero: 0.95
}

// MixedFit is a fitted linear mixed model.
type MixedFit struct {
	N        int
	REML     bool
	Coefs    []Coefficient
	Cov      [][]float64 // covariance of the coefficients
	Groups   []RandomIntercept
	Sigma    float64 // residual standard deviation
	LogLik   float64 // restricted, for REML: then comparable between models with the same fixed terms only
	AIC, BIC float64 // parameters: coefficients, variances and Sigma; BIC's n is N, for REML N less the coefficients (nlme)
	Warnings []error

	method  DFMethod
	level   float64
	design  *design
	codes   [][]int // of the groups
	profile *profile
	r       *mat.Dense // triangle of X, leading part
	s       *mat.Dense // triangle S of the information: X'V⁻¹X = S'S
	slope   *slope
	theta   []float64
}

// RandomIntercept is the random part that one grouping factor gives.
type RandomIntercept struct {
	Name   string
	Levels []string
	SD     float64   // standard deviation of the intercepts; exactly 0 at the boundary
	ICC    float64   // SD² / (sum of all SD² + Sigma²)
	BLUP   []float64 // predicted intercept of each level: θ Z'V⁻¹(y - Xβ)
	Count  []int     // observations of each level
}

// Mixed fits the linear mixed model
//
//	y = Xβ + Σ_k Z_k u_k + e,  u_k ~ N(0, s_k² I),  e ~ N(0, σ² I)
//
// with fixed terms coded as by OLS and a random intercept for each level of each
// group: one grouping factor (model), or several that cross (prompt and word) or nest. It
// maximises the restricted or the full likelihood over the ratios s_k²/σ², all else in
// closed form (see profile.go), to about ten digits, of which a group whose
// variance is 10^k times σ² costs k. The design need not be balanced (where it is, the
// optimum is that of the mean squares). variables may be empty: the model of one mean.
//
// Where the likelihood falls from s_k = 0 on, s_k is exactly 0 and a warning says
// so; with all s_k = 0 the fit is that of OLS, with its degrees of freedom. A
// group of fewer than 5 levels gives a warning too.
//
// Errors as OLS; a group as fine as the observations, as coarse as to be told by
// the fixed terms, or the same as another is ErrAliased, as is a design too small
// to tell its variances; y without variance within the levels is ErrZeroVariance.
// ErrConvergence is there for the optimiser, of which no case is known.
func Mixed(y []float64, variables, groups []Variable, o *MixedOptions) (*MixedFit, error) {
	var opt MixedOptions
	if o != nil {
		opt = *o
	}
	l, err := level("Mixed", opt.Level)
	if err != nil {
		return nil, err
	}
	if opt.DF < Satterthwaite || opt.DF > InnerOuter {
		return nil, fmt.Errorf("stats: Mixed: %w: DF %d, wanted Satterthwaite or InnerOuter", ErrOption, opt.DF)
	}
	if opt.DF == InnerOuter && len(groups) != 1 {
		return nil, fmt.Errorf("stats: Mixed: %w: InnerOuter wants 1 group, there are %d", ErrOption, len(groups))
	}
	if len(groups) == 0 {
		return nil, fmt.Errorf("stats: Mixed: %w: no group, wanted at least 1 (see OLS)", ErrSampleSize)
	}
	d, err := newDesign("Mixed", y, variables, opt.Terms, false)
	if err != nil {
		return nil, err
	}
	r, err := d.factor("Mixed", y)
	if err != nil {
		return nil, err
	}
	f := &MixedFit{N: d.n, REML: !opt.ML, method: opt.DF, level: l, design: d, r: r}
	if err := f.encodeGroups(groups); err != nil {
		return nil, err
	}
	p := d.p()
	beta := solveUpper(r, p, column(r, p, p))
	f.profile = newProfile(f.codes, f.levels(), orthogonal(d, r, y, beta), f.REML)
	if err := f.checkGroups(); err != nil {
		return nil, err
	}
	pt, err := f.profile.minimise("Mixed", groups)
	if err != nil {
		return nil, err
	}
	f.theta, f.slope = pt.theta, f.profile.derivatives(pt)
	f.fill(pt, beta)
	return f, f.fillCoefs()
}

// orthogonal returns the n×(p+1) matrix of Q = XR⁻¹ and the residual of least
// squares.
func orthogonal(d *design, r *mat.Dense, y, beta []float64) *mat.Dense {
	p := d.p()
	m := mat.NewDense(d.n, p+1, nil)
	for i := range d.n {
		x, row := d.row(i), m.RawRowView(i)
		copy(row, solveUpperT(r, p, x))
		row[p] = y[i] - dot(x, beta)
	}
	return m
}

func (f *MixedFit) encodeGroups(groups []Variable) error {
	for k, g := range groups {
		if g.Labels == nil {
			return fmt.Errorf("stats: Mixed: %w: group %d, %q, has no labels", ErrOption, k, g.Name)
		}
		codes, levels, err := encodeLabels("Mixed", g, f.N)
		if err != nil {
			return err
		}
		ri := RandomIntercept{Name: g.Name, Levels: levels, Count: make([]int, len(levels))}
		for _, c := range codes {
			ri.Count[c]++
		}
		for l, c := range ri.Count {
			if c == 0 {
				return fmt.Errorf("stats: Mixed: %w: no observation in group %s[%s]", ErrAliased, g.Name, levels[l])
			}
		}
		if len(levels) < 5 {
			f.Warnings = append(f.Warnings, fmt.Errorf("stats: Mixed: group %s has %d levels: its variance is hardly known", g.Name, len(levels)))
		}
		f.Groups, f.codes = append(f.Groups, ri), append(f.codes, codes)
	}
	return nil
}

func (f *MixedFit) levels() []int {
	var n []int
	for _, g := range f.Groups {
		n = append(n, len(g.Levels))
	}
	return n
}

// checkGroups looks for variances that the data cannot tell: of a group that
// the fixed terms explain, that equals another, or that has each observation to
// itself.
func (f *MixedFit) checkGroups() error {
	zero := f.profile.at(make([]float64, len(f.Groups)))
	for k, g := range f.Groups {
		if len(g.Levels) == f.N {
			return fmt.Errorf("stats: Mixed: %w: group %s has a level for each of %d observations", ErrAliased, g.Name, f.N)
		}
		rows := f.profile.baseRows(zero, k)
		rows = rows.Slice(0, len(g.Levels), f.profile.q, f.profile.m).(*mat.Dense)
		var left float64 // tr(Z'(I - QQ')Z)
		for l, c := range g.Count {
			left += float64(c) - dot(rows.RawRowView(l), rows.RawRowView(l))
		}
		if left < 1e-8*float64(f.N) {
			return fmt.Errorf("stats: Mixed: %w: the fixed terms tell the levels of group %s", ErrAliased, g.Name)
		}
		for j := range k {
			if samePartition(f.codes[j], f.codes[k]) {
				return fmt.Errorf("stats: Mixed: %w: groups %s and %s are the same", ErrAliased, f.Groups[j].Name, g.Name)
			}
		}
	}
	return nil
}

func samePartition(a, b []int) bool {
	to, from := map[int]int{}, map[int]int{}
	for i := range a {
		if t, ok := to[a[i]]; ok && t != b[i] {
			return false
		}
		if s, ok := from[b[i]]; ok && s != a[i] {
			return false
		}
		to[a[i]], from[b[i]] = b[i], a[i]
	}
	return true
}

// fill takes all but the tests from the optimum; ols are the coefficients of
// least squares, to which the profile is relative.
func (f *MixedFit) fill(pt *point, ols []float64) {
	p, q := f.design.p(), f.profile.q
	dof := f.profile.dof()
	sigma2 := pt.r2 / dof
	f.Sigma = math.Sqrt(sigma2)

	// Cholesky's triangle U of Q'V⁻¹Q, and S = UR.
	u := mat.NewDense(p, p, nil)
	size := f.profile.m + 1
	rhs := make([]float64, p)
	for i := range p {
		for j := i; j < p; j++ {
			u.Set(i, j, pt.upper.Data[(q+i)*size+q+j])
		}
		rhs[i] = pt.upper.Data[(q+i)*size+size-1]
	}
	delta := solveUpper(f.r, p, solveUpper(u, p, rhs))
	f.s = mat.NewDense(p, p, nil)
	f.s.Mul(u, f.r.Slice(0, p, 0, p))
	f.Cov = covariance(f.s, p, sigma2)
	for c, b := range ols {
		f.Coefs = append(f.Coefs, Coefficient{Name: f.design.names[c], Estimate: b + delta[c]})
	}

	total := 1.0
	for _, t := range pt.theta {
		total += t
	}
	for k := range f.Groups {
		g := &f.Groups[k]
		t := pt.theta[k]
		g.SD, g.ICC = math.Sqrt(t*sigma2), t/total
		g.BLUP = make([]float64, len(g.Levels))
		for l, w := range f.slope.zpy[k] {
			g.BLUP[l] = t * w
		}
		if t == 0 {
			f.Warnings = append(f.Warnings, fmt.Errorf("stats: Mixed: the variance of group %s is 0: the fit is that without it", g.Name))
		}
	}

	minus2 := pt.logdet + dof*(1+math.Log(2*math.Pi*sigma2))
	if f.REML {
		for i := range p {
			minus2 += 2 * math.Log(math.Abs(f.r.At(i, i)))
		}
	}
	parameters := float64(p + len(f.Groups) + 1)
	f.LogLik = -minus2 / 2
	f.AIC = minus2 + 2*parameters
	f.BIC = minus2 + math.Log(dof)*parameters
}
