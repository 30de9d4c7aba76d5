package arch

import "slices"

// smollm3 is SmolLM 3 (modeling_smollm3.py): llama without rotary positions in every fourth
// layer, which no_rope_layers lists with a 0.
func smollm3(c *config, exists func(string) bool) *Model {
	d := newDecoder(c, exists, defaults{G: 4, Eps: 1e-6, Tied: true})
	d.setRope(c, readRopeConfig(c, 2_000_000, "", 1))
	bias, mlpBias := c.bool("attention_bias", false), c.bool("mlp_bias", false)
	act := c.activation("hidden_act", "silu")
	c.ignore("max_window_layers") // of qwen2, from which it was made; layer_types decides
	rotates := c.rotates(d.L)
	// Without layer_types the layers that do not rotate slide; with them only where
	// use_sliding_window says so, as in the others.
	window := 0
	if c.bool("use_sliding_window", false) {
		window = c.window(0)
	}
	c.ignore("sliding_window")
	all := make([]int, d.L)
	if window > 0 {
		all = windows(c, d.L, window, func(i int) bool { return !rotates[i] })
	}
	c.ignore("layer_types")

	d.Embed = d.embedding(1)
	for i, w := range all {
		rope := 0
		if !rotates[i] {
			rope = noRope
		}
		b := d.block(i)
		d.Blocks = append(d.Blocks, newLayer(b, rope, llamaBlock{
			attentionNorm: b.rmsNorm("input_layernorm", d.D, d.eps),
			attention:     d.attention(b, bias, bias, d.scaled(w)),
			mlpNorm:       b.rmsNorm("post_attention_layernorm", d.D, d.eps),
			mlp:           d.mlp(b, act, mlpBias),
		}))
	}
	d.Head = d.rmsHead()
	return d.Model
}

// rotates tells which layers have rotary positions: those for which no_rope_layers has a 1, and
// without it all but each no_rope_layer_interval-th.
func (c *config) rotates(layers int) []bool {
	const key = "no_rope_layers"
	all := make([]bool, layers)
	interval, list := c.size("no_rope_layer_interval", 4), get[[]int](c, key, nil, "a list of integers")
	if len(list) > 0 && len(list) < layers || slices.ContainsFunc(list, func(r int) bool { return r != 0 && r != 1 }) {
		c.fail("%s is %s, wanted 0 or 1 for each of %d layers", key, brief(c.keys[key]), layers)
		return all
	}
	for i := range all {
		all[i] = (i+1)%interval != 0
		if len(list) > 0 {
			all[i] = list[i] == 1
		}
	}
	return all
}
