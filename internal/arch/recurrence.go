package arch

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
)

// Recurrence is the sizes of a layer whose heads have states that go along the path of a token: of
// gated delta nets (deltaNet) and of Mamba 2 (mamba2).
//
// A head's state S [K V] begins as 0 and goes on by each token's k, v and log-decay g, of which
// there is one for a head and none for a channel, and is read by its q:
//
//	S <- e^g S + k u^T,  o = S^T q
//
// Here u is v. Of a delta net it is beta (v - e^g S^T k), with which the token replaces what the
// state has for its k. With G the sum of the g along the path to a token, itself among them,
//
//	u_i = v_i, or beta_i (v_i - sum over ancestors j of e^(G_i-G_j) (k_i.k_j) u_j)
//	o_i = sum over j, its ancestors and itself, of e^(G_i-G_j) (q_i.k_j) u_j
//
// so that what later tokens need of one is k, u and G, as they need k and v of attention. Decays
// by channel, as Mamba 1 and RWKV have them, do not come apart so.
type Recurrence struct {
	H, G int // heads of values, decays and betas, and of keys and queries, each of which serves H/G of the others
	K, V int // widths of a key and a query, and of a value
	Taps int // tokens of the path that the convolution before takes in, the token itself among them
}

// uncomputed are model types with recurrences that are refused, and why.
var uncomputed = map[string]string{
	"falcon_mamba": byChannel, "jamba": byChannel, "mamba": byChannel, "recurrent_gemma": byChannel, "rwkv": byChannel,
	"rwkv5": byChannel, "rwkv6": byChannel, "rwkv7": byChannel, "zamba": byChannel,
	"xlstm": "what its heads read is divided by a norm of exponential gates, which is not computed here",
}

const byChannel = "it decays by channel, which does not come apart into what tokens keep for those after them"

// convolved is the width of what the convolution takes in: all queries, keys and values.
func (r Recurrence) convolved() int { return 2*r.G*r.K + r.H*r.V }

// recurrence declares what the layer keeps: what Scope.Before and Scope.Recur need of a token.
func (b *builder) recurrence(r Recurrence) {
	b.kept, b.reach = []int{r.convolved(), 2 * r.H, r.G * r.K, r.H * r.V}, r.Taps-1
}

// keepsNothing declares that the layer mixes no tokens: it needs none of those before.
func (b *builder) keepsNothing() { b.kept = []int{} }

// taps reads the number of taps of a convolution.
func (c *config) taps(key string, def int) int {
	n := c.size(key, def)
	if n < 2 || n > 64 {
		c.fail("%s is %d, wanted 2 to 64", key, n)
	}
	return n
}

// Kept are the widths of what a block keeps of each token for those after it: keys and values of
// Scope.Attend, or of Scope.Before its rows, and of Scope.Recur the sums G, keys and the u; nothing
// where it attends to those of another block, or to none.
func (l *Layer) Kept() []int {
	if l.Back > 0 {
		return nil
	}
	if l.kept == nil {
		return []int{l.G * l.K, l.G * l.K}
	}
	return l.kept
}

// convolution is silu(sum over the last n tokens of the path of x [T W] times their taps, and a bias).
type convolution struct {
	taps  param // [W 1 n], the last tap that of the token itself
	bias  param // [W]; 0 for none
	width int   // W
	n     int
}

// convolution declares a convolution below a name.
func (b *builder) convolution(name string, width, n int, bias bool) convolution {
	c := convolution{taps: b.param(Tensor{Name: name + ".weight", Shape: []int{width, 1, n}}), width: width, n: n}
	if bias {
		c.bias = b.vector(name+".bias", width)
	}
	return c
}

func (c convolution) apply(s *Scope, x *Node) *Node {
	taps := Reshape(s.float(s.Weights[c.taps-1]), c.width, c.n)
	tap := func(i int) *Node { return InsertAxes(Squeeze(SliceAxis(taps, 1, AxisElem(i)), 1), 0) } // [1 W]
	sum := Mul(x, tap(c.n-1))
	for i, before := range s.Before(x, c.n-1) {
		sum = Add(sum, Mul(before, tap(c.n-2-i)))
	}
	if c.bias != 0 {
		sum = Add(sum, s.vector(c.bias, sum))
	}
	return silu(sum)
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

// denseRecur is Scope.Recur for one whole text: the recurrence as it stands there, token by token.
func denseRecur(q, k, v, decay, beta *Node) *Node {
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
		u := of(v)
		if beta != nil {
			u = Mul(Sub(u, Einsum("hkv,hk->hv", state, of(k))), InsertAxes(of(beta), -1))
		}
		state = Add(state, Mul(InsertAxes(of(k), -1), InsertAxes(u, 1)))
		return []*Node{Add(at, Const(g, int32(1))), state, put(out, Einsum("hkv,hk->hv", state, of(q)), at)}
	})
	return While(more, next, Const(g, int32(0)), Zeros(g, shapes.Make(v.DType(), h, width, d[2])), Zeros(g, v.Shape()))[2]
}

// LeastDecay is a log-decay beyond which nothing of float32 is left.
const LeastDecay = -104

// DeltaRows of a delta net are taken at a time: as many as a matrix product takes at little more
// than the price of one. Their system is inverted by powers (TriangularInverse), in float64: of 32
// equal keys that nothing decays the powers have entries of up to 1.6e8, which cancel.
const DeltaRows = 32

// TriangularInverse is that of I + A, where A is what x [B R R] has below its diagonal, in float64:
// (I-A)(I+A^2)(I+A^4).., since A^R is 0.
func TriangularInverse(x *Node) *Node {
	b, r := x.Shape().Dimensions[0], x.Shape().Dimensions[1]
	x64 := ConvertDType(x, dtypes.Float64)
	square := shapes.Make(dtypes.Int32, b, r, r)
	row, column := Iota(x.Graph(), square, 1), Iota(x.Graph(), square, 2)
	one := ConvertDType(Equal(row, column), dtypes.Float64)
	power := Where(GreaterThan(row, column), x64, ZerosLike(x64))
	all := Sub(one, power)
	for n := 2; n < r; n *= 2 {
		power = Einsum("bij,bjk->bik", power, power)
		all = Add(all, Einsum("bij,bjk->bik", all, power))
	}
	return ConvertDType(all, x.DType())
}
