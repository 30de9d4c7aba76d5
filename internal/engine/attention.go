package engine

import (
	"math"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/implicitreward/implicitreward/internal/arch"
)

// keys are what the tokens of a batch see, as graph inputs: see chunks.
type keys struct {
	shape
	scoreBytes              int   // that scores take at a time
	narrow                  bool  // nothing is added up in float64
	depth, base, seen, exit *Node // [T]
	path                    *Node // [S P], nil unless Gathers
	next                    *Node // [N], nil if N is 0
	sees, before            *Node // [T Q+T], [T Reach+1] of a recurrence: see along

	past []*Node // what the block keeps of tokens before the batch, [Q width] each; empty if Q is 0
	// Set by keep, in the order of past: what it keeps of those before the next batch
	// [N width], and of the batch's own [T width].
	nextKept, own []*Node
}

// keep takes the next part of what a block keeps of a batch, x [T ..], and returns that of the
// tokens before the batch with it, [Q+T ..]. It leaves that of the next batch's past in nextKept.
func (b *keys) keep(x *Node) *Node {
	dims := slices.Clone(x.Shape().Dimensions)
	all := Reshape(x, dims[0], -1)
	b.own = append(b.own, all)
	if b.Q > 0 {
		all = Concatenate([]*Node{b.past[len(b.own)-1], all}, 0)
	}
	if b.N > 0 {
		b.nextKept = append(b.nextKept, Gather(all, InsertAxes(b.next, -1)))
	}
	dims[0] += b.Q
	return Reshape(all, dims...)
}

// attend computes attention over a batch: q is [T N K], k and v are [T G K], sinks [N] or nil.
//
// Chunks are batched in one product; the keys of their paths are gathered for each.
// Where the scores of all chunks would not stay in the cache, or would need much
// memory, chunks are taken a few at a time, one after the other.
func (b *keys) attend(q, k, v, sinks *Node, a arch.Attention) *Node {
	dims := q.Shape().Dimensions
	t, heads, width := dims[0], dims[1], dims[2]
	groups := k.Shape().Dimensions[1]
	s, c, m := t/b.C, b.C, heads/groups

	if sinks != nil {
		sinks = Reshape(sinks, 1, groups, m, 1, 1)
	}
	allK, allV := b.keep(k), b.keep(v)
	q = MulScalar(q, a.Scale)
	chunk := func(x *Node) *Node { // [T ..] -> [S C ..]
		return Reshape(x, append([]int{s, c}, x.Shape().Dimensions[1:]...)...)
	}
	sees := b.mask(chunk(b.depth), chunk(b.base), chunk(b.seen), chunk(b.exit), a.Window) // [S C P+C]
	qs := TransposeAllAxes(Reshape(q, s, c, groups, m, width), 0, 2, 3, 1, 4)             // [S G M C K]
	ks, vs := b.visible(allK, chunk(k), groups), b.visible(allV, chunk(v), groups)        // [S G P+C K]

	var query, key *Node // depths [S C P+C] of a bias by distance
	if a.ALiBi != (arch.ALiBi{}) {
		query, key = b.depths(chunk(b.depth), chunk(b.base))
	}

	// together queries are taken at a time: some chunks, or some rows of the only one,
	// for which the keys behind them are left out.
	axis, room, size := 0, c, s
	if s == 1 {
		axis, room, size = 1, 1, c
	}
	together := max(1, b.scoreBytes/(room*heads*(b.P+c)*4))
	if s == 1 {
		together = max(together, min(16, c), c/32)
	}
	var out []*Node // [S C G M K] each
	for from := 0; from < size; from += together {
		to := min(from+together, size)
		if len(out) > 0 {
			qs = SchedulingBarrier(qs, out[len(out)-1])
		}
		part := AxisRange(from, to)
		of := func(x *Node) *Node { // [S C P+C]
			x = SliceAxis(x, axis, part)
			if s == 1 {
				x = SliceAxis(x, 2, AxisRange(0, b.P+to))
			}
			return x
		}
		sq, sk, sv, ss := qs, ks, vs, of(sees)
		if s == 1 {
			keys := AxisRange(0, b.P+to)
			sq, sk, sv = SliceAxis(qs, 3, part), SliceAxis(ks, 2, keys), SliceAxis(vs, 2, keys)
		} else {
			sq, sk, sv = SliceAxis(qs, 0, part), SliceAxis(ks, 0, part), SliceAxis(vs, 0, part)
		}
		var bias *Node
		if query != nil {
			bias = a.ALiBi.Bias(of(query), of(key), heads, dtypes.Float32)
		}
		out = append(out, softmaxOf(sq, sk, sv, ss, sinks, bias, a.SoftCap, b.Invariant, b.narrow))
	}
	o := out[0]
	if len(out) > 1 {
		o = Concatenate(out, axis)
	}
	return Reshape(o, t, heads*width)
}

// visible gathers the keys (or values) of each chunk, those of its path first: all is
// [Q+T G K], own [S C G K], the result [S G P+C K].
func (b *keys) visible(all, own *Node, groups int) *Node {
	switch {
	case b.Gathers:
		own = Concatenate([]*Node{Gather(all, InsertAxes(b.path, -1)), own}, 1)
	case b.P > 0: // of one path, which is all that stands before
		own = InsertAxes(all, 0)
	}
	return TransposeAllAxes(own, 0, 2, 1, 3)
}

// mask tells which keys each token of some chunks sees, path first: [S C P+C].
func (b *keys) mask(depth, base, seen, exit *Node, window int) *Node {
	g := depth.Graph()
	s, c := depth.Shape().Dimensions[0], depth.Shape().Dimensions[1]
	window = min(window, math.MaxInt32)
	query, key := Iota(g, int32s(s, c, c), 1), Iota(g, int32s(s, c, c), 2)
	sees := LogicalAnd(LessOrEqual(key, query), LessThan(query, BroadcastToDims(InsertAxes(exit, 1), s, c, c)))
	if window > 0 {
		distance := Sub(BroadcastToDims(InsertAxes(depth, 2), s, c, c), BroadcastToDims(InsertAxes(depth, 1), s, c, c))
		sees = LogicalAnd(sees, LessThan(distance, Scalar(g, dtypes.Int32, window)))
	}
	if b.P == 0 {
		return sees
	}
	wide := func(x *Node) *Node { return BroadcastToDims(InsertAxes(x, 2), s, c, b.P) }
	place := Iota(g, int32s(s, c, b.P), 2)
	path := LogicalAnd(LessThan(place, wide(seen)), GreaterOrEqual(place, wide(base)))
	if window > 0 {
		distance := Sub(wide(depth), Sub(place, wide(base))) // the depth of a key is its place after base
		path = LogicalAnd(path, LessThan(distance, Scalar(g, dtypes.Int32, window)))
	}
	return Concatenate([]*Node{path, sees}, 2)
}

// depths are those of each token of some chunks and of the keys that it may see, path first: [S C P+C] both.
func (b *keys) depths(depth, base *Node) (query, key *Node) {
	s, c := depth.Shape().Dimensions[0], depth.Shape().Dimensions[1]
	query = BroadcastToDims(InsertAxes(depth, 2), s, c, b.P+c)
	key = BroadcastToDims(InsertAxes(depth, 1), s, c, c)
	if b.P > 0 { // the depth of a key is its place after base
		path := Sub(Iota(depth.Graph(), int32s(s, c, b.P), 2), BroadcastToDims(InsertAxes(base, 2), s, c, b.P))
		key = Concatenate([]*Node{path, key}, 2)
	}
	return query, key
}

// softmaxOf is softmax(mask(cap(q.k) + bias))v: q [S G M C K], k and v [S G J K], sees [S C J],
// sinks [1 G M 1 1] and bias [S N C J] or nil, result [S C G M K]; every query sees a key.
//
// A token's keys lie elsewhere in other company, and a sum in float32 depends on where. The
// weights are therefore added up in float64, which costs nothing that could be measured, and
// in an invariant batch both products too, which costs a fifth of a block of short texts:
// XLA's products in float64 take eight times as long on a CPU. (In float32 the sizes of q.k,
// which are too many to measure, choose its kernels: on a processor with AMX those of width
// 256 differ, on one with AVX2 alone those of width 8.) A sum in float64 that is rounded to
// float32 depends on the order of its terms for one value in some 1e8. An accelerator, which makes no
// such promise, and of which many are 64 times slower in float64, adds up in float32: it is narrow.
func softmaxOf(q, k, v, sees, sinks, bias *Node, cap float64, invariant, narrow bool) *Node {
	dims := q.Shape().Dimensions
	s, groups, m, c, width := dims[0], dims[1], dims[2], dims[3], dims[4]
	j := sees.Shape().Dimensions[2]
	if invariant {
		q, k = ConvertDType(q, dtypes.Float64), ConvertDType(k, dtypes.Float64)
	}
	scores := arch.Settled(DotGeneral(Reshape(q, s, groups, m*c, width), []int{3}, []int{0, 1}, k, []int{3}, []int{0, 1}))
	scores = ConvertDType(scores, dtypes.Float32)
	if cap != 0 {
		scores = MulScalar(Tanh(DivScalar(scores, cap)), cap)
	}
	scores = Reshape(scores, s, groups, m, c, j)
	if bias != nil {
		scores = Add(scores, Reshape(bias, s, groups, m, c, j))
	}
	sees = BroadcastToDims(InsertAxes(sees, 1, 1), s, groups, m, c, j)
	scores = Where(sees, scores, Infinity(q.Graph(), dtypes.Float32, -1))
	// The weights are divided by their sum after the product with v.
	top := ReduceAndKeep(scores, ReduceMax, -1)
	if sinks != nil {
		sinks = BroadcastToDims(sinks, s, groups, m, c, 1)
		top = Max(top, sinks)
	}
	w := Exp(Sub(scores, top))
	sums := dtypes.Float64
	if narrow {
		sums = dtypes.Float32
	}
	sum := ReduceAndKeep(ConvertDType(w, sums), ReduceSum, -1)
	if sinks != nil {
		sum = Add(sum, ConvertDType(Exp(Sub(sinks, top)), sums))
	}
	if invariant {
		w, v = ConvertDType(w, dtypes.Float64), ConvertDType(v, dtypes.Float64)
	} else {
		sum = ConvertDType(sum, dtypes.Float32)
	}
	o := DotGeneral(Reshape(w, s, groups, m*c, j), []int{3}, []int{0, 1}, v, []int{2}, []int{0, 1})
	o = ConvertDType(Div(Reshape(o, s, groups, m, c, width), sum), dtypes.Float32)
	return TransposeAllAxes(o, 0, 3, 1, 2, 4)
}

func int32s(dims ...int) shapes.Shape { return shapes.Make(dtypes.Int32, dims...) }
