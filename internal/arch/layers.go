package arch

import (
	"fmt"
	"math"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
)

// newPart starts a part whose tensors are named below prefix.
func newPart(kind, prefix string) *builder {
	return &builder{part: &Part{Kind: kind, Rope: -1}, prefix: prefix}
}

// builder declares a part's tensors; each declaration returns the layer that
// uses them, so that what is loaded and what is computed cannot drift apart.
type builder struct {
	part   *Part
	prefix string
}

func (b *builder) tensor(name string, linear, inOut bool, shape ...int) int {
	b.part.Tensors = append(b.part.Tensors, Tensor{Name: b.prefix + name, Shape: shape, Linear: linear, InOut: inOut})
	return len(b.part.Tensors) - 1
}

// linear is y = x W^T + bias.
type linear struct{ weight, bias int }

func (b *builder) linear(name string, in, out int, bias bool) linear {
	l := linear{weight: b.tensor(name+".weight", true, false, out, in), bias: -1}
	if bias {
		l.bias = b.tensor(name+".bias", false, false, out)
	}
	return l
}

// conv1d is a linear layer whose matrix is stored [in out], with a bias (GPT-2).
func (b *builder) conv1d(name string, in, out int) linear {
	return linear{
		weight: b.tensor(name+".weight", true, true, in, out),
		bias:   b.tensor(name+".bias", false, false, out),
	}
}

// of applies the layer to x [.. in], giving [.. out] in the pass's type.
func (l linear) of(p *Pass, x *Node) *Node {
	w := p.Weights[l.weight]
	if p.DType == dtypes.Float64 {
		w = p.float(w)
	}
	axis := 1
	if p.InOut[l.weight] {
		axis = 0
	}
	y := Product(x, w, axis)
	if l.bias >= 0 {
		y = Add(y, ExpandLeftToRank(p.float(p.Weights[l.bias]), y.Rank()))
	}
	return y
}

// dtype is what everything but the operands of products is computed in.
func (p *Pass) dtype() dtypes.DType {
	if p.DType == dtypes.InvalidDType {
		return dtypes.Float32
	}
	return p.DType
}

func (p *Pass) float(x *Node) *Node { return ConvertDType(x, p.dtype()) }

// rms is RMSNorm over the last axis: x / sqrt(mean(x^2) + eps) * (weight + offset).
// Gemma stores weight-1 (offset 1), the others the weight.
type rms struct {
	weight      int
	eps, offset float64
}

func (b *builder) rms(name string, width int, eps, offset float64) rms {
	return rms{weight: b.tensor(name+".weight", false, false, width), eps: eps, offset: offset}
}

func (n rms) of(p *Pass, x *Node) *Node {
	x = p.float(x)
	scale := Rsqrt(AddScalar(ReduceAndKeep(Square(x), ReduceMean, -1), n.eps))
	w := p.float(p.Weights[n.weight])
	if n.offset != 0 {
		w = AddScalar(w, n.offset)
	}
	return Mul(Mul(x, scale), ExpandLeftToRank(w, x.Rank()))
}

// layerNorm is (x - mean) / sqrt(var + eps) * weight + bias over the last axis.
type layerNorm struct {
	weight, bias int
	eps          float64
}

func (b *builder) layerNorm(name string, width int, eps float64) layerNorm {
	return layerNorm{
		weight: b.tensor(name+".weight", false, false, width),
		bias:   b.tensor(name+".bias", false, false, width),
		eps:    eps,
	}
}

func (n layerNorm) of(p *Pass, x *Node) *Node {
	x = p.float(x)
	x = Sub(x, ReduceAndKeep(x, ReduceMean, -1))
	scale := Rsqrt(AddScalar(ReduceAndKeep(Square(x), ReduceMean, -1), n.eps))
	w := ExpandLeftToRank(p.float(p.Weights[n.weight]), x.Rank())
	bias := ExpandLeftToRank(p.float(p.Weights[n.bias]), x.Rank())
	return Add(Mul(Mul(x, scale), w), bias)
}

// activation returns the function that a config names, as ACT2FN of transformers'
// activations.py does; nil after refusing the key.
func activation(c *Config, key, def string) func(*Node) *Node {
	switch c.String(key, def) {
	case "silu", "swish":
		return func(x *Node) *Node { return Mul(x, Sigmoid(x)) }
	case "gelu":
		return func(x *Node) *Node {
			return Mul(MulScalar(x, 0.5), OnePlus(Erf(MulScalar(x, math.Sqrt2/2))))
		}
	case "gelu_new", "gelu_fast", "gelu_pytorch_tanh":
		return func(x *Node) *Node {
			cubic := Add(x, MulScalar(Mul(Square(x), x), 0.044715))
			return Mul(MulScalar(x, 0.5), OnePlus(Tanh(MulScalar(cubic, math.Sqrt(2/math.Pi)))))
		}
	case "relu":
		return func(x *Node) *Node { return MaxScalar(x, 0) }
	}
	c.Refuse(key)
	return nil
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

// rotate applies the part's rope to x [T n K]: the first R values of each head
// turn, value i with value i+R/2 (rotate_half), the rest stay.
func (p *Pass) rotate(x *Node) *Node {
	if p.Cos == nil {
		return x
	}
	half, k := p.Cos.Shape().Dimensions[1], x.Shape().Dimensions[2]
	cos, sin := InsertAxes(p.Cos, 1), InsertAxes(p.Sin, 1) // [T 1 R/2]
	first := SliceAxis(x, -1, AxisRange(0, half))
	second := SliceAxis(x, -1, AxisRange(half, 2*half))
	parts := []*Node{
		Sub(Mul(first, cos), Mul(second, sin)),
		Add(Mul(second, cos), Mul(first, sin)),
	}
	if k > 2*half {
		parts = append(parts, SliceAxis(x, -1, AxisRange(2*half, k)))
	}
	return Concatenate(parts, -1)
}

// selfAttention is the attention of the families whose q, k and v have matrices of
// their own.
type selfAttention struct {
	q, k, v, o   linear
	qNorm, kNorm *rms // nil where the family has none
	wide         bool // the norms run over all heads together (OLMo 2), not head by head
	n, g         int
	how          Attention
}

// of maps the normed stream [T D] to the attention's contribution [T D].
func (a selfAttention) of(p *Pass, x *Node) *Node {
	q, k, v := a.q.of(p, x), a.k.of(p, x), heads(a.v.of(p, x), a.g)
	if a.wide {
		q, k = a.qNorm.of(p, q), a.kNorm.of(p, k)
	}
	q, k = heads(q, a.n), heads(k, a.g) // [T N K] [T G K]
	if a.qNorm != nil && !a.wide {
		q, k = a.qNorm.of(p, q), a.kNorm.of(p, k)
	}
	return a.o.of(p, p.Attend(p.rotate(q), p.rotate(k), v, a.how))
}

// gatedMLP is down(act(gate x) * up x).
type gatedMLP struct {
	gate, up, down linear
	act            func(*Node) *Node
}

func (m gatedMLP) of(p *Pass, x *Node) *Node {
	return m.down.of(p, Mul(m.act(m.gate.of(p, x)), m.up.of(p, x)))
}

// kindOf names a kind of block by what tells it from its neighbours.
func kindOf(rope int, how Attention) string {
	return fmt.Sprintf("block rope=%d scale=%g cap=%g window=%d", rope, how.Scale, how.SoftCap, how.Window)
}
