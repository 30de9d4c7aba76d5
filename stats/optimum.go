package stats

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/gonum/mat"
)

// minimise returns the point of the least deviance, θ >= 0: the best of a grid,
// then Newton's steps in ln θ with exact derivatives, so that the optimum is known to
// some 1e-10 and not only to the root of the rounding. A ratio is set to exactly
// 0 where the deviance rises from there.
func (f *profile) minimise(name string, groups []Variable) (*point, error) {
	pt := f.grid()
	for range 20 {
		var err error
		if pt, err = f.newton(name, pt, groups); err != nil {
			return nil, err
		}
		freed := false
		s := f.derivatives(pt)
		for k, t := range pt.theta {
			if t == 0 && s.gradient[k] < 0 {
				better := f.scan(pt, k, -8)
				if better.deviance < pt.deviance-f.noise(pt)*f.dof() {
					pt, freed = better, true
				}
			}
		}
		if !freed {
			return pt, nil
		}
	}
	return nil, flat(name, groups)
}

// grid looks through the variance ratios from 0 to far above any that
// matter, in units of 1/(mean observations a level), where 1 halves the variance
// of a level's mean: all factors together, then one after the other.
func (f *profile) grid() *point {
	best := f.at(make([]float64, len(f.levels)))
	for e := -2.0; e <= 9; e++ {
		theta := make([]float64, len(f.levels))
		for k := range theta {
			theta[k] = math.Pow(10, e) / f.meanN[k]
		}
		if c := f.at(theta); c.deviance < best.deviance {
			best = c
		}
	}
	for range f.levels {
		last := best
		for k := range f.levels {
			best = f.scan(best, k, -2)
		}
		if best == last || len(f.levels) == 1 {
			break
		}
	}
	return best
}

// scan tries 0 and the powers of ten from 10^low for factor k, the others fixed,
// and returns the best point, which may be the one given.
func (f *profile) scan(pt *point, k int, low float64) *point {
	best := pt
	for e := low - 1; e <= 9; e++ {
		theta := slices.Clone(pt.theta)
		theta[k] = math.Pow(10, e) / f.meanN[k]
		if e < low {
			theta[k] = 0
		}
		if c := f.at(theta); c.deviance < best.deviance {
			best = c
		}
	}
	return best
}

func (f *profile) newton(name string, pt *point, groups []Variable) (*point, error) {
	lost := 0 // steps that rounding hides
	for range 200 {
		noise := f.noise(pt)
		if !(noise < 1e-3) {
			return nil, fmt.Errorf("stats: %s: %w: none is left within the levels of %s", name, ErrZeroVariance, names(groups))
		}
		var free []int
		for k, t := range pt.theta {
			if t > 0 && t*f.maxN[k] < 1e-9 { // no number depends on it
				theta := slices.Clone(pt.theta)
				theta[k] = 0
				pt = f.at(theta)
			}
			if pt.theta[k] > 0 {
				free = append(free, k)
			}
		}
		if len(free) == 0 {
			return pt, nil
		}
		slope := f.derivatives(pt)
		step := logStep(pt.theta, slope, free)
		var longest, gain float64
		for i, k := range free {
			longest = max(longest, math.Abs(step[i]))
			gain -= step[i] * pt.theta[k] * slope.gradient[k] / 2
		}
		scale := min(1, 2/longest)
		next := f.along(pt, free, step, scale)
		// Far from the optimum the deviance must fall; near it, it cannot tell.
		for longest > 1e-4 && !(next.deviance < pt.deviance+noise*f.dof()) {
			scale /= 2
			if scale*longest < 1e-7 {
				return nil, fmt.Errorf("stats: %s: %w: the deviance does not fall at variance ratios %v", name, ErrConvergence, pt.theta)
			}
			next = f.along(pt, free, step, scale)
		}
		pt = next
		if gain < noise*f.dof() {
			lost++
		}
		switch {
		case longest < max(1e-9, noise), lost > 5 && longest < 1e-2:
			return pt, nil
		case lost > 5:
			if zero := f.withoutOne(pt, free, noise*f.dof()); zero != nil {
				pt, lost = zero, 0
				continue
			}
			return nil, flat(name, groups)
		}
	}
	return nil, fmt.Errorf("stats: %s: %w: 200 steps, at variance ratios %v", name, ErrConvergence, pt.theta)
}

// noise is the relative rounding of r²: what is left of y's variance is found by
// subtraction. That of all else follows it.
func (f *profile) noise(pt *point) float64 { return 64 * epsilon * f.gram.At(f.m, f.m) / pt.r2 }

// withoutOne sets a ratio to 0 that makes no difference beyond rounding.
func (f *profile) withoutOne(pt *point, free []int, noise float64) *point {
	for _, k := range free {
		theta := slices.Clone(pt.theta)
		theta[k] = 0
		if c := f.at(theta); c.deviance < pt.deviance+noise {
			return c
		}
	}
	return nil
}

func flat(name string, groups []Variable) error {
	return fmt.Errorf("stats: %s: %w: the likelihood is flat in the variances of %s: fewer groups or more observations are wanted", name, ErrAliased, names(groups))
}

func names(vs []Variable) string {
	var out []string
	for _, v := range vs {
		out = append(out, v.Name)
	}
	return strings.Join(out, ", ")
}

func (f *profile) along(pt *point, free []int, step []float64, scale float64) *point {
	theta := slices.Clone(pt.theta)
	for i, k := range free {
		theta[k] *= math.Exp(scale * step[i])
	}
	return f.at(theta)
}

// logStep is Newton's step in η = ln θ of the free ratios: gradient θg, second
// derivatives θθh + θg, with as much added to their diagonal as makes them
// positive definite.
func logStep(theta []float64, s *slope, free []int) []float64 {
	n := len(free)
	g := mat.NewVecDense(n, nil)
	h := mat.NewSymDense(n, nil)
	var size float64
	for i, k := range free {
		g.SetVec(i, -theta[k]*s.gradient[k])
		for j, l := range free[:i+1] {
			v := theta[k] * theta[l] * s.hessian.At(k, l)
			if i == j {
				v += theta[k] * s.gradient[k]
				size = max(size, math.Abs(v), math.Abs(g.AtVec(i)))
			}
			h.SetSym(i, j, v)
		}
	}
	for ridge := 0.0; ; ridge = max(2*ridge, 1e-3*size) {
		m := mat.NewSymDense(n, nil)
		m.CopySym(h)
		for i := range n {
			m.SetSym(i, i, m.At(i, i)+ridge)
		}
		var chol mat.Cholesky
		var step mat.VecDense
		if chol.Factorize(m) && chol.SolveVecTo(&step, g) == nil {
			return step.RawVector().Data
		}
		if math.IsInf(ridge, 0) || math.IsNaN(size) || size == 0 {
			return make([]float64, n)
		}
	}
}
