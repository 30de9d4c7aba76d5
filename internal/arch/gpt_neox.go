package arch

import (
	"fmt"
	"math"
	"regexp"

	. "github.com/gomlx/gomlx/core/graph"
)

// neoxBuffer names the buffers that older GPT-NeoX checkpoints (Pythia) hold.
var neoxBuffer = regexp.MustCompile(`^gpt_neox\.layers\.\d+\.attention\.(bias|masked_bias|rotary_emb\.inv_freq)$`)

// gptNeoX is GPT-NeoX and Pythia (modeling_gpt_neox.py): LayerNorm, rotary positions
// on a share of each head, q, k, v interleaved head by head in one matrix, and
// attention and MLP side by side unless use_parallel_residual is false.
func gptNeoX(c *Config, has func(string) bool) *Model {
	m := &Model{
		V:       c.Size("vocab_size", 0),
		D:       c.Size("hidden_size", 0),
		N:       c.Size("num_attention_heads", 0),
		Context: c.Size("max_position_embeddings", 0),
	}
	if m.D%m.N != 0 {
		c.fail("hidden_size is %d, wanted a multiple of num_attention_heads %d", m.D, m.N)
	}
	m.G, m.K = m.N, max(m.D/m.N, 1)
	layers, f := c.layers("num_hidden_layers", 0), c.Size("intermediate_size", 0)
	eps := c.Positive("layer_norm_eps", 1e-5)
	act := activation(c, "hidden_act", "gelu")
	parallel := c.Bool("use_parallel_residual", true)
	bias := c.Bool("attention_bias", true)
	tied := c.Bool("tie_word_embeddings", false)
	rope, limit := readRope(c, 10_000, "rotary_pct", 0.25).rope(c, m.K, m.Context, scalings...)
	m.Ropes, m.Context = []Rope{rope}, limit
	m.Ignored = neoxBuffer.MatchString
	m.Embed = Embedding{Table: Tensor{Name: "gpt_neox.embed_in.weight", Shape: []int{m.V, m.D}}, Scale: 1}
	how := Attention{Scale: 1 / math.Sqrt(float64(m.K))}
	for i := range layers {
		b := newPart(kindOf(0, how), fmt.Sprintf("gpt_neox.layers.%d.", i))
		b.part.Rope = 0
		m.Blocks = append(m.Blocks, b.part)
		norm1, norm2 := b.layerNorm("input_layernorm", m.D, eps), b.layerNorm("post_attention_layernorm", m.D, eps)
		qkv := b.linear("attention.query_key_value", m.D, 3*m.D, bias)
		dense := b.linear("attention.dense", m.D, m.D, bias)
		up := b.linear("mlp.dense_h_to_4h", m.D, f, true)
		down := b.linear("mlp.dense_4h_to_h", f, m.D, true)
		b.part.Graph = func(p *Pass, x *Node) *Node {
			h := heads(qkv.of(p, norm1.of(p, x)), m.N) // [T N 3K]
			third := func(j int) *Node { return SliceAxis(h, -1, AxisRange(j*m.K, (j+1)*m.K)) }
			attended := dense.of(p, p.Attend(p.rotate(third(0)), p.rotate(third(1)), third(2), how))
			mlp := func(x *Node) *Node { return down.of(p, act(up.of(p, norm2.of(p, x)))) }
			if parallel {
				return Add(x, Add(attended, mlp(x)))
			}
			x = Add(x, attended)
			return Add(x, mlp(x))
		}
	}
	b := newPart("head", "")
	norm := b.layerNorm("gpt_neox.final_layer_norm", m.D, eps)
	name := "embed_out"
	if has("lm_head.weight") { // transformers 5's name in memory
		name = "lm_head"
	}
	if tied {
		m.Copies = map[string]string{name + ".weight": m.Embed.Table.Name}
		name = "gpt_neox.embed_in"
	}
	head := b.linear(name, m.D, m.V, false)
	b.part.Graph = func(p *Pass, x *Node) *Node { return head.of(p, norm.of(p, x)) }
	m.Head = b.part
	return m
}
