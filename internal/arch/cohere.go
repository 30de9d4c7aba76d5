package arch

// cohere is Command R, Aya 23 and Aya Expanse (modeling_cohere.py): LayerNorm without bias,
// whose output attention and MLP read side by side, rotary positions that turn neighbouring
// values of each head, and logits with a factor. Command R+ has a LayerNorm of each head of q
// and k.
func cohere(c *config, exists func(string) bool) *Model {
	d := newDecoder(c, exists, defaults{EpsKey: "layer_norm_eps", Eps: 1e-5, Tied: true})
	d.readRope(c, "", 1)
	if !c.has("rope_theta") && !c.has("rope_parameters") {
		c.fail("rope_theta is missing: transformers 4 takes 10000 and 5 takes 500000")
	}
	each := c.bool("use_qk_norm", false)
	c.cohereRest()
	d.cohereBlocks(c, make([]int, d.L), func(int) int { return 0 }, each)
	return d.Model
}

// cohere2 is Command R7B and Command A (modeling_cohere2.py): cohere with a window in three
// layers of four; the others see all and have no rotary positions.
func cohere2(c *config, exists func(string) bool) *Model {
	d := newDecoder(c, exists, defaults{EpsKey: "layer_norm_eps", Eps: 1e-5, Tied: true})
	d.readRope(c, "", 1)
	if d.N*d.K != d.D {
		c.refuse("head_dim")
	}
	only(c, "use_qk_norm", false)
	every := 4
	if c.has("layer_types") {
		c.ignore("sliding_window_pattern", "_sliding_window_pattern")
	} else {
		every = c.size("sliding_window_pattern", every)
		only(c, "_sliding_window_pattern", every)
	}
	// Other names of the same, which transformers does not read.
	only(c, "layer_switch", every)
	only(c, "order_of_interleaved_layers", "local_attn_first")
	c.cohereRest()
	window := c.window(4096)
	rope := func(window int) int {
		if window == 0 {
			return noRope
		}
		return 0
	}
	d.cohereBlocks(c, windows(c, d.L, window, func(layer int) bool { return (layer+1)%every != 0 }), rope, false)
	return d.Model
}

// cohereRest reads what published configs say beside the keys of transformers' classes.
func (c *config) cohereRest() {
	for _, key := range []string{"use_parallel_block", "use_gated_activation", "use_embedding_sharing"} {
		only(c, key, true)
	}
	only(c, "use_parallel_embedding", false)
	only(c, "position_embedding_type", "rope_gptj")
	only(c, "rotary_pct", 1.0)
}

// cohereBlocks declares the blocks, with the window of each and its rope, and the head.
func (d *decoder) cohereBlocks(c *config, windows []int, rope func(window int) int, each bool) {
	bias := c.bool("attention_bias", false)
	act := c.activation("hidden_act", "silu")
	norm := func(b *builder, name string) layerNorm {
		return layerNorm{weight: b.vector(name+".weight", d.D), eps: d.eps}
	}
	d.Embed = d.embedding(1)
	for i, w := range windows {
		b := d.block(i)
		l := stableBlock{
			attentionNorm: norm(b, "input_layernorm"),
			attention:     d.attention(b, bias, bias, d.scaled(w)),
			mlp:           d.mlp(b, act, false),
			parallel:      true,
		}
		l.attention.neighbours = true
		if each {
			weights := func(name string, n int) headNorms {
				return headNorms{first: b.param(Tensor{Name: name, Shape: []int{n, d.K}}), n: n, eps: d.eps, stacked: true}
			}
			l.attention.qEach = weights("self_attn.q_norm.weight", d.N)
			l.attention.kEach = weights("self_attn.k_norm.weight", d.G)
		}
		d.Blocks = append(d.Blocks, newLayer(b, rope(w), l))
	}
	b := &builder{}
	d.Head = newScaledLogits(b, norm(b, d.prefix+"norm"), d.unembedding(b), c.positive("logit_scale", 0.0625))
}
