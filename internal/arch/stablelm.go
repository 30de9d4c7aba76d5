package arch

import (
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"
)

// stableLM is StableLM 3B 4E1T, Zephyr 3B and StableLM 2 (modeling_stablelm.py): llama with
// LayerNorm and rotary positions on a share of each head; in the larger ones each head of q and
// k has a norm of its own, and attention and MLP read one norm side by side.
func stableLM(c *config, exists func(string) bool) *Model {
	d := newDecoder(c, exists, defaults{G: 32, EpsKey: "layer_norm_eps", Eps: 1e-5})
	if d.K*d.N != d.D {
		c.refuse("head_dim")
	}
	rc := readRopeConfig(c, 10_000, "partial_rotary_factor", 0.25)
	d.setRope(c, rc)
	bias := c.bool("use_qkv_bias", false)
	each := c.bool("qk_layernorm", false)
	parallel := c.bool("use_parallel_residual", false)
	act := c.activation("hidden_act", "silu")
	only(c, "norm_eps", d.eps) // names of the first releases, which transformers does not read
	only(c, "rope_pct", rc.partial)
	only(c, "rotary_scaling_factor", 1.0)
	only(c, "num_heads", d.N)

	d.Embed = d.embedding(1)
	for i := range d.L {
		b := d.block(i)
		l := stableBlock{
			attentionNorm: b.layerNorm("input_layernorm", d.D, d.eps),
			attention:     d.attention(b, bias, false, d.scaled(0)),
			mlp:           d.mlp(b, act, false),
			parallel:      parallel,
		}
		if each {
			l.attention.qEach = b.headNorms("self_attn.q_layernorm", d.N, d.K, d.eps)
			l.attention.kEach = b.headNorms("self_attn.k_layernorm", d.G, d.K, d.eps)
		}
		if !parallel {
			l.mlpNorm = b.layerNorm("post_attention_layernorm", d.D, d.eps)
		}
		d.Blocks = append(d.Blocks, newLayer(b, 0, l))
	}
	b := &builder{}
	d.Head = newLogits(b, b.layerNorm(d.prefix+"norm", d.D, d.eps), d.unembedding(b), 0)
	return d.Model
}

// headNorms declares the weights of n norms of width k.
func (b *builder) headNorms(name string, n, k int, eps float64) headNorms {
	h := headNorms{n: n, eps: eps}
	for i := range n {
		p := b.vector(fmt.Sprintf("%s.norms.%d.weight", name, i), k)
		if i == 0 {
			h.first = p
		}
	}
	return h
}

type stableBlock struct {
	attentionNorm layerNorm
	attention     selfAttention
	mlpNorm       layerNorm // zero where parallel
	mlp           gatedMLP
	parallel      bool // attention and MLP both read the first norm, side by side
}

func (l stableBlock) apply(s *Scope, x *Node) *Node { // [T D] -> [T D]
	h := l.attentionNorm.apply(s, x)
	attended := l.attention.apply(s, h)
	if l.parallel {
		return Add(x, Add(attended, l.mlp.apply(s, h)))
	}
	x = Add(x, attended)
	return Add(x, l.mlp.apply(s, l.mlpNorm.apply(s, x)))
}
