package arch

import (
	"math"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
)

// linear is y = x W^T + bias, with an adapter's Side beside W if it has one.
type linear struct {
	weight, bias param
	parts        int // of x, see productOf; 0 is 1
}

func (b *builder) linear(name string, in, out int, bias bool) linear {
	l := linear{weight: b.param(Tensor{Name: name + ".weight", Shape: []int{out, in}, Linear: true})}
	if bias {
		l.bias = b.vector(name+".bias", out)
	}
	return l
}

// headBias is a bias of the head, which is cut as the rows of its matrix are.
func (b *builder) headBias(name string, rows int) param {
	return b.param(Tensor{Name: name + ".bias", Shape: []int{rows}, Rows: true})
}

// conv1d is a linear layer whose matrix is stored [in out], with a bias (GPT-2).
func (b *builder) conv1d(name string, in, out int) linear {
	return linear{
		weight: b.param(Tensor{Name: name + ".weight", Shape: []int{in, out}, Linear: true, InOut: true}),
		bias:   b.vector(name+".bias", out),
	}
}

// apply maps x [.. in] to [.. out].
func (l linear) apply(s *Scope, x *Node) *Node {
	w, axis := s.Weights[l.weight-1], 1
	if s.DType == dtypes.Float64 || s.Wide {
		w = s.float(w)
	}
	if s.InOut[l.weight-1] {
		axis = 0
	}
	y := s.beside(l.weight, x, productOf(x, w, axis, max(1, l.parts)))
	if l.bias != 0 {
		y = Add(y, s.vector(l.bias, y))
	}
	if s.Linear != nil {
		y = s.Linear(y)
	}
	return y
}

// rmsNorm is RMSNorm over the last axis: x / sqrt(mean(x^2) + eps) * (weight + offset).
// offset is 1 where the checkpoint stores weight-1: see gemmaNorm.
type rmsNorm struct {
	weight      param // 0 for none, which is 1
	eps, offset float64
}

func (b *builder) rmsNorm(name string, width int, eps float64) rmsNorm {
	return rmsNorm{weight: b.vector(name+".weight", width), eps: eps}
}

func (n rmsNorm) apply(s *Scope, x *Node) *Node {
	x = s.float(x)
	scale := Rsqrt(AddScalar(ReduceAndKeep(Square(x), ReduceMean, -1), n.eps))
	if n.weight == 0 {
		return Mul(x, scale)
	}
	w := s.vector(n.weight, x)
	if n.offset != 0 {
		w = AddScalar(w, n.offset)
	}
	return Mul(Mul(x, scale), w)
}

// layerNorm is (x - mean) / sqrt(var + eps) * (weight + offset) + bias over the last axis.
// offset is 1 where the checkpoint stores weight-1 (Nemotron). bias is 0 for none (Cohere);
// without a weight there is none either.
type layerNorm struct {
	weight, bias param
	eps, offset  float64
}

func (b *builder) layerNorm(name string, width int, eps float64) layerNorm {
	return layerNorm{weight: b.vector(name+".weight", width), bias: b.vector(name+".bias", width), eps: eps}
}

func (n layerNorm) apply(s *Scope, x *Node) *Node {
	x = bareNorm{n.eps}.apply(s, x)
	if n.weight == 0 {
		return x
	}
	w := s.vector(n.weight, x)
	if n.offset != 0 {
		w = AddScalar(w, n.offset)
	}
	x = Mul(x, w)
	if n.bias != 0 {
		x = Add(x, s.vector(n.bias, x))
	}
	return x
}

// bareNorm is (x - mean) / sqrt(var + eps) over the last axis: LayerNorm without weight and
// bias.
type bareNorm struct{ eps float64 }

func (n bareNorm) apply(s *Scope, x *Node) *Node {
	x = s.float(x)
	x = Sub(x, ReduceAndKeep(x, ReduceMean, -1))
	return Mul(x, Rsqrt(AddScalar(ReduceAndKeep(Square(x), ReduceMean, -1), n.eps)))
}

// activation is a function under its name in config.json: a key of activations.
type activation string

// activations are ACT2FN of transformers' activations.py.
var activations = map[activation]func(x *Node) *Node{
	"silu": silu, "swish": silu,
	"gelu":     func(x *Node) *Node { return Mul(MulScalar(x, 0.5), OnePlus(Erf(MulScalar(x, math.Sqrt2/2)))) },
	"gelu_new": geluTanh, "gelu_fast": geluTanh, "gelu_pytorch_tanh": geluTanh,
	"relu":  func(x *Node) *Node { return MaxScalar(x, 0) },
	"relu2": func(x *Node) *Node { return Square(MaxScalar(x, 0)) },
}

func silu(x *Node) *Node { return Mul(x, Sigmoid(x)) }

func geluTanh(x *Node) *Node {
	cubic := Add(x, MulScalar(Mul(Square(x), x), 0.044715))
	return Mul(MulScalar(x, 0.5), OnePlus(Tanh(MulScalar(cubic, math.Sqrt(2/math.Pi)))))
}

func (a activation) apply(x *Node) *Node { return activations[a](x) }

// activation reads the name of a function, and refuses one that is not known.
func (c *config) activation(key, def string) activation {
	a := activation(c.string(key, def))
	if activations[a] == nil {
		c.refuse(key)
	}
	return a
}

// softCap is cap * tanh(x / cap); x itself where cap is 0.
func softCap(x *Node, cap float64) *Node {
	if cap == 0 {
		return x
	}
	return MulScalar(Tanh(DivScalar(x, cap)), cap)
}

// heads splits the last axis: [T n*K] -> [T n K].
func heads(x *Node, n int) *Node {
	d := x.Shape().Dimensions
	return Reshape(x, d[0], n, d[1]/n)
}

// third is part i, 0 to 2, of the last axis of x, cut in three of equal width.
func third(x *Node, i int) *Node {
	width := x.Shape().Dimensions[x.Rank()-1] / 3
	return SliceAxis(x, -1, AxisRange(i*width, (i+1)*width))
}

// scaled is the attention of most families: q.k / sqrt(K), within a window (0 for none).
func (m *Model) scaled(window int) Attention {
	return Attention{Scale: 1 / math.Sqrt(float64(m.K)), Window: window}
}

// selfAttention is the attention of the families whose q, k and v have matrices of their
// own: o(attend(rotate(norm(q x)), rotate(norm(k x)), v x)).
type selfAttention struct {
	q, k, v, o   linear
	qNorm, kNorm rmsNorm // zero for none
	clip         float64 // bounds the values of q, k and v before positions (OLMo 1, OLMoE); 0 for none
	acrossHeads  bool    // the norms run over all heads together (OLMo 2), not head by head
	afterwards   bool    // the norms, of each head, come after rotation (HunYuan)
	neighbours   bool    // rotation is rotateNeighbours (GLM, ERNIE, Helium, Cohere, GPT-J)
	gated        bool    // the matrix of q has a gate behind each head, whose sigmoid what is attended to is multiplied by (Qwen 3.5)
	n, g         int     // heads, key/value heads
	sinks        param   // [N]: see Scope.Attend (GPT-OSS); 0 for none
	qEach, kEach headNorms
	Attention
}

// apply maps the normed stream [T D] to the attention's contribution [T D].
func (a selfAttention) apply(s *Scope, x *Node) *Node {
	q, k, v := a.q.apply(s, x), a.k.apply(s, x), a.v.apply(s, x) // [T N*K] [T G*K] [T G*K]
	normed := a.qNorm != rmsNorm{}
	if normed && a.acrossHeads {
		q, k = a.qNorm.apply(s, q), a.kNorm.apply(s, k)
	}
	if a.clip != 0 {
		q, k, v = clipped(q, a.clip), clipped(k, a.clip), clipped(v, a.clip)
	}
	v = heads(v, a.g)                   // [T G K]
	q, k = heads(q, a.n), heads(k, a.g) // [T N K] [T G K]
	var gate *Node
	if a.gated {
		width := k.Shape().Dimensions[2]
		gate = Sigmoid(Reshape(SliceAxis(q, -1, AxisRangeToEnd(width)), -1, a.n*width))
		q = SliceAxis(q, -1, AxisRange(0, width))
	}
	if normed && !a.acrossHeads && !a.afterwards {
		q, k = a.qNorm.apply(s, q), a.kNorm.apply(s, k)
	}
	if a.qEach.n > 0 {
		q, k = a.qEach.apply(s, q), a.kEach.apply(s, k)
	}
	if a.neighbours {
		q, k = s.rotateNeighbours(q), s.rotateNeighbours(k)
	} else {
		q, k = s.rotate(q), s.rotate(k)
	}
	if a.afterwards {
		q, k = a.qNorm.apply(s, q), a.kNorm.apply(s, k)
	}
	var sinks *Node
	if a.sinks != 0 {
		sinks = s.float(s.Weights[a.sinks-1])
	}
	o := s.Attend(q, k, v, sinks, a.Attention)
	if a.gated {
		o = Mul(o, gate)
	}
	return a.o.apply(s, o)
}

// headNorms is LayerNorm over each of n heads, with a weight of its own and no bias. Its zero
// value is none.
type headNorms struct {
	first   param // of n weights [K], which the checkpoint holds one by one
	n       int
	eps     float64
	stacked bool // the checkpoint holds them as one tensor [n K]
}

func (h headNorms) apply(s *Scope, x *Node) *Node { // [T n K] -> [T n K]
	x = bareNorm{h.eps}.apply(s, x)
	if h.stacked {
		return Mul(x, s.vector(h.first, x))
	}
	var weights []*Node
	for i := range h.n {
		weights = append(weights, InsertAxes(s.float(s.Weights[int(h.first)-1+i]), 0, 0)) // [1 1 K]
	}
	return Mul(x, Concatenate(weights, 1))
}

func clipped(x *Node, limit float64) *Node { return MinScalar(MaxScalar(x, -limit), limit) }

// gatedMLP is down(act(gate x) * up x).
type gatedMLP struct {
	gate, up, down linear
	act            activation
}

// apply maps x [T D] to [T D], through [T F].
func (m gatedMLP) apply(s *Scope, x *Node) *Node {
	return m.down.apply(s, Mul(m.act.apply(m.gate.apply(s, x)), m.up.apply(s, x)))
}

// fusedMLP is gatedMLP with gate and up in one matrix, one after the other.
type fusedMLP struct {
	gateUp, down linear
	act          activation
	f            int // width
}

// apply maps x [T D] to [T D], through [T 2F].
func (m fusedMLP) apply(s *Scope, x *Node) *Node {
	h := m.gateUp.apply(s, x) // [T 2F]
	gate, up := SliceAxis(h, -1, AxisRange(0, m.f)), SliceAxis(h, -1, AxisRangeToEnd(m.f))
	return m.down.apply(s, Mul(m.act.apply(gate), up))
}

// plainMLP is down(act(up x)).
type plainMLP struct {
	up, down linear
	act      activation
}

// apply maps x [T D] to [T D], through [T F].
func (m plainMLP) apply(s *Scope, x *Node) *Node {
	return m.down.apply(s, m.act.apply(m.up.apply(s, x)))
}

// logits is the head over the vocabulary.
type logits[Norm block] struct {
	norm    Norm
	matrix  linear
	softCap float64 // 0 for none
	factor  float64 // of the logits; 0 for none
}

// newScaledLogits is newLogits with a factor in place of a soft-cap.
func newScaledLogits[Norm block](b *builder, norm Norm, matrix linear, factor float64) Head {
	return newHead(b, matrix, logits[Norm]{norm: norm, matrix: matrix, factor: factor})
}

func newLogits[Norm block](b *builder, norm Norm, matrix linear, softCap float64) Head {
	return newHead(b, matrix, logits[Norm]{norm: norm, matrix: matrix, softCap: softCap})
}

func newHead[Norm block](b *builder, matrix linear, graph logits[Norm]) Head {
	// In bfloat16 the final state's rounding alone would be a third of all that a model of 135
	// million parameters is off by. In a larger one the head's second product costs little.
	graph.matrix.parts = 2
	ofNorm := &builder{tensors: b.tensors[:matrix.weight-1]} // declared before the matrix
	return Head{Layer: newLayer(b, noRope, graph), Norm: newLayer(ofNorm, noRope, graph.norm), Factor: graph.factor, Cap: graph.softCap}
}

func (h logits[Norm]) apply(s *Scope, x *Node) *Node { // [S D] -> [S V]
	z := h.matrix.apply(s, h.norm.apply(s, x))
	if h.factor != 0 {
		z = MulScalar(z, h.factor)
	}
	return softCap(z, h.softCap)
}
