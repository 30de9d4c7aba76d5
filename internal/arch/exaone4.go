package arch

// exaone4 is EXAONE 4 (modeling_exaone4.py): olmo2's block with RMSNorm on each head of q and
// k. Where it has a window, three layers of four are windowed and the others, which see all,
// have no rotary positions.
func exaone4(c *config, exists func(string) bool) *Model {
	d := newDecoder(c, exists, defaults{G: 32, Eps: 1e-5})
	d.readRope(c, "", 1)
	act := c.activation("hidden_act", "silu")
	window := c.window(4096)

	d.Embed = d.embedding(1)
	for i, w := range windows(c, d.L, window, exaoneSlides(c, window)) {
		rope := 0
		if window > 0 && w == 0 {
			rope = noRope
		}
		b := d.block(i)
		attention := d.attention(b, false, false, d.scaled(w))
		attention.qNorm = b.rmsNorm("self_attn.q_norm", d.K, d.eps)
		attention.kNorm = b.rmsNorm("self_attn.k_norm", d.K, d.eps)
		d.Blocks = append(d.Blocks, newLayer(b, rope, olmo2Block{
			attention:     attention,
			attentionNorm: b.rmsNorm("post_attention_layernorm", d.D, d.eps),
			mlp:           d.mlp(b, act, false),
			mlpNorm:       b.rmsNorm("post_feedforward_layernorm", d.D, d.eps),
		}))
	}
	d.Head = d.rmsHead()
	return d.Model
}

// exaoneSlides tells which layers slide where layer_types does not say it: all but each
// sliding_window_pattern-th. The pattern may be letters too ("LLLG"), which transformers does
// not read as such: it needs layer_types then.
func exaoneSlides(c *config, window int) func(layer int) bool {
	const key = "sliding_window_pattern"
	if c.has("layer_types") || window == 0 {
		c.ignore(key)
		return func(int) bool { return false }
	}
	every := c.size(key, 4)
	return func(layer int) bool { return (layer+1)%every != 0 }
}
