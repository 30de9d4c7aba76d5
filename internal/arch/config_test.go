package arch

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const families_ = "../../logprob/testdata/families"

// readConfig reads a reference checkpoint's config.json and overlays changes; "DELETE"
// deletes a key.
func readConfig(t *testing.T, name string, changes string) map[string]json.RawMessage {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(families_, name, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	var keys, over map[string]json.RawMessage
	if err := json.Unmarshal(b, &keys); err != nil {
		t.Fatal(err)
	}
	if changes != "" {
		if err := json.Unmarshal([]byte(changes), &over); err != nil {
			t.Fatal(err)
		}
	}
	for k, v := range over {
		if string(v) == `"DELETE"` {
			delete(keys, k)
		} else {
			keys[k] = v
		}
	}
	return keys
}

func no(string) bool { return false }

// references are the models of the reference checkpoints, by name; there are some of each
// family.
func references(t *testing.T) map[string]*Model {
	t.Helper()
	paths, err := filepath.Glob(families_ + "/*/config.json")
	if err != nil {
		t.Fatal(err)
	}
	all, seen := map[string]*Model{}, map[string]bool{}
	for _, path := range paths {
		name := filepath.Base(filepath.Dir(path))
		m, err := New(readConfig(t, name, ""), no)
		if err != nil {
			t.Fatal(name, err)
		}
		all[name], seen[m.Type] = m, true
	}
	for _, family := range types() {
		if !seen[family] {
			t.Errorf("no reference checkpoint of %s", family)
		}
	}
	return all
}

// TestRefused: a setting that is not computed is refused by name, a value that
// cannot be is an error that says what was wanted.
func TestRefused(t *testing.T) {
	for _, test := range []struct{ name, changes, want string }{
		{"llama-mha", `{"foreign": 1}`, `arch: llama: config.json: not supported: foreign=1`},
		{"llama-mha", `{"zzz": [1,  2], "foreign": {"a": "b"}}`, `arch: llama: config.json: not supported: foreign={"a": "b"}, zzz=[1, 2]`},
		{"llama-mha", `{"model_type": "xlnet"}`, `arch: config.json: model_type "xlnet", wanted one of ` + strings.Join(types(), ", ")},
		{"llama-mha", `{"model_type": "mamba"}`, `arch: config.json: model_type "mamba", wanted one of ` + strings.Join(types(), ", ") + ` (it decays by channel, which does not come apart into what tokens keep for those after them)`},
		{"llama-mha", `{"model_type": "DELETE"}`, `arch: config.json: model_type "", wanted one of ` + strings.Join(types(), ", ")},
		{"llama-mha", `{"hidden_act": "xielu"}`, `arch: llama: config.json: not supported: hidden_act="xielu"`},
		{"llama-mha", `{"rope_parameters": {"rope_type": "ntk", "factor": 4.0, "rope_theta": 1e4}}`, `arch: llama: config.json: not supported: rope_parameters.rope_type="ntk"`},
		{"llama-mha", `{"rope_parameters": "DELETE", "rope_scaling": {"type": "dynamic", "factor": 4.0, "alpha": 1000.0}}`, `arch: llama: config.json: not supported: rope_scaling.alpha=1000.0`},
		{"llama-mha", `{"rope_parameters": {"rope_type": "yarn", "factor": 4.0, "rope_theta": 1e4, "beta_fats": 16}}`, `arch: llama: config.json: not supported: rope_parameters.beta_fats=16`},
		{"llama-mha", `{"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4}}`, `arch: llama: config.json: rope_parameters.factor is missing`},
		{"llama-mha", `{"rope_parameters": {"rope_type": "yarn", "factor": 4.0, "rope_theta": 1.0}}`, `wanted more than 0 and a rope_theta other than 1`},
		{"llama-mha", `{"original_max_position_embeddings": 64, "rope_parameters": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32}}`, `arch: llama: config.json: not supported: original_max_position_embeddings=64`},
		{"llama-mha", `{"partial_rotary_factor": 0.5}`, `arch: llama: config.json: not supported: partial_rotary_factor=0.5`},
		{"llama-mha", `{"activation": "geglu"}`, `arch: llama: config.json: not supported: activation="geglu"`},
		{"llama-mha", `{"quantization_config": {"bits": 4, "quant_method": "gptq"}}`, `arch: llama: config.json: not supported: quantization_config.quant_method="gptq" (its weights are quantised: take the model's unquantised checkpoint)`},
		{"gpt_neox-parallel", `{"rope_parameters": "DELETE", "rotary_pct": 0.5, "rotary_emb_base": 1e4, "partial_rotary_factor": 0.25, "rope_theta": 2e4}`, `arch: gpt_neox: config.json: not supported: partial_rotary_factor=0.25, rope_theta=2e4`},
		{"gpt2-plain", `{"hidden_size": 33}`, `arch: gpt2: config.json: not supported: hidden_size=33`},
		{"gemma3_text-pattern", `{"rope_parameters": {"full_attention": {"rope_type": "yarn", "factor": 8.0, "truncate": false}}}`, `arch: gemma3_text: config.json: not supported: rope_parameters.full_attention.truncate=false`},
		{"llama-mha", `{"rope_scaling": {"type": "linear", "factor": 4.0}}`, `arch: llama: config.json: not supported: rope_scaling={"type": "linear", "factor": 4.0}`},
		{"llama-mha", `{"rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mscale": 2}}`, `arch: llama: config.json: not supported: rope_parameters.mscale=2`},
		{"llama-mha", `{"rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.5}}`, `arch: llama: config.json: not supported: rope_parameters.partial_rotary_factor=0.5`},
		{"llama-mha", `{"quantization_config": {"bits": 4}}`, `arch: llama: config.json: not supported: quantization_config={"bits": 4} (its weights are quantised: take the model's unquantised checkpoint)`},
		{"llama-mha", `{"architectures": ["LlamaForSequenceClassification"]}`, `arch: llama: config.json: not supported: architectures=["LlamaForSequenceClassification"]`},
		{"llama-mha", `{"is_causal": false}`, `arch: llama: config.json: not supported: is_causal=false`},
		{"llama-mha", `{"hidden_size": "64"}`, `arch: llama: config.json: hidden_size is "64", wanted an integer; hidden_size is 0, wanted 1 to 16777216`},
		{"llama-mha", `{"vocab_size": "DELETE"}`, `arch: llama: config.json: vocab_size is missing`},
		{"llama-mha", `{"num_hidden_layers": 1e9}`, `wanted`},
		{"llama-mha", `{"num_key_value_heads": 3}`, `arch: llama: config.json: num_attention_heads is 4, wanted a multiple of num_key_value_heads 3`},
		{"llama-mha", `{"rms_norm_eps": -1}`, `arch: llama: config.json: rms_norm_eps is -1, wanted more than 0`},
		{"gemma2-base", `{"hidden_act": "silu"}`, `arch: gemma2: config.json: not supported: hidden_act="silu"`},
		{"gemma3_text-pattern", `{"attn_logit_softcapping": 50.0}`, `arch: gemma3_text: config.json: not supported: attn_logit_softcapping=50.0`},
		{"gemma3n_text-streams", `{"altup_active_idx": 3}`, `arch: gemma3n_text: config.json: altup_active_idx is 3, wanted 0 to 2`},
		{"gemma3n_text-streams", `{"altup_num_inputs": 65}`, `arch: gemma3n_text: config.json: altup_active_idx is 1, wanted 0 to 0; altup_num_inputs is 65, wanted at most 64`},
		{"gemma3n_text-streams", `{"activation_sparsity_pattern": [0.5, 1.0, 0, 0, -0.1]}`, `arch: gemma3n_text: config.json: activation_sparsity_pattern has -0.1, wanted 0 or more, and less than 1; activation_sparsity_pattern has 1, wanted 0 or more, and less than 1`},
		{"gemma3n_text-streams", `{"activation_sparsity_pattern": [0.5]}`, `arch: gemma3n_text: config.json: activation_sparsity_pattern is [0.5], wanted 5 numbers`},
		{"gemma3n_text-streams", `{"activation_sparsity_pattern": 0.5}`, `arch: gemma3n_text: config.json: activation_sparsity_pattern is 0.5, wanted 5 numbers; activation_sparsity_pattern is 0.5, wanted a list of numbers`},
		{"gemma3n_text-streams", `{"intermediate_size": [28, 20]}`, `arch: gemma3n_text: config.json: intermediate_size has 2 entries, wanted 5`},
		{"gemma3n_text-streams", `{"intermediate_size": [28, 20, -1, 3, 4]}`, `arch: gemma3n_text: config.json: intermediate_size is [28, 20, -1, 3, 4], wanted an integer, or one for each layer, of 1 to 16777216`},
		{"gemma3n_text-streams", `{"hidden_size_per_layer_input": 0}`, `arch: gemma3n_text: config.json: hidden_size_per_layer_input is 0, wanted 1 to 16777216`},
		{"gemma3n_text-streams", `{"num_kv_shared_layers": 4}`, `arch: gemma3n_text: config.json: num_kv_shared_layers is 4, wanted fewer: no layer before has keys of layer 1's type; num_kv_shared_layers is 4, wanted fewer: no layer before has keys of layer 4's type`},
		{"gemma3n-hub", `{"audio_config": {"vocab_offset": 0}}`, `arch: gemma3n: config.json: a vocab_offset is 0, wanted at least 1`},
		{"gemma4_text-dense", `{"use_bidirectional_attention": "all"}`, `arch: gemma4_text: config.json: not supported: use_bidirectional_attention="all"`},
		{"gemma4_text-dense", `{"per_layer_config": {"1": {"head_dim": 16, "sliding_window": 3}, "3": {"head_dim": 16}, "4": {}, "x": {}}}`, `arch: gemma4_text: config.json: not supported: per_layer_config.1.sliding_window=3, per_layer_config.4={}, per_layer_config.x={}`},
		{"gemma4_text-dense", `{"per_layer_config": {"0": {"head_dim": 16}}}`, `arch: gemma4_text: config.json: per_layer_config.0 has a window, and 2 heads of keys of width 16, wanted 2 of 8, as without it`},
		{"gemma4_text-dense", `{"per_layer_config": {"1": {"head_dim": 16}}}`, `arch: gemma4_text: config.json: per_layer_config.3 has 2 heads of keys of width 8, wanted 2 of 16, as layers without a window before`},
		{"gemma4_text-dense", `{"global_head_dim": 8, "num_global_key_value_heads": 2}`, `arch: gemma4_text: config.json: not supported: global_head_dim=8, num_global_key_value_heads=2`},
		{"gemma4_text-dense", `{"rope_parameters": {"full_attention": {"rope_type": "proportional", "partial_rotary_factor": 0.5, "rope_theta": 1e6}}}`, `arch: gemma4_text: config.json: rope_parameters.sliding_attention is missing`},
		{"gemma4_text-dense", `{"rope_parameters": {"full_attention": {"rope_type": "yarn", "factor": 4, "rope_theta": 1e6}, "sliding_attention": {"rope_theta": 1e4}}}`, `arch: gemma4_text: config.json: not supported: rope_parameters.full_attention.factor=4, rope_parameters.full_attention.rope_type="yarn"`},
		{"gemma4_text-dense", `{"enable_moe_block": true, "num_experts": 2, "top_k_experts": 3, "moe_intermediate_size": 4}`, `arch: gemma4_text: config.json: top_k_experts is 3, wanted at most num_experts 2`},
		{"gemma4_text-dense", `{"hidden_size_per_layer_input": "DELETE", "vocab_size_per_layer_input": 105}`, `arch: gemma4_text: config.json: vocab_size_per_layer_input is 105, wanted at least vocab_size 106`},
		{"gemma4_text-dense", `{"hidden_size_per_layer_input": -1}`, `arch: gemma4_text: config.json: hidden_size_per_layer_input is -1, wanted 1 to 16777216`},
		{"gemma4_text-dense", `{"num_kv_shared_layers": 3}`, `arch: gemma4_text: config.json: num_kv_shared_layers is 3, wanted fewer: no layer before has keys of layer 1's type; num_kv_shared_layers is 3, wanted fewer: no layer before has keys of layer 3's type`},
		{"gemma4_text-dense", `{"num_kv_shared_layers": 5}`, `arch: gemma4_text: config.json: num_kv_shared_layers is 5, wanted 0 to 4`},
		{"gemma4_unified_text-dense", `{"enable_moe_block": true}`, `arch: gemma4_unified_text: config.json: not supported: enable_moe_block=true`},
		{"gemma4_text-dense", `{"enable_moe_block": true}`, `arch: gemma4_text: config.json: moe_intermediate_size is missing; num_experts is missing; top_k_experts is missing`},
		{"gemma4_unified_text-dense", `{"hidden_size_per_layer_input": 8}`, `arch: gemma4_unified_text: config.json: not supported: hidden_size_per_layer_input=8`},
		{"gemma4_text-dense", `{"rope_theta": 1e4}`, `arch: gemma4_text: config.json: not supported: rope_theta=1e4`},
		{"gemma3_text-pattern", `{"use_bidirectional_attention": true}`, `arch: gemma3_text: config.json: not supported: use_bidirectional_attention=true`},
		{"gemma3_text-pattern", `{"rope_parameters": {"rope_type": "linear", "factor": 8}}`, `arch: gemma3_text: config.json: not supported: rope_parameters.factor=8, rope_parameters.rope_type="linear"`},
		{"qwen2-untied", `{"use_mrope": true}`, `arch: qwen2: config.json: not supported: use_mrope=true`},
		{"qwen2-window", `{"layer_types": ["sliding_attention"]}`, `wanted`},
		{"phi3-plain", `{"rope_parameters": {"rope_type": "linear", "factor": 2.0}}`, `arch: phi3: config.json: not supported: rope_parameters.rope_type="linear"`},
		{"gpt2-plain", `{"add_cross_attention": true}`, `arch: gpt2: config.json: not supported: add_cross_attention=true`},
		{"gpt_neox-parallel", `{"hidden_act": "relu6"}`, `arch: gpt_neox: config.json: not supported: hidden_act="relu6"`},
		{"phimoe-bias", `{"num_experts_per_tok": 1, "rope_parameters": {"rope_type": "yarn", "factor": 4.0, "short_mscale": 1}}`, `arch: phimoe: config.json: not supported: num_experts_per_tok=1, rope_parameters.rope_type="yarn"`},
		{"phimoe-longrope", `{"router_jitter_noise": 0}`, `arch: phimoe: config.json: router_jitter_noise is 0, wanted more than 0`},
		{"llama4_text-step", `{"num_experts_per_tok": 2, "attn_temperature_tuning": "on"}`, `arch: llama4_text: config.json: not supported: attn_temperature_tuning="on", num_experts_per_tok=2`},
		{"llama4_text-step", `{"attention_chunk_size": null}`, `arch: llama4_text: config.json: not supported: attention_chunk_size=null`},
		{"llama4_text-moe_layers", `{"moe_layers": [2]}`, `arch: llama4_text: config.json: moe_layers names layer 2 of 2`},
		{"llama4_text-moe_layers", `{"no_rope_layers": [1]}`, `arch: llama4_text: config.json: no_rope_layers is [1], wanted 0 or 1 for each of 2 layers`},
		{"glm4_moe-groups", `{"n_group": 8, "topk_group": 4}`, `arch: glm4_moe: config.json: n_group is 8 and topk_group 4, wanted groups of the 8 experts, and 3 or more in those chosen`},
		{"ernie4_5_moe-correction", `{"moe_norm_min": 0.5, "hidden_act": "gelu"}`, `arch: ernie4_5_moe: config.json: not supported: hidden_act="gelu", moe_norm_min=0.5`},
		{"ernie4_5_moe-correction", `{"moe_k": 9}`, `arch: ernie4_5_moe: config.json: moe_k is 9, wanted at most moe_num_experts 8`},
		{"hunyuan_v1_moe-bias", `{"moe_topk": [2, 1], "moe_intermediate_size": [12, 12]}`, `arch: hunyuan_v1_moe: config.json: not supported: moe_intermediate_size=[12, 12], moe_topk=[2, 1]`},
		{"hunyuan_v1_moe-bias", `{"num_experts": [2]}`, `arch: hunyuan_v1_moe: config.json: moe_topk is 2, wanted at most num_experts 1; num_experts has 1 entries, wanted 2`},
		{"bloom-heads", `{"apply_residual_connection_post_layernorm": true, "num_attention_heads": 4}`, `arch: bloom: config.json: not supported: apply_residual_connection_post_layernorm=true, num_attention_heads=4`},
		{"bloom-heads", `{"n_head": 5}`, `arch: bloom: config.json: hidden_size is 36, wanted a multiple of n_head 5`},
		{"mpt-clip", `{"attn_config": {"alibi": false, "alibi_bias_max": 16, "qk_ln": true, "attn_type": "multiquery_attention"}}`, `arch: mpt: config.json: not supported: attn_config.alibi=false, attn_config.alibi_bias_max=16, attn_config.attn_type="multiquery_attention", attn_config.qk_ln=true`},
		{"mpt-clip", `{"logit_scale": 0.5, "expansion_ratio": 2, "no_bias": false}`, `arch: mpt: config.json: not supported: expansion_ratio=2, logit_scale=0.5, no_bias=false`},
		{"falcon-multi", `{"num_ln_in_parallel_attn": 2}`, `arch: falcon: config.json: not supported: num_ln_in_parallel_attn=2`},
		{"falcon-groups", `{"parallel_attn": false}`, `arch: falcon: config.json: not supported: parallel_attn=false`},
		{"falcon-groups", `{"num_kv_heads": 3}`, `arch: falcon: config.json: num_attention_heads is 4, wanted a multiple of num_kv_heads 3`},
		{"falcon-alibi", `{"num_kv_heads": 3}`, `arch: falcon: config.json: not supported: num_kv_heads=3`},
		{"olmoe-clip", `{"hidden_act": "gelu"}`, `arch: olmoe: config.json: not supported: hidden_act="gelu"`},
		{"olmoe-clip", `{"num_experts_per_tok": 9}`, `arch: olmoe: config.json: num_experts_per_tok is 9, wanted at most num_experts 8`},
		{"olmoe-clip", `{"num_experts": 100000}`, `arch: olmoe: config.json: num_experts is 100000 in 2 layers, wanted at most 65536 experts in all`},
		{"olmoe-clip", `{"num_local_experts": 4}`, `arch: olmoe: config.json: not supported: num_local_experts=4`},
		{"olmoe-clip", `{"clip_qkv": -1}`, `arch: olmoe: config.json: clip_qkv is -1, wanted more than 0`},
		{"olmoe-clip", `{"sliding_window": 8}`, `arch: olmoe: config.json: not supported: sliding_window=8`},
		{"qwen3_moe-only", `{"mlp_only_layers": 0}`, `arch: qwen3_moe: config.json: mlp_only_layers is 0, wanted a list of integers`},
		{"qwen3_moe-only", `{"decoder_sparse_step": 0}`, `arch: qwen3_moe: config.json: decoder_sparse_step is 0, wanted 1 to 16777216`},
		{"qwen3_moe-only", `{"shared_expert_intermediate_size": 8}`, `arch: qwen3_moe: config.json: not supported: shared_expert_intermediate_size=8`},
		{"mixtral-null", `{"norm_topk_prob": false}`, `arch: mixtral: config.json: not supported: norm_topk_prob=false`},
		{"gpt_oss-sinks", `{"experts_per_token": 4, "hidden_act": "gelu", "swiglu_beta": 1}`, `arch: gpt_oss: config.json: not supported: experts_per_token=4, hidden_act="gelu", swiglu_beta=1`},
		{"gpt_oss-sinks", `{"swiglu_limit": 0}`, `arch: gpt_oss: config.json: swiglu_limit is 0, wanted more than 0`},
		{"gpt_oss-sinks", `{"sliding_window": null}`, `arch: gpt_oss: config.json: sliding_window is missing, wanted at least 1 for a sliding layer`},
		{"gpt_oss-sinks", `{"rope_parameters": "DELETE", "rope_scaling": null}`, `arch: gpt_oss: config.json: not supported: rope_scaling=null`},
		{"deepseek_v2-lite", `{"topk_method": "noaux_tc", "mlp_bias": true, "norm_topk_prob": true}`, `arch: deepseek_v2: config.json: not supported: mlp_bias=true, norm_topk_prob=true, topk_method="noaux_tc"`},
		{"deepseek_v2-lite", `{"num_experts_per_tok": "DELETE"}`, `arch: deepseek_v2: config.json: num_experts_per_tok is missing`},
		{"deepseek_v2-groups", `{"topk_group": 1}`, `arch: deepseek_v2: config.json: n_group is 4 and topk_group 1, wanted groups of the 8 experts, and 3 or more in those chosen`},
		{"deepseek_v3-groups", `{"n_group": 8, "topk_group": 4}`, `arch: deepseek_v3: config.json: n_group is 8 and topk_group 4, wanted groups of the 8 experts, and 3 or more in those chosen`},
		{"deepseek_v3-groups", `{"scoring_func": "softmax", "num_key_value_heads": 2, "moe_layer_freq": 2}`, `arch: deepseek_v3: config.json: not supported: moe_layer_freq=2, num_key_value_heads=2, scoring_func="softmax"`},
		{"granitemoe-factors", `{"shared_intermediate_size": 8}`, `arch: granitemoe: config.json: not supported: shared_intermediate_size=8`},
		{"mistral3-hub", `{"text_config": {"model_type": "llama", "hidden_size": 8, "intermediate_size": 8, "max_position_embeddings": 8, "num_attention_heads": 8,
			"head_dim": 2, "num_hidden_layers": 1, "rms_norm_eps": 1, "vocab_size": 8, "rope_foo": 1}}`,
			`arch: mistral3: config.json: not supported: text_config.model_type="llama", text_config.rope_foo=1`},
		{"ministral3-yarn", `{"rope_parameters": "DELETE"}`, `rope_parameters is missing`},
		{"exaone4-hybrid", `{"layer_types": "DELETE", "sliding_window_pattern": "LLLG"}`, `arch: exaone4: config.json: sliding_window_pattern is "LLLG", wanted an integer`},
		{"exaone4-full", `{"layer_types": ["sliding_attention", "full_attention"]}`, `sliding_window is missing, wanted at least 1 for a sliding layer`},
		{"hunyuan_v1_dense-bias", `{"use_cla": true, "use_qk_norm": false}`, `arch: hunyuan_v1_dense: config.json: not supported: use_cla=true, use_qk_norm=false`},
		{"hunyuan_v1_dense-bias", `{"rope_parameters": {"rope_type": "default", "alpha": 1000.0}}`, `arch: hunyuan_v1_dense: config.json: not supported: rope_parameters.alpha=1000.0`},
		{"hunyuan_v1_dense-bias", `{"rope_parameters": {"rope_type": "dynamic", "factor": 2.0, "beta_fast": 32}}`, `arch: hunyuan_v1_dense: config.json: not supported: rope_parameters.beta_fast=32`},
		{"cohere-bias", `{"rope_parameters": "DELETE"}`, `arch: cohere: config.json: rope_theta is missing: transformers 4 takes 10000 and 5 takes 500000`},
		{"cohere-bias", `{"use_parallel_block": false, "rotary_pct": 0.5}`, `arch: cohere: config.json: not supported: rotary_pct=0.5, use_parallel_block=false`},
		{"cohere2-hybrid", `{"layer_types": "DELETE", "sliding_window_pattern": 3, "layer_switch": 4}`, `arch: cohere2: config.json: not supported: layer_switch=4`},
		{"qwen3_5_text-hybrid", `{"layer_types": ["linear_attention", "sliding_attention", "full_attention"]}`, `arch: qwen3_5_text: config.json: not supported: layer_types=["linear_attention", "sliding_attention", "full_attention"]`},
		{"qwen3_5_text-hybrid", `{"layer_types": ["linear_attention"]}`, `layer_types has 1 entries, wanted 3`},
		{"qwen3_5_text-hybrid", `{"linear_num_value_heads": 3}`, `linear_num_value_heads is 3, wanted a multiple of linear_num_key_heads 2`},
		{"qwen3_5_text-hybrid", `{"linear_conv_kernel_dim": 1}`, `linear_conv_kernel_dim is 1, wanted 2 to 64`},
		{"qwen3_5_text-hybrid", `{"attn_output_gate": false, "mlp_only_layers": [0]}`, `not supported: attn_output_gate=false, mlp_only_layers=[0]`},
		{"qwen3_5_moe_text-hybrid", `{"norm_topk_prob": false}`, `not supported: norm_topk_prob=false`},
		{"qwen3_5_moe_text-hybrid", `{"decoder_sparse_step": 2}`, `arch: qwen3_5_moe_text: config.json: not supported: decoder_sparse_step=2`},
		{"qwen3_5_moe_text-hybrid", `{"mlp_only_layers": [0]}`, `arch: qwen3_5_moe_text: config.json: not supported: mlp_only_layers=[0]`},
		{"llama-mha", `{"model_type": "xlstm"}`, `(what its heads read is divided by a norm of exponential gates, which is not computed here)`},
		{"llama-mha", `{"model_type": "rwkv"}`, `(it decays by channel, which does not come apart into what tokens keep for those after them)`},
		{"llama-mha", `{"model_type": "recurrent_gemma"}`, `(it decays by channel, which does not come apart into what tokens keep for those after them)`},
		{"granitemoehybrid-experts", `{"position_embedding_type": "alibi", "normalization_function": "layernorm", "hidden_act": "gelu"}`,
			`arch: granitemoehybrid: config.json: not supported: hidden_act="gelu", normalization_function="layernorm", position_embedding_type="alibi"`},
		{"granitemoehybrid-experts", `{"layer_types": ["mamba", "attention", "sliding_attention"]}`, `not supported: layer_types=["mamba", "attention", "sliding_attention"]`},
		{"granitemoehybrid-experts", `{"mamba_n_heads": 3, "mamba_d_head": "auto"}`, `mamba_n_heads is 3 and mamba_d_head 21, wanted a product of 64; mamba_n_heads is 3, wanted a multiple of mamba_n_groups 2`},
		{"granitemoehybrid-experts", `{"time_step_limit": [0.3, {"__float__": "-Infinity"}]}`, `arch: granitemoehybrid: config.json: time_step_limit is [0.3, {"__float__": "-Infinity"}], wanted two numbers`},
		{"granitemoehybrid-experts", `{"time_step_limit": [0.3]}`, `arch: granitemoehybrid: config.json: time_step_limit is [0.3], wanted two numbers, the lower one first`},
		{"granitemoehybrid-experts", `{"mamba_d_conv": 1}`, `mamba_d_conv is 1, wanted 2 to 64`},
		{"granitemoehybrid-attention", `{"num_experts": 4}`, `arch: granitemoehybrid: config.json: not supported: num_experts=4`},
		{"falcon_h1-gate", `{"ssm_multipliers": [1, 2]}`, `arch: falcon_h1: config.json: ssm_multipliers has 2 numbers, wanted 5`},
		{"falcon_h1-gate", `{"mamba_use_mlp": false, "attn_layer_indices": [1]}`, `arch: falcon_h1: config.json: not supported: attn_layer_indices=[1], mamba_use_mlp=false`},
		{"falcon_h1-gate", `{"mamba_d_ssm": null}`, `arch: falcon_h1: config.json: mamba_n_heads is 4 and mamba_d_head 12, wanted a product of 64`},
		{"bamba-hybrid", `{"rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 1.0}}`, `arch: bamba: config.json: partial_rotary_factor is 1, wanted 0.5`},
		{"qwen3_5-hub", `{"tie_word_embeddings": true}`, `not supported: text_config.tie_word_embeddings=false`},
		{"cohere2-hybrid", `{"head_dim": 16}`, `arch: cohere2: config.json: not supported: head_dim=16`},
		{"gptj-partial", `{"rotary_dim": 18}`, `arch: gptj: config.json: rotary_dim is 18, wanted an even number up to the 16 of a head`},
		{"helium-plain", `{"head_dim": 16}`, `arch: helium: config.json: head_dim is 16, wanted hidden_size / num_attention_heads, 32 / 4`},
		{"ernie4_5-bias", `{"rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.5}}`, `arch: ernie4_5: config.json: not supported: rope_parameters.partial_rotary_factor=0.5`},
		{"olmo2-mha", `{"clip_qkv": 8.0}`, `arch: olmo2: config.json: not supported: clip_qkv=8.0`},
		{"phi-partial", `{"qk_layernorm": true}`, `arch: phi: config.json: not supported: qk_layernorm=true`},
		{"phi-partial", `{"rms_norm_eps": 1e-5}`, `arch: phi: config.json: not supported: rms_norm_eps=1e-5`},
		{"apertus-xielu", `{"hidden_act": "silu", "post_norm": true}`, `arch: apertus: config.json: not supported: hidden_act="silu", post_norm=true`},
		{"apertus-xielu", `{"rope_parameters": "DELETE", "rope_scaling": null}`, `arch: apertus: config.json: not supported: rope_scaling=null`},
		{"apertus-xielu", `{"rope_parameters": "DELETE", "rope_theta": 5e5}`, `arch: apertus: config.json: not supported: rope_theta=5e5`},
		{"opt-relu", `{"word_embed_proj_dim": 0}`, `arch: opt: config.json: word_embed_proj_dim is 0, wanted 1 to 16777216`},
		{"opt-relu", `{"scale_embeddings": true}`, `arch: opt: config.json: not supported: scale_embeddings=true`},
		{"starcoder2-window", `{"norm_type": "rms_norm"}`, `arch: starcoder2: config.json: not supported: norm_type="rms_norm"`},
		{"stablelm-bias", `{"head_dim": 16}`, `arch: stablelm: config.json: not supported: head_dim=16`},
		{"stablelm-bias", `{"rope_pct": 0.5, "norm_eps": 1e-5}`, `arch: stablelm: config.json: not supported: norm_eps=1e-5, rope_pct=0.5`},
		{"nemotron-relu2", `{"hidden_act": "relu6"}`, `arch: nemotron: config.json: not supported: hidden_act="relu6"`},
		{"nemotron_h-experts", `{"layers_block_type": ["mamba", "sliding_attention", "mlp", "moe"]}`, `not supported: layers_block_type=["mamba", "sliding_attention", "mlp", "moe"]`},
		{"nemotron_h-experts", `{"layers_block_type": "DELETE", "hybrid_override_pattern": "*-E*"}`, `arch: nemotron_h: config.json: not supported: hybrid_override_pattern="*-E*"`},
		{"nemotron_h-experts", `{"num_hidden_layers": 3}`, `arch: nemotron_h: config.json: num_hidden_layers is 3, wanted 4, of as many mixers`},
		{"nemotron_h-experts", `{"time_step_limit": [0.0, 0.5]}`, `arch: nemotron_h: config.json: not supported: time_step_limit=[0.0, 0.5]`},
		{"nemotron_h-experts", `{"mlp_hidden_act": "silu", "tie_word_embeddings": true, "attention_bias": true, "mamba_proj_bias": true}`,
			`arch: nemotron_h: config.json: not supported: attention_bias=true, mamba_proj_bias=true, mlp_hidden_act="silu", tie_word_embeddings=true`},
		{"nemotron_h-experts", `{"n_shared_experts": 2, "n_groups": 3}`, `mamba_num_heads is 4, wanted a multiple of n_groups 3`},
		{"gpt_neo-local", `{"attention_layers": ["local", "global"]}`, `arch: gpt_neo: config.json: not supported: attention_layers=["local", "global"]`},
		{"gpt_neo-local", `{"attention_types": [[["global"], 1]]}`, `attention_types is [[["global"], 1]], wanted pairs`},
		{"gpt_neo-local", `{"attention_types": [[["global"], 1000000000]]}`, `wanted pairs`},
		{"gpt_neo-local", `{"attention_types": [[["sparse", "global"], 1]], "attention_layers": null}`, `arch: gpt_neo: config.json: not supported: attention_types=[[["sparse", "global"], 1]]`},
	} {
		_, err := New(readConfig(t, test.name, test.changes), no)
		if err == nil {
			t.Errorf("%s %s: no error, wanted %q", test.name, test.changes, test.want)
			continue
		}
		exact := strings.HasPrefix(test.want, "arch:")
		if exact && err.Error() != test.want || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s %s:\n got %s\nwant %s", test.name, test.changes, err, test.want)
		}
		var unsupported *UnsupportedError
		if strings.Contains(test.want, "not supported") && (!errors.As(err, &unsupported) || len(unsupported.Keys) == 0) {
			t.Errorf("%s %s: %T, wanted an UnsupportedError with keys", test.name, test.changes, err)
		}
	}
}

// TestScaledQueries: texts end where queries begin to be scaled, and where the first chunk of attention does.
func TestScaledQueries(t *testing.T) {
	for _, test := range []struct {
		name, changes string
		want          int
	}{
		{"ministral3-yarn", `{}`, 96}, // original_max_position_embeddings
		{"ministral3-yarn", `{"rope_parameters": {"llama_4_scaling_beta": 0.0}}`, 384},
		{"llama4_text-step", `{}`, 128},
		{"llama4_text-step", `{"max_position_embeddings": 131072}`, 8191},
		{"llama4_text-step", `{"max_position_embeddings": 131072, "attn_temperature_tuning": false}`, 8192},
		{"llama4_text-step", `{"max_position_embeddings": 131072, "attn_scale": 0.0, "attention_chunk_size": 50}`, 50},
		{"llama4_text-step", `{"floor_scale": 40}`, 39}, // floor((position + 1) / 40) is 0 up to position 38
	} {
		m, err := New(readConfig(t, test.name, test.changes), no)
		if err != nil {
			t.Fatal(err)
		}
		if m.Context != test.want {
			t.Errorf("%s, %s: a context of %d, wanted %d", test.name, test.changes, m.Context, test.want)
		}
	}
}

// TestLaterLayers: DeepSeek-V3's layers that predict further tokens are left aside, and no others.
func TestLaterLayers(t *testing.T) {
	m, err := New(readConfig(t, "deepseek_v3-groups", `{}`), no)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{
		"model.layers.1.mlp.gate.bias": false, "model.layers.2.eh_proj.weight": true, "model.layers.20.eh_proj.weight": false, "model.layers.3.enorm.weight": false,
	} {
		if m.Ignored(name) != want {
			t.Errorf("%s: ignored %v, wanted %v", name, !want, want)
		}
	}
}

// TestBesideText: of Gemma 3n the tokens are known that modules of the towers embed.
func TestBesideText(t *testing.T) {
	for changes, want := range map[string]int{
		`{}`: 106, `{"vision_config": {"vocab_offset": 90}}`: 90, `{"audio_config": {"vocab_offset": 91}}`: 91, `{"vision_config": null, "audio_config": null}`: 106,
	} {
		m, err := New(readConfig(t, "gemma3n-hub", changes), no)
		if err != nil {
			t.Fatal(err)
		}
		if m.Embed.Rows != want || m.Embed.Check(int32(want)) == nil || m.Embed.Check(int32(want)-1) != nil {
			t.Errorf("%s: the text part embeds %d tokens, wanted %d", changes, m.Embed.Rows, want)
		}
	}
}

// TestDefaults holds the places where an absent key and null differ, or where the
// default is not the obvious one (configuration_*.py of transformers).
func TestDefaults(t *testing.T) {
	for _, test := range []struct {
		name, changes, want string // in the first block
	}{
		{"mistral-window", `{"sliding_window": "DELETE"}`, "Window:4096"},
		{"mistral-window", `{"sliding_window": null}`, "Window:0"},
		{"ministral3-yarn", `{"sliding_window": "DELETE"}`, "Window:0"},
		{"gemma2-base", `{"attn_logit_softcapping": "DELETE"}`, "SoftCap:50"},
		{"gemma2-base", `{"attn_logit_softcapping": null}`, "SoftCap:0"},
		{"gemma2-base", `{"query_pre_attn_scalar": "DELETE"}`, "Scale:0.0625"},
		{"qwen2-window", `{"use_sliding_window": false, "layer_types": "DELETE"}`, "Window:0"},
		{"gemma4_text-dense", `{"per_layer_config": "DELETE", "layer_types": ["full_attention", "sliding_attention", "full_attention", "full_attention"]}`, "keys: 2 of 512"},
		{"gemma4_text-dense", `{"final_logit_softcapping": "DELETE", "sliding_window": "DELETE", "layer_types": "DELETE", "per_layer_config": {}}`, "Window:512"},
		{"gemma4_unified_text-dense", `{"sliding_window": "DELETE"}`, "Window:1024"},
		{"gpt2-plain", `{"scale_attn_weights": false}`, "Scale:1 "},
		{"gpt_neo-local", `{"attention_types": [[["local"], 2]], "attention_layers": null, "window_size": "DELETE"}`, "Window:256"},
		{"starcoder2-window", `{"sliding_window": "DELETE"}`, "Window:0"},
		{"phi-partial", `{"num_key_value_heads": null}`, "g:4"},
		{"qwen3_moe-only", `{"mlp_only_layers": [1], "norm_topk_prob": "DELETE"}`, "shares:false"},
		{"qwen2_moe-window", `{"layer_types": "DELETE", "decoder_sparse_step": 1}`, "Window:9"},
		{"qwen2_moe-window", `{"layer_types": "DELETE", "max_window_layers": 0}`, "Window:0"},
		{"qwen3_moe-step", `{"sliding_window": "DELETE"}`, "Window:4096"},
		{"gpt_oss-sinks", `{"layer_types": "DELETE", "sliding_window": "DELETE"}`, "Window:128"},
		{"gpt_oss-sinks", `{"swiglu_alpha": "DELETE", "swiglu_limit": "DELETE"}`, "clamped:{alpha:1.702 limit:7}"},
		{"deepseek_v3-groups", `{"first_k_dense_replace": 0, "norm_topk_prob": "DELETE", "routed_scaling_factor": "DELETE"}`, "{shares:true sigmoid:true correction:13 groups:4 kept:2 best:2 scale:2.5}"},
		{"deepseek_v2-groups", `{"topk_method": "DELETE"}`, "groups:0 kept:0 best:1 scale:1.7"},
		{"mixtral-window", `{"sliding_window": "DELETE"}`, "Window:0"},
		{"olmoe-clip", `{"clip_qkv": "DELETE", "num_experts": "DELETE", "num_experts_per_tok": "DELETE"}`, "clip:0 acrossHeads:true"},
	} {
		m, err := New(readConfig(t, test.name, test.changes), no)
		if err != nil {
			t.Errorf("%s %s: %v", test.name, test.changes, err)
			continue
		}
		if got := fmt.Sprintf("%+v keys: %d of %d", m.Blocks[0].graph, m.Blocks[0].G, m.Blocks[0].K); !strings.Contains(got, test.want) {
			t.Errorf("%s %s: %s, wanted %s", test.name, test.changes, got, test.want)
		}
	}
}

// FuzzNew: no config, however hostile, panics or asks for a huge allocation.
func FuzzNew(f *testing.F) {
	dirs, _ := filepath.Glob(families_ + "/*/config*.json")
	for _, path := range dirs {
		b, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var keys map[string]json.RawMessage
		if json.Unmarshal(b, &keys) != nil {
			return
		}
		m, err := New(keys, no)
		if err == nil && (m.V < 1 || m.D < 1 || m.K < 1 || len(m.Blocks) < 1) {
			t.Errorf("accepted %s as %+v", b, m)
		}
	})
}
