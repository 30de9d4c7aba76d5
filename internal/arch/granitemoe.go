package arch

// graniteMoE is Granite 3's mixtures of experts (modeling_granitemoe.py): granite with a mixture
// in the place of each MLP, whose probabilities are shares of those chosen.
func graniteMoE(c *config, exists func(string) bool) *Model {
	d := newDecoder(c, exists, defaults{F: 11008, Eps: 1e-6})
	d.readRope(c, "", 1)
	bias := c.bool("attention_bias", false)
	size := c.experts(d.L, 8, 2)
	attention, residual := d.graniteFactors(c)
	for i := range d.L {
		b := d.block(i)
		d.Blocks = append(d.Blocks, newLayer(b, 0, graniteBlock[selfAttention, experts]{
			normedBlock: mixtureBlock{
				attentionNorm: b.rmsNorm("input_layernorm", d.D, d.eps),
				attention:     d.attention(b, bias, bias, attention),
				mlpNorm:       b.rmsNorm("post_attention_layernorm", d.D, d.eps),
				mlp:           b.experts(exists, size, d.D, d.F, true, ofGranite, graniteInMemory),
			},
			residual: residual,
		}))
	}
	return d.Model
}
