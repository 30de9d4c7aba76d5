package arch

import "math"

// gemma2 is Gemma 2 (modeling_gemma2.py): norms before and after attention and MLP,
// scores scaled by query_pre_attn_scalar^-1/2 and soft-capped, every other layer
// windowed, embeddings scaled by sqrt(D), logits soft-capped.
//
// transformers rounds sqrt(D) to the dtype it computes in; here it is float32's.
func gemma2(c *Config, has func(string) bool) *Model {
	d := newDecoder(c, has, sizes{G: 4, K: 256})
	d.offset = 1
	d.tied = c.Bool("tie_word_embeddings", true)
	d.model.Embed.Scale = float32(math.Sqrt(float64(d.model.D)))
	d.finalCap = c.Cap("final_logit_softcapping", 30)
	bias := c.Bool("attention_bias", false)
	Only(c, "use_bidirectional_attention", false)
	act := activation(c, "hidden_activation", "gelu_pytorch_tanh")
	gemmaAct(c)
	rope, limit := readRope(c, 10_000, "", 1).rope(c, d.model.K, d.model.Context, scalings...)
	d.model.Ropes, d.model.Context = []Rope{rope}, limit
	how := Attention{
		Scale:   1 / math.Sqrt(c.Positive("query_pre_attn_scalar", 256)),
		SoftCap: c.Cap("attn_logit_softcapping", 50),
	}
	window := c.Size("sliding_window", 4096)
	Only(c, "sliding_window_size", window) // its name in the first release
	for i, w := range windows(c, d.layers, window, func(layer int) bool { return layer%2 == 0 }) {
		how.Window = w
		d.sandwichBlock(i, 0, how, act, func(b *builder) selfAttention {
			return d.attention(b, bias, bias, how)
		})
	}
	return d.finish()
}

// gemmaAct refuses a hidden_act other than hidden_activation: Gemma 2 and 3 read
// only the latter.
func gemmaAct(c *Config) {
	Only(c, "hidden_act", c.String("hidden_activation", "gelu_pytorch_tanh"))
}
