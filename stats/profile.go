package stats

import (
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/lapack/lapack64"
	"gonum.org/v1/gonum/mat"
)

// A profile is the likelihood of a mixed model
//
//	y = Xβ + Σ Z_k u_k + e,  var e = σ²I,  var u_k = θ_k σ²I
//
// as a function of the variance ratios θ alone, β and σ being profiled out
// (Bates et al. 2015, "Fitting linear mixed-effects models using lme4", 2-3). Z_k
// marks the levels of grouping factor k. With V = I + Σ θ_k Z_k Z_k',
//
//	-2 ln L = ln|V| + [ln|X'V⁻¹X|] + f (1 + ln(2π r²/f)),  r² = y'Py
//	P = V⁻¹ - V⁻¹X(X'V⁻¹X)⁻¹X'V⁻¹
//
// the bracket and f = n-p for REML, f = n for ML.
//
// The factor with the most levels, "wide", makes a diagonal block that is
// eliminated by hand. What is left is a border B = [Z of the others, Q, y], where
// X = QR and y is the residual of least squares: nothing cancels. One Cholesky
// factor of its Schur complement holds all the rest, so that two crossed factors of
// 54 and 1652 levels cost 1652·62² and not 1706³.
type profile struct {
	n, p   int
	reml   bool
	levels []int // number of levels of each grouping factor
	wide   int   // which of them is eliminated first
	start  []int // of each other factor: its first column in the border
	q, m   int   // Z columns of the border; Z and X columns. y is column m

	count []float64  // observations of each level of wide
	cross *mat.Dense // Z_wide'B
	gram  *mat.Dense // B'B
	meanN []float64  // mean number of observations a level, per factor
	maxN  []float64
}

// newProfile gathers the cross products from the observations: codes[k][i] is the
// level of observation i in grouping factor k, qy its row of [Q y].
func newProfile(codes [][]int, levels []int, qy *mat.Dense, reml bool) *profile {
	n, cols := qy.Dims()
	f := &profile{n: n, p: cols - 1, reml: reml, levels: levels, start: make([]int, len(levels))}
	for k, l := range levels {
		if l > levels[f.wide] {
			f.wide = k
		}
	}
	for k, l := range levels {
		if k != f.wide {
			f.start[k] = f.q
			f.q += l
		}
	}
	f.m = f.q + f.p
	f.count = make([]float64, levels[f.wide])
	f.cross = mat.NewDense(levels[f.wide], f.m+1, nil)
	f.gram = mat.NewDense(f.m+1, f.m+1, nil)
	for i := range n {
		w := codes[f.wide][i]
		f.count[w]++
		row, cross := qy.RawRowView(i), f.cross.RawRowView(w)
		for c, v := range row {
			cross[f.q+c] += v
			g := f.gram.RawRowView(f.q + c)
			for e := 0; e <= c; e++ {
				g[f.q+e] += v * row[e]
			}
		}
		for k := range levels {
			if k == f.wide {
				continue
			}
			a := f.start[k] + codes[k][i]
			cross[a]++
			g := f.gram.RawRowView(a)
			for c, v := range row {
				g[f.q+c] += v
			}
			for l := range levels {
				if l != f.wide {
					g[f.start[l]+codes[l][i]]++
				}
			}
		}
	}
	for a := 0; a <= f.m; a++ { // the half that was left out
		for b := f.q; b <= f.m; b++ {
			if a < f.q {
				f.gram.Set(b, a, f.gram.At(a, b))
			} else if b > a {
				f.gram.Set(a, b, f.gram.At(b, a))
			}
		}
	}
	for k, l := range levels {
		most := 0.0
		sizes := make([]float64, l)
		for _, c := range codes[k] {
			sizes[c]++
			most = max(most, sizes[c])
		}
		f.meanN = append(f.meanN, float64(n)/float64(l))
		f.maxN = append(f.maxN, most)
	}
	return f
}

func (f *profile) dof() float64 {
	if f.reml {
		return float64(f.n - f.p)
	}
	return float64(f.n)
}

// A point is the profile at one θ.
type point struct {
	theta    []float64
	v        []float64  // 1/(1 + θ n) of each level of wide
	rest     *mat.Dense // B'V_wide⁻¹B, symmetric
	upper    blas64.Triangular
	logdet   float64 // ln|V|, with ln|Q'V⁻¹Q| for REML
	r2       float64 // y'Py
	deviance float64 // -2 ln L without the constants; +Inf where it cannot be had
}

func (f *profile) at(theta []float64) *point {
	pt := &point{theta: theta, v: make([]float64, len(f.count)), deviance: math.Inf(1)}
	tw := theta[f.wide]
	scaled := mat.DenseCopyOf(f.cross)
	for j, n := range f.count {
		pt.v[j] = 1 / (1 + tw*n)
		pt.logdet += math.Log1p(tw * n)
		blas64.Scal(math.Sqrt(tw*pt.v[j]), blas64.Vector{N: f.m + 1, Inc: 1, Data: scaled.RawRowView(j)})
	}
	pt.rest = mat.DenseCopyOf(f.gram)
	sym := blas64.Symmetric{N: f.m + 1, Stride: f.m + 1, Data: pt.rest.RawMatrix().Data, Uplo: blas.Upper}
	blas64.Syrk(blas.Trans, -1, scaled.RawMatrix(), 1, sym)
	for a := range f.m + 1 {
		for b := range a {
			pt.rest.Set(a, b, pt.rest.At(b, a))
		}
	}
	work := mat.DenseCopyOf(pt.rest)
	f.scaleColumns(work, theta)
	for k := range f.levels {
		if k == f.wide {
			continue
		}
		s := math.Sqrt(theta[k])
		for a := f.start[k]; a < f.start[k]+f.levels[k]; a++ {
			blas64.Scal(s, blas64.Vector{N: f.m + 1, Inc: 1, Data: work.RawRowView(a)})
			work.Set(a, a, work.At(a, a)+1)
		}
	}
	tri, ok := lapack64.Potrf(blas64.Symmetric{N: f.m + 1, Stride: f.m + 1, Data: work.RawMatrix().Data, Uplo: blas.Upper})
	if !ok {
		return pt
	}
	pt.upper = tri
	last := f.q
	if f.reml {
		last = f.m
	}
	for i := range last {
		pt.logdet += 2 * math.Log(work.At(i, i))
	}
	pt.r2 = work.At(f.m, f.m) * work.At(f.m, f.m)
	pt.deviance = pt.logdet + f.dof()*math.Log(pt.r2)
	return pt
}

// scaleColumns multiplies the columns of each Z by sqrt(θ).
func (f *profile) scaleColumns(m *mat.Dense, theta []float64) {
	rows, _ := m.Dims()
	for k, l := range f.levels {
		if k == f.wide {
			continue
		}
		s := math.Sqrt(theta[k])
		for i := range rows {
			blas64.Scal(s, blas64.Vector{N: l, Inc: 1, Data: m.RawRowView(i)[f.start[k]:]})
		}
	}
}
