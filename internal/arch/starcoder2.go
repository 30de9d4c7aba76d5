package arch

// starcoder2 is StarCoder 2 (modeling_starcoder2.py): LayerNorm, rotary positions, an MLP
// without a gate, and a window in every layer.
func starcoder2(c *config, exists func(string) bool) *Model {
	d := newDecoder(c, exists, defaults{G: 2, EpsKey: "norm_epsilon", Eps: 1e-5, Tied: true})
	d.readRope(c, "", 1)
	bias := c.bool("use_bias", true)
	act := c.activation("hidden_act", "gelu_pytorch_tanh")
	only(c, "mlp_type", "default") // keys of the published files, which transformers does not read
	only(c, "norm_type", "layer_norm")
	c.ignore("embedding_dropout", "residual_dropout")
	window := c.window(0)

	d.Embed = d.embedding(1)
	for i := range d.L {
		b := d.block(i)
		d.Blocks = append(d.Blocks, newLayer(b, 0, plainBlock{
			attentionNorm: b.layerNorm("input_layernorm", d.D, d.eps),
			attention:     d.attention(b, bias, bias, d.scaled(window)),
			mlpNorm:       b.layerNorm("post_attention_layernorm", d.D, d.eps),
			mlp:           plainMLP{up: b.linear("mlp.c_fc", d.D, d.F, bias), down: b.linear("mlp.c_proj", d.F, d.D, bias), act: act},
		}))
	}
	b := &builder{}
	d.Head = newLogits(b, b.layerNorm(d.prefix+"norm", d.D, d.eps), d.unembedding(b), 0)
	return d.Model
}

// plainBlock is attention and an MLP without a gate.
type plainBlock = layerNormBlock[selfAttention, plainMLP]

// layerNormBlock is normedBlock with LayerNorms.
type layerNormBlock[Mixer, MLP block] = preNorm[layerNorm, Mixer, MLP]
