package arch

import (
	"math"

	. "github.com/gomlx/gomlx/core/graph"
)

// olmo2 is OLMo 2 (modeling_olmo2.py): norms after attention and MLP, inside the
// residual branch, and RMSNorm over the whole width of q and k.
func olmo2(c *Config, has func(string) bool) *Model {
	d := newDecoder(c, has, sizes{})
	d.tied = c.Bool("tie_word_embeddings", false)
	bias := c.Bool("attention_bias", false)
	act := activation(c, "hidden_act", "silu")
	m := d.model
	rope, limit := readRope(c, 10_000, "", 1).rope(c, m.K, m.Context, scalings...)
	m.Ropes, m.Context = []Rope{rope}, limit
	how := Attention{Scale: 1 / math.Sqrt(float64(m.K))}
	for i := range d.layers {
		b := d.block(i, 0, how)
		attention := d.attention(b, bias, bias, how)
		qNorm := b.rms("self_attn.q_norm", m.N*m.K, d.eps, 0)
		kNorm := b.rms("self_attn.k_norm", m.G*m.K, d.eps, 0)
		attention.qNorm, attention.kNorm, attention.wide = &qNorm, &kNorm, true
		attentionNorm := b.rms("post_attention_layernorm", m.D, d.eps, 0)
		mlp := d.mlp(b, act, false)
		mlpNorm := b.rms("post_feedforward_layernorm", m.D, d.eps, 0)
		b.part.Graph = func(p *Pass, x *Node) *Node {
			x = Add(x, attentionNorm.of(p, attention.of(p, x)))
			return Add(x, mlpNorm.of(p, mlp.of(p, x)))
		}
	}
	return d.finish()
}
