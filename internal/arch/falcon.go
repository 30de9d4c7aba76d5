package arch

import (
	"fmt"
	"math"

	. "github.com/gomlx/gomlx/core/graph"
)

// falcon is Falcon 1 and 2 (modeling_falcon.py): LayerNorm, q, k, v in one matrix, in which the k and the v
// of a group of heads follow their q, rotary positions or ALiBi, and attention and an MLP without a gate side by side or
// one after the other. The group is of all heads (multi_query), of some (new_decoder_architecture), or of one.
func falcon(c *config, exists func(string) bool) *Model {
	m := &Model{
		V:       c.size("vocab_size", 65_024),
		D:       c.either(c.size, "hidden_size", "n_embed", 4544),
		N:       c.size("num_attention_heads", 71),
		Context: c.size("max_position_embeddings", 2048),
	}
	m.evenHeads(c, "hidden_size", "num_attention_heads")
	layers, f := c.layers("num_hidden_layers", 32), c.size("ffn_hidden_size", 4*m.D)
	eps := c.positive("layer_norm_epsilon", 1e-5)
	act := c.activation("activation", "gelu")
	bias, tied := c.bool("bias", false), c.bool("tie_word_embeddings", true)
	only(c, "apply_residual_connection_post_layernorm", false) // transformers does not read it
	c.ignore("ff_factor")                                      // of the first files; ffn_hidden_size decides
	two, parallel := m.falconGroups(c)
	attention, rope := m.scaled(0), 0
	if c.bool("alibi", false) {
		attention.ALiBi, rope = ALiBi{Max: 8, Power: true, Half: true, Factor: 1 / math.Sqrt(float64(m.K))}, noRope
		c.ignore("rope_theta", "rope_scaling", "rope_parameters")
	} else {
		m.readRope(c, "", 1)
	}
	m.Ignored = rotaryBuffer

	m.Names = Names{Prefix: "transformer.", Trunk: []string{"transformer."}, Head: []string{"lm_head"}}
	m.Embed = Embedding{Table: Tensor{Name: "transformer.word_embeddings.weight", Shape: []int{m.V, m.D}}, Scale: 1}
	for i := range layers {
		b := &builder{prefix: fmt.Sprintf("transformer.h.%d.", i)}
		l := falconBlock{n: m.N, g: m.G, parallel: parallel, Attention: attention}
		switch {
		case two:
			l.attentionNorm, l.mlpNorm = b.layerNorm("ln_attn", m.D, eps), b.layerNorm("ln_mlp", m.D, eps)
		case parallel:
			l.attentionNorm = b.layerNorm("input_layernorm", m.D, eps)
		default:
			l.attentionNorm, l.mlpNorm = b.layerNorm("input_layernorm", m.D, eps), b.layerNorm("post_attention_layernorm", m.D, eps)
		}
		l.qkv = b.linear("self_attention.query_key_value", m.D, (m.N+2*m.G)*m.K, bias)
		l.o = b.linear("self_attention.dense", m.D, m.D, bias)
		l.mlp = plainMLP{up: b.linear("mlp.dense_h_to_4h", m.D, f, bias), down: b.linear("mlp.dense_4h_to_h", f, m.D, bias), act: act}
		m.Blocks = append(m.Blocks, newLayer(b, rope, l))
	}
	b := &builder{}
	m.Head = newLogits(b, b.layerNorm("transformer.ln_f", m.D, eps), m.lmHead(b, tied), 0)
	return m
}

// falconGroups reads how heads are grouped, and whether the two halves of a block are side by side, with a norm each.
func (m *Model) falconGroups(c *config) (two, parallel bool) {
	multi, young := c.bool("multi_query", true), c.bool("new_decoder_architecture", false)
	parallel = c.bool("parallel_attn", true)
	norms := 1
	if young {
		norms = 2
	}
	norms = c.int("num_ln_in_parallel_attn", norms)
	if norms != 1 && !(young && norms == 2) {
		c.refuse("num_ln_in_parallel_attn")
	}
	switch {
	case young:
		if !parallel {
			c.refuse("parallel_attn") // transformers has no norm for what follows
		}
		m.G = c.size("num_kv_heads", m.N)
		if m.N%m.G != 0 {
			c.fail("num_attention_heads is %d, wanted a multiple of num_kv_heads %d", m.N, m.G)
			m.G = m.N
		}
	case multi:
		m.G = 1
		c.ignore("num_kv_heads")
	default:
		only(c, "num_kv_heads", m.N)
	}
	return norms == 2, parallel
}

type falconBlock struct {
	attentionNorm layerNorm
	qkv, o        linear
	mlpNorm       layerNorm // zero where the MLP reads what attention does
	mlp           plainMLP
	n, g          int  // heads, key/value heads
	parallel      bool // attention and MLP both see x, side by side
	Attention
}

func (l falconBlock) apply(s *Scope, x *Node) *Node { // [T D] -> [T D]
	h := l.attentionNorm.apply(s, x)
	qkv := l.qkv.apply(s, h)
	t, each := qkv.Shape().Dimensions[0], l.n/l.g
	qkv = Reshape(qkv, t, l.g, each+2, -1) // [T G N/G+2 K]
	part := func(from, to int) *Node {
		return Reshape(SliceAxis(qkv, 2, AxisRange(from, to)), t, l.g*(to-from), qkv.Shape().Dimensions[3])
	}
	q, k, v := s.rotate(part(0, each)), s.rotate(part(each, each+1)), part(each+1, each+2)
	attended := l.o.apply(s, s.Attend(q, k, v, nil, l.Attention))
	if !l.parallel {
		x = Add(x, attended)
		return Add(x, l.mlp.apply(s, l.mlpNorm.apply(s, x)))
	}
	if l.mlpNorm != (layerNorm{}) {
		h = l.mlpNorm.apply(s, x)
	}
	return Add(x, Add(attended, l.mlp.apply(s, h)))
}
