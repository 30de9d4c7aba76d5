package stats

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/gonum/mat"
)

// Variable is an explanatory variable of OLS, ANOVA and Mixed: a factor with a
// label for each observation, or a covariate with a number for each. Grouping
// variables of Mixed are factors.
type Variable struct {
	Name    string
	Labels  []string  // factor: one label an observation
	Levels  []string  // factor: the labels in order, the first is the reference level; nil: sorted
	Numbers []float64 // covariate: one number an observation; Labels is nil
}

// A column of a design matrix belongs to a term, which is a set of variables.
type term struct {
	name      string
	variables []int // ascending, of the caller's variables
	columns   []int
}

// design is a model matrix with an intercept and the terms in order of degree.
type design struct {
	n         int
	variables []Variable
	codes     [][]int // per factor and observation: index into Levels
	terms     []term  // without the intercept
	names     []string
	sums      bool // sum-to-zero contrasts; else treatment contrasts
	rows      []float64
}

func (d *design) p() int { return len(d.names) }

func (d *design) row(i int) []float64 { p := d.p(); return d.rows[i*p : (i+1)*p] }

// matrix returns the n×(p+1) matrix [X y].
func (d *design) matrix(y []float64) *mat.Dense {
	p := d.p()
	m := mat.NewDense(d.n, p+1, nil)
	for i := range d.n {
		row := m.RawRowView(i)
		copy(row, d.row(i))
		row[p] = y[i]
	}
	return m
}

// newDesign checks the variables, works out the terms and codes the columns.
func newDesign(name string, y []float64, variables []Variable, terms []string, sums bool) (*design, error) {
	if err := check(name, "y", y, 2); err != nil {
		return nil, err
	}
	d := &design{n: len(y), variables: slices.Clone(variables), codes: make([][]int, len(variables)), sums: sums}
	for k := range d.variables {
		if err := d.encode(name, k); err != nil {
			return nil, err
		}
	}
	if err := d.parseTerms(name, terms); err != nil {
		return nil, err
	}
	if err := d.checkCells(name); err != nil {
		return nil, err
	}
	d.fill()
	return d, nil
}

func (d *design) encode(name string, k int) error {
	v := &d.variables[k]
	if v.Name == "" || strings.Contains(v.Name, ":") {
		return fmt.Errorf("stats: %s: %w: variable %d is named %q, wanted a name without \":\"", name, ErrOption, k, v.Name)
	}
	for _, w := range d.variables[:k] {
		if w.Name == v.Name {
			return fmt.Errorf("stats: %s: %w: two variables are named %q", name, ErrOption, v.Name)
		}
	}
	if v.Labels == nil {
		if len(v.Numbers) != d.n {
			return fmt.Errorf("stats: %s: %w: %s has %d numbers, y has %d", name, ErrLength, v.Name, len(v.Numbers), d.n)
		}
		return check(name, v.Name, v.Numbers, 1)
	}
	if v.Numbers != nil {
		return fmt.Errorf("stats: %s: %w: %s has labels and numbers, wanted one of them", name, ErrOption, v.Name)
	}
	var err error
	d.codes[k], v.Levels, err = encodeLabels(name, *v, d.n)
	return err
}

// encodeLabels returns the level of each observation and the levels.
func encodeLabels(name string, v Variable, n int) ([]int, []string, error) {
	if len(v.Labels) != n {
		return nil, nil, fmt.Errorf("stats: %s: %w: %s has %d labels, y has %d", name, ErrLength, v.Name, len(v.Labels), n)
	}
	index := map[string]int{}
	levels := slices.Clone(v.Levels)
	if levels == nil {
		for _, l := range v.Labels {
			if _, ok := index[l]; !ok {
				index[l] = 0
				levels = append(levels, l)
			}
		}
		slices.Sort(levels)
	}
	for i, l := range levels {
		if j, ok := index[l]; ok && v.Levels != nil {
			return nil, nil, fmt.Errorf("stats: %s: %w: %s lists the level %q at %d and %d", name, ErrOption, v.Name, l, j, i)
		}
		index[l] = i
	}
	codes := make([]int, n)
	for i, l := range v.Labels {
		c, ok := index[l]
		if !ok {
			return nil, nil, fmt.Errorf("stats: %s: %w: %s[%d] is %q, wanted one of %q", name, ErrOption, v.Name, i, l, levels)
		}
		codes[i] = c
	}
	if len(levels) < 2 {
		return nil, nil, fmt.Errorf("stats: %s: %w: %s has %d level, wanted at least 2", name, ErrSampleSize, v.Name, len(levels))
	}
	return codes, levels, nil
}

// parseTerms turns "A", "A:B" into terms; nil is the full factorial. A term
// wants those that are part of it in the model, or its sums of squares would
// depend on the contrasts.
func (d *design) parseTerms(name string, terms []string) error {
	var sets []uint64
	if len(d.variables) > 16 {
		return fmt.Errorf("stats: %s: %w: %d variables, wanted at most 16", name, ErrOption, len(d.variables))
	}
	if terms == nil {
		for s := uint64(1); s < 1<<len(d.variables); s++ {
			sets = append(sets, s)
		}
	}
	for _, t := range terms {
		var s uint64
		for part := range strings.SplitSeq(t, ":") {
			k := slices.IndexFunc(d.variables, func(v Variable) bool { return v.Name == strings.TrimSpace(part) })
			if k < 0 || s&(1<<k) != 0 {
				return fmt.Errorf("stats: %s: %w: term %q: %q is not a variable, or is there twice", name, ErrOption, t, part)
			}
			s |= 1 << k
		}
		if slices.Contains(sets, s) {
			return fmt.Errorf("stats: %s: %w: the term %q is there twice", name, ErrOption, t)
		}
		sets = append(sets, s)
	}
	for _, s := range sets {
		t := term{}
		for k := range d.variables {
			if s&(1<<k) == 0 {
				continue
			}
			t.variables = append(t.variables, k)
			if part := s &^ (1 << k); part != 0 && !slices.Contains(sets, part) {
				return fmt.Errorf("stats: %s: %w: the term %q wants %q as well", name, ErrOption, d.termName(s), d.termName(part))
			}
		}
		t.name = d.termName(s)
		d.terms = append(d.terms, t)
	}
	slices.SortStableFunc(d.terms, func(a, b term) int {
		c := cmp.Compare(len(a.variables), len(b.variables))
		if c == 0 && terms == nil {
			c = slices.Compare(a.variables, b.variables)
		}
		return c
	})
	return nil
}

func (d *design) termName(set uint64) string {
	var parts []string
	for k, v := range d.variables {
		if set&(1<<k) != 0 {
			parts = append(parts, v.Name)
		}
	}
	return strings.Join(parts, ":")
}

// checkCells looks for combinations of levels that have no observation: the
// interaction of their factors cannot be estimated.
func (d *design) checkCells(name string) error {
	for _, t := range d.terms {
		size := 1
		var factors []int
		for _, k := range t.variables {
			if d.codes[k] != nil {
				factors = append(factors, k)
				size *= len(d.variables[k].Levels)
			}
		}
		if len(factors) == 0 {
			continue
		}
		if size > 1<<20 {
			return fmt.Errorf("stats: %s: %w: the term %s has %d cells for %d observations", name, ErrAliased, t.name, size, d.n)
		}
		seen := make([]bool, size)
		for i := range d.n {
			c := 0
			for _, k := range factors {
				c = c*len(d.variables[k].Levels) + d.codes[k][i]
			}
			seen[c] = true
		}
		var empty []string
		for c, ok := range seen {
			if ok {
				continue
			}
			cell := make([]string, len(factors))
			for j := len(factors) - 1; j >= 0; j-- {
				v := d.variables[factors[j]]
				cell[j] = v.Name + "[" + v.Levels[c%len(v.Levels)] + "]"
				c /= len(v.Levels)
			}
			empty = append(empty, strings.Join(cell, ":"))
		}
		if len(empty) > 0 {
			more := ""
			if len(empty) > 3 {
				more = fmt.Sprintf(" and %d more", len(empty)-3)
				empty = empty[:3]
			}
			return fmt.Errorf("stats: %s: %w: term %s: no observation in %s%s", name, ErrAliased, t.name, strings.Join(empty, ", "), more)
		}
	}
	return nil
}

// fill codes the columns. Within a term the last variable runs slowest, as in R.
func (d *design) fill() {
	width := func(k int) int {
		if d.codes[k] == nil {
			return 1
		}
		return len(d.variables[k].Levels) - 1
	}
	d.names = []string{"(Intercept)"}
	var choice [][]int // per column: the contrast of each of its term's variables
	owner := []int{-1}
	choice = append(choice, nil)
	for ti := range d.terms {
		t := &d.terms[ti]
		total := 1
		for _, k := range t.variables {
			total *= width(k)
		}
		for c := range total {
			parts, pick := make([]string, len(t.variables)), make([]int, len(t.variables))
			rest := c
			for j, k := range t.variables {
				pick[j] = rest % width(k)
				rest /= width(k)
				parts[j] = d.contrastName(k, pick[j])
			}
			t.columns = append(t.columns, len(d.names))
			d.names = append(d.names, strings.Join(parts, ":"))
			choice, owner = append(choice, pick), append(owner, ti)
		}
	}
	p := d.p()
	d.rows = make([]float64, d.n*p)
	for i := range d.n {
		row := d.row(i)
		row[0] = 1
		for c := 1; c < p; c++ {
			v := 1.0
			for j, k := range d.terms[owner[c]].variables {
				v *= d.code(k, i, choice[c][j])
			}
			row[c] = v
		}
	}
}

// code is the value of variable k's contrast c at observation i.
func (d *design) code(k, i, c int) float64 {
	if d.codes[k] == nil {
		return d.variables[k].Numbers[i]
	}
	l := d.codes[k][i]
	switch {
	case d.sums && l == len(d.variables[k].Levels)-1:
		return -1
	case d.sums && l == c, !d.sums && l == c+1:
		return 1
	}
	return 0
}

func (d *design) contrastName(k, c int) string {
	v := d.variables[k]
	switch {
	case d.codes[k] == nil:
		return v.Name
	case d.sums:
		return v.Name + "[" + v.Levels[c] + " - mean]"
	}
	return v.Name + "[" + v.Levels[c+1] + "]"
}

// triangle returns the upper triangle R of the QR decomposition of m (Householder,
// so that R'R = m'm keeps the digits that a sum of products would lose).
func triangle(m *mat.Dense) *mat.Dense {
	rows, cols := m.Dims()
	if rows < cols { // zero rows change nothing
		grown := mat.NewDense(cols, cols, nil)
		grown.Slice(0, rows, 0, cols).(*mat.Dense).Copy(m)
		m = grown
	}
	var qr mat.QR
	qr.Factorize(m)
	var r mat.Dense
	qr.RTo(&r)
	return mat.DenseCopyOf(r.Slice(0, cols, 0, cols))
}

// checkRank names the first column that is a combination of those before it.
func (d *design) checkRank(name string, r *mat.Dense) error {
	for c := range d.p() {
		var norm float64
		for i := 0; i <= c; i++ {
			norm = math.Hypot(norm, r.At(i, c))
		}
		if math.Abs(r.At(c, c)) <= 1e-10*norm {
			return fmt.Errorf("stats: %s: %w: %s is a combination of the other columns", name, ErrAliased, d.names[c])
		}
	}
	return nil
}
