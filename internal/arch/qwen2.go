package arch

import "math"

// qwen2 is Qwen 2 and 2.5 (modeling_qwen2.py): llama with biases on q, k and v, and
// a window for the layers from max_window_layers on where use_sliding_window says so.
func qwen2(c *Config, has func(string) bool) *Model {
	d := newDecoder(c, has, sizes{G: 32})
	Only(c, "use_mrope", false)
	return d.qwen(c, func(b *builder, how Attention) selfAttention {
		return d.attention(b, true, false, how)
	})
}

// qwen is what qwen2 and qwen3 share.
func (d *decoder) qwen(c *Config, attend func(*builder, Attention) selfAttention) *Model {
	d.tied = c.Bool("tie_word_embeddings", false)
	act := activation(c, "hidden_act", "silu")
	rope, limit := readRope(c, 10_000, "", 1).rope(c, d.model.K, d.model.Context, scalings...)
	d.model.Ropes, d.model.Context = []Rope{rope}, limit
	d.model.Ignored = rotaryBuffer
	window, from := 0, c.Int("max_window_layers", 28)
	if c.Bool("use_sliding_window", false) && !c.Null("sliding_window") {
		window = c.Size("sliding_window", 4096)
	}
	c.Ignore("sliding_window")
	for i, w := range windows(c, d.layers, window, func(layer int) bool { return window > 0 && layer >= from }) {
		how := Attention{Scale: 1 / math.Sqrt(float64(d.model.K)), Window: w}
		d.preNormBlock(i, how, act, func(b *builder) selfAttention { return attend(b, how) }, false)
	}
	return d.finish()
}
