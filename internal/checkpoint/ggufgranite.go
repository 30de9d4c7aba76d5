package checkpoint

import (
	"fmt"
	"math"
	"slices"
)

// granite has four factors. Granite 4 without layers of Mamba 2 is one too, with the keys of those that it does not have.
func (m *ggufConfig) granite() {
	m.family("granite")
	m.keys["attention_bias"], m.keys["mlp_bias"] = m.has("attn_q.bias"), m.has("ffn_up.bias")
	m.graniteFactors()
	m.permuted()
	if m.metadata[m.arch+".rope.scaling.finetuned"] == false { // by which llama.cpp knows models without rotary positions
		m.wrong = append(m.wrong, "rope.scaling.finetuned=false")
	}
	if _, ok := m.number("ssm.inner_size"); !ok {
		return
	}
	m.same("expert_count", 0)
	m.same("expert_used_count", 0)
	for _, key := range []string{"conv_kernel", "state_size", "group_count", "time_step_rank"} {
		m.number("ssm." + key)
	}
	m.keys["intermediate_size"] = m.size("expert_shared_feed_forward_length")
	if heads, ok := m.list("attention.head_count_kv"); ok {
		if len(heads) == 0 || len(heads) != m.layers || slices.Min(heads) != slices.Max(heads) {
			m.wrong = append(m.wrong, "attention.head_count_kv, wanted one number for all layers")
			return
		}
		m.kv = int(heads[0])
		m.keys["num_key_value_heads"] = m.kv
		m.permuted()
	}
}

func (m *ggufConfig) graniteFactors() {
	for key, to := range map[string]string{
		"attention.scale": "attention_multiplier", "embedding_scale": "embedding_multiplier", "residual_scale": "residual_multiplier", "logit_scale": "logits_scaling",
	} {
		m.keys[to] = m.needed(key)
	}
}

// graniteMoE is Granite 3's mixtures, whose gates stand above the matrices up in one tensor in the model.
func (m *ggufConfig) graniteMoE() {
	m.granite()
	delete(m.keys, "mlp_bias")
	m.keys["model_type"] = "granitemoe"
	m.noDense(m.experts("num_local_experts", m.layers))
	m.graniteExperts()
}

func (m *ggufConfig) graniteExperts() {
	m.names.modules(map[string]string{
		"ffn_gate": "", "ffn_up": "", "ffn_down": "", "ffn_gate_inp": "block_sparse_moe.router.layer", "ffn_down_exps": "block_sparse_moe.output_linear",
	})
	m.names.joins = append(m.names.joins, ggufJoin{"block_sparse_moe.input_linear.weight", []string{"ffn_gate_exps.weight", "ffn_up_exps.weight"}, rowsBelow})
}

// graniteHybrid is Granite 4 with layers of Mamba 2, which have no heads of keys, and an MLP that all tokens pass, beside a mixture or alone.
func (m *ggufConfig) graniteHybrid() {
	m.family("granitemoehybrid")
	m.graniteFactors()
	m.keys["position_embedding_type"] = "rope"
	if m.metadata[m.arch+".rope.scaling.finetuned"] == false {
		m.keys["position_embedding_type"] = "nope"
	}
	delete(m.keys, "head_dim")
	heads, ok := m.list("attention.head_count_kv")
	if !ok || len(heads) == 0 || len(heads) != m.layers {
		m.wrong = append(m.wrong, fmt.Sprintf("attention.head_count_kv is %s, wanted a number for each of %d layers", briefly(m.metadata[m.arch+".attention.head_count_kv"]), m.layers))
		return
	}
	m.kv = int(slices.Max(heads))
	types := make([]string, len(heads))
	for i, n := range heads {
		if types[i] = "linear_attention"; n != 0 {
			types[i] = "full_attention"
			_, m.keys["attention_bias"] = m.w.stored[fmt.Sprintf("blk.%d.attn_q.bias", i)]
		} else {
			_, m.keys["mamba_conv_bias"] = m.w.stored[fmt.Sprintf("blk.%d.ssm_conv1d.bias", i)]
			_, m.keys["mamba_proj_bias"] = m.w.stored[fmt.Sprintf("blk.%d.ssm_in.bias", i)]
		}
	}
	m.keys["layer_types"], m.keys["num_key_value_heads"] = types, m.kv
	m.permuted()
	inner, hidden := m.size("ssm.inner_size"), m.keys["hidden_size"].(int)
	m.keys["mamba_n_heads"], m.keys["mamba_n_groups"] = m.size("ssm.time_step_rank"), m.size("ssm.group_count")
	m.keys["mamba_d_state"], m.keys["mamba_d_conv"] = m.size("ssm.state_size"), m.size("ssm.conv_kernel")
	m.keys["mamba_d_head"], m.keys["mamba_expand"] = inner/m.keys["mamba_n_heads"].(int), inner/hidden
	if inner%m.keys["mamba_n_heads"].(int) != 0 || inner%hidden != 0 {
		m.wrong = append(m.wrong, fmt.Sprintf("ssm.inner_size=%d, wanted a multiple of ssm.time_step_rank and of embedding_length", inner))
	}
	m.keys["shared_intermediate_size"] = m.size("expert_shared_feed_forward_length")
	shared := []string{"ffn_gate.weight", "ffn_up.weight"}
	m.names.modules(map[string]string{
		"ffn_gate": "", "ffn_up": "", "ffn_down": "shared_mlp.output_linear",
		"ssm_in": "mamba.in_proj", "ssm_conv1d": "mamba.conv1d", "ssm_dt.bias": "mamba.dt_bias", "ssm_a": "mamba.A_log", "ssm_d": "mamba.D", "ssm_norm": "mamba.norm", "ssm_out": "mamba.out_proj",
	})
	if n, ok := m.number("expert_count"); ok && n > 0 {
		m.experts("num_local_experts", 0)
		m.graniteExperts()
		m.names.modules(map[string]string{"ffn_down_shexp": "shared_mlp.output_linear"})
		shared = []string{"ffn_gate_shexp.weight", "ffn_up_shexp.weight"}
	} else {
		m.keys["num_local_experts"] = 0
		m.number("expert_used_count")
	}
	m.names.joins = append(m.names.joins, ggufJoin{"shared_mlp.input_linear.weight", shared, rowsBelow})
	m.names.change = mambaParts
}

// mambaParts undoes what is done to parts of Mamba 2.
func mambaParts(c *ggufChange, _ Tensor, part string) error {
	if part == "ssm_a" {
		c.each = func(x float32) float32 { return float32(math.Log(-float64(x))) }
	}
	return nil
}
