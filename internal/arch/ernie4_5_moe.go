package arch

import "strings"

// ernie45MoE is ERNIE 4.5's mixtures (modeling_ernie4_5_moe.py): ernie4_5 with a mixture of experts
// from layer moe_layer_start_index to moe_layer_end_index, in every moe_layer_interval-th. Experts are
// chosen by their probabilities and a correction; what of each is taken is its share among those.
func ernie45MoE(c *config, exists func(string) bool) *Model {
	d := newDecoder(c, exists, defaults{F: 12_288, G: 4, Eps: 1e-5, Tied: true})
	d.setRope(c, readRopeConfig(c, 500_000, "", 1))
	bias := c.bool("use_bias", false)
	size := Experts{E: c.size("moe_num_experts", 64), K: c.size("moe_k", 6)}
	c.limit("moe_num_experts", "moe_k", d.L, &size)
	only(c, "num_experts", size.E) // the names that transformers gives the two in memory
	only(c, "num_experts_per_tok", size.K)
	only(c, "moe_norm_min", 1e-12)
	f, shared := c.size("moe_intermediate_size", 1536), c.int("moe_num_shared_experts", 2)
	first, last, step := c.int("moe_layer_start_index", 1), c.int("moe_layer_end_index", -1), c.size("moe_layer_interval", 1)
	if last == -1 {
		last = d.L - 1
	}
	if shared < 0 || shared*f > 1<<24 {
		c.fail("moe_num_shared_experts is %d, wanted 0 or more", shared)
		shared = 0
	}
	const act = "silu"
	only(c, "hidden_act", act)
	d.biased = bias
	c.ernieKeys()
	c.ignore("num_nextn_predict_layers")
	d.Ignored = func(name string) bool { return strings.Contains(name, "mtp") || rotaryBuffer(name) } // layers that predict further tokens

	d.Embed = d.embedding(1)
	for i := range d.L {
		b := d.block(i)
		attentionNorm := b.rmsNorm("input_layernorm", d.D, d.eps)
		attention := d.attention(b, bias, bias, d.scaled(0))
		attention.neighbours = true
		mlpNorm := b.rmsNorm("post_attention_layernorm", d.D, d.eps)
		if (i+1)%step != 0 || i < first || i > last {
			d.Blocks = append(d.Blocks, newLayer(b, 0, llamaBlock{attentionNorm, attention, mlpNorm, d.mlp(b, act, bias)}))
			continue
		}
		mlp := b.experts(exists, size, d.D, f, true, ofQwen, inMemory)
		correction := "mlp.moe_statics.e_score_correction_bias"
		if inner := "mlp.gate.moe_statics.e_score_correction_bias"; exists(b.prefix + inner) {
			correction = inner // in memory
		}
		mlp.correction = b.param(Tensor{Name: correction, Shape: []int{1, size.E}, Buffer: true})
		if shared > 0 {
			mlp.shared.mlp = b.gatedMLP("mlp.shared_experts.", d.D, shared*f, act, bias)
		}
		d.Blocks = append(d.Blocks, newLayer(b, 0, normedBlock[selfAttention, experts]{attentionNorm, attention, mlpNorm, mlp}))
	}
	d.Head = d.rmsHead()
	return d.Model
}

// ernieKeys are those of the family's own code, which transformers does not read.
func (c *config) ernieKeys() {
	only(c, "moe_gate", "topk")
	only(c, "moe_use_aux_free", true)
	c.ignore("moe_capacity", "output_router_logits", "router_aux_loss_coef")
}
