package arch

// mixtral is Mixtral (modeling_mixtral.py): mistral with a mixture of experts in the place of
// each MLP, whose probabilities are shares of those chosen.
func mixtral(c *config, exists func(string) bool) *Model {
	d := newDecoder(c, exists, defaults{F: 14336, G: 8, Eps: 1e-5})
	d.setRope(c, readRopeConfig(c, 1e6, "", 1))
	window := c.window(0)
	size := c.experts(d.L, 8, 2)
	d.Ignored = rotaryBuffer

	d.Embed = d.embedding(1)
	for i := range d.L {
		b := d.block(i)
		d.Blocks = append(d.Blocks, newLayer(b, 0, mixtureBlock{
			attentionNorm: b.rmsNorm("input_layernorm", d.D, d.eps),
			attention:     d.attention(b, false, false, d.scaled(window)),
			mlpNorm:       b.rmsNorm("post_attention_layernorm", d.D, d.eps),
			mlp:           b.experts(exists, size, d.D, d.F, true, ofMixtral, inMemory),
		}))
	}
	d.Head = d.rmsHead()
	return d.Model
}
