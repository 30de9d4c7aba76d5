package arch

// glm4MoE is GLM-4.5 and its successors (modeling_glm4_moe.py): llama with rotary positions on half of
// each head and, where use_qk_norm says so, RMSNorm on each head of q and k; and DeepSeek-V3's
// mixtures of experts. Layers that predict further tokens are left aside.
func glm4MoE(c *config, exists func(string) bool) *Model {
	d := newDecoder(c, exists, defaults{F: 10_944, G: 8, Eps: 1e-5})
	d.readRope(c, "partial_rotary_factor", 0.5)
	bias, normed := c.bool("attention_bias", false), c.bool("use_qk_norm", false)
	mixture, dense := d.readDeepseekMixture(c, c.sigmoids(1, 1, 1), deepseekSizes{moe: 1408, shared: 1, experts: 128, k: 8, dense: 1})
	d.ignoreLater(c)

	d.Embed = d.embedding(1)
	for i := range d.L {
		b := d.block(i)
		attentionNorm := b.rmsNorm("input_layernorm", d.D, d.eps)
		attention := d.attention(b, bias, false, d.scaled(0))
		if normed {
			attention.qNorm = b.rmsNorm("self_attn.q_norm", d.K, d.eps)
			attention.kNorm = b.rmsNorm("self_attn.k_norm", d.K, d.eps)
		}
		mlpNorm := b.rmsNorm("post_attention_layernorm", d.D, d.eps)
		if i < dense {
			d.Blocks = append(d.Blocks, newLayer(b, 0, llamaBlock{attentionNorm, attention, mlpNorm, d.mlp(b, "silu", false)}))
			continue
		}
		mlp := mixture.experts(d, b, exists)
		d.Blocks = append(d.Blocks, newLayer(b, 0, normedBlock[selfAttention, experts]{attentionNorm, attention, mlpNorm, mlp}))
	}
	d.Head = d.rmsHead()
	return d.Model
}
