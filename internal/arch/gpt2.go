package arch

import (
	"fmt"
	"math"
	"regexp"

	. "github.com/gomlx/gomlx/core/graph"
)

// gpt2Mask names the causal masks that published GPT-2 checkpoints hold.
var gpt2Mask = regexp.MustCompile(`^(transformer\.)?h\.\d+\.attn\.(bias|masked_bias)$`)

// gpt2 is GPT-2 (modeling_gpt2.py): LayerNorm, learned positions, matrices stored
// [in out]. Tensors are published with and without the prefix "transformer.".
func gpt2(c *config, exists func(string) bool) *Model {
	m := &Model{
		V:       c.size("vocab_size", 0),
		D:       c.size("n_embd", 0),
		N:       c.size("n_head", 0),
		Context: c.size("n_positions", 0),
	}
	m.evenHeads(c, "n_embd", "n_head")
	c.ignore("n_ctx", "n_special", "predict_special_tokens") // of GPT-2's first releases
	for key, n := range map[string]int{"hidden_size": m.D, "num_attention_heads": m.N, "max_position_embeddings": m.Context} {
		only(c, key, n) // the same sizes under the names of other families
	}
	layers, f := c.layers("n_layer", 0), c.size("n_inner", 4*m.D)
	only(c, "num_hidden_layers", layers)
	eps := c.positive("layer_norm_epsilon", 1e-5)
	act := c.activation("activation_function", "gelu_new")
	tied := c.bool("tie_word_embeddings", true)
	byLayer := c.bool("scale_attn_by_inverse_layer_idx", false)
	scale := 1.0
	if c.bool("scale_attn_weights", true) {
		scale = 1 / math.Sqrt(float64(m.K))
	}

	prefix := ""
	if exists("transformer.wte.weight") {
		prefix = "transformer."
	}
	m.Names = Names{Prefix: prefix, Trunk: []string{"transformer."}, Head: []string{"lm_head"}}
	m.Ignored = gpt2Mask.MatchString
	m.Embed = Embedding{
		Table:     Tensor{Name: prefix + "wte.weight", Shape: []int{m.V, m.D}},
		Scale:     1,
		Positions: &Tensor{Name: prefix + "wpe.weight", Shape: []int{m.Context, m.D}},
	}
	for i := range layers {
		attention := Attention{Scale: scale}
		if byLayer {
			attention.Scale /= float64(i + 1)
		}
		b := &builder{prefix: fmt.Sprintf("%sh.%d.", prefix, i)}
		m.Blocks = append(m.Blocks, newLayer(b, noRope, gpt2Block{
			attentionNorm: b.layerNorm("ln_1", m.D, eps),
			qkv:           b.conv1d("attn.c_attn", m.D, 3*m.D),
			o:             b.conv1d("attn.c_proj", m.D, m.D),
			mlpNorm:       b.layerNorm("ln_2", m.D, eps),
			mlp:           plainMLP{up: b.conv1d("mlp.c_fc", m.D, f), down: b.conv1d("mlp.c_proj", f, m.D), act: act},
			n:             m.N, Attention: attention,
		}))
	}
	b := &builder{}
	m.Head = newLogits(b, b.layerNorm(prefix+"ln_f", m.D, eps), m.lmHead(b, tied), 0)
	return m
}

type gpt2Block struct {
	attentionNorm layerNorm
	qkv, o        linear
	mlpNorm       layerNorm
	mlp           plainMLP
	n             int     // heads
	clip          float64 // bounds the values of q, k and v (MPT); 0 for none
	Attention
}

func (l gpt2Block) apply(s *Scope, x *Node) *Node { // [T D] -> [T D]
	h := l.qkv.apply(s, l.attentionNorm.apply(s, x)) // [T 3D]
	if l.clip != 0 {
		h = clipped(h, l.clip)
	}
	q, k, v := heads(third(h, 0), l.n), heads(third(h, 1), l.n), heads(third(h, 2), l.n)
	x = Add(x, l.o.apply(s, s.Attend(q, k, v, nil, l.Attention)))
	return Add(x, l.mlp.apply(s, l.mlpNorm.apply(s, x)))
}
