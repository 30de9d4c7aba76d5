package stats

import (
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/mat"
)

// A slope holds the derivatives of a profile's deviance in θ, and what the tests
// of fixed effects need.
type slope struct {
	gradient []float64
	hessian  *mat.SymDense
	traces   *mat.SymDense // |Z_k'WZ_l|², W = P (REML) or V⁻¹ (ML)
	quads    *mat.SymDense // y'PK_kPK_lPy, K = ZZ'
	squares  []float64     // |Z_k'Py|²
	zpy      [][]float64   // Z_k'Py
	zq       []*mat.Dense  // Z_k'V⁻¹Q U⁻¹, U the triangle of Q'V⁻¹Q
}

// derivatives are, with W as above and f of the profile,
//
//	d'_k = tr(Z_k'WZ_k) - f |Z_k'Py|²/r²
//	d"_kl = -|Z_k'WZ_l|² + f (2 y'PK_kPK_lPy/r² - |Z_k'Py|²|Z_l'Py|²/r⁴)
func (f *profile) derivatives(pt *point) *slope {
	n := len(f.levels)
	s := &slope{
		gradient: make([]float64, n), hessian: mat.NewSymDense(n, nil),
		traces: mat.NewSymDense(n, nil), quads: mat.NewSymDense(n, nil),
		squares: make([]float64, n), zpy: make([][]float64, n), zq: make([]*mat.Dense, n),
	}
	r := math.Sqrt(pt.r2)
	rows := make([]*projected, n)
	for k := range f.levels {
		rows[k] = f.project(pt, k)
		s.zpy[k] = make([]float64, f.levels[k])
		for i := range s.zpy[k] {
			s.zpy[k][i] = r * rows[k].half.At(i, f.m)
			s.squares[k] += s.zpy[k][i] * s.zpy[k][i]
		}
		s.zq[k] = rows[k].half.Slice(0, f.levels[k], f.q, f.m).(*mat.Dense)
	}
	width := f.q
	if f.reml {
		width = f.m
	}
	dof := f.dof()
	for k := range f.levels {
		for l := k; l < n; l++ {
			trace, square, quad := f.pair(pt, rows[k], rows[l], s.zpy[k], s.zpy[l], width)
			if l == k {
				s.gradient[k] = trace - dof*s.squares[k]/pt.r2
			}
			s.traces.SetSym(k, l, square)
			s.quads.SetSym(k, l, quad)
			s.hessian.SetSym(k, l, -square+dof*(2*quad/pt.r2-s.squares[k]*s.squares[l]/(pt.r2*pt.r2)))
		}
	}
	return s
}

// A projected factor holds A_kU⁻¹, A_k = Z_k'V_wide⁻¹B and U the Cholesky factor
// of the profile, B scaled by λ = sqrt(θ) as there. Then
//
//	Z_k'PZ_l = Z_k'V_wide⁻¹Z_l - (A_kU⁻¹)(A_lU⁻¹)'           (1)
//
// and the first columns alone, those of Z, give V⁻¹ in place of P. For a factor of
// the border with a large θ (1) would cancel; it has its rows Y_k of U⁻¹ as well,
//
//	λ_k A_kU⁻¹ = U'_k - Y_k,  Z_l'PZ_k = (A_lU⁻¹)Y_k'/λ_k      (2)
//	Z_k'PZ_l = (δ_kl - Y_kY_l')/(λ_kλ_l), both large            (3)
type projected struct {
	k       int
	half    *mat.Dense // A_kU⁻¹
	inverse *mat.Dense // Y_k, if large
	lambda  float64
}

func (f *profile) project(pt *point, k int) *projected {
	a := f.baseRows(pt, k)
	f.scaleColumns(a, pt.theta)
	blas64.Trsm(blas.Right, blas.NoTrans, 1, pt.upper, a.RawMatrix())
	r := &projected{k: k, half: a, lambda: math.Sqrt(pt.theta[k])}
	if k == f.wide || pt.theta[k]*f.meanN[k] < 1 {
		return r
	}
	r.inverse = mat.NewDense(f.levels[k], f.m+1, nil)
	for i := range f.levels[k] {
		r.inverse.Set(i, f.start[k]+i, 1)
	}
	blas64.Trsm(blas.Right, blas.NoTrans, 1, pt.upper, r.inverse.RawMatrix())
	for i := range f.levels[k] { // behind its own column U' is 0
		for c := f.q; c <= f.m; c++ {
			a.Set(i, c, -r.inverse.At(i, c)/r.lambda)
		}
	}
	return r
}

// baseRows returns Z_k'V_wide⁻¹B.
func (f *profile) baseRows(pt *point, k int) *mat.Dense {
	if k != f.wide {
		return mat.DenseCopyOf(pt.rest.Slice(f.start[k], f.start[k]+f.levels[k], 0, f.m+1))
	}
	a := mat.DenseCopyOf(f.cross)
	for j, v := range pt.v {
		blas64.Scal(v, blas64.Vector{N: f.m + 1, Inc: 1, Data: a.RawRowView(j)})
	}
	return a
}

// pair returns the trace (if k = l) and the squared norm of Z_k'WZ_l, and
// w_k'(Z_k'PZ_l)w_l.
func (f *profile) pair(pt *point, a, b *projected, wa, wb []float64, width int) (trace, square, quad float64) {
	if a.k == f.wide && b.k == f.wide {
		return f.widePair(pt, a, wa, width)
	}
	m := f.block(pt, a, b, width)
	if a.k == b.k {
		trace = mat.Trace(m)
	}
	n := mat.Norm(m, 2)
	if width != f.m { // ML: the data's part is with P all the same
		m = f.block(pt, a, b, f.m)
	}
	return trace, n * n, mat.Inner(mat.NewVecDense(len(wa), wa), m, mat.NewVecDense(len(wb), wb))
}

// block returns Z_a'PZ_b (width m) or Z_a'V⁻¹Z_b (width q), not both of them wide.
func (f *profile) block(pt *point, a, b *projected, width int) *mat.Dense {
	if a.inverse != nil && b.inverse == nil || b.k == f.wide {
		return mat.DenseCopyOf(f.block(pt, b, a, width).T())
	}
	m := mat.NewDense(f.levels[a.k], f.levels[b.k], nil)
	x, y, scale := a.half, b.half, -1.0
	switch {
	case a.inverse != nil: // (3)
		x, y, scale = a.inverse, b.inverse, -1/(a.lambda*b.lambda)
		if a.k == b.k {
			for i := range f.levels[a.k] {
				m.Set(i, i, -scale)
			}
		}
	case b.inverse != nil: // (2)
		y, scale = b.inverse, 1/b.lambda
	default: // (1)
		base := f.baseRows(pt, a.k)
		m.Copy(base.Slice(0, f.levels[a.k], f.start[b.k], f.start[b.k]+f.levels[b.k]))
	}
	if width > 0 {
		xr, yr := x.RawMatrix(), y.RawMatrix()
		xr.Cols, yr.Cols = width, width
		blas64.Gemm(blas.NoTrans, blas.Trans, scale, xr, yr, 1, m.RawMatrix())
	}
	return m
}

// widePair is pair of the wide factor with itself, whose block D - AA' with the
// diagonal D = Z'V_wide⁻¹Z is never formed.
func (f *profile) widePair(pt *point, a *projected, w []float64, width int) (trace, square, quad float64) {
	sums := make([]float64, f.m)
	for i, n := range f.count {
		d, row := n*pt.v[i], a.half.RawRowView(i)
		s := dot(row[:width], row[:width])
		trace += d - s
		square += d*d - 2*d*s
		quad += w[i] * w[i] * d
		for c := range sums {
			sums[c] += w[i] * row[c]
		}
	}
	if width > 0 {
		var g mat.Dense
		part := a.half.Slice(0, f.levels[a.k], 0, width)
		g.Mul(part.T(), part)
		n := mat.Norm(&g, 2)
		square += n * n
	}
	return trace, square, quad - dot(sums, sums)
}
