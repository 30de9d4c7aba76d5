package arch

import (
	"fmt"
	"regexp"
)

// gptjMask names the causal masks that published GPT-J checkpoints hold.
var gptjMask = regexp.MustCompile(`^transformer\.h\.\d+\.attn\.(bias|masked_bias)$`)

// gptJ is GPT-J (modeling_gptj.py): one LayerNorm whose output attention and an MLP without a
// gate read side by side, rotary positions that turn neighbouring values of a part of each head,
// and a head with a bias.
func gptJ(c *config, exists func(string) bool) *Model {
	m := &Model{
		V:       c.size("vocab_size", 0),
		D:       c.size("n_embd", 0),
		N:       c.size("n_head", 0),
		Context: c.size("n_positions", 2048),
	}
	m.evenHeads(c, "n_embd", "n_head")
	layers, f := c.layers("n_layer", 0), c.size("n_inner", 4*m.D)
	for key, n := range map[string]int{"hidden_size": m.D, "num_attention_heads": m.N, "max_position_embeddings": m.Context, "num_hidden_layers": layers} {
		only(c, key, n) // the same sizes under the names of other families
	}
	eps := c.positive("layer_norm_epsilon", 1e-5)
	act := c.activation("activation_function", "gelu_new")
	tied := c.bool("tie_word_embeddings", false)
	for _, key := range []string{"rotary", "scale_attn_weights"} {
		only(c, key, true) // of its first releases; transformers does not read them
	}
	turned := c.size("rotary_dim", 64)
	if turned > m.K || turned%2 != 0 {
		c.fail("rotary_dim is %d, wanted an even number up to the %d of a head", turned, m.K)
		turned = 2
	}
	m.Ropes = []Rope{plainRope(10_000, turned)}
	m.Names = Names{Prefix: "transformer.", Trunk: []string{"transformer."}, Head: []string{"lm_head"}}
	m.Ignored = gptjMask.MatchString

	m.Embed = Embedding{Table: Tensor{Name: "transformer.wte.weight", Shape: []int{m.V, m.D}}, Scale: 1}
	for i := range layers {
		b := &builder{prefix: fmt.Sprintf("transformer.h.%d.", i)}
		l := phiBlock{
			norm:      b.layerNorm("ln_1", m.D, eps),
			attention: m.projections(b, "attn.", "out_proj", false, false, m.scaled(0)),
			mlp:       plainMLP{up: b.linear("mlp.fc_in", m.D, f, true), down: b.linear("mlp.fc_out", f, m.D, true), act: act},
		}
		l.attention.neighbours = true
		m.Blocks = append(m.Blocks, newLayer(b, 0, l))
	}
	b := &builder{}
	norm, head := b.layerNorm("transformer.ln_f", m.D, eps), m.lmHead(b, tied)
	head.bias = b.headBias("lm_head", m.V)
	m.Head = newLogits(b, norm, head, 0)
	return m
}
