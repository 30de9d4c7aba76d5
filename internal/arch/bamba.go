package arch

import "slices"

// bamba is Bamba (modeling_bamba.py): llama with layers of Mamba 2 in the place of attention but in
// those that attn_layer_indices lists, where half of each head turns.
func bamba(c *config, exists func(string) bool) *Model {
	d := newDecoder(c, exists, defaults{V: 128_000, D: 4096, F: 14_336, L: 32, N: 32, G: 8, Context: 262_144, Eps: 1e-5})
	rope := readRopeConfig(c, 10_000, "partial_rotary_factor", 0.5)
	if rope.partial != 0.5 { // which the class sets itself
		c.fail("partial_rotary_factor is %g, wanted 0.5", rope.partial)
	}
	d.setRope(c, rope)
	bias, mlpBias := c.bool("attention_bias", false), c.bool("mlp_bias", false)
	m := d.readMamba(c, 0)
	c.doubtGroups(m)
	full := get[[]int](c, "attn_layer_indices", nil, "a list of integers")
	only(c, "hidden_act", "silu")
	c.ignore("num_logits_to_keep", "z_loss_coefficient")

	d.Embed = d.embedding(1)
	for i := range d.L {
		b := d.block(i)
		mixerNorm, mlpNorm := b.rmsNorm("input_layernorm", d.D, d.eps), b.rmsNorm("pre_ff_layernorm", d.D, d.eps)
		mlp := b.gatedMLP("feed_forward.", d.D, d.F, "silu", mlpBias)
		if slices.Contains(full, i) {
			attention := d.attention(b, bias, bias, d.scaled(0))
			d.Blocks = append(d.Blocks, newLayer(b, 0, llamaBlock{mixerNorm, attention, mlpNorm, mlp}))
			continue
		}
		mixer := d.mamba(b, m)
		d.Blocks = append(d.Blocks, newLayer(b, noRope, normedBlock[mamba2, gatedMLP]{mixerNorm, mixer, mlpNorm, mlp}))
	}
	b := &builder{}
	d.Head = newLogits(b, b.rmsNorm(d.prefix+"final_layernorm", d.D, d.eps), d.unembedding(b), 0)
	return d.Model
}
