package arch

// ernie45 is ERNIE 4.5, dense (modeling_ernie4_5.py): llama with rotary positions that turn
// neighbouring values of each head, and biases everywhere or nowhere.
func ernie45(c *config, exists func(string) bool) *Model {
	def := defaults{G: 2, K: 128, Eps: 1e-5, Tied: true}
	if c.null("head_dim") {
		def.K = 0 // not that of an absent key
	}
	d := newDecoder(c, exists, def)
	d.setRope(c, readRopeConfig(c, 500_000, "", 1))
	bias := c.bool("use_bias", false)
	d.neighbourBlocks(c, bias, bias, bias)
	return d.Model
}

// neighbourBlocks declares llama's blocks, with rotation of neighbouring values, and its head.
func (d *decoder) neighbourBlocks(c *config, qkvBias, oBias, mlpBias bool) {
	act := c.activation("hidden_act", "silu")
	d.Embed = d.embedding(1)
	for i := range d.L {
		b := d.block(i)
		attention := d.attention(b, qkvBias, oBias, d.scaled(0))
		attention.neighbours = true
		d.Blocks = append(d.Blocks, newLayer(b, 0, llamaBlock{
			attentionNorm: b.rmsNorm("input_layernorm", d.D, d.eps),
			attention:     attention,
			mlpNorm:       b.rmsNorm("post_attention_layernorm", d.D, d.eps),
			mlp:           d.mlp(b, act, mlpBias),
		}))
	}
	d.Head = d.rmsHead()
}
