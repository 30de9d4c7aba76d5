package arch

import (
	"encoding/json"
	"math"

	. "github.com/gomlx/gomlx/core/graph"
)

// mamba2 is a layer of Mamba 2 ("Transformers are SSMs", Dao and Gu 2024; the torch path of
// modeling_bamba.py): a Recurrence whose k, q and v are the paper's B, C and dt x, and whose
// log-decay is A dt. With the time steps dt = softplus(dt + bias), within their limits,
//
//	y_i = sum over j, the ancestors of i and itself, of e^(G_i-G_j) (C_i.B_j) dt_j x_j + D x_i
type mamba2 struct {
	Recurrence
	in          linear // z, the gate of what comes out, x [T H*V], B, C [T G*K] and dt [T H], in this order
	factors     mambaFactors
	conv        convolution // of x, B and C
	aLog, dt, d param       // [H]: A = -e^aLog, the bias of dt, D
	least, most float64     // the limits of a time step
	norm        gatedNorm
	out         linear
}

// mambaFactors are what the input of a mamba2 and the parts of its first product are multiplied by
// (Falcon-H1). Its zero value is none.
type mambaFactors struct{ input, z, x, b, c, dt float64 }

// apply maps the normed stream [T D] to what the layer adds [T D].
func (n mamba2) apply(s *Scope, x *Node) *Node {
	if n.factors.input != 0 {
		x = MulScalar(x, n.factors.input)
	}
	values, keys := n.H*n.V, n.G*n.K
	p := parts(n.in.apply(s, x), values, values, keys, keys, n.H)
	if f := n.factors; f != (mambaFactors{}) {
		for i, by := range []float64{f.z, f.x, f.b, f.c, f.dt} {
			p[i] = MulScalar(p[i], by)
		}
	}
	z, dt := p[0], p[4]
	p = parts(n.conv.apply(s, Concatenate(p[1:4], -1)), values, keys, keys)
	x = heads(p[0], n.H)                       // [T H V]
	b, c := heads(p[1], n.G), heads(p[2], n.G) // [T G K]
	dt = softplus(Add(dt, s.vector(n.dt, dt))) // [T H]
	dt = MinScalar(MaxScalar(dt, n.least), n.most)
	decay := Neg(Mul(Exp(s.vector(n.aLog, dt)), dt)) // [T H]
	y := s.Recur(c, b, Mul(x, InsertAxes(dt, -1)), decay, nil)
	y = Add(y, Mul(x, Reshape(s.float(s.Weights[n.d-1]), 1, n.H, 1)))
	return n.out.apply(s, n.norm.apply(s, Reshape(y, -1, values), z))
}

// parts cuts the last axis of x [T sum] into some widths.
func parts(x *Node, widths ...int) (all []*Node) {
	from := 0
	for _, w := range widths {
		all = append(all, SliceAxis(x, -1, AxisRange(from, from+w)))
		from += w
	}
	return all
}

// gatedNorm is RMSNorm(x silu(z)), or with first RMSNorm(x) silu(z), over each of some groups of
// the last axis; without a weight x silu(z) alone.
type gatedNorm struct {
	weight param // [W]; 0 for no norm
	eps    float64
	groups int
	first  bool // before the gate
}

func (n gatedNorm) apply(s *Scope, x, z *Node) *Node { // [T W] both
	x, z = s.float(x), silu(s.float(z))
	if n.weight == 0 {
		return Mul(x, z)
	}
	if !n.first {
		x = Mul(x, z)
	}
	x = Reshape(rmsNorm{eps: n.eps}.apply(s, heads(x, n.groups)), x.Shape().Dimensions...)
	x = Mul(x, s.vector(n.weight, x))
	if n.first {
		x = Mul(x, z)
	}
	return x
}

// mambaConfig is what the families with layers of Mamba 2 read of a config.
type mambaConfig struct {
	Recurrence
	at                      string // prefix of its tensors
	bias, convBias, outBias bool
	least, most             float64
	normed, first           bool // it has a norm, over all heads of a group, which comes before the gate
	factors                 mambaFactors
}

// readMamba reads it; width is that of all heads, 0 for mamba_expand times that of the stream.
func (d *decoder) readMamba(c *config, width int) mambaConfig {
	expand := c.size("mamba_expand", 2)
	if width == 0 {
		width = expand * d.D
	}
	m := mambaConfig{at: "mamba.", bias: c.bool("mamba_proj_bias", false), convBias: c.bool("mamba_conv_bias", true), normed: true}
	m.outBias = m.bias
	m.H, m.G = c.size("mamba_n_heads", 128), c.size("mamba_n_groups", 1)
	m.K, m.Taps = c.size("mamba_d_state", 256), c.taps("mamba_d_conv", 4)
	m.V = max(width/m.H, 1)
	if v, ok := c.raw("mamba_d_head"); ok && string(v) != `"auto"` {
		m.V = c.size("mamba_d_head", 0)
	}
	if m.H*m.V != width {
		c.fail("mamba_n_heads is %d and mamba_d_head %d, wanted a product of %d", m.H, m.V, width)
	}
	if m.H%m.G != 0 {
		c.fail("mamba_n_heads is %d, wanted a multiple of mamba_n_groups %d", m.H, m.G)
	}
	m.least, m.most = c.limits("time_step_limit", 0, math.Inf(1))
	c.ignore("mamba_chunk_size") // of kernels
	return m
}

// doubtGroups warns of several groups, in Bamba and Granite.
func (c *config) doubtGroups(m mambaConfig) {
	if m.G > 1 {
		c.doubt("mamba_n_groups is %d: transformers 5.23 norms each group alone, as here, and 4.57 all together", m.G)
	}
}

// limits reads a list of two numbers, of which transformers 5 writes infinity as an object.
func (c *config) limits(key string, least, most float64) (float64, float64) {
	all := get[[]limit](c, key, []limit{limit(least), limit(most)}, "two numbers")
	if len(all) != 2 || !(all[0] <= all[1]) {
		c.fail("%s is %s, wanted two numbers, the lower one first", key, brief(c.keys[key]))
		return least, most
	}
	return float64(all[0]), float64(all[1])
}

type limit float64

func (l *limit) UnmarshalJSON(data []byte) error {
	var tagged struct {
		Float string `json:"__float__"`
	}
	if json.Unmarshal(data, &tagged) == nil && tagged.Float == "Infinity" {
		*l = limit(math.Inf(1))
		return nil
	}
	return json.Unmarshal(data, (*float64)(l))
}

// mamba declares a layer of Mamba 2 below m.at.
func (d *decoder) mamba(b *builder, m mambaConfig) mamba2 {
	b.recurrence(m.Recurrence)
	values := m.H * m.V
	n := mamba2{Recurrence: m.Recurrence, factors: m.factors, least: m.least, most: m.most}
	n.in = b.linear(m.at+"in_proj", d.D, values+m.convolved()+m.H, m.bias)
	n.conv = b.convolution(m.at+"conv1d", m.convolved(), m.Taps, m.convBias)
	n.aLog, n.dt, n.d = b.vector(m.at+"A_log", m.H), b.vector(m.at+"dt_bias", m.H), b.vector(m.at+"D", m.H)
	if m.normed {
		n.norm = gatedNorm{weight: b.vector(m.at+"norm.weight", values), eps: d.eps, groups: m.G, first: m.first}
	}
	n.out = b.linear(m.at+"out_proj", values, d.D, m.outBias)
	return n
}
