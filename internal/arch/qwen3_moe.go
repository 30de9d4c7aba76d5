package arch

import "slices"

// qwen3MoE is Qwen 3's mixtures of experts (modeling_qwen3_moe.py): qwen3 with a mixture in the
// place of the MLP, but for the layers that mlp_only_layers lists and those that
// decoder_sparse_step leaves out. A window, where use_sliding_window says so, is of all layers.
func qwen3MoE(c *config, exists func(string) bool) *Model {
	d := newDecoder(c, exists, defaults{F: 6144, G: 4, Eps: 1e-6})
	d.readRope(c, "", 1)
	bias := c.bool("attention_bias", false)
	window := 0
	if c.bool("use_sliding_window", false) {
		window = c.window(4096)
	}
	c.ignore("sliding_window", "max_window_layers") // the second of qwen2, from which it was made
	m := d.readQwenMixture(c, 768, 128, 8)

	d.Embed = d.embedding(1)
	for i := range d.L {
		b := d.block(i)
		attention := d.attention(b, bias, bias, d.scaled(window))
		attention.qNorm = b.rmsNorm("self_attn.q_norm", d.K, d.eps)
		attention.kNorm = b.rmsNorm("self_attn.k_norm", d.K, d.eps)
		d.Blocks = append(d.Blocks, m.block(d, b, exists, i, attention))
	}
	d.Head = d.rmsHead()
	return d.Model
}

// qwenMixture is what Qwen's mixtures read of a config.
type qwenMixture struct {
	Experts
	f, shared int // widths of an expert, and of the shared one, 0 for none
	shares    bool
	dense     []int // layers with an MLP
	step      int   // of the others, every so many have a mixture
}

func (d *decoder) readQwenMixture(c *config, f, e, k int) qwenMixture {
	m := qwenMixture{
		Experts: c.experts(d.L, e, k),
		f:       c.size("moe_intermediate_size", f),
		shares:  c.bool("norm_topk_prob", false),
		dense:   get[[]int](c, "mlp_only_layers", nil, "a list of integers"),
		step:    c.size("decoder_sparse_step", 1),
	}
	d.Ignored = rotaryBuffer
	return m
}

// isDense tells whether layer i has an MLP.
func (m qwenMixture) isDense(i int) bool { return slices.Contains(m.dense, i) || (i+1)%m.step != 0 }

// block declares what follows attention in layer i.
func (m qwenMixture) block(d *decoder, b *builder, exists func(string) bool, i int, attention selfAttention) *Layer {
	attentionNorm := b.rmsNorm("input_layernorm", d.D, d.eps)
	mlpNorm := b.rmsNorm("post_attention_layernorm", d.D, d.eps)
	if m.isDense(i) {
		return newLayer(b, 0, llamaBlock{attentionNorm: attentionNorm, attention: attention, mlpNorm: mlpNorm, mlp: d.mlp(b, "silu", false)})
	}
	return newLayer(b, 0, mixtureBlock{attentionNorm: attentionNorm, attention: attention, mlpNorm: mlpNorm, mlp: m.experts(d, b, exists)})
}

// experts declares a mixture, with the expert that is shared.
func (m qwenMixture) experts(d *decoder, b *builder, exists func(string) bool) experts {
	mlp := b.experts(exists, m.Experts, d.D, m.f, m.shares, ofQwen, inMemory)
	if m.shared > 0 {
		mlp.shared = sharedExpert{
			mlp:  b.gatedMLP("mlp.shared_expert.", d.D, m.shared, "silu", false),
			gate: b.linear("mlp.shared_expert_gate", d.D, 1, false),
		}
	}
	return mlp
}
