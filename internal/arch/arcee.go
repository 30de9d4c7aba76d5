package arch

import . "github.com/gomlx/gomlx/core/graph"

// arcee is AFM (modeling_arcee.py): llama with an MLP without a gate, and relu^2 in it.
func arcee(c *config, exists func(string) bool) *Model {
	d := newDecoder(c, exists, defaults{Eps: 1e-5})
	d.readRope(c, "", 1)
	bias, mlpBias := c.bool("attention_bias", false), c.bool("mlp_bias", false)
	act := c.activation("hidden_act", "relu2")

	d.Embed = d.embedding(1)
	for i := range d.L {
		b := d.block(i)
		d.Blocks = append(d.Blocks, newLayer(b, 0, arceeBlock{
			attentionNorm: b.rmsNorm("input_layernorm", d.D, d.eps),
			attention:     d.attention(b, bias, bias, d.scaled(0)),
			mlpNorm:       b.rmsNorm("post_attention_layernorm", d.D, d.eps),
			mlp: plainMLP{
				up:   b.linear("mlp.up_proj", d.D, d.F, mlpBias),
				down: b.linear("mlp.down_proj", d.F, d.D, mlpBias),
				act:  act,
			},
		}))
	}
	d.Head = d.rmsHead()
	return d.Model
}

type arceeBlock struct {
	attentionNorm rmsNorm
	attention     selfAttention
	mlpNorm       rmsNorm
	mlp           plainMLP
}

func (l arceeBlock) apply(s *Scope, x *Node) *Node { // [T D] -> [T D]
	x = Add(x, l.attention.apply(s, l.attentionNorm.apply(s, x)))
	return Add(x, l.mlp.apply(s, l.mlpNorm.apply(s, x)))
}
