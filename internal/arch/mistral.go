package arch

import "math"

// mistral is Mistral 7B and Nemo (modeling_mistral.py): llama without biases, with
// one window for all layers where sliding_window is not null.
func mistral(c *Config, has func(string) bool) *Model {
	d := newDecoder(c, has, sizes{G: 8})
	d.tied = c.Bool("tie_word_embeddings", false)
	act := activation(c, "hidden_act", "silu")
	rope, limit := readRope(c, 10_000, "", 1).rope(c, d.model.K, d.model.Context, scalings...)
	d.model.Ropes, d.model.Context = []Rope{rope}, limit
	d.model.Ignored = rotaryBuffer
	window := 0
	if !c.Null("sliding_window") {
		window = c.Size("sliding_window", 4096)
	}
	for i, w := range windows(c, d.layers, window, func(int) bool { return window > 0 }) {
		how := Attention{Scale: 1 / math.Sqrt(float64(d.model.K)), Window: w}
		d.preNormBlock(i, how, act, func(b *builder) selfAttention {
			return d.attention(b, false, false, how)
		}, false)
	}
	return d.finish()
}
