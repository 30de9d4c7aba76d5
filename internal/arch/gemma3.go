package arch

import (
	"math"

	. "github.com/gomlx/gomlx/core/graph"
)

// gemma3Text is Gemma 3's text model (modeling_gemma3.py): gemma2's block with
// RMSNorm on each head of q and k, no soft-caps unless the config has them, five
// windowed layers to each global one, and rotary positions of their own for both.
func gemma3Text(c *config, exists func(string) bool) *Model {
	// The defaults of Gemma3TextConfig: a text_config is published without them.
	d := newDecoder(c, exists, defaults{
		V: 262_208, D: 2304, F: 9216, L: 26, N: 8, G: 4, K: 256, Context: 131_072, Eps: 1e-6, Tied: true,
	})
	bias := c.bool("attention_bias", false)
	only(c, "use_bidirectional_attention", false)
	act := gemmaActivation(c)
	attention := Attention{Scale: 1 / math.Sqrt(c.positive("query_pre_attn_scalar", 256))}
	if c.has("attn_logit_softcapping") {
		c.refuse("attn_logit_softcapping") // modeling_gemma3.py stores it and applies none
	}
	c.ignore("attn_logit_softcapping")
	finalCap := c.cap("final_logit_softcapping", 0)
	d.Ropes, d.Context = ropesByType{full: 1_000_000, sliding: 10_000, slidingKey: "rope_local_base_freq", truncates: true}.read(c, d.K, d.Context)
	pattern := c.size("sliding_window_pattern", 6)
	if c.has("layer_types") {
		c.ignore("_sliding_window_pattern") // what the types were made from
	} else {
		only(c, "_sliding_window_pattern", 6)
	}
	window := c.size("sliding_window", 4096)

	d.Embed = d.embedding(float32(math.Sqrt(float64(d.D))))
	for i, w := range windows(c, d.L, window, func(layer int) bool { return (layer+1)%pattern != 0 }) {
		attention.Window = w
		b := d.block(i)
		a := d.attention(b, bias, bias, attention)
		a.qNorm = b.gemmaNorm("self_attn.q_norm", d.K, d.eps)
		a.kNorm = b.gemmaNorm("self_attn.k_norm", d.K, d.eps)
		d.Blocks = append(d.Blocks, newLayer(b, ropeOfWindow(w), gemma3Block{
			attentionNorm:     b.gemmaNorm("input_layernorm", d.D, d.eps),
			attention:         a,
			postAttentionNorm: b.gemmaNorm("post_attention_layernorm", d.D, d.eps),
			mlpNorm:           b.gemmaNorm("pre_feedforward_layernorm", d.D, d.eps),
			mlp:               d.mlp(b, act, false),
			postMLPNorm:       b.gemmaNorm("post_feedforward_layernorm", d.D, d.eps),
		}))
	}
	b := &builder{}
	d.Head = newLogits(b, b.gemmaNorm(d.prefix+"norm", d.D, d.eps), d.unembedding(b), finalCap)
	return d.Model
}

type gemma3Block struct {
	attentionNorm     rmsNorm
	attention         selfAttention // each head of q and k is normed
	postAttentionNorm rmsNorm
	mlpNorm           rmsNorm
	mlp               gatedMLP
	postMLPNorm       rmsNorm
}

func (l gemma3Block) apply(s *Scope, x *Node) *Node { // [T D] -> [T D]
	h := l.attention.apply(s, l.attentionNorm.apply(s, x))
	x = Add(x, l.postAttentionNorm.apply(s, h))
	h = l.mlp.apply(s, l.mlpNorm.apply(s, x))
	return Add(x, l.postMLPNorm.apply(s, h))
}

// gemma3 is a multimodal Gemma 3, of which texts need the text part.
func gemma3(c *config, exists func(string) bool) *Model {
	c.ignore("boi_token_index", "eoi_token_index", "image_token_index", "image_token_id", "mm_tokens_per_image", "boi_token_id", "eoi_token_id")
	text := c.text("gemma3_text")
	// Of the two places for tie_word_embeddings the outer one counts.
	text.tie(c.bool("tie_word_embeddings", true))
	if text.has("final_logit_softcapping") {
		text.refuse("final_logit_softcapping") // Gemma3ForConditionalGeneration applies none
	}
	return text.inner(gemma3Text, exists)
}
