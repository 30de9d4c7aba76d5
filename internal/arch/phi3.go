package arch

import . "github.com/gomlx/gomlx/core/graph"

// phi3 is Phi 3 and 3.5 (modeling_phi3.py): llama with q, k, v in one matrix and
// gate, up in another, optional window and partial rotary positions. With longrope
// the context is the original one: see longRope. Phi3Config reads "su" and "yarn", names of
// its first releases, as longrope.
func phi3(c *config, exists func(string) bool) *Model {
	d := newDecoder(c, exists, defaults{})
	d.readRope(c, "partial_rotary_factor", 1, "longrope", "su", "yarn")
	act := c.activation("hidden_act", "silu")
	for _, key := range []string{"attention_bias", "mlp_bias", "lm_head_bias"} {
		only(c, key, false)
	}
	for _, key := range []string{"full_attn_mod", "interpolate_factor"} {
		only(c, key, 1)
	}
	window := c.window(0)

	d.Embed = d.embedding(1)
	for i, w := range windows(c, d.L, window, func(int) bool { return window > 0 }) {
		b := d.block(i)
		d.Blocks = append(d.Blocks, newLayer(b, 0, phi3Block{
			attentionNorm: b.rmsNorm("input_layernorm", d.D, d.eps),
			qkv:           b.linear("self_attn.qkv_proj", d.D, (d.N+2*d.G)*d.K, false),
			o:             b.linear("self_attn.o_proj", d.N*d.K, d.D, false),
			mlpNorm:       b.rmsNorm("post_attention_layernorm", d.D, d.eps),
			mlp:           d.fusedMLP(b, act),
			n:             d.N, g: d.G, k: d.K,
			Attention: d.scaled(w),
		}))
	}
	d.Head = d.rmsHead()
	return d.Model
}

type phi3Block struct {
	attentionNorm rmsNorm
	qkv, o        linear
	mlpNorm       rmsNorm
	mlp           fusedMLP
	n, g, k       int // heads, key/value heads, width of a head
	Attention
}

func (l phi3Block) apply(s *Scope, x *Node) *Node { // [T D] -> [T D]
	h := l.qkv.apply(s, l.attentionNorm.apply(s, x)) // [T (N+2G)*K]
	q := heads(SliceAxis(h, -1, AxisRange(0, l.n*l.k)), l.n)
	k := heads(SliceAxis(h, -1, AxisRange(l.n*l.k, (l.n+l.g)*l.k)), l.g)
	v := heads(SliceAxis(h, -1, AxisRangeToEnd((l.n+l.g)*l.k)), l.g)
	x = Add(x, l.o.apply(s, s.Attend(s.rotate(q), s.rotate(k), v, nil, l.Attention)))
	return Add(x, l.mlp.apply(s, l.mlpNorm.apply(s, x)))
}
