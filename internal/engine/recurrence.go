package engine

import (
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/implicitreward/implicitreward/internal/arch"
)

// A recurrence (arch.Recurrence) sees of a path what attention sees, each of its tokens, and is a
// masked product as attention is. Its batch is not cut into chunks: the tokens are taken some at a
// time, in their depth-first order, in which all ancestors come before, each time with all keys so
// far. What a token of a delta net keeps, its u, is made from those of its ancestors, in the batch
// too: among the rows that are taken together the u solve a unit triangular system.

// leastRows of another recurrence are taken at a time, and more where their weights fit into
// scoreBytes.
const leastRows = 16

// along is what recurrences need of a batch's paths. sees tells of each token and the keys before
// the batch, with the batch's own after them, whether they lead to it, itself among them [T Q+T];
// before has, by the same numbers, the 1st to the last of reach tokens before it, and then the
// last of its path that stands before the batch, Q+T for none [T reach+1].
func (s *step) along(b *batch, reach int, key func(location) int32) []*tensors.Tensor {
	keys := b.Q + b.T
	sees, before := make([]bool, b.T*keys), make([]int32, b.T*(reach+1))
	for i := range before {
		before[i] = int32(keys)
	}
	var open []location
	for i := range b.T {
		sees[i*keys+b.Q+i] = true
		if i >= b.n {
			continue
		}
		t := s.tokens[b.from+i]
		if i == 0 {
			open = append(open, b.past[:t.depth()]...)
		} else {
			open = s.follow(open, t)
		}
		at := before[i*(reach+1) : (i+1)*(reach+1)]
		for n := range open {
			l := open[len(open)-1-n]
			sees[i*keys+int(key(l))] = true
			if n < reach {
				at[n] = key(l)
			}
			if at[reach] == int32(keys) && int(l) < b.from {
				at[reach] = key(l)
			}
		}
		open = append(open, location(b.from+i))
	}
	return []*tensors.Tensor{
		tensors.FromFlatDataAndDimensions(sees, b.T, keys),
		tensors.FromFlatDataAndDimensions(before, b.T, reach+1),
	}
}

// rowsBefore is arch.Scope.Before within a batch.
func (b *keys) rowsBefore(x *Node, n int) (all []*Node) {
	rows := withZeros(b.keep(x))
	for i := range n {
		all = append(all, Gather(rows, SliceAxis(b.before, 1, AxisElem(i))))
	}
	return all
}

// withZeros is x [n ..] with a row of zeros after the last.
func withZeros(x *Node) *Node {
	return Concatenate([]*Node{x, ZerosLike(SliceAxis(x, 0, AxisElem(0)))}, 0)
}

// recur is arch.Scope.Recur within a batch: q and k are [T G K], v is [T H V], decay and beta are
// [T H], the result is [T H V].
func (b *keys) recur(q, k, v, decay, beta *Node) *Node {
	t, heads, width := v.Shape().Dimensions[0], v.Shape().Dimensions[1], v.Shape().Dimensions[2]
	groups := k.Shape().Dimensions[1]
	whole, rest := b.decays(decay)               // [H Q+T] both
	keys := TransposeAllAxes(b.keep(k), 1, 0, 2) // [G Q+T K]
	if beta == nil {
		v = b.keep(v) // u is v
	}
	q, k, v = TransposeAllAxes(q, 1, 0, 2), TransposeAllAxes(k, 1, 0, 2), TransposeAllAxes(v, 1, 0, 2)
	together := max(leastRows, b.scoreBytes/(heads*(b.Q+t)*4))
	var us []*Node // [H n V] each, in the order of the keys
	if beta != nil {
		together = arch.DeltaRows
		beta = InsertAxes(TransposeAllAxes(beta, 1, 0), -1) // [H T 1]
		if b.Q > 0 {
			us = append(us, TransposeAllAxes(Reshape(b.past[len(b.own)], b.Q, heads, width), 1, 0, 2))
		}
	}
	var own, out []*Node // u and o of some rows, [H R V] each
	for from := 0; from < t; from += together {
		to := min(from+together, t)
		rows, seen := AxisRange(from, to), AxisRange(0, b.Q+to)
		if len(out) > 0 {
			q = SchedulingBarrier(q, out[len(out)-1])
		}
		weights := b.weights(whole, rest, from, to) // [H R Q+to]
		products := func(x *Node) *Node {           // [G T K] -> [H R Q+to]
			p := Einsum("grk,gjk->grj", SliceAxis(x, 1, rows), SliceAxis(keys, 1, seen))
			p = BroadcastToDims(InsertAxes(p, 1), groups, heads/groups, to-from, b.Q+to)
			return Mul(Reshape(p, heads, to-from, b.Q+to), weights)
		}
		if beta == nil {
			out = append(out, Einsum("hrj,hjv->hrv", products(q), SliceAxis(v, 1, seen)))
			continue
		}
		among := Mul(products(k), SliceAxis(beta, 1, rows)) // each row's own is left out below
		u := Mul(SliceAxis(v, 1, rows), SliceAxis(beta, 1, rows))
		if len(us) > 0 {
			before := SliceAxis(among, 2, AxisRange(0, b.Q+from))
			u = Sub(u, Einsum("hrj,hjv->hrv", before, Concatenate(us, 1)))
		}
		u = Einsum("hrj,hjv->hrv", arch.TriangularInverse(SliceAxis(among, 2, AxisRangeToEnd(b.Q+from))), u)
		us, own = append(us, u), append(own, u)
		out = append(out, Einsum("hrj,hjv->hrv", products(q), Concatenate(us, 1)))
	}
	if beta != nil {
		b.keep(TransposeAllAxes(Concatenate(own, 1), 1, 0, 2))
	}
	return TransposeAllAxes(Concatenate(out, 1), 1, 0, 2)
}

// decays are the sums of the log-decays [T H] along the path to each key, [H Q+T]: whole numbers,
// and what is left, from 0 to 1. A difference of two sums, which may be some thousands each, is
// then exact to the bits of a number below 1. Sums are taken in float64.
func (b *keys) decays(decay *Node) (whole, rest *Node) {
	h := decay.Shape().Dimensions[1]
	sees := SliceAxis(b.sees, 1, AxisRangeToEnd(b.Q))
	sum := Dot(ConvertDType(sees, dtypes.Float64), ConvertDType(MaxScalar(decay, arch.LeastDecay), dtypes.Float64)).Product()
	if b.Q > 0 {
		// Of the path before the batch. What follows the keys is not asked for.
		past := ConvertDType(b.past[len(b.own)], dtypes.Float64) // [Q 2*H]
		past = Add(SliceAxis(past, 1, AxisRange(0, h)), SliceAxis(past, 1, AxisRangeToEnd(h)))
		last := SliceAxis(b.before, 1, AxisElem(b.before.Shape().Dimensions[1]-1)) // [T 1]
		last = MinScalar(last, b.Q)                                                // Q+T is none
		sum = Add(sum, Gather(withZeros(past), last))
	}
	floor := Floor(sum)
	both := Concatenate([]*Node{floor, Sub(sum, floor)}, 1)
	all := TransposeAllAxes(b.keep(ConvertDType(both, dtypes.Float32)), 1, 0) // [2*H Q+T]
	return SliceAxis(all, 0, AxisRange(0, h)), SliceAxis(all, 0, AxisRangeToEnd(h))
}

// weights are e^(G_i-G_j) of some rows i and the keys j up to the last of them that they see, and
// 0 for others, [H R Q+to]. What is not seen may have any sum, and is left out before e^.
func (b *keys) weights(whole, rest *Node, from, to int) *Node {
	h, r, n := whole.Shape().Dimensions[0], to-from, b.Q+to
	difference := func(x *Node) *Node {
		i, j := SliceAxis(x, 1, AxisRange(b.Q+from, n)), SliceAxis(x, 1, AxisRange(0, n))
		return Sub(BroadcastToDims(InsertAxes(i, 2), h, r, n), BroadcastToDims(InsertAxes(j, 1), h, r, n))
	}
	sees := Slice(b.sees, AxisRange(from, to), AxisRange(0, n))
	sees = BroadcastToDims(InsertAxes(sees, 0), h, r, n)
	d := Add(difference(whole), difference(rest))
	return Exp(Where(sees, d, Infinity(d.Graph(), d.DType(), -1)))
}
