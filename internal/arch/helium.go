package arch

// helium is Helium 1 (modeling_helium.py): llama with rotary positions that turn neighbouring
// values of each head.
func helium(c *config, exists func(string) bool) *Model {
	d := newDecoder(c, exists, defaults{G: 20, K: 128, Eps: 1e-8})
	if d.N*d.K != d.D {
		c.fail("head_dim is %d, wanted hidden_size / num_attention_heads, %d / %d", d.K, d.D, d.N)
	}
	d.setRope(c, readRopeConfig(c, 100_000, "", 1))
	d.neighbourBlocks(c, c.bool("attention_bias", false), false, c.bool("mlp_bias", false))
	return d.Model
}
