package checkpoint

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// qwen35 is what Qwen 3.5's models have in common, with gated delta nets in most layers
// (gguf_config_mapping.py and gguf_conversion_mapping.py of transformers 5.23).
func (m *ggufConfig) qwen35(modelType string) {
	m.keys["model_type"], m.keys["hidden_act"], m.names.minus = modelType, "silu", true
	m.names.modules(map[string]string{
		"ffn_norm": "", "post_attention_norm": "post_attention_layernorm", "attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm",
		"attn_qkv": "linear_attn.in_proj_qkv", "attn_gate": "linear_attn.in_proj_z", "ssm_alpha": "linear_attn.in_proj_a", "ssm_beta": "linear_attn.in_proj_b",
		"ssm_conv1d": "linear_attn.conv1d", "ssm_norm": "linear_attn.norm", "ssm_out": "linear_attn.out_proj", "ssm_a": "linear_attn.A_log", "ssm_dt.bias": "linear_attn.dt_bias",
	})
	layers := m.layers
	// The layers that predict several tokens at once come after the others, and are not the model.
	if n, ok := m.number("nextn_predict_layers"); ok && n >= 0 && n < float64(layers) {
		for name := range m.w.stored {
			if rest, of := strings.CutPrefix(name, "blk."); of {
				number, _, _ := strings.Cut(rest, ".")
				i, err := strconv.Atoi(number)
				m.read[name] = m.read[name] || err == nil && i >= layers-int(n) && i < layers
			}
		}
		m.keys["num_hidden_layers"] = layers - int(n)
	} else if ok {
		m.wrong = append(m.wrong, fmt.Sprintf("nextn_predict_layers=%v of %d layers", n, layers))
	}
	if recurrent, ok := m.list("attention.recurrent_layers"); ok && len(recurrent) == layers {
		types := make([]string, m.keys["num_hidden_layers"].(int))
		for i := range types {
			types[i] = "full_attention"
			if recurrent[i] != 0 {
				types[i] = "linear_attention"
			}
		}
		m.keys["layer_types"] = types
	} else if ok {
		m.wrong = append(m.wrong, fmt.Sprintf("attention.recurrent_layers has %d entries, wanted %d", len(recurrent), layers))
	}
	m.keys["full_attention_interval"], m.keys["linear_conv_kernel_dim"] = m.size("full_attention_interval"), m.size("ssm.conv_kernel")
	key, groups := m.size("ssm.state_size"), m.size("ssm.group_count")
	heads, inner := m.size("ssm.time_step_rank"), m.size("ssm.inner_size")
	if heads%groups != 0 || inner%heads != 0 {
		m.wrong = append(m.wrong, fmt.Sprintf("ssm.time_step_rank=%d, ssm.group_count=%d, ssm.inner_size=%d: no whole heads", heads, groups, inner))
		return
	}
	m.keys["linear_key_head_dim"], m.keys["linear_num_key_heads"] = key, groups
	m.keys["linear_num_value_heads"], m.keys["linear_value_head_dim"] = heads, inner/heads
	v := &valueHeads{groups: groups, each: heads / groups, width: inner / heads, before: 2 * key * groups}
	m.names.change = v.change
	m.partial()
	m.read[m.arch+".rope.dimension_sections"] = true // which pairs turn by which of three positions, equal in texts
}

// valueHeads are the heads of values of a delta net, some for each group of keys: in the model those of a
// group stand beside each other, in the file those of the same place in all groups.
type valueHeads struct {
	groups, each int
	width        int // of a head
	before       int // rows of q and k, before those of values
}

// stored is where an element of the heads is in the file, each of so many, behind others.
func (v *valueHeads) stored(width, before int) func(int) int {
	return func(i int) int {
		if i < before {
			return i
		}
		head, within := (i-before)/width, (i-before)%width
		return before + (head%v.each*v.groups+head/v.each)*width + within
	}
}

// change says what was done to a part of a delta net.
func (v *valueHeads) change(c *ggufChange, t Tensor, part string) error {
	heads := v.groups * v.each
	axis, want := 0, heads
	switch part {
	case "attn_qkv", "ssm_conv1d":
		want = v.before + heads*v.width
		c.row = v.stored(v.width, v.before)
	case "attn_gate":
		want = heads * v.width
		c.row = v.stored(v.width, 0)
	case "ssm_alpha", "ssm_beta", "ssm_dt":
		c.row = v.stored(1, 0)
	case "ssm_a": // the decay's rate, negative
		c.row = v.stored(1, 0)
		c.each = func(x float32) float32 { return float32(math.Log(-float64(x))) }
	case "ssm_out":
		axis, want = len(t.Shape)-1, heads*v.width
		c.column = v.stored(v.width, 0)
	default:
		return nil
	}
	if n := t.Shape[axis]; n != want {
		return fmt.Errorf("shape %v, wanted %d in the place of %d", t.Shape, want, n)
	}
	return nil
}
