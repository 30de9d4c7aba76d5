package arch

// seedOSS is Seed-OSS (modeling_seed_oss.py): llama with biases of q, k and v, and one of o
// where attention_out_bias says so.
func seedOSS(c *config, exists func(string) bool) *Model {
	d := newDecoder(c, exists, defaults{G: 8, K: 128, Eps: 1e-6})
	d.readRope(c, "", 1)
	bias, outBias, mlpBias := c.bool("attention_bias", true), c.bool("attention_out_bias", false), c.bool("mlp_bias", false)
	act := c.activation("hidden_act", "silu")
	c.ignore("pretraining_tp", "residual_dropout")

	d.Embed = d.embedding(1)
	for i := range d.L {
		b := d.block(i)
		d.Blocks = append(d.Blocks, newLayer(b, 0, llamaBlock{
			attentionNorm: b.rmsNorm("input_layernorm", d.D, d.eps),
			attention:     d.attention(b, bias, outBias, d.scaled(0)),
			mlpNorm:       b.rmsNorm("post_attention_layernorm", d.D, d.eps),
			mlp:           d.mlp(b, act, mlpBias),
		}))
	}
	d.Head = d.rmsHead()
	return d.Model
}
