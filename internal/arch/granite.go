package arch

import . "github.com/gomlx/gomlx/core/graph"

// granite is Granite 3 (modeling_granite.py): llama with four factors: of the embeddings, of
// attention in place of 1/sqrt(K), of what each half of a block adds, and one that logits are
// divided by.
func granite(c *config, exists func(string) bool) *Model {
	d := newDecoder(c, exists, defaults{Eps: 1e-6})
	d.readRope(c, "", 1)
	bias, mlpBias := c.bool("attention_bias", false), c.bool("mlp_bias", false)
	act := c.activation("hidden_act", "silu")
	attention, residual := d.graniteFactors(c)
	for i := range d.L {
		b := d.block(i)
		d.Blocks = append(d.Blocks, newLayer(b, 0, graniteBlock[selfAttention, gatedMLP]{
			normedBlock: normedBlock[selfAttention, gatedMLP]{
				attentionNorm: b.rmsNorm("input_layernorm", d.D, d.eps),
				attention:     d.attention(b, bias, bias, attention),
				mlpNorm:       b.rmsNorm("post_attention_layernorm", d.D, d.eps),
				mlp:           d.mlp(b, act, mlpBias),
			},
			residual: residual,
		}))
	}
	return d.Model
}

// graniteFactors reads the four, and makes the embedding and the head, which have one each.
func (d *decoder) graniteFactors(c *config) (attention Attention, residual float64) {
	d.Embed = d.embedding(float32(c.positive("embedding_multiplier", 1)))
	b := &builder{}
	d.Head = newScaledLogits(b, b.rmsNorm(d.prefix+"norm", d.D, d.eps), d.unembedding(b), 1/c.positive("logits_scaling", 1))
	return Attention{Scale: c.positive("attention_multiplier", 1)}, c.positive("residual_multiplier", 1)
}

// graniteBlock is normedBlock with a factor of what each half adds.
type graniteBlock[Mixer, MLP block] struct {
	normedBlock[Mixer, MLP]
	residual float64
}

func (l graniteBlock[Mixer, MLP]) apply(s *Scope, x *Node) *Node { // [T D] -> [T D]
	x = Add(x, MulScalar(l.attention.apply(s, l.attentionNorm.apply(s, x)), l.residual))
	return Add(x, MulScalar(l.mlp.apply(s, l.mlpNorm.apply(s, x)), l.residual))
}
