package arch

// qwen3 is Qwen 3, dense (modeling_qwen3.py): qwen2 with RMSNorm on each head of q
// and k, heads of their own width, and biases only where attention_bias says so.
func qwen3(c *Config, has func(string) bool) *Model {
	d := newDecoder(c, has, sizes{G: 32, K: 128})
	bias := c.Bool("attention_bias", false)
	return d.qwen(c, func(b *builder, how Attention) selfAttention {
		a := d.attention(b, bias, bias, how)
		d.headNorms(b, &a)
		return a
	})
}
