package arch

import "fmt"

// opt is OPT and Galactica (modeling_opt.py): LayerNorm, learned positions whose first row is
// the third of their table, and an MLP without a gate. OPT-350m, whose embeddings are narrower
// than its blocks and whose norms come after them, is refused.
func opt(c *config, exists func(string) bool) *Model {
	m := &Model{
		V:       c.size("vocab_size", 0),
		D:       c.size("hidden_size", 0),
		N:       c.size("num_attention_heads", 0),
		Context: c.size("max_position_embeddings", 2048),
	}
	m.evenHeads(c, "hidden_size", "num_attention_heads")
	layers, f := c.layers("num_hidden_layers", 0), c.size("ffn_dim", 0)
	act := c.activation("activation_function", "relu")
	bias := c.bool("enable_bias", true)
	affine := c.bool("layer_norm_elementwise_affine", true)
	tied := c.bool("tie_word_embeddings", true)
	only(c, "do_layer_norm_before", true)
	only(c, "_remove_final_layer_norm", false)
	only(c, "word_embed_proj_dim", m.D)
	only(c, "scale_embeddings", false)
	only(c, "learned_embeddings", true)
	only(c, "output_projection", true)
	c.ignore("activation_dropout", "dropout", "init_std", "layerdrop")

	prefix := "model.decoder."
	if exists("decoder.embed_tokens.weight") { // saved without its head
		prefix = "decoder."
	}
	const rows, eps = 2, 1e-5 // of OPTLearnedPositionalEmbedding; of LayerNorm
	norm := func(b *builder, name string) layerNorm {
		if !affine {
			return layerNorm{eps: eps}
		}
		return b.layerNorm(name, m.D, eps)
	}
	m.Names = Names{Prefix: prefix, Trunk: []string{"model.decoder."}, Head: []string{"lm_head"}}
	m.Embed = Embedding{
		Table:     Tensor{Name: prefix + "embed_tokens.weight", Shape: []int{m.V, m.D}},
		Scale:     1,
		Positions: &Tensor{Name: prefix + "embed_positions.weight", Shape: []int{m.Context + rows, m.D}},
		First:     rows,
	}
	for i := range layers {
		b := &builder{prefix: fmt.Sprintf("%slayers.%d.", prefix, i)}
		m.Blocks = append(m.Blocks, newLayer(b, noRope, plainBlock{
			attentionNorm: norm(b, "self_attn_layer_norm"),
			attention:     m.projections(b, "self_attn.", "out_proj", bias, bias, m.scaled(0)),
			mlpNorm:       norm(b, "final_layer_norm"),
			mlp:           plainMLP{up: b.linear("fc1", m.D, f, bias), down: b.linear("fc2", f, m.D, bias), act: act},
		}))
	}
	b := &builder{}
	m.Head = newLogits(b, norm(b, prefix+"final_layer_norm"), m.lmHead(b, tied), 0)
	return m
}
