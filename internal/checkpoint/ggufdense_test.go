package checkpoint

import (
	"maps"
	"testing"
)

// denseOf is a model of one block of an architecture, with further metadata and tensors.
func denseOf(arch string, more map[string]any, shapes map[string][]int) (map[string]any, map[string][]int) {
	keys := map[string]any{
		"general.architecture": arch, arch + ".block_count": 1, arch + ".attention.head_count": 2, arch + ".embedding_length": 32, arch + ".feed_forward_length": 64,
		arch + ".context_length": 16, arch + ".attention.layer_norm_rms_epsilon": 1e-5,
	}
	for key, value := range more {
		if keys[arch+"."+key] = value; value == nil {
			delete(keys, arch+"."+key)
		}
	}
	all := map[string][]int{"token_embd.weight": {32, 3}, "output_norm.weight": {32}}
	for name, shape := range shapes {
		all[name] = shape
	}
	return keys, all
}

// TestGGUFDense: of each family, what cannot be is one line.
func TestGGUFDense(t *testing.T) {
	granite := map[string]any{"attention.scale": 1.0, "embedding_scale": 1.0, "residual_scale": 1.0, "logit_scale": 1.0}
	with := func(key string, value any) map[string]any {
		all := map[string]any{key: value}
		for k, v := range granite {
			if k != key {
				all[k] = v
			}
		}
		return all
	}
	both := func(more map[string]any) map[string]any {
		maps.Copy(more, granite)
		return more
	}
	for want, test := range map[string]struct {
		arch   string
		keys   map[string]any
		shapes map[string][]int
	}{
		`"granite.attention.scale" is missing, wanted a number`:                              {"granite", with("attention.scale", nil), nil},
		`attention.head_count_kv is "many", wanted a number for each of 1 layers`:            {"granitehybrid", with("attention.head_count_kv", "many"), nil},
		`ssm.inner_size=33, wanted a multiple of ssm.time_step_rank and of embedding_length`: {"granitehybrid", both(map[string]any{"attention.head_count_kv": []int32{0}, "ssm.inner_size": 33, "ssm.time_step_rank": 4, "ssm.group_count": 1, "ssm.state_size": 8, "ssm.conv_kernel": 4, "expert_shared_feed_forward_length": 16}), nil},
		`attention.head_count_kv, wanted one number for all layers`:                          {"granite", both(map[string]any{"attention.head_count_kv": []int32{1, 2}, "ssm.inner_size": 64, "expert_shared_feed_forward_length": 16}), nil},
		`granite: not supported: rope.scaling.finetuned=false`:                               {"granite", with("rope.scaling.finetuned", false), nil},
		`attention.layer_norm_epsilon=0.001, wanted 1e-05`:                                   {"olmo", map[string]any{"attention.layer_norm_epsilon": 1e-3}, nil},
		`"olmo2.attention.sliding_window_pattern" has 2 entries, wanted 1`:                   {"olmo2", map[string]any{"attention.sliding_window": 8, "attention.sliding_window_pattern": []int32{1, 0}}, nil},
		`"olmo2.attention.sliding_window" is "wide", wanted a number`:                        {"olmo2", map[string]any{"attention.sliding_window": "wide"}, nil},
		`rope.freq_base_swa=500 beside rope.freq_base=10000, wanted the same`:                {"exaone4", map[string]any{"rope.freq_base_swa": 500.0}, nil},
		`"xielu.eps" is missing, wanted a number for each of 1 layers`:                       {"apertus", nil, nil},
		`rope.scaling.yarn_log_multiplier=2 beside rope.scaling.type="yarn", wanted 1`:       {"mistral3", map[string]any{"attention.temperature_scale": 0.1, "rope.scaling.yarn_log_multiplier": 2.0, "rope.scaling.type": "yarn", "rope.scaling.factor": 2.0, "rope.scaling.original_context_length": 8}, nil},
		`"command-r.logit_scale" is missing, wanted a number`:                                {"command-r", nil, nil},
		`tensor "blk.0.attn_q_norm.weight": shape [3 16], wanted [2, width], of all heads`:   {"stablelm", map[string]any{"attention.layer_norm_epsilon": 1e-5, "rope.dimension_count": 4}, map[string][]int{"blk.0.attn_q_norm.weight": {16, 3}}},
		`attention.key_length=8, wanted 16`:                                                  {"nemotron", map[string]any{"attention.layer_norm_epsilon": 1e-5, "attention.key_length": 8, "rope.dimension_count": 4}, nil},
		`"seed_oss.attention.layer_norm_rms_epsilon" is missing, wanted a number`:            {"seed_oss", map[string]any{"attention.layer_norm_rms_epsilon": nil}, nil},
		`"smollm3.feed_forward_length" is a list of 1, wanted a whole number`:                {"smollm3", map[string]any{"feed_forward_length": []int32{64}}, nil},
		`"smollm3.attention.head_count_kv"=a list of 1`:                                      {"smollm3", map[string]any{"attention.head_count_kv": []int32{1}}, nil},
		`"hunyuan-dense.rope.scaling.factor"=4, wanted 1`:                                    {"hunyuan-dense", map[string]any{"rope.scaling.factor": 4.0}, nil},
	} {
		keys, shapes := denseOf(test.arch, test.keys, test.shapes)
		wantRefused(t, ggufOf(keys, shapes, nil), want)
	}
}
