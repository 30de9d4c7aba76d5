package checkpoint

import "maps"

// ggufFamilies are the architectures that are read, and what each does beside what all have.
var ggufFamilies = map[string]func(m *ggufConfig, layers, heads, kv, width int){
	"llama": func(m *ggufConfig, _, heads, kv, _ int) {
		m.keys["model_type"], m.keys["hidden_act"] = "llama", "silu"
		_, bias := m.w.stored["blk.0.attn_q.bias"]
		m.keys["attention_bias"] = bias
		m.heads = map[string]int{"attn_q": heads, "attn_k": kv}
	},
	"qwen2": func(m *ggufConfig, _, heads, _, width int) {
		m.keys["model_type"], m.keys["hidden_act"] = "qwen2", "silu"
		delete(m.keys, "head_dim")
		if hidden := m.keys["hidden_size"].(int); hidden != heads*width {
			m.wrong = append(m.wrong, "attention.key_length")
		}
	},
	"qwen3": func(m *ggufConfig, _, _, _, _ int) {
		m.keys["model_type"], m.keys["hidden_act"], m.keys["attention_bias"] = "qwen3", "silu", false
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
	"phi3": func(m *ggufConfig, _, heads, _, width int) { m.phi3(heads, width) },
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
	delete(m.keys, "head_dim")
	if hidden := m.keys["hidden_size"].(int); hidden != heads*width {
		m.wrong = append(m.wrong, "attention.key_length")
	}
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

// ggufModules are the modules of a block in transformers, by their names in the file.
func ggufModules(arch string) map[string]string {
	all := map[string]string{
		"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
		"attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
		"ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
	}
	switch arch {
	case "qwen3":
		maps.Copy(all, map[string]string{"attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm"})
	case "gemma2", "gemma3":
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
