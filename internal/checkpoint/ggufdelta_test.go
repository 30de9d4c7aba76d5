package checkpoint

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
)

// delta is a Qwen 3.5 of one block, with one behind it that predicts several tokens.
func delta() (map[string]any, map[string][]int) {
	return map[string]any{
			"general.architecture": "qwen35", "qwen35.block_count": 2, "qwen35.nextn_predict_layers": 1, "qwen35.attention.head_count": 2, "qwen35.embedding_length": 32,
			"qwen35.feed_forward_length": 64, "qwen35.context_length": 16, "qwen35.attention.layer_norm_rms_epsilon": 1e-5, "qwen35.attention.key_length": 16,
			"qwen35.rope.dimension_count": 4, "qwen35.rope.dimension_sections": []int32{1, 1, 0, 0}, "qwen35.full_attention_interval": 4, "qwen35.ssm.conv_kernel": 4,
			"qwen35.ssm.state_size": 8, "qwen35.ssm.group_count": 2, "qwen35.ssm.time_step_rank": 6, "qwen35.ssm.inner_size": 24,
		}, map[string][]int{
			"token_embd.weight": {32, 3}, "output_norm.weight": {32}, "blk.0.attn_qkv.weight": {32, 56}, "blk.0.ssm_conv1d.weight": {4, 56}, "blk.0.ssm_a": {6},
			"blk.0.ssm_dt.bias": {6}, "blk.0.ssm_out.weight": {24, 32}, "blk.1.nextn.eh_proj.weight": {64, 32}, "blk.1.attn_norm.weight": {32},
		}
}

// TestDelta: the block behind the others is no part of the model, and what a delta net cannot be is
// one line.
func TestDelta(t *testing.T) {
	keys, shapes := delta()
	path := filepath.Join(t.TempDir(), "m.gguf")
	if err := os.WriteFile(path, []byte(ggufOf(keys, shapes, nil)), 0o644); err != nil {
		t.Fatal(err)
	}
	config, w, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	want := []string{
		"model.embed_tokens.weight", "model.layers.0.linear_attn.A_log", "model.layers.0.linear_attn.conv1d.weight", "model.layers.0.linear_attn.dt_bias",
		"model.layers.0.linear_attn.in_proj_qkv.weight", "model.layers.0.linear_attn.out_proj.weight", "model.norm.weight",
	}
	if string(config["num_hidden_layers"]) != "1" || !slices.Equal(w.Names(), want) {
		t.Errorf("%s layers, %q, wanted 1, %q", config["num_hidden_layers"], w.Names(), want)
	}
	for want, change := range map[string]func(map[string]any, map[string][]int){
		`ssm.time_step_rank=6, ssm.group_count=4, ssm.inner_size=24: no whole heads`: func(k map[string]any, _ map[string][]int) { k["qwen35.ssm.group_count"] = 4 },
		`attention.recurrent_layers has 3 entries, wanted 2`:                         func(k map[string]any, _ map[string][]int) { k["qwen35.attention.recurrent_layers"] = []int32{1, 0, 0} },
		`nextn_predict_layers=2 of 2 layers`:                                         func(k map[string]any, _ map[string][]int) { k["qwen35.nextn_predict_layers"] = 2 },
		`"qwen35.ssm.state_size" is missing, wanted a whole number`:                  func(k map[string]any, _ map[string][]int) { delete(k, "qwen35.ssm.state_size") },
		`"qwen35.ssm.dt_b_c_rms"=true`:                                               func(k map[string]any, _ map[string][]int) { k["qwen35.ssm.dt_b_c_rms"] = true },
		`tensor "blk.0.ssm_a": shape [7], wanted 6 in the place of 7`:                func(_ map[string]any, s map[string][]int) { s["blk.0.ssm_a"] = []int{7} },
		`tensor "blk.0.ssm_out.weight": shape [32 23], wanted 24 in the place of 23`: func(_ map[string]any, s map[string][]int) { s["blk.0.ssm_out.weight"] = []int{23, 32} },
		`tensor "blk.0.nextn.eh_proj.weight": which qwen35 has no place for`:         func(_ map[string]any, s map[string][]int) { s["blk.0.nextn.eh_proj.weight"] = []int{64, 32} },
	} {
		keys, shapes := delta()
		change(keys, shapes)
		wantRefused(t, ggufOf(keys, shapes, nil), want)
	}
	keys, shapes = delta()
	wantRefused(t, ggufOf(keys, shapes, map[string]uint32{"output_norm.weight": 8}), `tensor "output_norm.weight": one axis of Q8_0, wanted plain floats`)
}

// TestValueHeads: in the file the first heads of all groups come first; in the model those of the first group.
func TestValueHeads(t *testing.T) {
	v := valueHeads{groups: 2, each: 3}
	var got []string
	for i := range 1 + 2*6 {
		got = append(got, strconv.Itoa(v.stored(2, 1)(i)))
	}
	if want := []string{"0", "1", "2", "5", "6", "9", "10", "3", "4", "7", "8", "11", "12"}; !slices.Equal(got, want) {
		t.Errorf("%v, wanted %v", got, want)
	}
	all := map[int]bool{}
	for i := range 24 {
		all[v.stored(4, 0)(i)] = true
	}
	if n := len(slices.Collect(maps.Keys(all))); n != 24 {
		t.Errorf("%d places of 24", n)
	}
}
