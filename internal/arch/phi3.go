package arch

import (
	"math"

	. "github.com/gomlx/gomlx/core/graph"
)

// phi3 is Phi 3 and 3.5 (modeling_phi3.py): llama with q, k, v in one matrix and
// gate, up in another, optional window and partial rotary positions. With longrope
// the context is the original one: see longRope. Phi3Config reads "su" and "yarn", names of
// its first releases, as longrope.
func phi3(c *Config, has func(string) bool) *Model {
	d := newDecoder(c, has, sizes{})
	d.tied = c.Bool("tie_word_embeddings", false)
	Only(c, "attention_bias", false)
	act := activation(c, "hidden_act", "silu")
	m := d.model
	rope, limit := readRope(c, 10_000, "partial_rotary_factor", 1).rope(c, m.K, m.Context, "longrope", "su", "yarn")
	for _, key := range []string{"mlp_bias", "lm_head_bias"} {
		Only(c, key, false)
	}
	for _, key := range []string{"full_attn_mod", "interpolate_factor"} {
		Only(c, key, 1)
	}
	m.Ropes, m.Context = []Rope{rope}, limit
	window := 0
	if c.Has("sliding_window") {
		window = c.Size("sliding_window", 0)
	}
	c.Null("sliding_window")
	for i, w := range windows(c, d.layers, window, func(int) bool { return window > 0 }) {
		how := Attention{Scale: 1 / math.Sqrt(float64(m.K)), Window: w}
		b := d.block(i, 0, how)
		inputNorm := b.rms("input_layernorm", m.D, d.eps, 0)
		qkv := b.linear("self_attn.qkv_proj", m.D, (m.N+2*m.G)*m.K, false)
		o := b.linear("self_attn.o_proj", m.N*m.K, m.D, false)
		mlpNorm := b.rms("post_attention_layernorm", m.D, d.eps, 0)
		gateUp := b.linear("mlp.gate_up_proj", m.D, 2*d.f, false)
		down := b.linear("mlp.down_proj", d.f, m.D, false)
		b.part.Graph = func(p *Pass, x *Node) *Node {
			h := qkv.of(p, inputNorm.of(p, x))
			q := heads(SliceAxis(h, -1, AxisRange(0, m.N*m.K)), m.N)
			k := heads(SliceAxis(h, -1, AxisRange(m.N*m.K, (m.N+m.G)*m.K)), m.G)
			v := heads(SliceAxis(h, -1, AxisRangeToEnd((m.N+m.G)*m.K)), m.G)
			x = Add(x, o.of(p, p.Attend(p.rotate(q), p.rotate(k), v, how)))
			h = gateUp.of(p, mlpNorm.of(p, x))
			gate, up := SliceAxis(h, -1, AxisRange(0, d.f)), SliceAxis(h, -1, AxisRangeToEnd(d.f))
			return Add(x, down.of(p, Mul(act(gate), up)))
		}
	}
	return d.finish()
}
