package arch

import (
	"math"

	. "github.com/gomlx/gomlx/core/graph"
)

// deltaNet is a gated delta net in the place of attention ("Gated Delta Networks", Yang et al. 2024).
type deltaNet struct {
	Recurrence
	qkv, z, b, a linear // z is the gate of what comes out, sigmoid(b) is beta
	byHead       bool   // qkv has z too, and b has a, in the order of the heads of keys (Qwen 3 Next)
	conv         convolution
	aLog, dt     param // [H]: g = -e^aLog softplus(a + dt)
	norm         rmsNorm
	out          linear
}

// inputs are qkv [T 2*G*K+H*V], z [T H*V], b and a [T H].
func (n deltaNet) inputs(s *Scope, x *Node) (qkv, z, b, a *Node) {
	if !n.byHead {
		return n.qkv.apply(s, x), n.z.apply(s, x), n.b.apply(s, x), n.a.apply(s, x)
	}
	m := n.H / n.G
	cut := func(x *Node, widths ...int) (parts []*Node) { // [T G*sum] -> [T G*width] each
		x = heads(x, n.G)
		from := 0
		for _, w := range widths {
			parts = append(parts, Reshape(SliceAxis(x, -1, AxisRange(from, from+w)), -1, n.G*w))
			from += w
		}
		return parts
	}
	p, ba := cut(n.qkv.apply(s, x), n.K, n.K, m*n.V, m*n.V), cut(n.b.apply(s, x), m, m)
	return Concatenate(p[:3], -1), p[3], ba[0], ba[1]
}

// apply maps the normed stream [T D] to what the net adds [T D].
func (n deltaNet) apply(s *Scope, x *Node) *Node {
	qkv, z, b, a := n.inputs(s, x)
	qkv = n.conv.apply(s, qkv)
	width := n.G * n.K
	q := heads(SliceAxis(qkv, -1, AxisRange(0, width)), n.G)                         // [T G K]
	k := heads(SliceAxis(qkv, -1, AxisRange(width, 2*width)), n.G)                   // [T G K]
	v := heads(SliceAxis(qkv, -1, AxisRangeToEnd(2*width)), n.H)                     // [T H V]
	decay := Neg(Mul(Exp(s.vector(n.aLog, a)), softplus(Add(a, s.vector(n.dt, a))))) // [T H]
	q = MulScalar(unit(q), 1/math.Sqrt(float64(n.K)))
	o := s.Recur(q, unit(k), v, decay, Sigmoid(b)) // [T H V]
	o = Mul(n.norm.apply(s, o), silu(heads(z, n.H)))
	return n.out.apply(s, Reshape(o, -1, n.H*n.V))
}

// unit is x / |x| over the last axis, with 1e-6 below the root.
func unit(x *Node) *Node {
	return Mul(x, Rsqrt(AddScalar(ReduceAndKeep(Square(x), ReduceSum, -1), 1e-6)))
}
