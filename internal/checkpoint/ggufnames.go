package checkpoint

// ggufFamilies are the architectures that are read, and what each does beside what all have.
var ggufFamilies = map[string]func(m *ggufConfig){
	"llama": func(m *ggufConfig) {
		m.family("llama")
		if n, ok := m.number("expert_count"); ok && n > 0 {
			m.mixtral()
		}
		m.biases("attn_q", "attention_bias")
		m.permuted()
	},
	"qwen2": func(m *ggufConfig) {
		m.family("qwen2")
		m.plainHeads()
	},
	"qwen3": func(m *ggufConfig) {
		m.family("qwen3")
		m.keys["attention_bias"] = false
		m.headNorms()
	},
	"qwen2moe": func(m *ggufConfig) {
		m.family("qwen2_moe")
		m.plainHeads()
		m.qwenExperts(false)
		m.keys["shared_expert_intermediate_size"] = m.size("expert_shared_feed_forward_length")
	},
	"qwen3moe": func(m *ggufConfig) {
		m.family("qwen3_moe")
		m.keys["attention_bias"] = false
		m.headNorms()
		m.qwenExperts(true)
	},
	"qwen35": func(m *ggufConfig) { m.qwen35("qwen3_5_text") },
	"qwen35moe": func(m *ggufConfig) {
		m.qwen35("qwen3_5_moe_text")
		m.noDense(m.experts("num_experts", m.keys["num_hidden_layers"].(int)))
		m.names.modules(ofQwen)
		m.keys["moe_intermediate_size"], m.keys["shared_expert_intermediate_size"] = m.size("expert_feed_forward_length"), m.size("expert_shared_feed_forward_length")
	},
	"gpt-oss": (*ggufConfig).gptOSS,
	"gemma":   func(m *ggufConfig) { m.gemma("gemma") },
	"gemma2":  (*ggufConfig).gemma2,
	"gemma3":  (*ggufConfig).gemma3,
	"phi2": func(m *ggufConfig) {
		m.family("phi")
		m.keys["hidden_act"] = "gelu_new"
		m.plainHeads()
		m.layerNorm("layer_norm_eps")
		m.partial()
		m.names.whole = map[string]string{
			"token_embd.weight": "model.embed_tokens.weight", "output.weight": "lm_head.weight", "output.bias": "lm_head.bias",
			"output_norm.weight": "model.final_layernorm.weight", "output_norm.bias": "model.final_layernorm.bias",
		}
		m.names.modules(map[string]string{"attn_output": "self_attn.dense", "ffn_up": "mlp.fc1", "ffn_down": "mlp.fc2"})
	},
	"phi3": (*ggufConfig).phi3,
}

// ggufClasses begin the names of transformers' classes, by model_type (modeling_auto.py).
var ggufClasses = map[string]string{
	"gemma": "Gemma", "gemma2": "Gemma2", "gemma3_text": "Gemma3", "gpt_oss": "GptOss", "llama": "Llama", "mixtral": "Mixtral", "phi": "Phi", "phi3": "Phi3",
	"qwen2": "Qwen2", "qwen2_moe": "Qwen2Moe", "qwen3": "Qwen3", "qwen3_moe": "Qwen3Moe", "qwen3_5_text": "Qwen3_5", "qwen3_5_moe_text": "Qwen3_5Moe",
}

// family is what most that are like llama have.
func (m *ggufConfig) family(modelType string) {
	m.keys["model_type"], m.keys["hidden_act"] = modelType, "silu"
}

// biases says under a key of the config whether a module of the first block has a bias.
func (m *ggufConfig) biases(part, key string) {
	if _, ok := m.w.stored["blk.0."+part+".bias"]; ok {
		m.keys[key] = true
	}
}

// permuted is of families whose q and k llama.cpp turns by neighbouring values.
func (m *ggufConfig) permuted() { m.names.heads = map[string]int{"attn_q": m.heads, "attn_k": m.kv} }

// plainHeads is of families whose heads are as wide together as the hidden state.
func (m *ggufConfig) plainHeads() {
	delete(m.keys, "head_dim")
	if hidden := m.keys["hidden_size"].(int); hidden != m.heads*m.width {
		m.wrong = append(m.wrong, "attention.key_length")
	}
}

// headNorms is of families with norms of q and k.
func (m *ggufConfig) headNorms() {
	m.names.modules(map[string]string{"attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm"})
}

// layerNorm is of families with a mean in their norms, the key of whose eps is that.
func (m *ggufConfig) layerNorm(key string) {
	delete(m.keys, "rms_norm_eps")
	m.keys[key], _ = m.number("attention.layer_norm_epsilon")
}

// partial is of families that turn a part of each head.
func (m *ggufConfig) partial() {
	m.keys["partial_rotary_factor"] = float64(m.size("rope.dimension_count")) / float64(m.width)
}

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
		if x, ok := m.number(key); ok {
			m.keys[key] = x
		}
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
	if x, ok := m.number("rope.freq_base_swa"); ok {
		m.keys["rope_local_base_freq"] = x
	}
	if _, ok := m.number("rope.freq_base"); !ok {
		m.keys["rope_theta"] = 1_000_000.0
	}
	m.keys["query_pre_attn_scalar"] = m.width
	if m.layers == 62 { // as of gemma2, of the 27B model
		m.keys["query_pre_attn_scalar"] = m.keys["hidden_size"].(int) / m.heads
	}
}

// phi3 has a part of each head rotated, and two lists of factors.
func (m *ggufConfig) phi3() {
	m.family("phi3")
	m.plainHeads()
	if x, ok := m.number("rope.dimension_count"); ok && int(x) != m.width {
		m.partial()
	}
	m.keys["sliding_window"] = nil
	if x, ok := m.number("attention.sliding_window"); ok && x > 0 {
		m.keys["sliding_window"] = x
	}
	m.longRope()
	m.names.modules(map[string]string{"attn_q": "", "attn_k": "", "attn_v": "", "ffn_gate": "", "attn_qkv": "self_attn.qkv_proj", "ffn_up": "mlp.gate_up_proj"})
}

// longRope reads the two lists of Phi 3's scaling.
func (m *ggufConfig) longRope() {
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
