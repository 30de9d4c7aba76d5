package arch

// qwen3Next is Qwen 3 Next (modeling_qwen3_next.py): qwen3_5_text with a mixture of experts and a
// shared one in the place of the MLP, but for the layers that mlp_only_layers lists and those that
// decoder_sparse_step leaves out, and with the matrices before the delta net in two.
func qwen3Next(c *config, exists func(string) bool) *Model {
	d := newDecoder(c, exists, defaults{V: 151_936, D: 2048, F: 5632, L: 48, N: 16, G: 2, K: 256, Context: 32_768, Eps: 1e-6})
	m := d.readQwenMixture(c, 512, 512, 10)
	m.shares = c.bool("norm_topk_prob", true)
	h := d.readHybrid(c)
	h.byHead = true
	return d.hybridMixture(c, exists, h, m)
}

// qwen35MoEText is Qwen 3.5's and 3.6's mixtures of experts (modeling_qwen3_5_moe.py):
// qwen3_5_text with a mixture and a shared expert in every layer.
func qwen35MoEText(c *config, exists func(string) bool) *Model {
	d := newDecoder(c, exists, defaults{V: 248_320, D: 2048, F: 512, L: 40, N: 16, G: 2, K: 256, Context: 32_768, Eps: 1e-6})
	m := d.readQwenMixture(c, 512, 256, 8)
	only(c, "norm_topk_prob", true)
	m.shares = true
	only(c, "decoder_sparse_step", 1) // which the class does not know
	if len(m.dense) > 0 {
		c.refuse("mlp_only_layers")
	}
	return d.hybridMixture(c, exists, d.readHybrid(c), m)
}

// qwen35MoE is a multimodal one, of which texts need the text part.
func qwen35MoE(c *config, exists func(string) bool) *Model {
	return c.qwen35(exists, "qwen3_5_moe_text", qwen35MoEText)
}

func (d *decoder) hybridMixture(c *config, exists func(string) bool, h hybrid, m qwenMixture) *Model {
	m.shared = c.size("shared_expert_intermediate_size", 512)
	d.Embed = d.embedding(1)
	for i := range d.L {
		b := d.block(i)
		if m.isDense(i) {
			d.Blocks = append(d.Blocks, hybridLayer(d, b, h, i, d.mlp(b, "silu", false)))
		} else {
			d.Blocks = append(d.Blocks, hybridLayer(d, b, h, i, m.experts(d, b, exists)))
		}
	}
	d.Head = d.gemmaHead()
	return d.Model
}
