package checkpoint

import (
	"fmt"
	"maps"
)

// ggufFamilies are the architectures that are read, and what each does beside what all have.
var ggufFamilies = map[string]func(m *ggufConfig, layers, heads, kv, width int){
	"llama": func(m *ggufConfig, layers, heads, kv, _ int) {
		m.keys["model_type"], m.keys["hidden_act"] = "llama", "silu"
		if n, ok := m.number("expert_count"); ok && n > 0 {
			m.mixtral(layers)
		}
		if _, bias := m.w.stored["blk.0.attn_q.bias"]; bias {
			m.keys["attention_bias"] = true
		}
		m.heads = map[string]int{"attn_q": heads, "attn_k": kv}
	},
	"qwen2": func(m *ggufConfig, _, heads, _, width int) {
		m.keys["model_type"], m.keys["hidden_act"] = "qwen2", "silu"
		m.plainHeads(heads, width)
	},
	"qwen3": func(m *ggufConfig, _, _, _, _ int) {
		m.keys["model_type"], m.keys["hidden_act"], m.keys["attention_bias"] = "qwen3", "silu", false
	},
	// The files do not say whether the shares of the experts that are chosen add up to 1; llama.cpp knows it
	// by the family, of which all published models agree.
	"qwen2moe": func(m *ggufConfig, layers, heads, _, width int) {
		m.keys["model_type"], m.keys["hidden_act"] = "qwen2_moe", "silu"
		m.plainHeads(heads, width)
		m.qwenExperts(layers, false)
		m.keys["shared_expert_intermediate_size"] = m.size("expert_shared_feed_forward_length")
	},
	"qwen3moe": func(m *ggufConfig, layers, _, _, _ int) {
		m.keys["model_type"], m.keys["hidden_act"], m.keys["attention_bias"] = "qwen3_moe", "silu", false
		m.qwenExperts(layers, true)
	},
	"qwen35": func(m *ggufConfig, layers, _, _, width int) { m.qwen35("qwen3_5_text", layers, width) },
	"qwen35moe": func(m *ggufConfig, layers, _, _, width int) {
		m.qwen35("qwen3_5_moe_text", layers, width)
		if dense := m.experts("num_experts", m.keys["num_hidden_layers"].(int)); len(dense) > 0 {
			m.wrong = append(m.wrong, fmt.Sprintf("no tensor blk.%d.ffn_gate_exps.weight", dense[0]))
		}
		m.keys["moe_intermediate_size"], m.keys["shared_expert_intermediate_size"] = m.size("expert_feed_forward_length"), m.size("expert_shared_feed_forward_length")
	},
	"gemma": func(m *ggufConfig, _, _, _, _ int) { m.gemma("gemma") },
	"gemma2": func(m *ggufConfig, layers, heads, _, width int) {
		m.gemma("gemma2")
		m.keys["sliding_window"] = m.size("attention.sliding_window")
		m.keys["attn_logit_softcapping"], m.keys["final_logit_softcapping"] = nil, nil
		if x, ok := m.number("attn_logit_softcapping"); ok {
			m.keys["attn_logit_softcapping"] = x
		}
		if x, ok := m.number("final_logit_softcapping"); ok {
			m.keys["final_logit_softcapping"] = x
		}
		// The file does not say it; llama.cpp knows the 27B model by its 46 layers.
		m.keys["query_pre_attn_scalar"] = width
		if layers == 46 {
			m.keys["query_pre_attn_scalar"] = m.keys["hidden_size"].(int) / heads
		}
	},
	"gemma3": func(m *ggufConfig, layers, heads, _, width int) {
		m.gemma("gemma3_text")
		m.keys["sliding_window"], m.keys["sliding_window_pattern"] = m.size("attention.sliding_window"), 6
		m.same("attention.sliding_window_pattern", 6)
		m.keys["rope_local_base_freq"] = 10_000.0
		if x, ok := m.number("rope.freq_base_swa"); ok {
			m.keys["rope_local_base_freq"] = x
		}
		if _, ok := m.number("rope.freq_base"); !ok {
			m.keys["rope_theta"] = 1_000_000.0
		}
		m.keys["query_pre_attn_scalar"] = width
		if layers == 62 { // as of gemma2, of the 27B model
			m.keys["query_pre_attn_scalar"] = m.keys["hidden_size"].(int) / heads
		}
	},
	"phi2": func(m *ggufConfig, _, heads, _, width int) {
		m.keys["model_type"], m.keys["hidden_act"] = "phi", "gelu_new"
		m.plainHeads(heads, width)
		delete(m.keys, "rms_norm_eps")
		m.keys["layer_norm_eps"], _ = m.number("attention.layer_norm_epsilon")
		m.keys["partial_rotary_factor"] = float64(m.size("rope.dimension_count")) / float64(width)
	},
	"phi3": func(m *ggufConfig, _, heads, _, width int) { m.phi3(heads, width) },
}

// plainHeads is of families whose heads are as wide together as the hidden state.
func (m *ggufConfig) plainHeads(heads, width int) {
	delete(m.keys, "head_dim")
	if hidden := m.keys["hidden_size"].(int); hidden != heads*width {
		m.wrong = append(m.wrong, "attention.key_length")
	}
}

// experts reads the numbers of experts, and returns the layers without any.
func (m *ggufConfig) experts(count string, layers int) (dense []int) {
	m.mixture = m.size("expert_count")
	m.keys[count], m.keys["num_experts_per_tok"] = m.mixture, m.size("expert_used_count")
	dense = []int{}
	for i := range min(layers, len(m.w.stored)) { // of which each layer has some
		if _, ok := m.w.stored[fmt.Sprintf("blk.%d.ffn_gate_exps.weight", i)]; !ok {
			dense = append(dense, i)
		}
	}
	return dense
}

// qwenExperts is what Qwen's mixtures have in common.
func (m *ggufConfig) qwenExperts(layers int, shares bool) {
	m.keys["mlp_only_layers"] = m.experts("num_experts", layers)
	m.keys["moe_intermediate_size"], m.keys["norm_topk_prob"] = m.size("expert_feed_forward_length"), shares
}

// mixtral is a llama whose layers are mixtures, all of them.
func (m *ggufConfig) mixtral(layers int) {
	m.keys["model_type"], m.keys["sliding_window"] = "mixtral", nil
	if dense := m.experts("num_local_experts", layers); len(dense) > 0 {
		m.wrong = append(m.wrong, fmt.Sprintf("no tensor blk.%d.ffn_gate_exps.weight, the gates of all experts: files of before April 2024 have one for each", dense[0]))
	}
}

// gemma is what Gemma's models have in common.
func (m *ggufConfig) gemma(modelType string) {
	m.keys["model_type"], m.minus = modelType, true
	m.keys["hidden_activation"] = "gelu_pytorch_tanh"
	if modelType == "gemma" {
		m.keys["hidden_act"] = "gelu_pytorch_tanh"
	}
}

// phi3 has a part of each head rotated, and two lists of factors.
func (m *ggufConfig) phi3(heads, width int) {
	m.keys["model_type"], m.keys["hidden_act"] = "phi3", "silu"
	m.plainHeads(heads, width)
	if x, ok := m.number("rope.dimension_count"); ok && int(x) != width {
		m.keys["partial_rotary_factor"] = x / float64(width)
	}
	m.keys["sliding_window"] = nil
	if x, ok := m.number("attention.sliding_window"); ok && x > 0 {
		m.keys["sliding_window"] = x
	}
	original, _ := m.number("rope.scaling.original_context_length")
	attention, scaled := m.number("rope.scaling.attn_factor")
	long, ok := m.factors("rope_factors_long.weight")
	short, also := m.factors("rope_factors_short.weight")
	if ok && also {
		scaling := map[string]any{"type": "longrope", "long_factor": long, "short_factor": short}
		if scaled {
			scaling["attention_factor"] = attention
		}
		m.keys["rope_scaling"], m.keys["original_max_position_embeddings"] = scaling, original
	}
}

// ggufModules are the modules of a block in transformers, by their names in the file; %d is the number of
// one of the experts, all of which one tensor has.
func ggufModules(modelType string) map[string]string {
	all := map[string]string{
		"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
		"attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
		"ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
	}
	switch modelType {
	case "phi":
		maps.Copy(all, map[string]string{"attn_output": "self_attn.dense", "ffn_up": "mlp.fc1", "ffn_down": "mlp.fc2"})
	case "mixtral":
		const of = "block_sparse_moe."
		maps.Copy(all, map[string]string{"ffn_gate_inp": of + "gate", "ffn_gate_exps": of + "experts.%d.w1", "ffn_up_exps": of + "experts.%d.w3", "ffn_down_exps": of + "experts.%d.w2"})
	case "qwen2_moe", "qwen3_moe", "qwen3_5_moe_text":
		maps.Copy(all, map[string]string{
			"ffn_gate_inp": "mlp.gate", "ffn_gate_exps": "mlp.experts.%d.gate_proj", "ffn_up_exps": "mlp.experts.%d.up_proj", "ffn_down_exps": "mlp.experts.%d.down_proj",
			"ffn_gate_inp_shexp": "mlp.shared_expert_gate", "ffn_gate_shexp": "mlp.shared_expert.gate_proj", "ffn_up_shexp": "mlp.shared_expert.up_proj",
			"ffn_down_shexp": "mlp.shared_expert.down_proj",
		})
	}
	switch modelType {
	case "qwen3_5_text", "qwen3_5_moe_text":
		delete(all, "ffn_norm")
		maps.Copy(all, map[string]string{
			"post_attention_norm": "post_attention_layernorm", "attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm",
			"attn_qkv": "linear_attn.in_proj_qkv", "attn_gate": "linear_attn.in_proj_z", "ssm_alpha": "linear_attn.in_proj_a", "ssm_beta": "linear_attn.in_proj_b",
			"ssm_conv1d": "linear_attn.conv1d", "ssm_norm": "linear_attn.norm", "ssm_out": "linear_attn.out_proj", "ssm_a": "linear_attn.A_log", "ssm_dt.bias": "linear_attn.dt_bias",
		})
	case "qwen3", "qwen3_moe":
		maps.Copy(all, map[string]string{"attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm"})
	case "gemma2", "gemma3_text":
		maps.Copy(all, map[string]string{
			"post_attention_norm": "post_attention_layernorm", "ffn_norm": "pre_feedforward_layernorm", "post_ffw_norm": "post_feedforward_layernorm",
			"attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm",
		})
	case "phi3":
		for _, name := range []string{"attn_q", "attn_k", "attn_v", "ffn_gate"} {
			delete(all, name)
		}
		maps.Copy(all, map[string]string{"attn_qkv": "self_attn.qkv_proj", "ffn_up": "mlp.gate_up_proj"})
	}
	return all
}
