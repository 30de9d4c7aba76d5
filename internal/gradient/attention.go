package gradient

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/implicitreward/implicitreward/internal/arch"
)

// rows are R rows of L tokens: see layout.
type rows struct{ depth, exit *Node } // [R L]

// attention is one use of arch.Scope.Attend within rows.
type attention struct {
	rows
	arch.Attention
	q, k, v *Node // [R L G M K], scaled; [R L G K] both
	sinks   *Node // [G M], nil for none
}

func (r rows) attention(q, k, v, sinks *Node, a arch.Attention) attention {
	n, l := r.depth.Shape().Dimensions[0], r.depth.Shape().Dimensions[1]
	heads, width := q.Shape().Dimensions[1], q.Shape().Dimensions[2]
	groups := k.Shape().Dimensions[1]
	if sinks != nil {
		sinks = Reshape(sinks, groups, heads/groups)
	}
	return attention{r, a, Reshape(MulScalar(q, a.Scale), n, l, groups, heads/groups, width),
		Reshape(k, n, l, groups, width), Reshape(v, n, l, groups, width), sinks}
}

// span is some queries of every row, taken together with the keys up to the last of them:
// no query sees a later one, so that half of the scores of a long row are never computed.
type span struct{ from, to int }

// spanQueries of a row at least are taken together, and no row in more than maxSpans.
const (
	spanQueries = 128
	maxSpans    = 8
)

func (a attention) spans() (all []span) {
	l := a.depth.Shape().Dimensions[1]
	size := max(spanQueries, (l+maxSpans-1)/maxSpans)
	for from := 0; from < l; from += size {
		all = append(all, span{from, min(from+size, l)})
	}
	return all
}

// of cuts a span out of the axis of tokens.
func (s span) of(x *Node) *Node { return SliceAxis(x, 1, AxisRange(s.from, s.to)) }

// seen cuts out what a span's queries may see.
func (s span) seen(x *Node) *Node { return SliceAxis(x, 1, AxisRange(0, s.to)) }

// scores are cap(scale*q.k) of a span before the mask, and whether each is seen, [R G M S J].
func (a attention) scores(s span) (scores, sees *Node) {
	scores = Einsum("rtgmk,rsgk->rgmts", s.of(a.q), s.seen(a.k))
	if a.SoftCap != 0 {
		scores = MulScalar(Tanh(DivScalar(scores, a.SoftCap)), a.SoftCap)
	}
	sees = a.sees(s, a.Window)
	return scores, BroadcastToDims(InsertAxes(sees, 1, 1), scores.Shape().Dimensions...)
}

// apply is softmax(mask(scores))v, [T N*K], and for each query ln sum exp of its scores,
// [R G M L], its sink's among them. Every token sees itself.
func (a attention) apply() (o, lse *Node) {
	var outs, sums []*Node
	for _, s := range a.spans() {
		scores, sees := a.scores(s)
		top := ReduceAndKeep(Where(sees, scores, Infinity(scores.Graph(), scores.DType(), -1)), ReduceMax, -1)
		if a.sinks != nil {
			top = Max(top, a.sinkOf(top))
		}
		top = StopGradient(top)
		weights := Where(sees, Exp(Sub(scores, top)), ZerosLike(scores))
		sum := ReduceSum(weights, -1) // [R G M S]
		if a.sinks != nil {
			sum = Add(sum, Squeeze(Exp(Sub(a.sinkOf(top), top)), -1))
		}
		out := Einsum("rgmts,rsgk->rtgmk", weights, s.seen(a.v))
		outs = append(outs, Div(out, InsertAxes(TransposeAllDims(sum, 0, 3, 1, 2), -1)))
		sums = append(sums, Add(Log(sum), Squeeze(top, -1)))
	}
	o = Concatenate(outs, 1) // [R L G M K]
	d := o.Shape().Dimensions
	return Reshape(o, d[0]*d[1], d[2]*d[3]*d[4]), Concatenate(sums, 3)
}

// sinkOf is the sink's score of each query [R G M S 1], whose shape like has.
func (a attention) sinkOf(like *Node) *Node {
	return BroadcastToDims(InsertAxes(a.sinks, 0, -1, -1), like.Shape().Dimensions...)
}

// from are what attention is computed from.
func (a attention) from() []*Node {
	if a.sinks == nil {
		return []*Node{a.q, a.k, a.v}
	}
	return []*Node{a.q, a.k, a.v, a.sinks}
}

// adjoint is, for do the derivatives by o, those by from ("FlashAttention", Dao et al. 2022,
// algorithm 4): with p = exp(score - lse) and d = sum over K of do o, the derivative by a
// score is p (do.v - d). A sink's v is 0.
func (a attention) adjoint(o, lse, do *Node) []*Node {
	shape := a.q.Shape().Dimensions
	o, do = Reshape(o, shape...), Reshape(do, shape...)
	delta := InsertAxes(TransposeAllDims(ReduceSum(Mul(do, o), -1), 0, 2, 3, 1), -1) // [R G M L 1]
	lse = InsertAxes(lse, -1)
	var dqs []*Node
	var dk, dv *Node
	for _, s := range a.spans() {
		scores, sees := a.scores(s)
		queries := AxisRange(s.from, s.to)
		p := Where(sees, Exp(Sub(scores, SliceAxis(lse, 3, queries))), ZerosLike(scores))
		dp := Einsum("rtgmk,rsgk->rgmts", s.of(do), s.seen(a.v))
		ds := Mul(p, Sub(dp, SliceAxis(delta, 3, queries)))
		if a.SoftCap != 0 {
			ds = Mul(ds, OneMinus(Square(DivScalar(scores, a.SoftCap))))
		}
		dqs = append(dqs, Einsum("rgmts,rsgk->rtgmk", ds, s.seen(a.k)))
		dk = a.addSeen(dk, Einsum("rgmts,rtgmk->rsgk", ds, s.of(a.q)))
		dv = a.addSeen(dv, Einsum("rgmts,rtgmk->rsgk", p, s.of(do)))
	}
	all := []*Node{Concatenate(dqs, 1), dk, dv}
	if a.sinks != nil {
		all = append(all, Neg(ReduceSum(Mul(Exp(Sub(a.sinkOf(lse), lse)), delta), 0, 3, 4)))
	}
	return all
}

// addSeen adds what a span gives to the keys that it sees to sum, nil at first, [R L G K].
func (a attention) addSeen(sum, of *Node) *Node {
	if rest := a.k.Shape().Dimensions[1] - of.Shape().Dimensions[1]; rest > 0 {
		d := of.Shape().Dimensions
		of = Concatenate([]*Node{of, Zeros(of.Graph(), shapes.Make(of.DType(), d[0], rest, d[2], d[3]))}, 1)
	}
	if sum == nil {
		return of
	}
	return Add(sum, of)
}

// sees tells which of its keys each token of a span sees, [R S J].
func (r rows) sees(s span, window int) *Node {
	g, n := r.depth.Graph(), r.depth.Shape().Dimensions[0]
	wide := shapes.Make(dtypes.Int32, n, s.to-s.from, s.to)
	spread := func(x *Node, axis int) *Node { return BroadcastToDims(InsertAxes(x, axis), wide.Dimensions...) }
	query, key := AddScalar(Iota(g, wide, 1), s.from), Iota(g, wide, 2)
	sees := LogicalAnd(LessOrEqual(key, query), LessThan(query, spread(s.seen(r.exit), 1)))
	if window > 0 {
		distance := Sub(spread(s.of(r.depth), 2), spread(s.seen(r.depth), 1))
		sees = LogicalAnd(sees, LessThan(distance, Scalar(g, dtypes.Int32, min(window, 1<<30))))
	}
	return sees
}
