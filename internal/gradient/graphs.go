package gradient

import (
	"fmt"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/implicitreward/implicitreward/internal/arch"
)

type graph = func([]*Node) []*Node

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
	if m.isBlock(l) {
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

// forward is x, scope's inputs -> y, and of a block what each of its linear layers gives.
func (m *Model) forward(l *layer) graph {
	return func(all []*Node) []*Node {
		in := inputs(all)
		x := in.next()
		s := m.scope(l, in)
		var products []*Node
		if m.isBlock(l) {
			s.Linear = func(y *Node) *Node {
				products = append(products, y)
				return y
			}
		}
		return append([]*Node{l.Apply(s, x)}, products...)
	}
}

// backward is dy, x, of a block what its linear layers gave, scope's inputs -> dx, the
// gradients of the trained tensors.
//
// Products are not computed again. What linear layer k gave stands for it as an input y[k] of
// the graph, so that dy alone says nothing yet of what lies before the block's last linear
// layers: its derivatives by x and by the y are those of one step. Each of these is then taken
// through its linear layer, last first, to the x, y and weights that its input is made of.
func (m *Model) backward(l *layer, products int) graph {
	return func(all []*Node) []*Node {
		in := inputs(all)
		dy, x := in.next(), in.next()
		var saved, computed []*Node
		for range products {
			saved = append(saved, in.next())
		}
		s := m.scope(l, in)
		if products > 0 {
			s.Linear = func(y *Node) *Node {
				computed = append(computed, y)
				return saved[len(computed)-1]
			}
		}
		y := l.Apply(s, x)
		wanted := append(l.with(x, s), saved...)
		sums := make([]*Node, len(wanted))
		add := func(dy, y *Node) {
			var reached []*Node
			var at []int
			before := ancestors(y)
			for i, n := range wanted {
				if before[n] {
					reached, at = append(reached, n), append(at, i)
				}
			}
			if len(reached) == 0 {
				return
			}
			for i, g := range Gradient(ReduceAllSum(Mul(StopGradient(dy), y)), reached...) {
				if k := at[i]; sums[k] == nil {
					sums[k] = g
				} else {
					sums[k] = Add(sums[k], g)
				}
			}
		}
		add(dy, y)
		weights := len(wanted) - products
		for k := products - 1; k >= 0; k-- {
			if d := sums[weights+k]; d != nil {
				add(d, computed[k])
			}
		}
		for i := range sums[:weights] {
			if sums[i] == nil {
				sums[i] = ZerosLike(wanted[i])
			}
		}
		return sums[:weights]
	}
}

// ancestors are the nodes that y is computed from, itself among them.
func ancestors(y *Node) map[*Node]bool {
	seen := map[*Node]bool{y: true}
	for open := []*Node{y}; len(open) > 0; {
		n := open[len(open)-1]
		open = open[:len(open)-1]
		for _, in := range n.Inputs() {
			if !seen[in] {
				seen[in] = true
				open = append(open, in)
			}
		}
	}
	return seen
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
func (m *Model) sliceForward(l *layer) graph {
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
func (m *Model) sliceBackward(l *layer) graph {
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
