package gradient

import (
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/implicitreward/implicitreward/internal/arch"
)

// Recurrences within rows, as in package engine: of a path a token sees what attention sees. They
// are computed again on the way back, and differentiated as they stand.

// whole is all of every row.
func (r rows) whole() span { return span{0, r.depth.Shape().Dimensions[1]} }

// before is arch.Scope.Before.
func (r rows) before(x *Node, n int) (all []*Node) {
	s := r.whole()
	query, key := r.depths(s)
	sees := r.sees(s, 0)
	// The number of each key among all of them [R L L], from 1 on, and 0 for a row of zeros.
	number := Iota(x.Graph(), shapes.Make(dtypes.Int32, x.Shape().Dimensions[0]), 0)
	number = BroadcastToDims(InsertAxes(Reshape(AddScalar(number, 1), r.depth.Shape().Dimensions...), 1), sees.Shape().Dimensions...)
	padded := Concatenate([]*Node{ZerosLike(SliceAxis(x, 0, AxisElem(0))), x}, 0)
	for i := 1; i <= n; i++ {
		is := LogicalAnd(sees, Equal(Sub(query, key), Scalar(x.Graph(), dtypes.Int32, i)))
		at := ReduceSum(Where(is, number, ZerosLike(number)), -1) // [R L]: one of each path at most
		all = append(all, Gather(padded, Reshape(at, -1, 1)))
	}
	return all
}

// recur is arch.Scope.Recur. Legend: B = R H, of which G keys serve H/G each.
func (r rows) recur(q, k, v, decay, beta *Node) *Node {
	n, l := r.depth.Shape().Dimensions[0], r.depth.Shape().Dimensions[1]
	h, width, groups := v.Shape().Dimensions[1], v.Shape().Dimensions[2], k.Shape().Dimensions[1]
	byRow := func(x *Node) *Node { // [T N W] -> [R*N L W]
		heads := x.Shape().Dimensions[1]
		return Reshape(TransposeAllDims(Reshape(x, n, l, heads, -1), 0, 2, 1, 3), n*heads, l, -1)
	}
	weights := r.weights(decay) // [R H L L]
	keys := byRow(k)
	products := func(x *Node) *Node { // [T G K] -> [B L L]
		p := Reshape(product(byRow(x), keys, 2, 2), n, groups, 1, l, l)
		p = Reshape(BroadcastToDims(p, n, groups, h/groups, l, l), n, h, l, l)
		return Reshape(Mul(p, weights), n*h, l, l)
	}
	u := byRow(v) // [B L V]
	if beta != nil {
		beta = byRow(InsertAxes(beta, -1)) // [B L 1]
		u = solved(Mul(products(k), beta), Mul(u, beta))
	}
	o := product(products(q), u, 2, 1)
	return Reshape(TransposeAllDims(Reshape(o, n, h, l, width), 0, 2, 1, 3), n*l, h, width)
}

// solved is the u of u + A u = b, where A is what x [B L L] has below its diagonal, b is [B L V]:
// in at most maxSpans steps, which compile soon, of rows whose own system is inverted.
func solved(x, b *Node) *Node {
	l, size := x.Shape().Dimensions[1], arch.DeltaRows
	for size*maxSpans < l {
		size *= 2
	}
	steps := (l + size - 1) / size
	x = padded(padded(x, 1, steps*size), 2, steps*size)
	b = padded(b, 1, steps*size)
	span := func(i int) SliceAxisSpec { return AxisRange(i*size, (i+1)*size) }
	var own []*Node // [B S S] each
	for i := range steps {
		own = append(own, Slice(x, AxisRange(), span(i), span(i)))
	}
	inverses := inverse(Concatenate(own, 0))
	n := x.Shape().Dimensions[0]
	var us []*Node
	for i := range steps {
		u := SliceAxis(b, 1, span(i))
		if i > 0 {
			u = Sub(u, product(Slice(x, AxisRange(), span(i), AxisRange(0, i*size)), Concatenate(us, 1), 2, 1))
		}
		us = append(us, product(SliceAxis(inverses, 0, AxisRange(i*n, (i+1)*n)), u, 2, 1))
	}
	return SliceAxis(Concatenate(us, 1), 1, AxisRange(0, l))
}

// padded lengthens an axis to n with zeros.
func padded(x *Node, axis, n int) *Node {
	dims := slices.Clone(x.Shape().Dimensions)
	if dims[axis] == n {
		return x
	}
	dims[axis] = n - dims[axis]
	return Concatenate([]*Node{x, Zeros(x.Graph(), shapes.Make(x.DType(), dims...))}, axis)
}

// inverse is that of I + A, where A is what x [B S S] has below its diagonal, of its halves [P 0; Q R]
// that is [P' 0; -R'QP' R'].
func inverse(x *Node) *Node {
	n, size := x.Shape().Dimensions[0], x.Shape().Dimensions[1]
	if size <= arch.DeltaRows {
		return arch.TriangularInverse(x)
	}
	above, below := AxisRange(0, size/2), AxisRangeToEnd(size/2)
	halves := inverse(Concatenate([]*Node{Slice(x, AxisRange(), above, above), Slice(x, AxisRange(), below, below)}, 0))
	p, r := SliceAxis(halves, 0, AxisRange(0, n)), SliceAxis(halves, 0, AxisRangeToEnd(n))
	q := Neg(product(r, product(Slice(x, AxisRange(), below, above), p, 2, 1), 2, 1))
	return Concatenate([]*Node{Concatenate([]*Node{p, ZerosLike(p)}, 2), Concatenate([]*Node{q, r}, 2)}, 1)
}

// weights are e^(G_i-G_j) for the log-decays [T H], G their sums along the path to a token, and 0
// where key j is not seen, [R H L L]. Of sums, which may be some thousands each, whole numbers are
// subtracted on their own, exactly.
func (r rows) weights(decay *Node) *Node {
	n, l, h := r.depth.Shape().Dimensions[0], r.depth.Shape().Dimensions[1], decay.Shape().Dimensions[1]
	sees := r.sees(r.whole(), 0)
	sum := product(ConvertDType(sees, dtypes.Float64), ConvertDType(Reshape(MaxScalar(decay, arch.LeastDecay), n, l, h), dtypes.Float64), 2, 1)
	sum = TransposeAllDims(sum, 0, 2, 1) // [R H L]
	floor := StopGradient(Floor(sum))
	difference := func(x *Node) *Node {
		x = ConvertDType(x, decay.DType())
		return Sub(BroadcastToDims(InsertAxes(x, 3), n, h, l, l), BroadcastToDims(InsertAxes(x, 2), n, h, l, l))
	}
	d := Add(difference(floor), difference(Sub(sum, floor)))
	sees = BroadcastToDims(InsertAxes(sees, 1), n, h, l, l)
	return Exp(Where(sees, d, Infinity(d.Graph(), d.DType(), -1)))
}
