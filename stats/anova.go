package stats

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"
)

// ANOVAOptions are the options of ANOVA. nil and zero fields mean the defaults.
type ANOVAOptions struct {
	Type  int      // type of the sums of squares, 1, 2 or 3; zero: 2
	Terms []string // such as "A", "B", "A:B"; nil: all variables and all their interactions
}

// ANOVATable is an analysis of variance.
type ANOVATable struct {
	N         int
	Type      int
	Rows      []ANOVARow // one a term, in order of degree
	Intercept ANOVARow   // of type 3; else zero
	Residual  ANOVARow   // SS, DF and MS; the rest is NaN
	Total     float64    // sum of squares of y about its mean
}

// ANOVARow is one line of the table.
type ANOVARow struct {
	Term              string
	SS, DF, MS        float64
	F, P              float64
	EtaSquared        float64 // SS / Total
	PartialEtaSquared float64 // SS / (SS + residual SS)
	OmegaSquared      float64 // (SS - DF MSE) / (Total + MSE); may be negative
}

// ANOVA is the analysis of variance of a factorial design of any number of
// factors and covariates, balanced or not. The sum of squares of a term is what it
// explains
//
//	type 1  after the terms before it
//	type 2  after the terms that do not contain it (Langsrud 2003)
//	type 3  after all other terms, in sum-to-zero contrasts
//
// F = MS / MSE with the residual of the whole model, P by TailF. The three agree
// in a balanced design. They equal R's anova(lm) and car::Anova. In an unbalanced
// design the sums need not add up to Total, to which EtaSquared and OmegaSquared
// refer. Errors as OLS.
func ANOVA(y []float64, variables []Variable, o *ANOVAOptions) (*ANOVATable, error) {
	opt := ANOVAOptions{Type: 2}
	if o != nil {
		opt.Terms = o.Terms
		if o.Type != 0 {
			opt.Type = o.Type
		}
	}
	if opt.Type < 1 || opt.Type > 3 {
		return nil, fmt.Errorf("stats: ANOVA: %w: Type %d, wanted 1, 2 or 3", ErrOption, opt.Type)
	}
	d, err := newDesign("ANOVA", y, variables, opt.Terms, opt.Type == 3)
	if err != nil {
		return nil, err
	}
	r, err := d.factor("ANOVA", y)
	if err != nil {
		return nil, err
	}
	p := d.p()
	nan := math.NaN()
	rss := r.At(p, p) * r.At(p, p)
	t := &ANOVATable{N: d.n, Type: opt.Type, Total: rss + effectSS(r, p)}
	t.Residual = ANOVARow{"Residual", rss, float64(d.n - p), rss / float64(d.n-p), nan, nan, nan, nan, nan}
	row := func(name string, before, block []int) ANOVARow {
		e := ANOVARow{Term: name, DF: float64(len(block))}
		for _, l := range hypothesis(r, before, block) {
			e.SS += l[p] * l[p]
		}
		e.MS = e.SS / e.DF
		e.F = e.MS / t.Residual.MS
		e.P = TailF(e.F, e.DF, t.Residual.DF)
		e.EtaSquared = e.SS / t.Total
		e.PartialEtaSquared = e.SS / (e.SS + rss)
		e.OmegaSquared = (e.SS - e.DF*t.Residual.MS) / (t.Total + t.Residual.MS)
		return e
	}
	for i, term := range d.terms {
		t.Rows = append(t.Rows, row(term.name, d.before(i, opt.Type), term.columns))
	}
	if opt.Type == 3 {
		rest := make([]int, 0, p)
		for c := 1; c < p; c++ {
			rest = append(rest, c)
		}
		t.Intercept = row("(Intercept)", rest, []int{0})
	}
	return t, nil
}

// before returns the columns that come before term i in a test of this type.
func (d *design) before(i, typ int) []int {
	columns := []int{0}
	for j, t := range d.terms {
		contains := len(t.variables) > len(d.terms[i].variables) && !slices.ContainsFunc(d.terms[i].variables,
			func(k int) bool { return !slices.Contains(t.variables, k) })
		if j == i || typ == 1 && j > i || typ == 2 && contains {
			continue
		}
		columns = append(columns, t.columns...)
	}
	return columns
}

// hypothesis returns the rows of the triangle of m, its columns put in the
// order before, block, others, that belong to the block, with their entries in
// the old order of columns. With information R'R = m'm they are the contrasts of
// "the block explains nothing after those before it", independent and of
// variance 1; at a column y of m they are the block's effects.
func hypothesis(m *mat.Dense, before, block []int) [][]float64 {
	rows, cols := m.Dims()
	order := slices.Concat(before, block)
	for c := range cols {
		if !slices.Contains(order, c) {
			order = append(order, c)
		}
	}
	moved := mat.NewDense(rows, cols, nil)
	for at, c := range order {
		for i := range rows {
			moved.Set(i, at, m.At(i, c))
		}
	}
	r := triangle(moved)
	out := make([][]float64, len(block))
	for b := range block {
		out[b] = make([]float64, cols)
		for at, c := range order {
			out[b][c] = r.At(len(before)+b, at)
		}
	}
	return out
}
