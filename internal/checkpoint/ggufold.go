package checkpoint

import "fmt"

// oldFamilies are those of before Llama, whose configs and modules have names of their own.
var oldFamilies = map[string]func(m *ggufConfig){
	"gpt2":    (*ggufConfig).gpt2,
	"gptneox": (*ggufConfig).gptNeoX,
}

// gpt2 has learned positions, and matrices that the model has turned.
func (m *ggufConfig) gpt2() {
	k := m.keys
	m.keys = map[string]any{
		"model_type": "gpt2", "activation_function": "gelu_new", "vocab_size": k["vocab_size"], "n_embd": k["hidden_size"], "n_layer": m.layers, "n_head": m.heads,
		"n_positions": k["max_position_embeddings"], "n_inner": k["intermediate_size"], "tie_word_embeddings": k["tie_word_embeddings"],
	}
	m.layerNorm("layer_norm_epsilon")
	m.unscaled()
	m.names.layers = "h."
	m.names.whole = map[string]string{
		"token_embd.weight": "wte.weight", "position_embd.weight": "wpe.weight", "output_norm.weight": "ln_f.weight", "output_norm.bias": "ln_f.bias", "output.weight": "lm_head.weight",
	}
	m.names.block = map[string]string{
		"attn_norm": "ln_1", "ffn_norm": "ln_2", "attn_qkv.bias": "attn.c_attn.bias", "attn_output.bias": "attn.c_proj.bias", "ffn_up.bias": "mlp.c_fc.bias", "ffn_down.bias": "mlp.c_proj.bias",
	}
	for part, to := range map[string]string{"attn_qkv": "attn.c_attn", "attn_output": "attn.c_proj", "ffn_up": "mlp.c_fc", "ffn_down": "mlp.c_proj"} {
		m.names.joins = append(m.names.joins, ggufJoin{to + ".weight", []string{part + ".weight"}, columnsOf(false, 2)})
	}
}

// gptNeoX is GPT-NeoX and Pythia, in whose matrix of q, k and v those of a head stand beside each other: in the file those of all heads.
func (m *ggufConfig) gptNeoX() {
	m.family("gpt_neox")
	m.keys["hidden_act"], m.keys["attention_bias"] = "gelu", m.has("attn_qkv.bias")
	m.layerNorm("layer_norm_eps")
	m.unscaled()
	m.keys["rope_parameters"] = map[string]any{
		"rope_type": "default", "rope_theta": m.keys["rope_theta"], "partial_rotary_factor": float64(m.size("rope.dimension_count")) / float64(m.width),
	}
	for _, key := range []string{"head_dim", "num_key_value_heads", "rope_theta"} {
		delete(m.keys, key)
	}
	m.read["gptneox.use_parallel_residual"] = true
	parallel, ok := m.metadata["gptneox.use_parallel_residual"].(bool)
	if !ok {
		m.wrong = append(m.wrong, fmt.Sprintf("use_parallel_residual is %s, wanted true or false", briefly(m.metadata["gptneox.use_parallel_residual"])))
	}
	m.keys["use_parallel_residual"] = parallel
	const of = "gpt_neox."
	m.names.layers = of + "layers."
	m.names.whole = map[string]string{
		"token_embd.weight": of + "embed_in.weight", "output.weight": "embed_out.weight", "output_norm.weight": of + "final_layer_norm.weight", "output_norm.bias": of + "final_layer_norm.bias",
	}
	m.names.block = map[string]string{
		"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm", "attn_qkv": "attention.query_key_value", "attn_output": "attention.dense",
		"ffn_up": "mlp.dense_h_to_4h", "ffn_down": "mlp.dense_4h_to_h",
	}
	m.names.change = func(c *ggufChange, t Tensor, part string) error {
		heads, width := m.heads, m.width
		if part != "attn_qkv" {
			return nil
		}
		if t.Shape[0] != 3*heads*width {
			return fmt.Errorf("%d rows, wanted %d", t.Shape[0], 3*heads*width)
		}
		c.row = func(row int) int { return row/width%3*heads*width + row/(3*width)*width + row%width }
		return nil
	}
}
