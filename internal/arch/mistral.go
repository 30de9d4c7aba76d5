package arch

import . "github.com/gomlx/gomlx/core/graph"

// mistral is Mistral 7B and Nemo (modeling_mistral.py): llama without biases, with
// one window for all layers where sliding_window is not null.
func mistral(c *config, exists func(string) bool) *Model {
	d := newDecoder(c, exists, defaults{G: 8})
	d.readRope(c, "", 1)
	act := c.activation("hidden_act", "silu")
	window := 0
	if !c.null("sliding_window") {
		window = c.size("sliding_window", 4096)
	}
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
	b := &builder{}
	d.Head = newLogits(b, b.rmsNorm(d.prefix+"norm", d.D, d.eps), d.unembedding(b), 0)
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
