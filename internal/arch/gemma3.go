package arch

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
)

// gemma3Text is Gemma 3's text model (modeling_gemma3.py): gemma2's block with
// RMSNorm on each head of q and k, no soft-caps unless the config has them, five
// windowed layers to each global one, and rotary positions of their own for both.
func gemma3Text(c *Config, has func(string) bool) *Model {
	// The defaults of Gemma3TextConfig: a text_config is published without them.
	d := newDecoder(c, has, sizes{
		V: 262_208, D: 2304, F: 9216, Layers: 26, N: 8, G: 4, K: 256, Context: 131_072, Eps: 1e-6,
	})
	d.offset = 1
	d.tied = c.Bool("tie_word_embeddings", true)
	d.model.Embed.Scale = float32(math.Sqrt(float64(d.model.D)))
	d.finalCap = c.Cap("final_logit_softcapping", 0)
	bias := c.Bool("attention_bias", false)
	Only(c, "use_bidirectional_attention", false)
	act := activation(c, "hidden_activation", "gelu_pytorch_tanh")
	gemmaAct(c)
	how := Attention{Scale: 1 / math.Sqrt(c.Positive("query_pre_attn_scalar", 256))}
	if c.Has("attn_logit_softcapping") {
		c.Refuse("attn_logit_softcapping") // modeling_gemma3.py stores it and applies none
	}
	c.Ignore("attn_logit_softcapping")

	const global, local = 0, 1
	var rope [2]Rope
	limit := d.model.Context
	if p := c.Object("rope_parameters"); p != nil { // v5: one object for each type of layer
		for i, key := range [2]string{"full_attention", "sliding_attention"} {
			theta := [2]float64{1_000_000, 10_000}[i]
			rc := ropeConfig{theta: theta, partial: 1}
			if s := p.Object(key); s != nil {
				rc = ropeConfig{theta: s.Positive("rope_theta", theta), partial: 1, scaling: s}
				Only(s, "partial_rotary_factor", 1.0)
				truncated(s)
			}
			r, l := rc.rope(c, d.model.K, d.model.Context, scalings...)
			rope[i], limit = r, min(limit, l)
		}
		p.leftovers() // a flat object among them
	} else {
		rc := readRope(c, 1_000_000, "", 1)
		truncated(rc.scaling)
		rope[global], limit = rc.rope(c, d.model.K, d.model.Context, scalings...)
		rope[local] = plainRope(c.Positive("rope_local_base_freq", 10_000), d.model.K)
	}
	d.model.Ropes, d.model.Context = rope[:], limit

	pattern := c.Size("sliding_window_pattern", 6)
	if c.Has("layer_types") {
		c.Ignore("_sliding_window_pattern") // what the types were made from
	} else {
		Only(c, "_sliding_window_pattern", 6)
	}
	window := c.Size("sliding_window", 4096)
	d.prefix, d.headName = gemma3Prefix(has, d.prefix)
	for i, w := range windows(c, d.layers, window, func(layer int) bool { return (layer+1)%pattern != 0 }) {
		how.Window = w
		r := global
		if w > 0 {
			r = local
		}
		d.sandwichBlock(i, r, how, act, func(b *builder) selfAttention {
			a := d.attention(b, bias, bias, how)
			d.headNorms(b, &a)
			return a
		})
	}
	return d.finish()
}

// truncated refuses yarn without truncation: transformers 5 looks for the key where
// Gemma 3 does not have it, 4 where it has.
func truncated(s *Config) {
	if s != nil && (s.Null("truncate") || !s.Bool("truncate", true)) {
		s.Refuse("truncate")
	}
}

// gemma3 is the text part of a multimodal Gemma 3: text_config beside a vision
// tower that texts without images do not touch.
func gemma3(c *Config, has func(string) bool) *Model {
	text := c.Object("text_config")
	if text == nil {
		c.fail("text_config is missing")
		text = &Config{modelType: c.modelType, read: map[string]bool{}, parent: c}
	}
	c.Ignore("vision_config", "boi_token_index", "eoi_token_index", "image_token_index", "image_token_id",
		"mm_tokens_per_image", "boi_token_id", "eoi_token_id")
	// Of the two places for tie_word_embeddings the outer one counts.
	tied := c.Bool("tie_word_embeddings", true)
	Only(text, "tie_word_embeddings", tied)
	if text.Has("final_logit_softcapping") {
		text.Refuse("final_logit_softcapping") // Gemma3ForConditionalGeneration applies none
	}
	if text.keys == nil {
		text.keys = map[string]json.RawMessage{}
	}
	text.keys["tie_word_embeddings"] = json.RawMessage(strconv.FormatBool(tied))
	m := gemma3Text(text, has)
	text.leftovers()
	m.Ignored = func(name string) bool {
		for _, part := range []string{"vision_tower.", "multi_modal_projector."} {
			if strings.HasPrefix(name, part) || strings.HasPrefix(name, "model."+part) {
				return true
			}
		}
		return false
	}
	return m
}

// gemma3Prefix returns the names that a checkpoint of Gemma 3 uses: text models
// "model.", multimodal ones "language_model.model." (v4) or "model.language_model."
// (v5).
func gemma3Prefix(has func(string) bool, textOnly string) (prefix, head string) {
	for _, names := range [][2]string{
		{"language_model.model.", "language_model.lm_head"},
		{"model.language_model.", "lm_head"},
	} {
		if has(names[0] + "embed_tokens.weight") {
			return names[0], names[1]
		}
	}
	return textOnly, "lm_head"
}
