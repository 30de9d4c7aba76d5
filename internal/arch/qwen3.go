package arch

import . "github.com/gomlx/gomlx/core/graph"

// qwen3 is Qwen 3, dense (modeling_qwen3.py): qwen2 with RMSNorm on each head of q
// and k, heads of their own width, and biases only where attention_bias says so.
func qwen3(c *config, exists func(string) bool) *Model {
	d := newDecoder(c, exists, defaults{G: 32, K: 128})
	d.readRope(c, "", 1)
	bias := c.bool("attention_bias", false)
	act := c.activation("hidden_act", "silu")
	d.Ignored = rotaryBuffer

	d.Embed = d.embedding(1)
	for i, w := range qwenWindows(c, d.L) {
		b := d.block(i)
		attention := d.attention(b, bias, bias, d.scaled(w))
		attention.qNorm = b.rmsNorm("self_attn.q_norm", d.K, d.eps)
		attention.kNorm = b.rmsNorm("self_attn.k_norm", d.K, d.eps)
		d.Blocks = append(d.Blocks, newLayer(b, 0, qwen3Block{
			attentionNorm: b.rmsNorm("input_layernorm", d.D, d.eps),
			attention:     attention,
			mlpNorm:       b.rmsNorm("post_attention_layernorm", d.D, d.eps),
			mlp:           d.mlp(b, act, false),
		}))
	}
	d.Head = d.rmsHead()
	return d.Model
}

type qwen3Block struct {
	attentionNorm rmsNorm
	attention     selfAttention // each head of q and k is normed
	mlpNorm       rmsNorm
	mlp           gatedMLP
}

func (l qwen3Block) apply(s *Scope, x *Node) *Node { // [T D] -> [T D]
	x = Add(x, l.attention.apply(s, l.attentionNorm.apply(s, x)))
	return Add(x, l.mlp.apply(s, l.mlpNorm.apply(s, x)))
}
