package arch

import "math"

// gemma is Gemma 1 (modeling_gemma.py): llama with embeddings scaled by sqrt(D) and norms whose
// weights are stored less 1.
func gemma(c *config, exists func(string) bool) *Model {
	d := newDecoder(c, exists, defaults{G: 16, K: 256, Eps: 1e-6, Tied: true})
	d.readRope(c, "", 1)
	bias := c.bool("attention_bias", false)
	only(c, "use_bidirectional_attention", false)
	act := activation("gelu_pytorch_tanh")
	// The first releases say "gelu" and mean the approximation, as GemmaConfig reads it; a
	// hidden_activation counted in some versions of transformers 4.
	if c.string("hidden_act", "gelu") != "gelu" {
		only(c, "hidden_act", string(act))
	}
	only(c, "hidden_activation", string(act))

	d.Embed = d.embedding(float32(math.Sqrt(float64(d.D))))
	for i := range d.L {
		b := d.block(i)
		d.Blocks = append(d.Blocks, newLayer(b, 0, llamaBlock{
			attentionNorm: b.gemmaNorm("input_layernorm", d.D, d.eps),
			attention:     d.attention(b, bias, bias, d.scaled(0)),
			mlpNorm:       b.gemmaNorm("post_attention_layernorm", d.D, d.eps),
			mlp:           d.mlp(b, act, false),
		}))
	}
	d.Head = d.gemmaHead()
	return d.Model
}
