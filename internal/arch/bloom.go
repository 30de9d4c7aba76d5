package arch

import (
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"
)

// bloom is BLOOM and BLOOMZ (modeling_bloom.py): LayerNorm, of the embeddings too, q, k, v
// interleaved head by head in one matrix, ALiBi, biases everywhere, a tied head. Texts are as long as those that it was
// trained on, seq_length.
func bloom(c *config, exists func(string) bool) *Model {
	m := &Model{
		V:       c.size("vocab_size", 250_880),
		D:       c.either(c.size, "hidden_size", "n_embed", 64),
		N:       c.either(c.size, "n_head", "num_attention_heads", 8),
		Context: c.size("seq_length", 2048),
	}
	m.evenHeads(c, "hidden_size", "n_head")
	layers := c.either(c.layers, "n_layer", "num_hidden_layers", 2)
	eps := c.positive("layer_norm_epsilon", 1e-5)
	tied := c.bool("tie_word_embeddings", true)
	only(c, "apply_residual_connection_post_layernorm", false) // no published model has it
	// Of its first code and of kernels; slow_but_exact adds up in another order.
	c.ignore("pretraining_tp", "slow_but_exact", "attention_softmax_in_fp32", "bias_dropout_fusion", "masked_softmax_fusion", "offset_alibi",
		"skip_bias_add", "skip_bias_add_qkv", "n_inner")

	prefix := "transformer."
	if exists("word_embeddings.weight") { // published so
		prefix = ""
	}
	m.Names = Names{Prefix: prefix, Trunk: []string{"transformer."}, Head: []string{"lm_head"}}
	m.Embed = Embedding{Table: Tensor{Name: prefix + "word_embeddings.weight", Shape: []int{m.V, m.D}}, Scale: 1}
	attention := m.scaled(0)
	attention.ALiBi = ALiBi{Max: 8, Power: true}
	for i := range layers {
		b := &builder{prefix: prefix}
		var first layerNorm
		if i == 0 {
			first = b.layerNorm("word_embeddings_layernorm", m.D, eps)
		}
		b.prefix += fmt.Sprintf("h.%d.", i)
		block := neoxBlock{
			attentionNorm: b.layerNorm("input_layernorm", m.D, eps),
			qkv:           b.linear("self_attention.query_key_value", m.D, 3*m.D, true),
			o:             b.linear("self_attention.dense", m.D, m.D, true),
			mlpNorm:       b.layerNorm("post_attention_layernorm", m.D, eps),
			mlp: plainMLP{
				up:   b.linear("mlp.dense_h_to_4h", m.D, 4*m.D, true),
				down: b.linear("mlp.dense_4h_to_h", 4*m.D, m.D, true),
				act:  "gelu_new",
			},
			n: m.N, Attention: attention,
		}
		if i == 0 {
			m.Blocks = append(m.Blocks, newLayer(b, noRope, firstBlock{first, block}))
			continue
		}
		m.Blocks = append(m.Blocks, newLayer(b, noRope, block))
	}
	b := &builder{}
	m.Head = newLogits(b, b.layerNorm(prefix+"ln_f", m.D, eps), m.lmHead(b, tied), 0)
	return m
}

// firstBlock has the norm of the embeddings before it.
type firstBlock struct {
	norm  layerNorm
	block neoxBlock
}

func (l firstBlock) apply(s *Scope, x *Node) *Node { // [T D] -> [T D]
	return l.block.apply(s, l.norm.apply(s, x))
}

// either reads a size under one of two names.
func (c *config) either(read func(key string, def int) int, key, other string, def int) int {
	if !c.has(key) && c.has(other) {
		key, other = other, key
	}
	n := read(key, def)
	only(c, other, n)
	return n
}
