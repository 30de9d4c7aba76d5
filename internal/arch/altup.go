package arch

import (
	"fmt"
	"math"

	. "github.com/gomlx/gomlx/core/graph"
)

// altUp keeps A streams beside each other [T A D], of which each block computes one alone: it predicts
// all of them from all, and corrects them by what that one came to (Gemma3nTextAltUp; "Alternating
// Updates for Efficient Transformers", Baykal et al., 2023). Between blocks the streams are one of
// width A*D; the first block makes them of the embedding, and the last makes one of them again. What
// altup_coef_clip bounds is bounded in training alone, which is not done here.
type altUp struct {
	n, active              int // streams, and the one that is computed
	first, last            bool
	router                 linear // [D] -> [A]
	norm                   rmsNorm
	factor                 float64 // of what the router reads
	prediction, correction linear  // [A] -> [A*A], [A] -> [A]
	spread, gathered       projections
}

// projections are matrices [D D] of one stream each, of all but the first.
type projections struct {
	first param
	n     int
}

// altUp declares the streams of block i.
func (d *decoder) altUp(b *builder, i, n, active int) altUp {
	a := altUp{n: n, active: active, first: i == 0, last: i == d.L-1, factor: 1 / float64(d.D)}
	a.router = b.linear("altup.modality_router", d.D, n, false)
	a.norm = b.rmsNorm("altup.router_norm", d.D, d.eps)
	a.prediction = b.linear("altup.prediction_coefs", n, n*n, false)
	a.correction = b.linear("altup.correction_coefs", n, n, false)
	own := b.prefix
	b.prefix = d.prefix
	if a.first {
		a.spread = d.streamProjections(b, "altup_projections", n-1)
	}
	if a.last {
		a.gathered = d.streamProjections(b, "altup_unembed_projections", n-1)
	}
	b.prefix = own
	return a
}

func (d *decoder) streamProjections(b *builder, name string, n int) projections {
	p := projections{n: n}
	for i := range n {
		l := b.linear(fmt.Sprintf("%s.%d", name, i), d.D, d.D, false)
		if i == 0 {
			p.first = l.weight
		}
	}
	return p
}

// apply gives projection i of x [T D], made as long as a stream is whose root of the mean square is size [T 1].
func (p projections) apply(s *Scope, i int, x, size *Node) *Node {
	y := linear{weight: p.first + param(i)}.apply(s, x)
	square := ReduceAndKeep(Square(y), ReduceMean, -1)
	return Div(Mul(y, size), Sqrt(MaxScalar(square, 1e-5)))
}

// rootMeanSquare is that of x [T D], [T 1]. Its least value gives the root a gradient where x is 0, as
// the embedding of padding is.
func rootMeanSquare(x *Node) *Node {
	return Sqrt(MaxScalar(ReduceAndKeep(Square(x), ReduceMean, -1), leastSquare))
}

const leastSquare = 1e-30

// streams are those that a block begins with: of an embedding [T D] the first is itself.
func (a altUp) streams(s *Scope, x *Node) *Node { // [T D] or [T A*D] -> [T A D]
	if !a.first {
		return heads(x, a.n)
	}
	size := rootMeanSquare(x)
	all := []*Node{x}
	for i := range a.spread.n {
		all = append(all, a.spread.apply(s, i, x, size))
	}
	return Stack(all, 1)
}

// result is what a block gives: of the last one the mean of the streams, each of them projected.
func (a altUp) result(s *Scope, x *Node) *Node { // [T A D] -> [T A*D] or [T D]
	if !a.last {
		return Reshape(x, x.Shape().Dimensions[0], -1)
	}
	sum := stream(x, 0)
	size := rootMeanSquare(sum)
	for i := range a.gathered.n {
		sum = Add(sum, a.gathered.apply(s, i, stream(x, i+1), size))
	}
	return DivScalar(sum, float64(a.n))
}

// stream is number i of x [T A D], [T D].
func stream(x *Node, i int) *Node {
	return Squeeze(SliceAxis(x, 1, AxisElem(i)), 1)
}

// routed are the weights tanh(router(norm(x) / D)) [T A] that coefficients are made of.
func (a altUp) routed(s *Scope, x *Node) *Node {
	return Tanh(a.router.apply(s, MulScalar(a.norm.apply(s, x), a.factor)))
}

// predict adds to each stream its prediction, a sum of all by coefficients.
func (a altUp) predict(s *Scope, x *Node) *Node { // [T A D] -> [T A D]
	of := heads(a.prediction.apply(s, a.routed(s, stream(x, a.active))), a.n) // [T A A]
	return Add(x, Einsum("tij,tjd->tid", of, x))
}

// correct adds to each stream of x [T A D] its part of what computed [T D] has more than was predicted.
func (a altUp) correct(s *Scope, x, computed *Node) *Node {
	by := OnePlus(a.correction.apply(s, a.routed(s, computed))) // [T A]
	more := Sub(computed, stream(x, a.active))
	return Add(x, Mul(InsertAxes(by, -1), InsertAxes(more, 1)))
}

// laurel is x + norm(right(left x)), a residual of low rank (Gemma3nTextLaurelBlock).
type laurel struct {
	left, right linear
	norm        rmsNorm
}

func (l laurel) apply(s *Scope, x *Node) *Node { // [T D] -> [T D]
	return Add(x, l.norm.apply(s, l.right.apply(s, l.left.apply(s, x))))
}

// sparseMLP is a gatedMLP of whose gates only those count that lie above the mean of a token's gates by
// some of their standard deviations, by as much as they do (Gemma3nTextMLP).
type sparseMLP struct {
	gatedMLP
	sparse bool
	above  float64 // standard deviations
}

func (m sparseMLP) apply(s *Scope, x *Node) *Node { // [T D] -> [T D]
	if !m.sparse {
		return m.gatedMLP.apply(s, x)
	}
	gate := m.gate.apply(s, x) // [T F]
	mean := ReduceAndKeep(gate, ReduceMean, -1)
	from := Add(mean, MulScalar(rootMeanSquare(Sub(gate, mean)), m.above))
	gate = MaxScalar(Sub(gate, from), 0)
	return m.down.apply(s, Mul(m.act.apply(gate), m.up.apply(s, x)))
}

// sparsity makes m one of whose gates, were they normal, so great a share would be 0. torch computes the
// quantile in float32.
func sparsity(m gatedMLP, share float64) sparseMLP {
	if share == 0 {
		return sparseMLP{gatedMLP: m}
	}
	at := float32(2*float32(share) - 1)
	above := float32(math.Erfinv(float64(at))) * float32(math.Sqrt2)
	return sparseMLP{gatedMLP: m, sparse: true, above: float64(above)}
}
