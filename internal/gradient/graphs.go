package gradient

import (
	"fmt"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/implicitreward/implicitreward/internal/arch"
)

// inputs hands out a graph's inputs in their order.
type inputs []*Node

func (in *inputs) next() *Node {
	n := (*in)[0]
	*in = (*in)[1:]
	return n
}

// scope binds a layer's inputs: (depth, exit [R L], cos, sin [T R/2], masks [T in],) weights.
func (m *Model) scope(l *layer, in inputs) *arch.Scope {
	s := &arch.Scope{DType: m.float(), Wide: true, InOut: l.InOut}
	if l.Block < len(m.arch.Blocks) {
		rows := rows{depth: in.next(), exit: in.next()}
		s.Attend = rows.attend
		if l.Rope >= 0 {
			s.Cos, s.Sin = ConvertDType(in.next(), m.float()), ConvertDType(in.next(), m.float())
		}
	}
	if m.o.Dropout > 0 {
		masks := map[int]*Node{}
		for i, t := range l.Tensors {
			if t.Side && !t.Rows {
				masks[i] = in.next()
			}
		}
		s.Drop = func(a int, x *Node) *Node { return Mul(x, ConvertDType(masks[a], x.DType())) }
	}
	s.Weights = in
	return s
}

// forward is x, scope's inputs -> y.
func (m *Model) forward(l *layer) func([]*Node) []*Node {
	return func(all []*Node) []*Node {
		in := inputs(all)
		x := in.next()
		return []*Node{l.Apply(m.scope(l, in), x)}
	}
}

// backward is dy, x, scope's inputs -> dx, the gradients of the trained tensors.
func (m *Model) backward(l *layer) func([]*Node) []*Node {
	return func(all []*Node) []*Node {
		in := inputs(all)
		dy, x := in.next(), in.next()
		s := m.scope(l, in)
		y := l.Apply(s, x)
		return Gradient(ReduceAllSum(Mul(dy, y)), l.with(x, s)...)
	}
}

// with lists x and the trained tensors.
func (l *layer) with(x *Node, s *arch.Scope) []*Node {
	all := []*Node{x}
	for _, i := range l.trained() {
		all = append(all, s.Weights[i])
	}
	return all
}

// sliceForward is x [S D], target [S], scope's inputs -> for a slice of the vocabulary the
// highest logit, the sum of exp(logit - highest), and the target's logit, 0 if it is not in the
// slice, [S] each. Targets count from the slice's first row.
func (m *Model) sliceForward(l *layer) func([]*Node) []*Node {
	return func(all []*Node) []*Node {
		in := inputs(all)
		x, target := in.next(), in.next()
		z := l.Apply(m.scope(l, in), x) // [S V]
		top := ReduceMax(z, -1)
		sum := ReduceSum(Exp(Sub(z, InsertAxes(top, -1))), -1)
		of := ReduceSum(Where(oneHot(target, z), z, ZerosLike(z)), -1)
		return []*Node{top, sum, of}
	}
}

// sliceBackward is g [S], lse [S], x [S D], target [S], scope's inputs -> the gradients of
// sum g ln p(target) with respect to x and the trained tensors, of the slice's logits.
func (m *Model) sliceBackward(l *layer) func([]*Node) []*Node {
	return func(all []*Node) []*Node {
		in := inputs(all)
		g, lse, x, target := in.next(), in.next(), in.next(), in.next()
		s := m.scope(l, in)
		z := l.Apply(s, x)
		p := Exp(Sub(z, InsertAxes(lse, -1)))
		is := ConvertDType(oneHot(target, z), z.DType())
		dz := StopGradient(Mul(InsertAxes(g, -1), Sub(is, p)))
		return Gradient(ReduceAllSum(Mul(dz, z)), l.with(x, s)...)
	}
}

// oneHot tells of each logit [S V] whether it is the target's [S].
func oneHot(target, z *Node) *Node {
	column := Iota(z.Graph(), shapes.Make(dtypes.Int32, z.Shape().Dimensions...), 1)
	return Equal(column, BroadcastToDims(InsertAxes(target, -1), z.Shape().Dimensions...))
}

// rows are R rows of L tokens: see layout.
type rows struct{ depth, exit *Node } // [R L]

// attend is arch.Scope.Attend within rows: q is [T N K], k and v are [T G K].
func (r rows) attend(q, k, v *Node, a arch.Attention) *Node {
	n, l := r.depth.Shape().Dimensions[0], r.depth.Shape().Dimensions[1]
	heads, width := q.Shape().Dimensions[1], q.Shape().Dimensions[2]
	groups := k.Shape().Dimensions[1]
	q = Reshape(MulScalar(q, a.Scale), n, l, groups, heads/groups, width)
	k, v = Reshape(k, n, l, groups, width), Reshape(v, n, l, groups, width)
	scores := Einsum("rtgmk,rsgk->rgmts", q, k) // [R G M L L]
	if a.SoftCap != 0 {
		scores = MulScalar(Tanh(DivScalar(scores, a.SoftCap)), a.SoftCap)
	}
	sees := r.sees(a.Window)
	sees = BroadcastToDims(InsertAxes(sees, 1, 1), scores.Shape().Dimensions...)
	weights := Softmax(Where(sees, scores, Infinity(q.Graph(), scores.DType(), -1)), -1)
	return Reshape(Einsum("rgmts,rsgk->rtgmk", weights, v), n*l, heads*width)
}

// sees tells which keys each token sees, [R L L].
func (r rows) sees(window int) *Node {
	g := r.depth.Graph()
	n, l := r.depth.Shape().Dimensions[0], r.depth.Shape().Dimensions[1]
	wide := shapes.Make(dtypes.Int32, n, l, l)
	query, key := Iota(g, wide, 1), Iota(g, wide, 2)
	sees := LogicalAnd(LessOrEqual(key, query), LessThan(query, BroadcastToDims(InsertAxes(r.exit, 1), n, l, l)))
	if window > 0 {
		distance := Sub(BroadcastToDims(InsertAxes(r.depth, 2), n, l, l), BroadcastToDims(InsertAxes(r.depth, 1), n, l, l))
		sees = LogicalAnd(sees, LessThan(distance, Scalar(g, dtypes.Int32, min(window, 1<<30))))
	}
	return sees
}

// name is that of an executable: what its graph depends on beside the shapes.
func (m *Model) name(what string, l *layer) string {
	return fmt.Sprintf("%s %s %v %v %v", what, l.Key, l.trained(), l.InOut, m.o.Dropout > 0)
}
