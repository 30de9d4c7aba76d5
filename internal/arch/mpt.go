package arch

import "fmt"

// mpt is MPT (modeling_mpt.py): gpt2 without biases, with ALiBi in the place of positions. learned_pos_emb is not
// read where there is ALiBi, nor by transformers at all.
func mpt(c *config, exists func(string) bool) *Model {
	m := &Model{
		V:       c.size("vocab_size", 50_368),
		D:       c.either(c.size, "d_model", "hidden_size", 2048),
		N:       c.either(c.size, "n_heads", "num_attention_heads", 16),
		Context: c.size("max_seq_len", 2048),
	}
	m.evenHeads(c, "d_model", "n_heads")
	layers := c.either(c.layers, "n_layers", "num_hidden_layers", 24)
	eps := c.positive("layer_norm_epsilon", 1e-5)
	tied := c.bool("tie_word_embeddings", true)
	only(c, "expansion_ratio", 4) // transformers computes 4 whatever it says
	only(c, "no_bias", true)
	c.ignore("learned_pos_emb", "emb_pdrop", "embedding_fraction", "init_config", "init_device", "norm_type", "verbose", "tokenizer_name", "fc_type", "ffn_config")
	attention := m.scaled(0)
	clip := m.mptAttention(c, &attention)

	m.Names = Names{Prefix: "transformer.", Trunk: []string{"transformer."}, Head: []string{"lm_head"}}
	m.Embed = Embedding{Table: Tensor{Name: "transformer.wte.weight", Shape: []int{m.V, m.D}}, Scale: 1}
	norm := func(b *builder, name string) layerNorm {
		return layerNorm{weight: b.vector(name+".weight", m.D), eps: eps}
	}
	for i := range layers {
		b := &builder{prefix: fmt.Sprintf("transformer.blocks.%d.", i)}
		m.Blocks = append(m.Blocks, newLayer(b, noRope, gpt2Block{
			attentionNorm: norm(b, "norm_1"),
			qkv:           b.linear("attn.Wqkv", m.D, 3*m.D, false),
			o:             b.linear("attn.out_proj", m.D, m.D, false),
			mlpNorm:       norm(b, "norm_2"),
			mlp:           plainMLP{up: b.linear("ffn.up_proj", m.D, 4*m.D, false), down: b.linear("ffn.down_proj", 4*m.D, m.D, false), act: "gelu"},
			n:             m.N, clip: clip, Attention: attention,
		}))
	}
	b := &builder{}
	m.Head = newLogits(b, norm(b, "transformer.norm_f"), m.lmHead(b, tied), 0)
	return m
}

// mptAttention reads attn_config; clip bounds q, k and v, 0 for none.
func (m *Model) mptAttention(c *config, a *Attention) (clip float64) {
	a.ALiBi = ALiBi{Max: 8}
	s := c.object("attn_config")
	if s == nil {
		return 0
	}
	only(s, "attn_type", "multihead_attention")
	only(s, "alibi", true)
	only(s, "alibi_bias_max", 8) // transformers computes 8 whatever it says, and other programs what it says
	for _, key := range []string{"prefix_lm", "qk_ln", "attn_uses_sequence_id", "qk_gn", "rope", "is_encoder_decoder"} {
		only(s, key, false)
	}
	s.ignore("attn_pdrop", "attn_impl", "model_type")
	if s.has("softmax_scale") {
		a.Scale = s.positive("softmax_scale", 1)
	}
	if clip = s.float("clip_qkv", 0); clip < 0 {
		s.fail("%sclip_qkv is %g, wanted 0 or more", s.prefix, clip)
	}
	s.leftovers()
	return clip
}
