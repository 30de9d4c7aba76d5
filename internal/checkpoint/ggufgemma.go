package checkpoint

import (
	"fmt"
	"maps"
	"math"
	"slices"
)

// gemma is what Gemma's models have in common.
func (m *ggufConfig) gemma(modelType string) {
	m.keys["model_type"], m.names.minus = modelType, true
	m.keys["hidden_activation"] = "gelu_pytorch_tanh"
	if modelType == "gemma" {
		m.keys["hidden_act"] = "gelu_pytorch_tanh"
		return
	}
	m.headNorms()
	m.names.modules(map[string]string{"post_attention_norm": "post_attention_layernorm", "ffn_norm": "pre_feedforward_layernorm", "post_ffw_norm": "post_feedforward_layernorm"})
}

func (m *ggufConfig) gemma2() {
	m.gemma("gemma2")
	m.keys["sliding_window"] = m.size("attention.sliding_window")
	m.keys["attn_logit_softcapping"], m.keys["final_logit_softcapping"] = nil, nil
	for _, key := range []string{"attn_logit_softcapping", "final_logit_softcapping"} {
		m.take(key, key)
	}
	// The file does not say it; llama.cpp knows the 27B model by its 46 layers.
	m.keys["query_pre_attn_scalar"] = m.width
	if m.layers == 46 {
		m.keys["query_pre_attn_scalar"] = m.keys["hidden_size"].(int) / m.heads
	}
}

func (m *ggufConfig) gemma3() {
	m.gemma("gemma3_text")
	m.keys["sliding_window"], m.keys["sliding_window_pattern"] = m.size("attention.sliding_window"), 6
	m.same("attention.sliding_window_pattern", 6)
	m.keys["rope_local_base_freq"] = 10_000.0
	m.take("rope.freq_base_swa", "rope_local_base_freq")
	if _, ok := m.number("rope.freq_base"); !ok {
		m.keys["rope_theta"] = 1_000_000.0
	}
	m.keys["query_pre_attn_scalar"] = m.width
	if m.layers == 62 { // as of gemma2, of the 27B model
		m.keys["query_pre_attn_scalar"] = m.keys["hidden_size"].(int) / m.heads
	}
}

// perLayer is what Gemma 3n and 4 have in common: layers with a window and without, each with a rope of its own, the last
// of which use the keys of others, and embeddings for each layer.
func (m *ggufConfig) perLayer(modelType string) {
	m.gemma(modelType)
	m.names.minus = false
	m.unscaled()
	m.sliding(5)
	m.keys["num_kv_shared_layers"] = 0
	m.take("attention.shared_kv_layers", "num_kv_shared_layers")
	m.keys["final_logit_softcapping"] = nil
	m.take("final_logit_softcapping", "final_logit_softcapping")
	m.keys["hidden_size_per_layer_input"] = 0
	m.take("embedding_length_per_layer_input", "hidden_size_per_layer_input")
	if t, ok := m.w.stored["per_layer_token_embd.weight"]; ok {
		m.keys["vocab_size_per_layer_input"] = t.Shape[0]
	}
	window := map[string]any{"rope_type": "default", "rope_theta": 10_000.0}
	if x, ok := m.number("rope.freq_base_swa"); ok {
		window["rope_theta"] = x
	}
	full := map[string]any{"rope_type": "default", "rope_theta": m.keys["rope_theta"]}
	delete(m.keys, "rope_theta")
	m.keys["rope_parameters"] = map[string]any{"full_attention": full, "sliding_attention": window}
	maps.Copy(m.names.whole, map[string]string{
		"per_layer_token_embd.weight": "model.embed_tokens_per_layer.weight", "per_layer_model_proj.weight": "model.per_layer_model_projection.weight",
		"per_layer_proj_norm.weight": "model.per_layer_projection_norm.weight",
	})
	m.names.modules(map[string]string{"inp_gate": "per_layer_input_gate", "proj": "per_layer_projection", "post_norm": "post_per_layer_input_norm"})
}

func (m *ggufConfig) gemma3n() {
	if _, ok := m.number("rope.freq_base"); !ok {
		m.keys["rope_theta"] = 1_000_000.0
	}
	m.perLayer("gemma3n_text")
	if widths, ok := m.list("feed_forward_length"); ok {
		m.keys["intermediate_size"] = widths
	}
	m.keys["altup_num_inputs"], m.keys["altup_active_idx"] = m.size("altup.num_inputs"), 0
	m.same("altup.active_idx", 0)
	if t, ok := m.w.stored["blk.0.laurel_l.weight"]; ok {
		m.keys["laurel_rank"] = t.Shape[0]
	}
	deviations, ok := m.list("activation_sparsity_scale")
	if !ok || len(deviations) != m.layers {
		m.wrong = append(m.wrong, fmt.Sprintf("activation_sparsity_scale is %s, wanted a number for each of %d layers", briefly(m.metadata["gemma3n.activation_sparsity_scale"]), m.layers))
	}
	shares := make([]float64, len(deviations))
	for i, x := range deviations { // of the normal distribution, below which the share lies
		share := (1 + math.Erf(x/math.Sqrt2)) / 2
		if shares[i] = math.Round(share*1e4) / 1e4; !(math.Abs(share-shares[i]) <= 1e-6) {
			m.wrong = append(m.wrong, fmt.Sprintf("activation_sparsity_scale has %g, wanted that of a share of four digits", x))
		}
	}
	m.keys["activation_sparsity_pattern"] = shares
	maps.Copy(m.names.whole, map[string]string{"altup_proj.weight": "model.altup_projections.%d.weight", "altup_unembd_proj.weight": "model.altup_unembed_projections.%d.weight"})
	m.names.modules(map[string]string{
		"altup_correct_scale.weight": "altup.correct_output_scale", "altup_correct_coef": "altup.correction_coefs", "altup_predict_coef": "altup.prediction_coefs",
		"altup_router": "altup.modality_router", "altup_router_norm": "altup.router_norm",
		"laurel_l": "laurel.linear_left", "laurel_r": "laurel.linear_right", "laurel_post_norm": "laurel.post_laurel_norm",
	})
}

// gemma4 has wider heads in layers without a window, often with values that are the keys, and in some files a mixture of experts.
func (m *ggufConfig) gemma4() {
	m.perLayer("gemma4_text")
	m.names.modules(map[string]string{"layer_output_scale.weight": "layer_scalar"})
	m.keys["global_head_dim"], m.keys["head_dim"] = m.width, m.size("attention.key_length_swa")
	m.same("attention.value_length_swa", m.keys["head_dim"].(int))
	m.same("rope.dimension_count_swa", m.keys["head_dim"].(int))
	types, _ := m.keys["layer_types"].([]string)
	if heads, ok := m.list("attention.head_count_kv"); ok && len(heads) == len(types) {
		for i, n := range heads {
			key := map[string]string{"sliding_attention": "num_key_value_heads", "full_attention": "num_global_key_value_heads"}[types[i]]
			if first := heads[slices.Index(types, types[i])]; first != n {
				m.wrong = append(m.wrong, fmt.Sprintf("attention.head_count_kv has %g and %g of layers of one type", first, n))
			}
			m.keys[key] = n
		}
	} else if ok {
		m.wrong = append(m.wrong, fmt.Sprintf("attention.head_count_kv has %d entries, wanted %d", len(heads), m.layers))
	}
	for i, kind := range types { // whose layers' keys are others' have none at all
		_, keys := m.w.stored[fmt.Sprintf("blk.%d.attn_k.weight", i)]
		if _, values := m.w.stored[fmt.Sprintf("blk.%d.attn_v.weight", i)]; kind == "full_attention" && keys && !values {
			m.keys["attention_k_eq_v"] = true
		}
	}
	if widths, ok := m.list("feed_forward_length"); ok && len(widths) == m.layers {
		m.keys["intermediate_size"], m.keys["use_double_wide_mlp"] = widths[0], widths[m.layers-1] == 2*widths[0]
		// Of each layer the tensors say the same.
	}
	full := m.keys["rope_parameters"].(map[string]any)["full_attention"].(map[string]any)
	full["rope_type"] = "proportional"
	turned, ok := m.factors("rope_freqs.weight")
	full["partial_rotary_factor"] = float64(turnedPairs(turned)) / float64(max(len(turned), 1))
	if !ok || len(turned) != m.width/2 || turnedPairs(turned) == 0 {
		m.wrong = append(m.wrong, `tensor "rope_freqs.weight", wanted 1 of each pair that turns, then 1e30 of the others`)
	}
	if n, ok := m.number("expert_count"); ok && n > 0 {
		m.keys["enable_moe_block"], m.keys["num_experts"], m.keys["top_k_experts"] = true, n, m.size("expert_used_count")
		m.keys["moe_intermediate_size"] = m.size("expert_feed_forward_length")
		m.names.modules(map[string]string{
			"ffn_gate_inp.weight": "router.proj.weight", "ffn_gate_inp.scale": "router.scale", "ffn_down_exps.scale": "router.per_expert_scale",
			"ffn_gate_up_exps.weight": "experts.gate_up_proj", "ffn_down_exps.weight": "experts.down_proj",
			"post_ffw_norm_1": "post_feedforward_layernorm_1", "post_ffw_norm_2": "post_feedforward_layernorm_2", "pre_ffw_norm_2": "pre_feedforward_layernorm_2",
		})
	}
}

// turnedPairs are the first of a rope's divisors, which are 1, where all others are infinite; else 0.
func turnedPairs(divisors []float32) int {
	n := 0
	for n < len(divisors) && divisors[n] == 1 {
		n++
	}
	for _, x := range divisors[n:] {
		if x < 1e29 {
			return 0
		}
	}
	return n
}
