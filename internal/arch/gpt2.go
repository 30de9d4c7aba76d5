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
func gpt2(c *Config, has func(string) bool) *Model {
	m := &Model{
		V:       c.Size("vocab_size", 0),
		D:       c.Size("n_embd", 0),
		N:       c.Size("n_head", 0),
		Context: c.Size("n_positions", 0),
	}
	if m.D%m.N != 0 {
		c.fail("n_embd is %d, wanted a multiple of n_head %d", m.D, m.N)
	}
	m.G, m.K = m.N, max(m.D/m.N, 1)
	c.Ignore("n_ctx", "n_special", "predict_special_tokens") // of GPT-2's first releases
	for key, n := range map[string]int{"hidden_size": m.D, "num_attention_heads": m.N, "max_position_embeddings": m.Context} {
		Only(c, key, n) // the same sizes under the names of other families
	}
	layers, f := c.layers("n_layer", 0), c.Size("n_inner", 4*m.D)
	Only(c, "num_hidden_layers", layers)
	eps := c.Positive("layer_norm_epsilon", 1e-5)
	act := activation(c, "activation_function", "gelu_new")
	tied := c.Bool("tie_word_embeddings", true)
	byLayer := c.Bool("scale_attn_by_inverse_layer_idx", false)
	scale := 1.0
	if c.Bool("scale_attn_weights", true) {
		scale = 1 / math.Sqrt(float64(m.K))
	}
	Only(c, "add_cross_attention", false)

	prefix := ""
	if has("transformer.wte.weight") {
		prefix = "transformer."
	}
	m.Ignored = gpt2Mask.MatchString
	m.Embed = Embedding{
		Table:     Tensor{Name: prefix + "wte.weight", Shape: []int{m.V, m.D}},
		Scale:     1,
		Positions: &Tensor{Name: prefix + "wpe.weight", Shape: []int{m.Context, m.D}},
	}
	for i := range layers {
		how := Attention{Scale: scale}
		if byLayer {
			how.Scale /= float64(i + 1)
		}
		b := newPart(kindOf(-1, how), fmt.Sprintf("%sh.%d.", prefix, i))
		m.Blocks = append(m.Blocks, b.part)
		norm1 := b.layerNorm("ln_1", m.D, eps)
		qkv := b.conv1d("attn.c_attn", m.D, 3*m.D)
		out := b.conv1d("attn.c_proj", m.D, m.D)
		norm2 := b.layerNorm("ln_2", m.D, eps)
		up, down := b.conv1d("mlp.c_fc", m.D, f), b.conv1d("mlp.c_proj", f, m.D)
		b.part.Graph = func(p *Pass, x *Node) *Node {
			h := qkv.of(p, norm1.of(p, x))
			third := func(j int) *Node { return heads(SliceAxis(h, -1, AxisRange(j*m.D, (j+1)*m.D)), m.N) }
			x = Add(x, out.of(p, p.Attend(third(0), third(1), third(2), how)))
			return Add(x, down.of(p, act(up.of(p, norm2.of(p, x)))))
		}
	}
	b := newPart("head", "")
	norm := b.layerNorm(prefix+"ln_f", m.D, eps)
	name := "lm_head"
	if tied {
		name = prefix + "wte"
		m.Copies = map[string]string{"lm_head.weight": m.Embed.Table.Name}
	}
	head := b.linear(name, m.D, m.V, false)
	b.part.Graph = func(p *Pass, x *Node) *Node { return head.of(p, norm.of(p, x)) }
	m.Head = b.part
	return m
}
