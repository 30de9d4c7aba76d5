package arch

import "encoding/json"

// hunyuanMoE is Hunyuan-A13B (modeling_hunyuan_v1_moe.py): hunyuan_v1_dense with a mixture of experts
// in the place of each MLP, and one as wide as an expert that all tokens pass.
func hunyuanMoE(c *config, exists func(string) bool) *Model {
	d := newDecoder(c, exists, defaults{Eps: 1e-5})
	d.hunyuanRope(c)
	bias := c.bool("attention_bias", false)
	only(c, "hidden_act", "silu")
	size := Experts{E: c.same("num_experts", d.L, 1), K: c.same("moe_topk", d.L, 1)}
	c.limit("num_experts", "moe_topk", d.L, &size)
	only(c, "num_local_experts", size.E) // the names that transformers gives the two in memory
	only(c, "num_experts_per_tok", size.K)
	// What its own code reads, where it differs from what transformers computes.
	for key, want := range map[string]int{"moe_intermediate_size": d.F, "num_shared_expert": 1, "moe_layer_num_skipped": 0} {
		if c.has(key) && c.same(key, d.L, want) != want {
			c.refuse(key)
		}
	}
	only(c, "use_mixed_mlp_moe", true)
	only(c, "norm_topk_prob", true)
	only(c, "moe_drop_tokens", false)
	c.ignore("moe_random_routing_dropped_token", "capacity_factor", "group_limited_greedy", "n_group", "topk_group", "routed_scaling_factor",
		"output_router_logits")
	d.hunyuanKeys(c)
	names := ofQwen
	names.router = "mlp.gate.wg"
	inner := inMemory
	inner.router = names.router

	d.Embed = d.embedding(1)
	for i := range d.L {
		b := d.block(i)
		attentionNorm := b.rmsNorm("input_layernorm", d.D, d.eps)
		attention := d.hunyuanAttention(b, bias)
		mlpNorm := b.rmsNorm("post_attention_layernorm", d.D, d.eps)
		mlp := b.experts(exists, size, d.D, d.F, true, names, inner)
		mlp.shared.mlp = b.gatedMLP("mlp.shared_mlp.", d.D, d.F, "silu", false)
		d.Blocks = append(d.Blocks, newLayer(b, 0, normedBlock[selfAttention, experts]{attentionNorm, attention, mlpNorm, mlp}))
	}
	d.Head = d.rmsHead()
	return d.Model
}

// same is an integer that may be a list of one for each layer, which have to be the same.
func (c *config) same(key string, layers, def int) int {
	v, ok := c.raw(key)
	var list []int
	if !ok || json.Unmarshal(v, &list) != nil {
		return c.int(key, def)
	}
	if len(list) < layers {
		c.fail("%s has %d entries, wanted %d", key, len(list), layers)
		return def
	}
	for _, n := range list {
		if n != list[0] {
			c.refuse(key)
		}
	}
	return list[0]
}
