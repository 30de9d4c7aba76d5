package arch

import (
	"encoding/json"
	"maps"
	"math"
	"slices"

	. "github.com/gomlx/gomlx/core/graph"
)

// gemma3nText is Gemma 3n's text model (modeling_gemma3n.py): gemma4's attention, its layers that attend
// to the keys and values of others and its embeddings of each layer, with streams beside each other
// (altUp), a residual of low rank, and MLPs of few gates in the first layers.
func gemma3nText(c *config, exists func(string) bool) *Model {
	widths := c.eachLayer("intermediate_size")
	// The defaults of Gemma3nTextConfig.
	d := newDecoder(c, exists, defaults{
		V: 262_400, D: 2048, F: 16_384, L: 35, N: 8, G: 2, K: 256, Context: 32_768, Eps: 1e-6, Tied: true,
	})
	if widths == nil {
		widths = slices.Repeat([]int{d.F}, d.L)
	} else if len(widths) != d.L {
		c.fail("%sintermediate_size has %d entries, wanted %d", c.prefix, len(widths), d.L)
		widths = slices.Repeat([]int{1}, d.L)
	}
	shares := c.sparsities(d.L)
	d.PerLayer = d.perLayer(c.size("vocab_size_per_layer_input", 262_144), c.size("hidden_size_per_layer_input", 256))
	bias := c.bool("attention_bias", false)
	act := c.activation("hidden_activation", "gelu_pytorch_tanh")
	finalCap := c.cap("final_logit_softcapping", 30)
	n, active, rank := c.size("altup_num_inputs", 4), c.int("altup_active_idx", 0), c.size("laurel_rank", 64)
	if n > 64 {
		c.fail("%saltup_num_inputs is %d, wanted at most 64", c.prefix, n)
		n = 1
	}
	if active < 0 || active >= n {
		c.fail("%saltup_active_idx is %d, wanted 0 to %d", c.prefix, active, n-1)
		active = 0
	}
	scaled := c.bool("altup_correct_scale", true)
	// Of training, or without influence.
	c.ignore("altup_coef_clip", "altup_lr_multiplier", "query_pre_attn_scalar")
	kinds := windows(c, d.L, c.size("sliding_window", 512), func(layer int) bool { return (layer+1)%5 != 0 })
	d.Ropes, d.Context = ropesByType{full: 1_000_000, sliding: 10_000, slidingKey: "rope_local_base_freq", truncates: true}.read(c, d.K, d.Context)

	d.Embed = d.embedding(float32(math.Sqrt(float64(d.D))))
	d.Inner = n * d.D
	sources := d.keySources(c, kinds)
	for i, w := range kinds {
		b := d.block(i)
		b.back, b.lends = i-sources[i], slices.Contains(sources[i+1:], i)
		block := gemma3nBlock{
			altUp:             d.altUp(b, i, n, active),
			attentionNorm:     b.rmsNorm("input_layernorm", d.D, d.eps),
			attention:         d.gemma4Attention(b, keyShape{d.G, d.K}, bias, false, Attention{Scale: 1, Window: w}),
			postAttentionNorm: b.rmsNorm("post_attention_layernorm", d.D, d.eps),
			laurel:            d.laurel(b, rank),
			mlpNorm:           b.rmsNorm("pre_feedforward_layernorm", d.D, d.eps),
			mlp:               sparsity(b.gatedMLP("mlp.", d.D, widths[i], act, false), shares[i]),
			postMLPNorm:       b.rmsNorm("post_feedforward_layernorm", d.D, d.eps),
			given:             d.given(b, act),
		}
		if factor := b.vector("altup.correct_output_scale", d.D); scaled { // it is there without, too
			block.factor = factor
		}
		d.Blocks = append(d.Blocks, newLayer(b, ropeOfWindow(w), block))
	}
	b := &builder{}
	d.Head = newLogits(b, b.rmsNorm(d.prefix+"norm", d.D, d.eps), d.unembedding(b), finalCap)
	return d.Model
}

// eachLayer is a size that may be a list of one for each layer; nil where it is not, which is left to
// be read.
func (c *config) eachLayer(key string) []int {
	v := c.keys[key]
	var all []int
	if len(v) == 0 || v[0] != '[' {
		return nil
	}
	if json.Unmarshal(v, &all) != nil || len(all) == 0 || slices.ContainsFunc(all, func(n int) bool { return n < 1 || n > 1<<24 }) {
		c.fail("%s%s is %s, wanted an integer, or one for each layer, of 1 to %d", c.prefix, key, brief(v), 1<<24)
		all = nil
	}
	c.keys = maps.Clone(c.keys)
	c.keys[key] = json.RawMessage("1") // which newDecoder reads
	return all
}

// sparsities are activation_sparsity_pattern, the share of each layer's gates that is to be 0: one for
// all, one for each, or 0.95 in the first ten of more.
func (c *config) sparsities(layers int) []float64 {
	const key = "activation_sparsity_pattern"
	all := make([]float64, layers)
	switch v, ok := c.raw(key); {
	case !ok && layers > 10:
		copy(all, slices.Repeat([]float64{0.95}, 10))
	case ok:
		listed := c.floats(key)
		if len(listed) != layers {
			c.fail("%s%s is %s, wanted %d numbers", c.prefix, key, brief(v), layers)
			break
		}
		all = listed
	}
	for _, share := range all {
		if !(share >= 0 && float32(share) < 1) {
			c.fail("%s%s has %g, wanted 0 or more, and less than 1", c.prefix, key, share)
		}
	}
	return all
}

func (d *decoder) laurel(b *builder, rank int) laurel {
	return laurel{
		left:  b.linear("laurel.linear_left", d.D, rank, false),
		right: b.linear("laurel.linear_right", rank, d.D, false),
		norm:  b.rmsNorm("laurel.post_laurel_norm", d.D, d.eps),
	}
}

type gemma3nBlock struct {
	altUp             altUp
	attentionNorm     rmsNorm
	attention         gemma4Attention
	postAttentionNorm rmsNorm
	laurel            laurel
	mlpNorm           rmsNorm
	mlp               sparseMLP
	postMLPNorm       rmsNorm
	given             given
	factor            param // of what is read to weigh what the block is given [D]; 0 for none
}

// The first block maps [T D], the last to [T D], and all others, with what lies between, are [T A*D].
func (l gemma3nBlock) apply(s *Scope, x *Node) *Node {
	streams := l.altUp.predict(s, l.altUp.streams(s, x)) // [T A D]
	active := stream(streams, l.altUp.active)            // [T D]
	normed := l.attentionNorm.apply(s, active)
	h := Add(active, l.postAttentionNorm.apply(s, l.attention.apply(s, normed)))
	h = MulScalar(Add(h, l.laurel.apply(s, normed)), math.Sqrt2/2)
	h = Add(h, l.postMLPNorm.apply(s, l.mlp.apply(s, l.mlpNorm.apply(s, h))))
	streams = l.altUp.correct(s, streams, h)

	read := stream(streams, l.altUp.active)
	if l.factor != 0 {
		read = Mul(read, s.vector(l.factor, read))
	}
	if more := InsertAxes(l.given.apply(s, read), 1); l.altUp.n > 1 { // to all streams but the first
		streams = Concatenate([]*Node{
			SliceAxis(streams, 1, AxisRange(0, 1)), Add(SliceAxis(streams, 1, AxisRange(1, l.altUp.n)), more),
		}, 1)
	}
	return l.altUp.result(s, streams)
}

// gemma3n is a multimodal Gemma 3n, of which texts need the text part.
func gemma3n(c *config, exists func(string) bool) *Model {
	c.ignore("boi_token_id", "eoi_token_id", "boa_token_id", "eoa_token_id", "image_token_id", "audio_token_id",
		"vision_soft_tokens_per_image", "audio_soft_tokens_per_image")
	text := c.text("gemma3n_text")
	text.tie(c.bool("tie_word_embeddings", true))
	m := text.inner(gemma3nText, exists)
	// Tokens from there on are embedded by modules of the towers, and not by their rows.
	m.Embed.Rows = m.V
	for key, offset := range map[string]int{"vision_config": 262_144, "audio_config": 262_272} {
		if tower := c.object(key); tower != nil {
			offset = tower.int("vocab_offset", offset)
		}
		m.Embed.Rows = min(m.Embed.Rows, offset)
	}
	if m.Embed.Rows < 1 {
		c.fail("a vocab_offset is %d, wanted at least 1", m.Embed.Rows)
	}
	return m
}
