package arch

import . "github.com/gomlx/gomlx/core/graph"

// phi is Phi 1, 1.5 and 2 (modeling_phi.py): one LayerNorm whose output attention and an MLP
// without a gate read side by side, rotary positions on a share of each head, and biases
// everywhere, at the head too.
func phi(c *config, exists func(string) bool) *Model {
	d := newDecoder(c, exists, defaults{EpsKey: "layer_norm_eps", Eps: 1e-5})
	d.readRope(c, "partial_rotary_factor", 0.5)
	only(c, "qk_layernorm", false) // no published model has it
	act := c.activation("hidden_act", "gelu_new")
	d.biased = true
	d.Ignored = rotaryBuffer

	d.Embed = d.embedding(1)
	for i := range d.L {
		b := d.block(i)
		d.Blocks = append(d.Blocks, newLayer(b, 0, phiBlock{
			norm:      b.layerNorm("input_layernorm", d.D, d.eps),
			attention: d.projections(b, "self_attn.", "dense", true, true, d.scaled(0)),
			mlp:       plainMLP{up: b.linear("mlp.fc1", d.D, d.F, true), down: b.linear("mlp.fc2", d.F, d.D, true), act: act},
		}))
	}
	b := &builder{}
	d.Head = newLogits(b, b.layerNorm(d.prefix+"final_layernorm", d.D, d.eps), d.unembedding(b), 0)
	return d.Model
}

type phiBlock struct {
	norm      layerNorm
	attention selfAttention
	mlp       plainMLP
}

func (l phiBlock) apply(s *Scope, x *Node) *Node { // [T D] -> [T D]
	h := l.norm.apply(s, x)
	return Add(x, Add(l.attention.apply(s, h), l.mlp.apply(s, h)))
}
