package arch

import (
	"fmt"
	"regexp"

	. "github.com/gomlx/gomlx/core/graph"
)

// neoxBuffer names the buffers that older GPT-NeoX checkpoints (Pythia) hold.
var neoxBuffer = regexp.MustCompile(`^gpt_neox\.layers\.\d+\.attention\.(bias|masked_bias|rotary_emb\.inv_freq)$`)

// gptNeoX is GPT-NeoX and Pythia (modeling_gpt_neox.py): LayerNorm, rotary positions
// on a share of each head, q, k, v interleaved head by head in one matrix, and
// attention and MLP side by side unless use_parallel_residual is false.
func gptNeoX(c *config, exists func(string) bool) *Model {
	m := &Model{
		V:       c.size("vocab_size", 0),
		D:       c.size("hidden_size", 0),
		N:       c.size("num_attention_heads", 0),
		Context: c.size("max_position_embeddings", 0),
	}
	if m.D%m.N != 0 {
		c.fail("hidden_size is %d, wanted a multiple of num_attention_heads %d", m.D, m.N)
	}
	m.G, m.K = m.N, max(m.D/m.N, 1)
	layers, f := c.layers("num_hidden_layers", 0), c.size("intermediate_size", 0)
	eps := c.positive("layer_norm_eps", 1e-5)
	act := c.activation("hidden_act", "gelu")
	parallel := c.bool("use_parallel_residual", true)
	bias := c.bool("attention_bias", true)
	tied := c.bool("tie_word_embeddings", false)
	m.readRope(c, "rotary_pct", 0.25)
	m.Ignored = neoxBuffer.MatchString

	m.Embed = Embedding{Table: Tensor{Name: "gpt_neox.embed_in.weight", Shape: []int{m.V, m.D}}, Scale: 1}
	for i := range layers {
		b := &builder{prefix: fmt.Sprintf("gpt_neox.layers.%d.", i)}
		m.Blocks = append(m.Blocks, newLayer(b, 0, neoxBlock{
			attentionNorm: b.layerNorm("input_layernorm", m.D, eps),
			qkv:           b.linear("attention.query_key_value", m.D, 3*m.D, bias),
			o:             b.linear("attention.dense", m.D, m.D, bias),
			mlpNorm:       b.layerNorm("post_attention_layernorm", m.D, eps),
			mlp: plainMLP{
				up:   b.linear("mlp.dense_h_to_4h", m.D, f, true),
				down: b.linear("mlp.dense_4h_to_h", f, m.D, true),
				act:  act,
			},
			n: m.N, parallel: parallel,
			Attention: m.scaled(0),
		}))
	}
	b := &builder{}
	norm, head := b.layerNorm("gpt_neox.final_layer_norm", m.D, eps), "embed_out"
	if exists("lm_head.weight") { // transformers 5's name in memory
		head = "lm_head"
	}
	m.Names = Names{Prefix: "gpt_neox.", Trunk: []string{"gpt_neox."}, Head: []string{head, "embed_out", "lm_head"}}
	if m.Tied = tied; tied {
		m.Copies = map[string]string{head + ".weight": m.Embed.Table.Name}
		head = "gpt_neox.embed_in"
	}
	m.Head = newLogits(b, norm, b.linear(head, m.D, m.V, false), 0)
	return m
}

type neoxBlock struct {
	attentionNorm layerNorm
	qkv, o        linear
	mlpNorm       layerNorm
	mlp           plainMLP
	n             int  // heads
	parallel      bool // attention and MLP both see x, side by side
	Attention
}

func (l neoxBlock) apply(s *Scope, x *Node) *Node { // [T D] -> [T D]
	h := heads(l.qkv.apply(s, l.attentionNorm.apply(s, x)), l.n) // [T N 3K]
	q, k, v := s.rotate(third(h, 0)), s.rotate(third(h, 1)), third(h, 2)
	attended := l.o.apply(s, s.Attend(q, k, v, nil, l.Attention))
	if l.parallel {
		return Add(x, Add(attended, l.mlp.apply(s, l.mlpNorm.apply(s, x))))
	}
	x = Add(x, attended)
	return Add(x, l.mlp.apply(s, l.mlpNorm.apply(s, x)))
}
