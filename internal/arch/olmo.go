package arch

import . "github.com/gomlx/gomlx/core/graph"

// olmo is OLMo 1 (modeling_olmo.py): llama with LayerNorm without weight and bias, and q, k and
// v within [-clip_qkv, clip_qkv].
func olmo(c *config, exists func(string) bool) *Model {
	d := newDecoder(c, exists, defaults{Eps: 1e-5})
	only(c, "rms_norm_eps", 1e-5) // OlmoLayerNorm has this one alone
	d.readRope(c, "", 1)
	bias := c.bool("attention_bias", false)
	act := c.activation("hidden_act", "silu")
	clip := 0.0
	if c.has("clip_qkv") {
		clip = c.positive("clip_qkv", 0)
	}
	c.ignore("clip_qkv")

	d.Embed = d.embedding(1)
	for i := range d.L {
		b := d.block(i)
		attention := d.attention(b, bias, bias, d.scaled(0))
		attention.clip = clip
		d.Blocks = append(d.Blocks, newLayer(b, 0, olmoBlock{norm: bareNorm{d.eps}, attention: attention, mlp: d.mlp(b, act, false)}))
	}
	b := &builder{}
	d.Head = newLogits(b, bareNorm{d.eps}, d.unembedding(b), 0)
	return d.Model
}

type olmoBlock struct {
	norm      bareNorm
	attention selfAttention
	mlp       gatedMLP
}

func (l olmoBlock) apply(s *Scope, x *Node) *Node { // [T D] -> [T D]
	x = Add(x, l.attention.apply(s, l.norm.apply(s, x)))
	return Add(x, l.mlp.apply(s, l.norm.apply(s, x)))
}
