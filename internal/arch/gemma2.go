package arch

import (
	"math"

	. "github.com/gomlx/gomlx/core/graph"
)

// gemma2 is Gemma 2 (modeling_gemma2.py): norms before and after attention and MLP,
// scores scaled by query_pre_attn_scalar^-1/2 and soft-capped, every other layer
// windowed, embeddings scaled by sqrt(D), logits soft-capped.
//
// transformers rounds sqrt(D) to the dtype it computes in; here it is float32's.
func gemma2(c *config, exists func(string) bool) *Model {
	d := newDecoder(c, exists, defaults{G: 4, K: 256, Tied: true})
	d.readRope(c, "", 1)
	bias := c.bool("attention_bias", false)
	only(c, "use_bidirectional_attention", false)
	act := gemmaActivation(c)
	attention := Attention{
		Scale:   1 / math.Sqrt(c.positive("query_pre_attn_scalar", 256)),
		SoftCap: c.cap("attn_logit_softcapping", 50),
	}
	finalCap := c.cap("final_logit_softcapping", 30)
	window := c.size("sliding_window", 4096)
	only(c, "sliding_window_size", window) // its name in the first release

	d.Embed = d.embedding(float32(math.Sqrt(float64(d.D))))
	for i, w := range windows(c, d.L, window, func(layer int) bool { return layer%2 == 0 }) {
		attention.Window = w
		b := d.block(i)
		d.Blocks = append(d.Blocks, newLayer(b, 0, gemma2Block{
			attentionNorm:     b.gemmaNorm("input_layernorm", d.D, d.eps),
			attention:         d.attention(b, bias, bias, attention),
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

type gemma2Block struct {
	attentionNorm     rmsNorm
	attention         selfAttention
	postAttentionNorm rmsNorm
	mlpNorm           rmsNorm
	mlp               gatedMLP
	postMLPNorm       rmsNorm
}

func (l gemma2Block) apply(s *Scope, x *Node) *Node { // [T D] -> [T D]
	h := l.attention.apply(s, l.attentionNorm.apply(s, x))
	x = Add(x, l.postAttentionNorm.apply(s, h))
	h = l.mlp.apply(s, l.mlpNorm.apply(s, x))
	return Add(x, l.postMLPNorm.apply(s, h))
}

// gemmaNorm is RMSNorm whose weight is stored less 1.
func (b *builder) gemmaNorm(name string, width int, eps float64) rmsNorm {
	n := b.rmsNorm(name, width, eps)
	n.offset = 1
	return n
}

// gemmaActivation refuses a hidden_act other than hidden_activation: Gemma 2 and 3 read
// only the latter.
func gemmaActivation(c *config) activation {
	act := c.activation("hidden_activation", "gelu_pytorch_tanh")
	only(c, "hidden_act", string(act))
	return act
}
