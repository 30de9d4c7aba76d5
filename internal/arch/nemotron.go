package arch

// nemotron is Nemotron 3, 4 and Minitron (modeling_nemotron.py): LayerNorm whose weights are
// stored less 1, rotary positions on a share of each head, and an MLP of relu^2 without a gate.
func nemotron(c *config, exists func(string) bool) *Model {
	d := newDecoder(c, exists, defaults{EpsKey: "norm_eps", Eps: 1e-5})
	d.readRope(c, "partial_rotary_factor", 0.5)
	bias, mlpBias := c.bool("attention_bias", false), c.bool("mlp_bias", false)
	act := c.activation("hidden_act", "relu2")
	norm := func(b *builder, name string) layerNorm {
		n := b.layerNorm(name, d.D, d.eps)
		n.offset = 1
		return n
	}

	d.Embed = d.embedding(1)
	for i := range d.L {
		b := d.block(i)
		d.Blocks = append(d.Blocks, newLayer(b, 0, plainBlock{
			attentionNorm: norm(b, "input_layernorm"),
			attention:     d.attention(b, bias, bias, d.scaled(0)),
			mlpNorm:       norm(b, "post_attention_layernorm"),
			mlp:           plainMLP{up: b.linear("mlp.up_proj", d.D, d.F, mlpBias), down: b.linear("mlp.down_proj", d.F, d.D, mlpBias), act: act},
		}))
	}
	b := &builder{}
	d.Head = newLogits(b, norm(b, d.prefix+"norm"), d.unembedding(b), 0)
	return d.Model
}
