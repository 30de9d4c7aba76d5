package arch

import . "github.com/gomlx/gomlx/core/graph"

// llama4Text is the text part of Llama 4 (modeling_llama4.py): llama whose rotary positions turn
// neighbouring values, after which queries and keys have the length of one (RMSNorm without a
// weight), and none in every fourth layer, which no_rope_layers lists with a 0; and a mixture of
// experts, one for each token and one that all share, in every layer or every so many.
//
// Layers with rotary positions see chunks of attention_chunk_size tokens, and in those without
// queries are multiplied by 1 + attn_scale ln(1 + floor((position+1) / floor_scale)). Texts are
// limited to what is within the first chunk and has the factor 1.
func llama4Text(c *config, exists func(string) bool) *Model {
	def := defaults{V: 202_048, D: 5120, F: 8192, L: 48, N: 40, G: 8, K: 128, Context: 131_072, Eps: 1e-5}
	if c.null("head_dim") {
		def.K = 0
	}
	d := newDecoder(c, exists, def)
	d.setRope(c, readRopeConfig(c, 500_000, "", 1))
	bias := c.bool("attention_bias", false)
	var norm rmsNorm
	if c.bool("use_qk_norm", true) {
		norm.eps = d.eps
	}
	only(c, "for_llm_compressor", false)
	size, sparse := d.llama4Experts(c)
	dense := c.size("intermediate_size_mlp", 16_384)
	rotates := c.rotates(d.L)
	c.marked(d.L, func(int) bool { return false }, "chunked_attention", "full_attention")
	d.llama4Context(c)

	d.Embed = d.embedding(1)
	for i := range d.L {
		b := d.block(i)
		rope := noRope
		attentionNorm := b.rmsNorm("input_layernorm", d.D, d.eps)
		attention := d.attention(b, bias, bias, d.scaled(0))
		if rotates[i] {
			rope, attention.neighbours = 0, true
			attention.qNorm, attention.kNorm, attention.afterwards = norm, norm, norm.eps != 0
		}
		mlpNorm := b.rmsNorm("post_attention_layernorm", d.D, d.eps)
		if sparse[i] {
			mlp := d.llama4Mixture(b, size)
			d.Blocks = append(d.Blocks, newLayer(b, rope, normedBlock[selfAttention, llama4Mixture]{attentionNorm, attention, mlpNorm, mlp}))
			continue
		}
		mlp := b.gatedMLP("feed_forward.", d.D, dense, "silu", false)
		d.Blocks = append(d.Blocks, newLayer(b, rope, llamaBlock{attentionNorm, attention, mlpNorm, mlp}))
	}
	d.Head = d.rmsHead()
	return d.Model
}

// llama4Context limits the texts.
func (d *decoder) llama4Context(c *config) {
	if c.null("attention_chunk_size") {
		c.refuse("attention_chunk_size") // transformers makes no mask of it
	}
	d.Context = min(d.Context, c.size("attention_chunk_size", 8192))
	tuned := true
	switch v := get[any](c, "attn_temperature_tuning", true, "true or false").(type) {
	case bool:
		tuned = v
	case float64: // 4 in the first files
		tuned = v != 0
	default:
		c.refuse("attn_temperature_tuning")
	}
	scale, from := c.float("attn_scale", 0.1), c.size("floor_scale", 8192)
	if tuned && scale != 0 {
		d.Context = max(min(d.Context, from-1), 1)
	}
}

// llama4Experts reads the sizes of the mixtures, and which layers have one.
func (d *decoder) llama4Experts(c *config) (size Experts, sparse []bool) {
	size = c.experts(d.L, 16, 1)
	only(c, "num_experts_per_tok", 1)
	step := c.size("interleave_moe_layer_step", 1)
	sparse = make([]bool, d.L)
	layers := get[[]int](c, "moe_layers", nil, "a list of integers")
	for i := range sparse {
		sparse[i] = layers == nil && (i+1)%step == 0
	}
	for _, i := range layers {
		if i < 0 || i >= d.L {
			c.fail("moe_layers names layer %d of %d", i, d.L)
			continue
		}
		sparse[i] = true
	}
	return size, sparse
}

// llama4Mixture is a mixture of experts of which each token takes one, and a shared one. What the
// chosen one reads is multiplied by the sigmoid of its logit, and what it gives is not.
type llama4Mixture struct {
	experts experts
	shared  gatedMLP
}

func (d *decoder) llama4Mixture(b *builder, size Experts) llama4Mixture {
	const at = "feed_forward."
	mlp := experts{
		router:  b.router(at+"router", size.E, d.D),
		gateUp:  b.param(Tensor{Name: at + "experts.gate_up_proj", Shape: []int{size.E, d.D, 2 * d.F}, Linear: true, InOut: true}),
		down:    b.param(Tensor{Name: at + "experts.down_proj", Shape: []int{size.E, d.F, d.D}, Linear: true, InOut: true}),
		Experts: size, choice: choice{shares: true}, // of one expert: 1
	}
	b.routes = &size
	return llama4Mixture{mlp, b.gatedMLP(at+"shared_expert.", d.D, d.F, "silu", false)}
}

func (m llama4Mixture) apply(s *Scope, x *Node) *Node { // [T D] -> [T D]
	x = s.float(x)
	logits := m.experts.router.apply(s, x) // [T E]
	score := Sigmoid(ReduceAndKeep(logits, ReduceMax, -1))
	return Add(m.shared.apply(s, x), m.experts.chosen(s, Mul(x, score), logits))
}

// llama4 is a multimodal Llama 4, of which texts need the text part.
func llama4(c *config, exists func(string) bool) *Model {
	c.ignore("boi_token_index", "eoi_token_index", "image_token_index", "boi_token_id", "eoi_token_id", "image_token_id")
	text := c.text("llama4_text")
	text.tie(c.bool("tie_word_embeddings", false))
	m := text.inner(llama4Text, exists)
	m.Names.Trunk = []string{"language_model.model.", "model."} // its class has the text model's head within language_model
	return m
}
