package arch

import . "github.com/gomlx/gomlx/core/graph"

// qwen2 is Qwen 2 and 2.5 (modeling_qwen2.py): llama with biases on q, k and v, and
// a window for the layers from max_window_layers on where use_sliding_window says so.
func qwen2(c *config, exists func(string) bool) *Model {
	d := newDecoder(c, exists, defaults{G: 32})
	d.readRope(c, "", 1)
	act := c.activation("hidden_act", "silu")
	only(c, "use_mrope", false)
	d.Ignored = rotaryBuffer

	d.Embed = d.embedding(1)
	for i, w := range qwenWindows(c, d.L) {
		b := d.block(i)
		d.Blocks = append(d.Blocks, newLayer(b, 0, qwen2Block{
			attentionNorm: b.rmsNorm("input_layernorm", d.D, d.eps),
			attention:     d.attention(b, true, false, d.scaled(w)),
			mlpNorm:       b.rmsNorm("post_attention_layernorm", d.D, d.eps),
			mlp:           d.mlp(b, act, false),
		}))
	}
	d.Head = d.rmsHead()
	return d.Model
}

type qwen2Block struct {
	attentionNorm rmsNorm
	attention     selfAttention
	mlpNorm       rmsNorm
	mlp           gatedMLP
}

func (l qwen2Block) apply(s *Scope, x *Node) *Node { // [T D] -> [T D]
	x = Add(x, l.attention.apply(s, l.attentionNorm.apply(s, x)))
	return Add(x, l.mlp.apply(s, l.mlpNorm.apply(s, x)))
}

// qwenWindows reads the window of each layer.
func qwenWindows(c *config, layers int) []int {
	window, from := 0, c.int("max_window_layers", 28)
	if c.bool("use_sliding_window", false) {
		window = c.window(4096)
	}
	c.ignore("sliding_window")
	return windows(c, layers, window, func(layer int) bool { return window > 0 && layer >= from })
}
