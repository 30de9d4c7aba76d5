package arch

import (
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
)

// Delta is the sizes of a gated delta net ("Gated Delta Networks", Yang et al. 2024).
//
// A head's state S [K V] begins as 0 and goes along the path of a token, by each token's k, v,
// beta and log-decay g, of which there is one for a head and none for a channel:
//
//	S <- e^g S + k u^T  with  u = beta (v - e^g S^T k),  o = S^T q
//
// With G the sum of the g along the path to a token, itself among them, the u of a token i is
//
//	u_i = beta_i (v_i - sum over ancestors j of e^(G_i-G_j) (k_i.k_j) u_j)
//	o_i = sum over j, its ancestors and itself, of e^(G_i-G_j) (q_i.k_j) u_j
//
// so that what later tokens need of one is k, u and G, as they need k and v of attention. Decays
// by channel, as Mamba 1 and RWKV have them, do not come apart so.
type Delta struct {
	H, G int // heads of values, decays and betas, and of keys and queries, each of which serves H/G of the others
	K, V int // widths of a key and a query, and of a value
	Taps int // tokens of the path that the convolution takes in, the token itself among them
}

// byChannel are the model types that do not, which are refused for that reason.
var byChannel = []string{"falcon_mamba", "jamba", "mamba", "recurrent_gemma", "rwkv"}

// convolved is the width of what the convolution takes in: all queries, keys and values.
func (d Delta) convolved() int { return 2*d.G*d.K + d.H*d.V }

// delta declares what the layer keeps: what Scope.Before and Scope.Delta need of a token.
func (b *builder) delta(d Delta) {
	b.kept, b.reach = []int{d.convolved(), 2 * d.H, d.G * d.K, d.H * d.V}, d.Taps-1
}

// Kept are the widths of what a block keeps of each token for those after it: keys and values of
// Scope.Attend, or of Scope.Before its rows, and of Scope.Delta the sums G, keys and the u; nothing
// where it attends to those of another block.
func (l *Layer) Kept() []int {
	if l.Back > 0 {
		return nil
	}
	if l.kept == nil {
		return []int{l.G * l.K, l.G * l.K}
	}
	return l.kept
}

// deltaNet is a gated delta net in the place of attention.
type deltaNet struct {
	Delta
	qkv, z, b, a linear // z is the gate of what comes out, sigmoid(b) is beta
	byHead       bool   // qkv has z too, and b has a, in the order of the heads of keys (Qwen 3 Next)
	conv         param  // [2*G*K+H*V 1 Taps], the last tap that of the token itself
	aLog, dt     param  // [H]: g = -e^aLog softplus(a + dt)
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
	qkv = n.convolve(s, qkv)
	width := n.G * n.K
	q := heads(SliceAxis(qkv, -1, AxisRange(0, width)), n.G)                         // [T G K]
	k := heads(SliceAxis(qkv, -1, AxisRange(width, 2*width)), n.G)                   // [T G K]
	v := heads(SliceAxis(qkv, -1, AxisRangeToEnd(2*width)), n.H)                     // [T H V]
	decay := Neg(Mul(Exp(s.vector(n.aLog, a)), softplus(Add(a, s.vector(n.dt, a))))) // [T H]
	q = MulScalar(unit(q), 1/math.Sqrt(float64(n.K)))
	o := s.Delta(q, unit(k), v, decay, Sigmoid(b)) // [T H V]
	o = Mul(n.norm.apply(s, o), silu(heads(z, n.H)))
	return n.out.apply(s, Reshape(o, -1, n.H*n.V))
}

// convolve is silu(sum over the last Taps tokens of the path of x times their taps).
func (n deltaNet) convolve(s *Scope, x *Node) *Node {
	taps := Reshape(s.float(s.Weights[n.conv-1]), n.convolved(), n.Taps)
	tap := func(i int) *Node { return InsertAxes(Squeeze(SliceAxis(taps, 1, AxisElem(i)), 1), 0) } // [1 C]
	sum := Mul(x, tap(n.Taps-1))
	for i, before := range s.Before(x, n.Taps-1) {
		sum = Add(sum, Mul(before, tap(n.Taps-2-i)))
	}
	return silu(sum)
}

// unit is x / |x| over the last axis, with 1e-6 below the root.
func unit(x *Node) *Node {
	return Mul(x, Rsqrt(AddScalar(ReduceAndKeep(Square(x), ReduceSum, -1), 1e-6)))
}

// denseBefore is Scope.Before for one whole text.
func denseBefore(x *Node, n int) (all []*Node) {
	t, zeros := x.Shape().Dimensions[0], ZerosLike(x)
	for i := 1; i <= n; i++ {
		zeros := SliceAxis(zeros, 0, AxisRange(0, min(i, t)))
		all = append(all, Concatenate([]*Node{zeros, SliceAxis(x, 0, AxisRange(0, max(t-i, 0)))}, 0))
	}
	return all
}

// denseDelta is Scope.Delta for one whole text: the recurrence as it stands in Delta, token by
// token.
func denseDelta(q, k, v, decay, beta *Node) *Node {
	g, d := v.Graph(), v.Shape().Dimensions // [T H V]
	t, h, width := d[0], d[1], k.Shape().Dimensions[2]
	spread := func(x *Node) *Node { // [T G K] -> [T H K]
		n := x.Shape().Dimensions[1]
		return Reshape(BroadcastToDims(InsertAxes(x, 2), t, n, h/n, width), t, h, width)
	}
	q, k, decay = spread(q), spread(k), Exp(decay)
	parameters := func(g *Graph) (at, state, out *Node) {
		return Parameter(g, "token", shapes.Make(dtypes.Int32)), Parameter(g, "state", shapes.Make(v.DType(), h, width, d[2])),
			Parameter(g, "out", v.Shape())
	}
	more := NewClosure(g, func(g *Graph) []*Node {
		at, _, _ := parameters(g)
		return []*Node{LessThan(at, Scalar(g, dtypes.Int32, t))}
	})
	next := NewClosure(g, func(g *Graph) []*Node {
		at, state, out := parameters(g)
		of := func(x *Node) *Node { return Gather(x, InsertAxes(at, 0)) }
		state = Mul(state, InsertAxes(of(decay), -1, -1))
		u := Mul(Sub(of(v), Einsum("hkv,hk->hv", state, of(k))), InsertAxes(of(beta), -1))
		state = Add(state, Mul(InsertAxes(of(k), -1), InsertAxes(u, 1)))
		return []*Node{Add(at, Const(g, int32(1))), state, put(out, Einsum("hkv,hk->hv", state, of(q)), at)}
	})
	return While(more, next, Const(g, int32(0)), Zeros(g, shapes.Make(v.DType(), h, width, d[2])), Zeros(g, v.Shape()))[2]
}
