package arch

import . "github.com/gomlx/gomlx/core/graph"

// olmo2 is OLMo 2 (modeling_olmo2.py): norms after attention and MLP, inside the
// residual branch, and RMSNorm over the whole width of q and k.
func olmo2(c *config, exists func(string) bool) *Model {
	d := newDecoder(c, exists, defaults{})
	d.readRope(c, "", 1)
	bias := c.bool("attention_bias", false)
	act := c.activation("hidden_act", "silu")

	d.Embed = d.embedding(1)
	for i := range d.L {
		b := d.block(i)
		d.Blocks = append(d.Blocks, newLayer(b, 0, d.olmo2Block(b, bias, act, 0)))
	}
	d.Head = d.rmsHead()
	return d.Model
}

// olmo2Block declares a block, whose attention sees a window (0 for all).
func (d *decoder) olmo2Block(b *builder, bias bool, act activation, window int) olmo2Block {
	attention := d.attention(b, bias, bias, d.scaled(window))
	attention.qNorm = b.rmsNorm("self_attn.q_norm", d.N*d.K, d.eps)
	attention.kNorm = b.rmsNorm("self_attn.k_norm", d.G*d.K, d.eps)
	attention.acrossHeads = true
	return olmo2Block{
		attention:     attention,
		attentionNorm: b.rmsNorm("post_attention_layernorm", d.D, d.eps),
		mlp:           d.mlp(b, act, false),
		mlpNorm:       b.rmsNorm("post_feedforward_layernorm", d.D, d.eps),
	}
}

type olmo2Block struct {
	attention     selfAttention
	attentionNorm rmsNorm
	mlp           gatedMLP
	mlpNorm       rmsNorm
}

func (l olmo2Block) apply(s *Scope, x *Node) *Node { // [T D] -> [T D]
	x = Add(x, l.attentionNorm.apply(s, l.attention.apply(s, x)))
	return Add(x, l.mlpNorm.apply(s, l.mlp.apply(s, x)))
}
