package arch

// gptOSS is GPT-OSS (modeling_gpt_oss.py): a mixture of experts with biases and a gate that is
// clamped in the place of each MLP, a sink in the softmax of each head, and a window on every
// second layer, the first among them. A router has a bias; probabilities are shares of the experts
// that are chosen.
func gptOSS(c *config, exists func(string) bool) *Model {
	const rope = `{"rope_type": "yarn", "factor": 32.0, "beta_fast": 32.0, "beta_slow": 1.0, "truncate": false,
		"original_max_position_embeddings": 4096}`
	def := defaults{F: 2880, G: 8, K: 64, Context: 131072, Eps: 1e-5}
	if c.null("head_dim") {
		def.K = 0
	}
	d := newDecoder(c, exists, def)
	rc := readRopeConfig(c, 150_000, "", 1)
	rc.ownRope(c, rope)
	d.setRope(c, rc)
	bias := c.bool("attention_bias", true)
	size := c.experts(d.L, 128, 4)
	// Keys of the published files, which transformers does not read.
	only(c, "experts_per_token", size.K)
	c.ignore("initial_context_length")
	gate := clampedGate{alpha: c.positive("swiglu_alpha", 1.702), limit: c.positive("swiglu_limit", 7)}

	d.Embed = d.embedding(1)
	for i, w := range windows(c, d.L, c.window(128), func(i int) bool { return i%2 == 0 }) {
		b := d.block(i)
		attention := d.attention(b, bias, bias, d.scaled(w))
		attention.sinks = b.vector("self_attn.sinks", d.N)
		router := b.router("mlp.router", size.E, d.D)
		router.bias = b.vector("mlp.router.bias", size.E)
		mlp := experts{
			router:     router,
			gateUp:     b.param(Tensor{Name: "mlp.experts.gate_up_proj", Shape: []int{size.E, d.D, 2 * d.F}, Linear: true, InOut: true}),
			gateUpBias: b.param(Tensor{Name: "mlp.experts.gate_up_proj_bias", Shape: []int{size.E, 2 * d.F}}),
			down:       b.param(Tensor{Name: "mlp.experts.down_proj", Shape: []int{size.E, d.F, d.D}, Linear: true, InOut: true}),
			downBias:   b.param(Tensor{Name: "mlp.experts.down_proj_bias", Shape: []int{size.E, d.D}}),
			Experts:    size, choice: choice{shares: true}, clamped: gate,
		}
		b.routes = &size
		d.Blocks = append(d.Blocks, newLayer(b, 0, mixtureBlock{
			attentionNorm: b.rmsNorm("input_layernorm", d.D, d.eps),
			attention:     attention,
			mlpNorm:       b.rmsNorm("post_attention_layernorm", d.D, d.eps),
			mlp:           mlp,
		}))
	}
	d.Head = d.rmsHead()
	return d.Model
}
