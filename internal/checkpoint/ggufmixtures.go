package checkpoint

import (
	"fmt"
	"slices"
)

// Modules of mixtures.
var (
	ofQwen = map[string]string{
		"ffn_gate_inp": "mlp.gate", "ffn_gate_exps": "mlp.experts.%d.gate_proj", "ffn_up_exps": "mlp.experts.%d.up_proj", "ffn_down_exps": "mlp.experts.%d.down_proj",
		"ffn_gate_inp_shexp": "mlp.shared_expert_gate", "ffn_gate_shexp": "mlp.shared_expert.gate_proj", "ffn_up_shexp": "mlp.shared_expert.up_proj",
		"ffn_down_shexp": "mlp.shared_expert.down_proj",
	}
	ofMixtral = map[string]string{
		"ffn_gate_inp": "block_sparse_moe.gate", "ffn_gate_exps": "block_sparse_moe.experts.%d.w1", "ffn_up_exps": "block_sparse_moe.experts.%d.w3",
		"ffn_down_exps": "block_sparse_moe.experts.%d.w2",
	}
)

// experts reads the numbers of experts, and returns the first of so many layers without any.
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

// noDense refuses layers without experts.
func (m *ggufConfig) noDense(dense []int) {
	if len(dense) > 0 {
		m.wrong = append(m.wrong, fmt.Sprintf("no tensor blk.%d.ffn_gate_exps.weight", dense[0]))
	}
}

// qwenExperts is what Qwen's mixtures have in common. The files do not say whether the shares of the
// experts that are chosen add up to 1; llama.cpp knows it by the family, of which all published models
// agree.
func (m *ggufConfig) qwenExperts(shares bool) {
	m.keys["mlp_only_layers"] = m.experts("num_experts", m.layers)
	m.keys["moe_intermediate_size"], m.keys["norm_topk_prob"] = m.size("expert_feed_forward_length"), shares
	m.names.modules(ofQwen)
}

// mixtral is a llama whose layers are mixtures, all of them.
func (m *ggufConfig) mixtral() {
	m.keys["model_type"], m.keys["sliding_window"] = "mixtral", nil
	if dense := m.experts("num_local_experts", m.layers); len(dense) > 0 {
		m.wrong = append(m.wrong, fmt.Sprintf("no tensor blk.%d.ffn_gate_exps.weight, the gates of all experts: files of before April 2024 have one for each", dense[0]))
	}
	m.names.modules(ofMixtral)
}

// gptOSS is GPT-OSS, whose gates and matrices up stand in one tensor in the model, a column of each in
// turn. Its scaling does not round the numbers of the pairs between which it blends, which no file says.
func (m *ggufConfig) gptOSS() {
	m.family("gpt_oss")
	m.noDense(m.experts("num_local_experts", m.layers))
	m.keys["intermediate_size"], m.keys["sliding_window"] = m.size("expert_feed_forward_length"), m.size("attention.sliding_window")
	m.keys["attention_bias"] = false
	m.biases("attn_q", "attention_bias")
	m.scaling()
	if scaling, ok := m.keys["rope_scaling"].(map[string]any); ok && scaling["rope_type"] == "yarn" {
		scaling["truncate"] = false
	}
	m.names.modules(map[string]string{
		"ffn_norm": "", "ffn_gate": "", "ffn_up": "", "ffn_down": "", "post_attention_norm": "post_attention_layernorm", "attn_post_norm": "post_attention_layernorm",
		"attn_sinks.weight": "self_attn.sinks", "ffn_gate_inp": "mlp.router", "ffn_down_exps.bias": "mlp.experts.down_proj_bias",
	})
	m.names.joins = []ggufJoin{
		{"mlp.experts.gate_up_proj", []string{"ffn_gate_exps.weight", "ffn_up_exps.weight"}, columnsOf(true, 3)},
		{"mlp.experts.gate_up_proj_bias", []string{"ffn_gate_exps.bias", "ffn_up_exps.bias"}, columnsOf(true, 2)},
		{"mlp.experts.down_proj", []string{"ffn_down_exps.weight"}, columnsOf(false, 3)},
	}
}

// olmoe is OLMoE, whose shares of the experts do not add up to 1.
func (m *ggufConfig) olmoe() {
	m.family("olmoe")
	m.noDense(m.experts("num_experts", m.layers))
	m.keys["norm_topk_prob"] = false
	m.headNorms()
	m.names.modules(ofQwen)
}

// rowsBelow joins matrices [R C], or of all experts [E R C], to one [2R C] or [E 2R C], an expert's rows of the second below those of the first.
func rowsBelow(name string, parts []Tensor) (Tensor, error) {
	first := parts[0].Shape
	n := len(first)
	if other := parts[1].Shape; n < 2 || n > 3 || !slices.Equal(first, other) {
		return Tensor{}, fmt.Errorf("shape %v beside %v, wanted 2 or 3 axes, the same", other, first)
	}
	r := first[n-2]
	e := parts[0].Elements() / (r * first[n-1])
	row := func(row int) int { return row/r%2*e*r + row/(2*r)*r + row%r }
	shape := slices.Clone(first)
	shape[n-2] = 2 * r
	return changed(name, shape, ggufChange{row: row}, parts...), nil
}
