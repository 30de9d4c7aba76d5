package gradient

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/implicitreward/implicitreward/internal/arch"
)

// rows are R rows of L tokens: see layout.
type rows struct{ depth, exit *Node } // [R L]

// attention is one use of arch.Scope.Attend within rows. Its products are of matrices, one for
// every group of heads of every row, B = R G.
type attention struct {
	rows
	arch.Attention
	q, k, v *Node // [B M L K], scaled; [B L K]; [B L V]
	sinks   *Node // [N], nil for none
	layout  []int // R L G M
}

func (r rows) attention(q, k, v, sinks *Node, a arch.Attention) attention {
	n, l := r.depth.Shape().Dimensions[0], r.depth.Shape().Dimensions[1]
	heads, groups := q.Shape().Dimensions[1], k.Shape().Dimensions[1]
	of := attention{rows: r, Attention: a, sinks: sinks, layout: []int{n, l, groups, heads / groups}}
	of.q = of.heads(MulScalar(q, a.Scale))
	keys := func(x *Node) *Node {
		return Reshape(TransposeAllDims(Reshape(x, n, l, groups, -1), 0, 2, 1, 3), n*groups, l, -1)
	}
	of.k, of.v = keys(k), keys(v)
	return of
}

// heads are [T N*K] as [B M L K].
func (a attention) heads(x *Node) *Node {
	d := a.layout
	return Reshape(TransposeAllDims(Reshape(x, d[0], d[1], d[2], d[3], -1), 0, 2, 3, 1, 4), d[0]*d[2], d[3], d[1], -1)
}

// span is some queries of every row, taken together with the keys up to the last of them:
// no query sees a later one, so that half of the scores of a long row are never computed.
// Spans are taken one after the other, so that their scores lie in the same memory: a
// fresh piece for each costs as much time as attention itself (XLA's CPU plugin).
type span struct{ from, to int }

// spanQueries of a row at least are taken together, and no row in more than maxSpans.
const (
	spanQueries = 128
	maxSpans    = 8
)

func (a attention) spans() (all []span) {
	l := a.layout[1]
	size := max(spanQueries, (l+maxSpans-1)/maxSpans)
	for from := 0; from < l; from += size {
		all = append(all, span{from, min(from+size, l)})
	}
	return all
}

// of cuts a span out of an axis of tokens.
func (s span) of(x *Node, axis int) *Node { return SliceAxis(x, axis, AxisRange(s.from, s.to)) }

// seen cuts out what a span's queries may see.
func (s span) seen(x *Node) *Node { return SliceAxis(x, 1, AxisRange(0, s.to)) }

// queries are a span of [B M L K] as a matrix [B M*S K].
func (s span) queries(x *Node) *Node {
	x = s.of(x, 2)
	d := x.Shape().Dimensions
	return Reshape(x, d[0], d[1]*d[2], d[3])
}

// product sums over an axis of each of two [B . .].
func product(x, y *Node, xAxis, yAxis int) *Node {
	return arch.Settled(Dot(x, y).General([]int{xAxis}, []int{0}, []int{yAxis}, []int{0}))
}

// scores are cap(scale*q.k) of a span's queries [B M*S K], and masked are these with the bias of their
// distances, -Inf where they are not seen, [R N S J] both.
func (a attention) scores(s span, queries *Node) (scores, masked *Node) {
	scores = Reshape(product(queries, s.seen(a.k), 2, 2), a.layout[0], a.layout[2]*a.layout[3], s.to-s.from, s.to)
	if a.SoftCap != 0 {
		scores = MulScalar(Tanh(DivScalar(scores, a.SoftCap)), a.SoftCap)
	}
	sees := BroadcastToDims(InsertAxes(a.sees(s, a.Window), 1), scores.Shape().Dimensions...)
	biased := scores
	if a.ALiBi != (arch.ALiBi{}) {
		query, key := a.depths(s)
		biased = Add(scores, a.ALiBi.Bias(query, key, a.layout[2]*a.layout[3], scores.DType()))
	}
	return scores, Where(sees, biased, Infinity(scores.Graph(), scores.DType(), -1))
}

// apply is softmax(masked scores)v, [T N*V], and for each query ln sum exp of its scores,
// [R N L], its sink's among them. Every token sees itself.
func (a attention) apply() (o, lse *Node) {
	d := a.layout
	q := a.q
	var outs, sums []*Node
	for i, s := range a.spans() {
		if i > 0 {
			q = SchedulingBarrier(q, outs[i-1])
		}
		_, masked := a.scores(s, s.queries(q))
		top := ReduceAndKeep(masked, ReduceMax, -1)
		if a.sinks != nil {
			top = Max(top, a.sinkOf(top))
		}
		weights := Exp(Sub(masked, top))
		sum := ReduceAndKeep(weights, ReduceSum, -1) // [R N S 1]
		if a.sinks != nil {
			sum = Add(sum, Exp(Sub(a.sinkOf(top), top)))
		}
		out := product(a.matrix(weights), s.seen(a.v), 2, 1) // [B M*S V]
		outs = append(outs, Reshape(Div(out, a.matrix(sum)), d[0], d[2], d[3], s.to-s.from, -1))
		sums = append(sums, Squeeze(Add(Log(sum), top), -1))
	}
	o = TransposeAllDims(Concatenate(outs, 3), 0, 3, 1, 2, 4) // [R L G M V]
	return Reshape(o, d[0]*d[1], -1), Concatenate(sums, 2)
}

// matrix is [R N S .] as [B M*S .].
func (a attention) matrix(x *Node) *Node {
	d := x.Shape().Dimensions
	return Reshape(x, a.layout[0]*a.layout[2], -1, d[len(d)-1])
}

// sinkOf is the sink's score of each query [R N S 1], whose shape like has.
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
	q, do := a.q, a.heads(do)
	d := a.layout
	delta := Reshape(ReduceSum(Mul(do, a.heads(o)), -1), d[0], d[2]*d[3], d[1], 1)
	lse = InsertAxes(lse, -1)
	var dqs, dks, dvs []*Node
	for i, s := range a.spans() {
		if i > 0 {
			q = SchedulingBarrier(q, dqs[i-1], dks[i-1], dvs[i-1])
			do = SchedulingBarrier(do, dqs[i-1], dks[i-1], dvs[i-1])
		}
		queries, dos := s.queries(q), s.queries(do)
		scores, masked := a.scores(s, queries)
		p := Exp(Sub(masked, s.of(lse, 2)))
		dp := Reshape(product(dos, s.seen(a.v), 2, 2), p.Shape().Dimensions...)
		ds := Mul(p, Sub(dp, s.of(delta, 2)))
		if a.SoftCap != 0 {
			ds = Mul(ds, OneMinus(Square(DivScalar(scores, a.SoftCap))))
		}
		p, ds = a.matrix(p), a.matrix(ds)
		dqs = append(dqs, Reshape(product(ds, s.seen(a.k), 2, 1), d[0]*d[2], d[3], s.to-s.from, -1))
		// The smaller matrix first: otherwise XLA transposes the larger one.
		dks = append(dks, product(queries, ds, 1, 1)) // [B K J]
		dvs = append(dvs, product(dos, p, 1, 1))
	}
	all := []*Node{Concatenate(dqs, 2), a.keys(dks), a.keys(dvs)}
	if a.sinks != nil {
		all = append(all, Neg(ReduceSum(Mul(Exp(Sub(a.sinkOf(lse), lse)), delta), 0, 2, 3)))
	}
	return all
}

// keys adds up what spans give to the keys that they see, [B . J] each, as [B L .].
func (a attention) keys(all []*Node) *Node {
	var sum *Node
	for _, x := range all {
		shape := x.Shape()
		if rest := a.layout[1] - shape.Dimensions[2]; rest > 0 {
			x = Concatenate([]*Node{x, Zeros(x.Graph(), shapes.Make(shape.DType, shape.Dimensions[0], shape.Dimensions[1], rest))}, 2)
		}
		if sum == nil {
			sum = x
			continue
		}
		sum = Add(sum, x)
	}
	return TransposeAllDims(sum, 0, 2, 1)
}

// sees tells which of its keys each token of a span sees, [R S J].
func (r rows) sees(s span, window int) *Node {
	g, n := r.depth.Graph(), r.depth.Shape().Dimensions[0]
	wide := shapes.Make(dtypes.Int32, n, s.to-s.from, s.to)
	spread := func(x *Node, axis int) *Node { return BroadcastToDims(InsertAxes(x, axis), wide.Dimensions...) }
	query, key := AddScalar(Iota(g, wide, 1), s.from), Iota(g, wide, 2)
	sees := LogicalAnd(LessOrEqual(key, query), LessThan(query, spread(s.seen(r.exit), 1)))
	if window > 0 {
		distance := Sub(r.depths(s))
		sees = LogicalAnd(sees, LessThan(distance, Scalar(g, dtypes.Int32, min(window, 1<<30))))
	}
	return sees
}

// depths are those of a span's queries and of their keys, [R S J] both.
func (r rows) depths(s span) (query, key *Node) {
	n, c, j := r.depth.Shape().Dimensions[0], s.to-s.from, s.to
	return BroadcastToDims(InsertAxes(s.of(r.depth, 1), 2), n, c, j), BroadcastToDims(InsertAxes(s.seen(r.depth), 1), n, c, j)
}
