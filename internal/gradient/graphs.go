package gradient

import (
	"fmt"
	"slices"

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

// scope binds a layer's inputs: (Given, Shared,) (depth, exit [R L], cos, sin [T R/2], masks [T in],)
// weights. What a block's linear layers and attention compute goes through keep. lent are, once the
// layer is applied, the keys and values that it lends [T G*K].
func (m *Model) scope(l *layer, in inputs, drop bool, keep keeper) (s *arch.Scope, lent func() []*Node) {
	s = &arch.Scope{DType: m.float(), Wide: true, InOut: l.InOut}
	if l.Given {
		s.Given = in.next()
	}
	if l.Back > 0 {
		s.Shared = []*Node{in.next(), in.next()}
	}
	var own []*Node
	if m.isBlock(l) {
		rows := rows{depth: in.next(), exit: in.next()}
		s.Linear = keep.linear
		s.Attend = func(q, k, v, sinks *Node, a arch.Attention) *Node {
			if l.Lends {
				t := k.Shape().Dimensions[0]
				own = []*Node{Reshape(k, t, -1), Reshape(v, t, -1)}
			}
			return keep.attention(rows.attention(q, k, v, sinks, a))
		}
		s.Before, s.Recur = rows.before, rows.recur
		if l.Rope >= 0 {
			s.Cos, s.Sin = ConvertDType(in.next(), m.float()), ConvertDType(in.next(), m.float())
		}
	}
	if drop {
		masks := map[int]*Node{}
		for i, t := range l.Tensors {
			if t.Side && !t.Rows {
				masks[i] = in.next()
			}
		}
		s.Drop = func(a int, x *Node) *Node { return Mul(x, ConvertDType(masks[a], x.DType())) }
	}
	s.Weights = in
	return s, func() []*Node { return own }
}

// keeper takes what the linear layers and the attention of a block compute, and gives what
// stands for it in the rest of the graph.
type keeper interface {
	linear(y *Node) *Node
	attention(a attention) *Node
}

// all keeps everything: what each linear layer gives, what attention gives and its lse.
type all struct{ kept []*Node }

func (k *all) linear(y *Node) *Node {
	k.kept = append(k.kept, y)
	return y
}

func (k *all) attention(a attention) *Node {
	o, lse := a.apply()
	k.kept = append(k.kept, o, lse)
	return o
}

// forward is x, scope's inputs -> y, the keys and values that a block lends, and what is kept of it.
func (m *Model) forward(l *layer, drop bool) graph {
	return func(nodes []*Node) []*Node {
		in, keep := inputs(nodes), &all{}
		x := in.next()
		s, lent := m.scope(l, in, drop, keep)
		y := l.Apply(s, x)
		return slices.Concat([]*Node{y}, lent(), keep.kept)
	}
}

// cut is a place where a graph is cut in two: what was computed there is an input of the graph.
type cut struct {
	value   *Node                 // that input
	from    []*Node               // what the value is computed from
	adjoint func(d *Node) []*Node // derivatives by from, for d those by the value
}

// saved gives what was kept, and cuts the graph there.
type saved struct {
	inputs
	cuts []cut
}

func (s *saved) linear(y *Node) *Node {
	value := s.next()
	s.cuts = append(s.cuts, cut{value, []*Node{y}, func(d *Node) []*Node { return []*Node{d} }})
	return value
}

func (s *saved) attention(a attention) *Node {
	o, lse := s.next(), s.next()
	s.cuts = append(s.cuts, cut{o, a.from(), func(d *Node) []*Node { return a.adjoint(o, lse, d) }})
	return o
}

// backward is dy, the derivatives by what a block lends, x, of a block what was kept of it, scope's
// inputs -> dx, the derivatives by Given and Shared, the gradients of the trained tensors.
//
// Products are not computed again. Where something was kept the graph is cut, so that dy alone
// says nothing yet of what lies before the block's last linear layers: its derivatives by x and
// by what was kept there are those of one step. These are then taken on, last cut first, to x,
// the trained tensors and the cuts before.
func (m *Model) backward(l *layer, drop bool, kept int) graph {
	return func(nodes []*Node) []*Node {
		in := inputs(nodes)
		ds := []*Node{in.next()}
		if l.Lends {
			ds = append(ds, in.next(), in.next())
		}
		x := in.next()
		keep := &saved{inputs: in[:kept]}
		s, lent := m.scope(l, in[kept:], drop, keep)
		ys := append([]*Node{l.Apply(s, x)}, lent()...)
		wanted := l.with(x, s)
		weights := len(wanted)
		for _, c := range keep.cuts {
			wanted = append(wanted, c.value)
		}
		sums := derivatives{}
		sums.add(wanted, ys, ds)
		for to := len(keep.cuts); to > 0; {
			from := to - 1
			for from > 0 && !keep.needs(from-1, to) {
				from--
			}
			var ys, ds []*Node
			for _, c := range keep.cuts[from:to] {
				if d := sums[c.value]; d != nil {
					ys, ds = append(ys, c.from...), append(ds, c.adjoint(d)...)
				}
			}
			sums.add(wanted, ys, ds)
			to = from
		}
		out := make([]*Node, weights)
		for i, n := range wanted[:weights] {
			if out[i] = sums[n]; out[i] == nil {
				out[i] = ZerosLike(n)
			}
		}
		return out
	}
}

// needs tells whether one of the cuts after number k, up to another, depends on it. Those that
// do not, the queries, keys and values of a block, are taken together: what they are made of,
// a norm, is gone through once.
func (s *saved) needs(k, to int) bool {
	for _, c := range s.cuts[k+1 : to] {
		if ancestors(c.from...)[s.cuts[k].value] {
			return true
		}
	}
	return false
}

// derivatives are those of a loss by nodes, as far as they are known.
type derivatives map[*Node]*Node

// add takes ds, the derivatives by ys, on to those of the wanted nodes that ys depend on.
func (s derivatives) add(wanted, ys, ds []*Node) {
	var reached []*Node
	before := ancestors(ys...)
	for _, n := range wanted {
		if before[n] {
			reached = append(reached, n)
		}
	}
	if len(reached) == 0 {
		return
	}
	var loss *Node
	for i, y := range ys {
		term := ReduceAllSum(Mul(StopGradient(ds[i]), y))
		if loss == nil {
			loss = term
		} else {
			loss = Add(loss, term)
		}
	}
	for i, g := range Gradient(loss, reached...) {
		n := reached[i]
		if s[n] == nil {
			s[n] = g
		} else {
			s[n] = Add(s[n], g)
		}
	}
}

// ancestors are the nodes that others are computed from, themselves among them.
func ancestors(of ...*Node) map[*Node]bool {
	seen := map[*Node]bool{}
	for _, n := range of {
		seen[n] = true
	}
	for open := slices.Clone(of); len(open) > 0; {
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

// with lists x, what the layer is given of others, and the trained tensors.
func (l *layer) with(x *Node, s *arch.Scope) []*Node {
	all := []*Node{x}
	if l.Given {
		all = append(all, s.Given)
	}
	all = append(all, s.Shared...)
	for _, i := range l.trained() {
		all = append(all, s.Weights[i])
	}
	return all
}

// sliceForward is x [S D], target [S], scope's inputs -> for a slice of the vocabulary the
// highest logit, the sum of exp(logit - highest), and the target's logit, 0 if it is not in the
// slice, [S] each. Targets count from the slice's first row.
func (m *Model) sliceForward(l *layer, drop bool) graph {
	return func(all []*Node) []*Node {
		in := inputs(all)
		x, target := in.next(), in.next()
		s, _ := m.scope(l, in, drop, nil)
		z := l.Apply(s, x) // [S V]
		top := ReduceMax(z, -1)
		sum := ReduceSum(Exp(Sub(z, InsertAxes(top, -1))), -1)
		of := ReduceSum(Where(oneHot(target, z), z, ZerosLike(z)), -1)
		return []*Node{top, sum, of}
	}
}

// sliceBackward is g [S], lse [S], x [S D], target [S], scope's inputs -> the gradients of
// sum g ln p(target) with respect to x and the trained tensors, of the slice's logits.
func (m *Model) sliceBackward(l *layer, drop bool) graph {
	return func(all []*Node) []*Node {
		in := inputs(all)
		g, lse, x, target := in.next(), in.next(), in.next(), in.next()
		s, _ := m.scope(l, in, drop, nil)
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

// name is that of an executable: what its graph depends on beside the shapes.
func (m *Model) name(what string, l *layer, drop bool) string {
	return fmt.Sprintf("%s %s %v %v %v", what, l.Key, l.trained(), l.InOut, drop)
}
