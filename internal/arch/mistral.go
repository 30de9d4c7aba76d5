package arch

import . "github.com/gomlx/gomlx/core/graph"

// mistral is Mistral 7B and Nemo (modeling_mistral.py): llama without biases, with
// one window for all layers where sliding_window is not null.
func mistral(c *config, exists func(string) bool) *Model {
	d := newDecoder(c, exists, defaults{G: 8})
	d.readRope(c, "", 1)
	return d.mistral(c, 4096)
}

// ministral is Ministral 8B of 2024 (modeling_ministral.py): mistral whose layer_types say which
// layers have the window.
func ministral(c *config, exists func(string) bool) *Model {
	d := newDecoder(c, exists, defaults{G: 8, Eps: 1e-6})
	d.readRope(c, "", 1)
	return d.mistral(c, 4096)
}

// ministral3 is the text part of Ministral 3 (modeling_ministral3.py): mistral whose queries are
// multiplied by 1 + llama_4_scaling_beta ln(1 + floor(position / original context)), which is 1 within
// the original context. Texts are limited to that.
func ministral3(c *config, exists func(string) bool) *Model {
	d := newDecoder(c, exists, defaults{V: 131_072, D: 4096, F: 14_336, L: 34, N: 32, G: 8, K: 128, Context: 262_144, Eps: 1e-5})
	rope, unscaled := readRopeConfig(c, 1_000_000, "", 1), d.Context
	if s := rope.scaling; s == nil {
		c.fail("rope_parameters is missing")
	} else {
		s.ignore("max_position_embeddings") // of which transformers makes nothing
		if s.float("llama_4_scaling_beta", 0) != 0 {
			unscaled = original(c, s, d.Context)
		}
	}
	d.setRope(c, rope)
	d.Context = min(d.Context, unscaled)
	return d.mistral(c, 0)
}

// mistral3 is a multimodal Mistral Small 3.1 or Ministral 3, of which texts need the text part.
// Whether embeddings are tied is said by the checkpoint, which transformers 5 believes, too: its config
// class and the published files disagree on what an absent key means.
func mistral3(c *config, exists func(string) bool) *Model {
	c.ignore("image_token_index", "image_token_id", "multimodal_projector_bias", "projector_hidden_act", "spatial_merge_size", "vision_feature_layer", "tie_word_embeddings")
	text := c.text("mistral", "ministral3")
	_, head := textNames(exists)
	delete(text.keys, "tie_word_embeddings")
	text.tie(!exists(head + ".weight"))
	build := mistral
	if text.modelType == "ministral3" {
		build = ministral3
	}
	return text.inner(build, exists)
}

// mistral makes the layers; window is that of an absent sliding_window, 0 for none.
func (d *decoder) mistral(c *config, window int) *Model {
	act := c.activation("hidden_act", "silu")
	window = c.window(window)
	d.Ignored = rotaryBuffer

	d.Embed = d.embedding(1)
	for i, w := range windows(c, d.L, window, func(int) bool { return window > 0 }) {
		b := d.block(i)
		d.Blocks = append(d.Blocks, newLayer(b, 0, mistralBlock{
			attentionNorm: b.rmsNorm("input_layernorm", d.D, d.eps),
			attention:     d.attention(b, false, false, d.scaled(w)),
			mlpNorm:       b.rmsNorm("post_attention_layernorm", d.D, d.eps),
			mlp:           d.mlp(b, act, false),
		}))
	}
	d.Head = d.rmsHead()
	return d.Model
}

type mistralBlock struct {
	attentionNorm rmsNorm
	attention     selfAttention
	mlpNorm       rmsNorm
	mlp           gatedMLP
}

func (l mistralBlock) apply(s *Scope, x *Node) *Node { // [T D] -> [T D]
	x = Add(x, l.attention.apply(s, l.attentionNorm.apply(s, x)))
	return Add(x, l.mlp.apply(s, l.mlpNorm.apply(s, x)))
}
