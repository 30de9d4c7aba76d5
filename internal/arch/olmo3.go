package arch

// olmo3 is OLMo 3 (modeling_olmo3.py): olmo2's block, windowed in three layers of four, with
// rotary positions of their own for both kinds of layers: what scales them is about the full
// ones alone.
func olmo3(c *config, exists func(string) bool) *Model {
	d := newDecoder(c, exists, defaults{})
	bias := c.bool("attention_bias", false)
	act := c.activation("hidden_act", "silu")
	d.Ropes, d.Context = ropesByType{full: 500_000, sliding: 500_000}.read(c, d.K, d.Context)
	if c.has("rope_theta") {
		only(c, "rope_theta", 500_000.0) // transformers 4 takes it for all layers, 5 for the full ones alone
	}
	window := c.size("sliding_window", 4096)

	d.Embed = d.embedding(1)
	for i, w := range windows(c, d.L, window, func(layer int) bool { return (layer+1)%4 != 0 }) {
		b := d.block(i)
		d.Blocks = append(d.Blocks, newLayer(b, ropeOfWindow(w), d.olmo2Block(b, bias, act, w)))
	}
	d.Head = d.rmsHead()
	return d.Model
}
