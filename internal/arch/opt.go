package arch

import (
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"
)

// opt is OPT and Galactica (modeling_opt.py): LayerNorm, learned positions whose first row is
// the third of their table, and an MLP without a gate. OPT-350m's norms come after what they norm
// has been added to the stream, and its embeddings are narrower than its blocks: a matrix before
// them, to whose result positions are added, and one after them.
func opt(c *config, exists func(string) bool) *Model {
	inner := &Model{ // as blocks have it
		V:       c.size("vocab_size", 0),
		D:       c.size("hidden_size", 0),
		N:       c.size("num_attention_heads", 0),
		Context: c.size("max_position_embeddings", 2048),
	}
	inner.evenHeads(c, "hidden_size", "num_attention_heads")
	layers, f := c.layers("num_hidden_layers", 0), c.size("ffn_dim", 0)
	act := c.activation("activation_function", "relu")
	bias := c.bool("enable_bias", true)
	affine := c.bool("layer_norm_elementwise_affine", true)
	tied := c.bool("tie_word_embeddings", true)
	before := c.bool("do_layer_norm_before", true)
	removed := c.bool("_remove_final_layer_norm", false)
	ends := before && !removed
	width := c.size("word_embed_proj_dim", inner.D)
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
		return b.layerNorm(name, inner.D, eps)
	}
	m := *inner
	m.D = width
	if m.D != inner.D {
		m.Inner = inner.D
	}
	m.Names = Names{Prefix: prefix, Trunk: []string{"model.decoder."}, Head: []string{"lm_head"}}
	m.Embed = Embedding{
		Table:     Tensor{Name: prefix + "embed_tokens.weight", Shape: []int{m.V, m.D}},
		Scale:     1,
		Positions: &Tensor{Name: prefix + "embed_positions.weight", Shape: []int{m.Context + rows, inner.D}},
		First:     rows,
		Apart:     m.Inner > 0,
	}
	for i := range layers {
		b := &builder{prefix: fmt.Sprintf("%slayers.%d.", prefix, i)}
		plain := plainBlock{
			attentionNorm: norm(b, "self_attn_layer_norm"),
			attention:     inner.projections(b, "self_attn.", "out_proj", bias, bias, inner.scaled(0)),
			mlpNorm:       norm(b, "final_layer_norm"),
			mlp:           plainMLP{up: b.linear("fc1", inner.D, f, bias), down: b.linear("fc2", f, inner.D, bias), act: act},
		}
		if before && m.Inner == 0 {
			m.Blocks = append(m.Blocks, newLayer(b, noRope, plain))
			continue
		}
		block := optBlock{plainBlock: plain, p: m.D, after: !before}
		b.prefix = prefix
		if m.Inner > 0 && i == 0 {
			block.in = b.linear("project_in", m.D, inner.D, false)
		}
		if m.Inner > 0 && i == layers-1 {
			if ends {
				block.norm = norm(b, "final_layer_norm")
			}
			block.out = b.linear("project_out", inner.D, m.D, false)
		}
		m.Blocks = append(m.Blocks, newLayer(b, noRope, block))
	}
	b := &builder{}
	if ends && m.Inner == 0 {
		m.Head = newLogits(b, norm(b, prefix+"final_layer_norm"), m.lmHead(b, tied), 0)
	} else {
		m.Head = newLogits(b, noNorm{}, m.lmHead(b, tied), 0)
	}
	return &m
}

// optBlock is a block of OPT-350m.
type optBlock struct {
	plainBlock
	p     int       // width of the embeddings
	in    linear    // of the first block [P] -> [D]; zero for none
	after bool      // norms come after the sums
	norm  layerNorm // before out; zero for none
	out   linear    // of the last block [D] -> [P]; zero for none
}

func (l optBlock) apply(s *Scope, x *Node) *Node { // [T D] -> [T D], but where in and out are
	if l.in != (linear{}) { // [T P+D]
		x = Add(l.in.apply(s, SliceAxis(x, 1, AxisRange(0, l.p))), SliceAxis(x, 1, AxisRangeToEnd(l.p)))
	}
	if l.after {
		x = l.attentionNorm.apply(s, Add(x, l.attention.apply(s, x)))
		x = l.mlpNorm.apply(s, Add(x, l.mlp.apply(s, x)))
	} else {
		x = l.plainBlock.apply(s, x)
	}
	if l.norm != (layerNorm{}) {
		x = l.norm.apply(s, x)
	}
	if l.out != (linear{}) {
		x = l.out.apply(s, x)
	}
	return x
}

// noNorm is none, where what is final is what the last block gives.
type noNorm struct{}

func (noNorm) apply(s *Scope, x *Node) *Node { return s.float(x) }
