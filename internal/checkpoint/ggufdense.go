package checkpoint

import "fmt"

// denseFamilies are those without experts. What their files leave out is known of the family.
var denseFamilies = map[string]func(m *ggufConfig){
	"olmo":    (*ggufConfig).olmo,
	"olmo2":   (*ggufConfig).olmo2,
	"granite": (*ggufConfig).granite,
	"smollm3": func(m *ggufConfig) {
		m.family("smollm3")
		m.keys["no_rope_layer_interval"] = 4 // as of all that are published
		m.permuted()
	},
	"glm4": func(m *ggufConfig) {
		m.family("glm4")
		m.keys["attention_bias"] = m.has("attn_q.bias")
		m.partial()
		m.names.modules(map[string]string{
			"post_attention_norm": "post_self_attn_layernorm", "post_ffw_norm": "post_mlp_layernorm", "ffn_gate": "", "ffn_up": "mlp.gate_up_proj",
		})
	},
	"exaone4": (*ggufConfig).exaone4,
	"seed_oss": func(m *ggufConfig) {
		m.family("seed_oss")
		m.keys["attention_bias"], m.keys["attention_out_bias"], m.keys["mlp_bias"] = m.has("attn_q.bias"), m.has("attn_output.bias"), m.has("ffn_up.bias")
		m.names.modules(map[string]string{"ffn_norm": "", "post_attention_norm": "post_attention_layernorm"})
	},
	"ernie4_5": func(m *ggufConfig) {
		m.family("ernie4_5")
		m.keys["use_bias"] = m.has("attn_q.bias")
	},
	"apertus": (*ggufConfig).apertus,
	"arcee": func(m *ggufConfig) {
		m.family("arcee")
		m.keys["hidden_act"], m.keys["attention_bias"], m.keys["mlp_bias"] = "relu2", m.has("attn_q.bias"), m.has("ffn_up.bias")
		m.permuted()
		m.names.modules(map[string]string{"ffn_gate": ""})
	},
	"starcoder2": func(m *ggufConfig) {
		m.family("starcoder2")
		m.layerNorm("norm_epsilon")
		m.keys["hidden_act"], m.keys["use_bias"] = "gelu_pytorch_tanh", m.has("attn_q.bias")
		m.keys["sliding_window"] = 4096 // of all that are published; llama.cpp lets them see more
		m.names.modules(map[string]string{"ffn_gate": "", "ffn_up": "mlp.c_fc", "ffn_down": "mlp.c_proj"})
	},
	"stablelm":  (*ggufConfig).stableLM,
	"nemotron":  (*ggufConfig).nemotron,
	"command-r": func(m *ggufConfig) { m.cohere("cohere") },
	"cohere2": func(m *ggufConfig) {
		m.cohere("cohere2")
		m.sliding(4)
	},
	"hunyuan-dense": func(m *ggufConfig) {
		m.family("hunyuan_v1_dense")
		m.keys["attention_bias"] = m.has("attn_q.bias")
		// The base is that of the scaling with an alpha, and the factor 1.
		m.same("rope.scaling.factor", 1)
		m.number("rope.scaling.original_context_length")
		m.names.modules(map[string]string{"attn_q_norm": "self_attn.query_layernorm", "attn_k_norm": "self_attn.key_layernorm"})
	},
	"mistral3": (*ggufConfig).mistral3,
}

// has tells whether the first block has a tensor.
func (m *ggufConfig) has(name string) bool {
	_, ok := m.w.stored["blk.0."+name]
	return ok
}

// sliding reads the window, and which layers have it: all but each so-many-th where the file does not say.
func (m *ggufConfig) sliding(every int) {
	m.keys["sliding_window"] = m.size("attention.sliding_window")
	if x, ok := m.metadata[m.arch+".attention.sliding_window_pattern"].(float64); ok {
		m.number("attention.sliding_window_pattern")
		every = int(x)
	}
	types := make([]string, min(m.layers, 1<<10))
	slides, ok := m.list("attention.sliding_window_pattern")
	if ok && len(slides) != m.layers {
		m.wrong = append(m.wrong, fmt.Sprintf("%s has %d entries, wanted %d", quote(m.arch+".attention.sliding_window_pattern"), len(slides), m.layers))
		return
	}
	for i := range types {
		types[i] = "full_attention"
		if ok && slides[i] != 0 || !ok && every > 0 && (i+1)%every != 0 {
			types[i] = "sliding_attention"
		}
	}
	m.keys["layer_types"] = types
}

// olmo has norms without weights, whose eps is fixed.
func (m *ggufConfig) olmo() {
	m.family("olmo")
	if eps, _ := m.number("attention.layer_norm_epsilon"); float32(eps) != 1e-5 {
		m.wrong = append(m.wrong, fmt.Sprintf("attention.layer_norm_epsilon=%g, wanted 1e-05", float32(eps)))
	}
	delete(m.keys, "rms_norm_eps")
	if clip, ok := m.number("attention.clamp_kqv"); ok && clip != 0 {
		m.keys["clip_qkv"] = clip
	}
	m.permuted()
	m.names.modules(map[string]string{"attn_norm": "", "ffn_norm": ""})
	delete(m.names.whole, "output_norm.weight")
}

// olmo2 is OLMo 2, and with windows OLMo 3, whose scaling is of the layers without one alone.
func (m *ggufConfig) olmo2() {
	m.family("olmo2")
	m.keys["attention_bias"] = m.has("attn_q.bias")
	m.headNorms()
	m.names.modules(map[string]string{
		"attn_norm": "", "ffn_norm": "", "post_attention_norm": "post_attention_layernorm", "post_ffw_norm": "post_feedforward_layernorm",
	})
	if _, ok := m.metadata[m.arch+".attention.sliding_window"]; !ok {
		return
	}
	m.keys["model_type"] = "olmo3"
	m.sliding(4)
	full, window := map[string]any{"rope_type": "default"}, map[string]any{"rope_type": "default", "rope_theta": m.keys["rope_theta"]}
	if m.scaling(); m.keys["rope_scaling"] != nil {
		full = m.keys["rope_scaling"].(map[string]any)
	}
	full["rope_theta"] = m.keys["rope_theta"]
	if x, ok := m.number("rope.freq_base_swa"); ok {
		window["rope_theta"] = x
	}
	delete(m.keys, "rope_theta")
	delete(m.keys, "rope_scaling")
	m.keys["rope_parameters"] = map[string]any{"full_attention": full, "sliding_attention": window}
}

// exaone4 has a window where there are 64 layers, and in newer files where they say so.
func (m *ggufConfig) exaone4() {
	m.family("exaone4")
	m.headNorms()
	m.names.modules(map[string]string{
		"attn_norm": "", "ffn_norm": "", "post_attention_norm": "post_attention_layernorm", "post_ffw_norm": "post_feedforward_layernorm",
	})
	m.keys["sliding_window"] = nil
	if _, ok := m.metadata[m.arch+".attention.sliding_window"]; ok {
		m.sliding(4)
	} else if m.layers == 64 {
		m.keys["sliding_window"], m.keys["sliding_window_pattern"] = 4096, 4
	}
	if x, ok := m.number("rope.freq_base_swa"); ok && x != m.keys["rope_theta"] {
		m.wrong = append(m.wrong, fmt.Sprintf("rope.freq_base_swa=%g beside rope.freq_base=%g, wanted the same", x, m.keys["rope_theta"]))
	}
}

// apertus has the numbers of its activation in lists of metadata, one of each for a layer.
func (m *ggufConfig) apertus() {
	m.family("apertus")
	m.keys["hidden_act"], m.keys["attention_bias"] = "xielu", m.has("attn_q.bias")
	m.headNorms()
	m.names.modules(map[string]string{"ffn_gate": "", "attn_norm": "attention_layernorm", "ffn_norm": "feedforward_layernorm"})
	if m.scaling(); m.keys["rope_scaling"] == nil { // without which the class has one of its own
		m.keys["rope_parameters"] = map[string]any{"rope_type": "default", "rope_theta": m.keys["rope_theta"]}
		delete(m.keys, "rope_theta")
	}
	for name, shape := range map[string][]int{"alpha_p": {1}, "alpha_n": {1}, "beta": {}, "eps": {}} {
		key := "xielu." + name
		m.read[key] = true
		all, ok := m.numbers(key)
		if x, one := m.metadata[key].(float64); one { // of all layers
			ok = true
			for range min(m.layers, 1<<10) {
				all = append(all, x)
			}
		}
		if !ok || len(all) != m.layers {
			m.wrong = append(m.wrong, fmt.Sprintf("%s is %s, wanted a number for each of %d layers", quote(key), briefly(m.metadata[key]), m.layers))
			continue
		}
		for i, x := range all {
			to := fmt.Sprintf("model.layers.%d.mlp.act_fn.%s", i, name)
			m.w.tensors[to] = Float32(to, []float32{float32(x)}, shape...)
		}
	}
}

// stableLM has LayerNorms; the larger ones have one for each head of q and k, and attention and MLP side by side.
func (m *ggufConfig) stableLM() {
	m.family("stablelm")
	m.plainHeads()
	m.layerNorm("layer_norm_eps")
	m.partial()
	m.read[m.arch+".use_parallel_residual"] = true // which old files say of all
	m.keys["use_qkv_bias"], m.keys["qk_layernorm"], m.keys["use_parallel_residual"] = m.has("attn_q.bias"), m.has("attn_q_norm.weight"), !m.has("ffn_norm.weight")
	m.names.modules(map[string]string{"attn_q_norm.weight": "self_attn.q_layernorm.norms.%d.weight", "attn_k_norm.weight": "self_attn.k_layernorm.norms.%d.weight"})
}

// nemotron has norms that are stored less 1, and turns a part of each head.
func (m *ggufConfig) nemotron() {
	m.family("nemotron")
	m.layerNorm("norm_eps")
	m.partial()
	if hidden := m.keys["hidden_size"].(int); hidden != m.heads*m.width { // which the converter divides for the part's width
		m.wrong = append(m.wrong, fmt.Sprintf("attention.key_length=%d, wanted %d", m.width, hidden/m.heads))
	}
	m.keys["hidden_act"], m.keys["attention_bias"], m.keys["mlp_bias"] = "relu2", m.has("attn_q.bias"), m.has("ffn_up.bias")
	m.names.minus = true
	m.names.modules(map[string]string{"ffn_gate": ""})
}

// cohere has a factor of the logits, and attention and MLP side by side.
func (m *ggufConfig) cohere(modelType string) {
	m.family(modelType)
	m.layerNorm("layer_norm_eps")
	m.keys["logit_scale"], m.keys["attention_bias"] = m.needed("logit_scale"), m.has("attn_q.bias")
	if m.has("attn_q_norm.weight") {
		m.keys["use_qk_norm"] = true
		m.headNorms()
	}
	m.names.modules(map[string]string{"ffn_norm": ""})
}

// mistral3 is Mistral Small 3.1, a mistral, or Ministral 3, with a factor of queries that grows with the
// position, and a factor of yarn's that is the same above and below the line.
func (m *ggufConfig) mistral3() {
	m.family("mistral")
	m.keys["sliding_window"] = nil
	m.permuted()
	beta, ok := m.number("attention.temperature_scale")
	if !ok || beta == 0 {
		return
	}
	m.keys["model_type"] = "ministral3"
	m.scaling()
	scaling, ok := m.keys["rope_scaling"].(map[string]any)
	if all, also := m.number("rope.scaling.yarn_log_multiplier"); !ok || !also || all != 1 {
		m.wrong = append(m.wrong, fmt.Sprintf("rope.scaling.yarn_log_multiplier=%g beside rope.scaling.type=%s, wanted 1 and yarn", all, briefly(m.metadata[m.arch+".rope.scaling.type"])))
		return
	}
	scaling["rope_theta"], scaling["llama_4_scaling_beta"], scaling["mscale"], scaling["mscale_all_dim"] = m.keys["rope_theta"], beta, 1.0, 1.0
	m.keys["rope_parameters"] = scaling
	delete(m.keys, "rope_theta")
	delete(m.keys, "rope_scaling")
}
