package arch

// qwen2MoE is Qwen 1.5's and 2's mixtures of experts (modeling_qwen2_moe.py): qwen2 with a
// mixture in the place of the MLP, and an expert beside it that all tokens pass. Where
// use_sliding_window says so, every second of the layers before max_window_layers has a window.
func qwen2MoE(c *config, exists func(string) bool) *Model {
	d := newDecoder(c, exists, defaults{F: 5632, G: 16, Eps: 1e-6})
	d.readRope(c, "", 1)
	bias := c.bool("qkv_bias", true)
	window, before := 0, c.int("max_window_layers", 28)
	if c.bool("use_sliding_window", false) {
		window = c.window(4096)
	}
	c.ignore("sliding_window")
	m := d.readQwenMixture(c, 1408, 60, 4)
	m.shared = c.size("shared_expert_intermediate_size", 5632)

	d.Embed = d.embedding(1)
	for i, w := range windows(c, d.L, window, func(i int) bool { return window > 0 && i%2 == 0 && i < before }) {
		b := d.block(i)
		d.Blocks = append(d.Blocks, m.block(d, b, exists, i, d.attention(b, bias, false, d.scaled(w))))
	}
	d.Head = d.rmsHead()
	return d.Model
}
