package arch

import . "github.com/gomlx/gomlx/core/graph"

// glm4 is GLM-4-0414 (modeling_glm4.py): llama with norms after attention and MLP too, inside
// the residual branch, rotary positions that turn neighbouring values of half of each head, and
// gate and up in one matrix.
func glm4(c *config, exists func(string) bool) *Model {
	d := newDecoder(c, exists, defaults{G: 2, K: 128, Eps: 1.5625e-7})
	d.readRope(c, "partial_rotary_factor", 0.5)
	bias := c.bool("attention_bias", true)
	act := c.activation("hidden_act", "silu")

	d.Embed = d.embedding(1)
	for i := range d.L {
		b := d.block(i)
		attention := d.attention(b, bias, false, d.scaled(0))
		attention.neighbours = true
		d.Blocks = append(d.Blocks, newLayer(b, 0, glm4Block{
			attentionNorm: b.rmsNorm("input_layernorm", d.D, d.eps),
			attention:     attention,
			attendedNorm:  b.rmsNorm("post_self_attn_layernorm", d.D, d.eps),
			mlpNorm:       b.rmsNorm("post_attention_layernorm", d.D, d.eps),
			mlp:           d.fusedMLP(b, act),
			afterNorm:     b.rmsNorm("post_mlp_layernorm", d.D, d.eps),
		}))
	}
	d.Head = d.rmsHead()
	return d.Model
}

// glm is GLM-4-9B of 2024 (modeling_glm.py): glm4 without the norms after attention and MLP.
func glm(c *config, exists func(string) bool) *Model {
	d := newDecoder(c, exists, defaults{G: 2, K: 128, Eps: 1.5625e-7})
	d.readRope(c, "partial_rotary_factor", 0.5)
	bias := c.bool("attention_bias", true)
	act := c.activation("hidden_act", "silu")
	d.Ignored = rotaryBuffer

	d.Embed = d.embedding(1)
	for i := range d.L {
		b := d.block(i)
		block := normedBlock[selfAttention, fusedMLP]{
			attentionNorm: b.rmsNorm("input_layernorm", d.D, d.eps),
			attention:     d.attention(b, bias, false, d.scaled(0)),
			mlpNorm:       b.rmsNorm("post_attention_layernorm", d.D, d.eps),
			mlp:           d.fusedMLP(b, act),
		}
		block.attention.neighbours = true
		d.Blocks = append(d.Blocks, newLayer(b, 0, block))
	}
	d.Head = d.rmsHead()
	return d.Model
}

type glm4Block struct {
	attentionNorm rmsNorm
	attention     selfAttention
	attendedNorm  rmsNorm // of what attention adds
	mlpNorm       rmsNorm
	mlp           fusedMLP
	afterNorm     rmsNorm // of what the MLP adds
}

func (l glm4Block) apply(s *Scope, x *Node) *Node { // [T D] -> [T D]
	x = Add(x, l.attendedNorm.apply(s, l.attention.apply(s, l.attentionNorm.apply(s, x))))
	return Add(x, l.afterNorm.apply(s, l.mlp.apply(s, l.mlpNorm.apply(s, x))))
}
