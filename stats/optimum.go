package stats

import (
	"fmt"
	"math"
	"slices"

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
				if better := f.scan(pt, k, -8, 0.5); better != pt {
					pt, freed = better, true
				}
			}
		}
		if !freed {
			return pt, nil
		}
	}
	return nil, fmt.Errorf("stats: %s: %w: variances go to 0 and back", name, ErrConvergence)
}

// grid looks through the variance ratios from 0 to far above any that
// matter: in units of 1/(mean observations a level), where 1 halves the variance
// of a level's mean.
func (f *profile) grid() *point {
	best := f.at(make([]float64, len(f.levels)))
	for range f.levels { // one factor after the other, as often as there are factors
		last := best
		for k := range f.levels {
			best = f.scan(best, k, -2, 0.5)
		}
		if best == last {
			break
		}
	}
	return best
}

// scan tries 0 and the powers of ten from 10^low in steps for factor k, the
// others fixed, and returns the best point, which may be the one given.
func (f *profile) scan(pt *point, k int, low, step float64) *point {
	best := pt
	for e := low - step; e < 6; e += step {
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
	for range 200 {
		var free []int
		for k, t := range pt.theta {
			if t*f.maxN[k] > 1e12 {
				return nil, fmt.Errorf("stats: %s: %w: none is left within the levels of %s", name, ErrZeroVariance, groups[k].Name)
			}
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
		s := f.derivatives(pt)
		step := logStep(pt.theta, s, free)
		var longest float64
		for _, v := range step {
			longest = max(longest, math.Abs(v))
		}
		scale := min(1, 2/longest)
		next := f.along(pt, free, step, scale)
		// Far from the optimum the deviance must fall; near it, it cannot tell.
		for longest > 1e-4 && !(next.deviance < pt.deviance) {
			scale /= 2
			if scale*longest < 1e-7 {
				return nil, fmt.Errorf("stats: %s: %w: the deviance does not fall at variance ratios %v", name, ErrConvergence, pt.theta)
			}
			next = f.along(pt, free, step, scale)
		}
		pt = next
		if longest < 1e-9 {
			return pt, nil
		}
	}
	return nil, fmt.Errorf("stats: %s: %w: 200 steps, at variance ratios %v", name, ErrConvergence, pt.theta)
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
