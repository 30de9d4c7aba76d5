package checkpoint

import "maps"

// ggufFamilies are the architectures that are read, and what each does beside what all have.
var ggufFamilies = func() map[string]func(m *ggufConfig) {
	all := map[string]func(m *ggufConfig){}
	for _, some := range []map[string]func(m *ggufConfig){firstFamilies, denseFamilies, oldFamilies} {
		maps.Copy(all, some)
	}
	return all
}()

// firstFamilies are those of Llama, Qwen, Gemma and Phi, and GPT-OSS.
var firstFamilies = map[string]func(m *ggufConfig){
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
	"gpt-oss":       (*ggufConfig).gptOSS,
	"olmoe":         (*ggufConfig).olmoe,
	"granitemoe":    (*ggufConfig).graniteMoE,
	"granitehybrid": (*ggufConfig).graniteHybrid,
	"gemma":         func(m *ggufConfig) { m.gemma("gemma") },
	"gemma2":        (*ggufConfig).gemma2,
	"gemma3":        (*ggufConfig).gemma3,
	"gemma3n":       (*ggufConfig).gemma3n,
	"gemma4":        (*ggufConfig).gemma4,
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
	"apertus": "Apertus", "arcee": "Arcee", "bloom": "Bloom", "cohere": "Cohere", "cohere2": "Cohere2", "ernie4_5": "Ernie4_5", "exaone4": "Exaone4",
	"falcon": "Falcon", "gemma": "Gemma", "gemma2": "Gemma2", "gemma3_text": "Gemma3", "glm4": "Glm4", "gpt_neox": "GPTNeoX", "gpt_oss": "GptOss",
	"gptj": "GPTJ", "granite": "Granite", "granitemoe": "GraniteMoe", "granitemoehybrid": "GraniteMoeHybrid", "hunyuan_v1_dense": "HunYuanDenseV1",
	"llama": "Llama", "ministral3": "Ministral3", "mistral": "Mistral", "mixtral": "Mixtral", "mpt": "Mpt", "nemotron": "Nemotron", "olmo": "Olmo",
	"olmo2": "Olmo2", "olmo3": "Olmo3", "olmoe": "Olmoe", "phi": "Phi", "phi3": "Phi3", "phimoe": "Phimoe", "qwen2": "Qwen2", "qwen2_moe": "Qwen2Moe",
	"qwen3": "Qwen3", "qwen3_moe": "Qwen3Moe", "qwen3_5_text": "Qwen3_5", "qwen3_5_moe_text": "Qwen3_5Moe", "seed_oss": "SeedOss", "smollm3": "SmolLM3",
	"stablelm": "StableLm", "starcoder2": "Starcoder2",
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
