package arch

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	. "github.com/gomlx/gomlx/core/graph"
)

// gemma4Text is Gemma 4's text model (modeling_gemma4.py): the norms of Gemma 2, of weights that
// are stored as they are, RMSNorm on each head of q, k and v, scores that are not scaled, and in
// the layers without a window wider heads, often fewer of keys, whose values can be the keys
// before their norm. What a block gives is multiplied by a number of its own.
func gemma4Text(c *config, exists func(string) bool) *Model {
	// The defaults of Gemma4TextConfig.
	d := newDecoder(c, exists, defaults{
		V: 262_144, D: 2304, F: 9216, L: 30, N: 8, G: 4, K: 256, Context: 131_072, Eps: 1e-6, Tied: true,
	})
	c.ignore("num_experts", "top_k_experts", "moe_intermediate_size")
	var size Experts
	if c.bool("enable_moe_block", false) {
		size = Experts{E: c.size("num_experts", 0), K: c.size("top_k_experts", 0)}
		c.limit("num_experts", "top_k_experts", d.L, &size)
		only(c, "hidden_activation", "gelu_pytorch_tanh")
	}
	rows, width := c.size("vocab_size_per_layer_input", 262_144), c.int("hidden_size_per_layer_input", 256)
	if width != 0 {
		width = c.size("hidden_size_per_layer_input", 256)
		if rows < d.V {
			c.fail("%svocab_size_per_layer_input is %d, wanted at least vocab_size %d", c.prefix, rows, d.V)
		}
		d.PerLayer = d.perLayer(rows, width)
	}
	return d.gemma4(c, 512, size)
}

// gemma4UnifiedText is the text model of a Gemma 4 without towers (modeling_gemma4_unified.py).
func gemma4UnifiedText(c *config, exists func(string) bool) *Model {
	d := newDecoder(c, exists, defaults{
		V: 262_144, D: 2304, F: 9216, L: 30, N: 8, G: 4, K: 256, Context: 262_144, Eps: 1e-6, Tied: true,
	})
	only(c, "enable_moe_block", false)
	only(c, "hidden_size_per_layer_input", 0)
	c.ignore("vocab_size_per_layer_input")
	return d.gemma4(c, 1024, Experts{})
}

// gemma4 makes the layers; window is that of an absent sliding_window, size that of the mixtures
// beside the MLPs, zero for none.
func (d *decoder) gemma4(c *config, window int, size Experts) *Model {
	bias := c.bool("attention_bias", false)
	if c.string("use_bidirectional_attention", "vision") != "vision" { // images alone, or none
		c.refuse("use_bidirectional_attention")
	}
	act := c.activation("hidden_activation", "gelu_pytorch_tanh")
	finalCap := c.cap("final_logit_softcapping", 0)
	equal := c.bool("attention_k_eq_v", false)
	widths := windows(c, d.L, c.size("sliding_window", window), func(layer int) bool { return (layer+1)%6 != 0 })
	if last := len(widths) - 1; widths[last] > 0 {
		c.doubt("the last layer has a window by layer_types: it is computed without, as in transformers")
		widths[last] = 0
	}
	shapes := d.gemma4Keys(c, widths, equal)
	d.Ropes = gemma4Ropes(c, shapes)
	f := 0
	if size.E > 0 {
		f = c.size("moe_intermediate_size", 0)
	}

	d.Embed = d.embedding(float32(math.Sqrt(float64(d.D))))
	sources := d.keySources(c, widths)
	wide := *d
	if c.bool("use_double_wide_mlp", false) {
		wide.F *= 2
	}
	for i, w := range widths {
		b, of := d.block(i), d
		if b.back = i - sources[i]; b.back > 0 {
			of = &wide
		}
		b.lends = slices.Contains(sources[i+1:], i)
		shape := shapes[ropeOfWindow(w)]
		l := newLayer(b, ropeOfWindow(w), gemma4Block{
			attentionNorm:     b.rmsNorm("input_layernorm", d.D, d.eps),
			attention:         d.gemma4Attention(b, shape, bias, equal && w == 0, Attention{Scale: 1, Window: w}),
			postAttentionNorm: b.rmsNorm("post_attention_layernorm", d.D, d.eps),
			mlpNorm:           b.rmsNorm("pre_feedforward_layernorm", d.D, d.eps),
			mlp:               of.mlp(b, act, false),
			postMLPNorm:       b.rmsNorm("post_feedforward_layernorm", d.D, d.eps),
			mixture:           d.gemma4Mixture(b, size, f),
			given:             d.given(b, act),
			factor:            b.param(Tensor{Name: "layer_scalar", Shape: []int{1}, Buffer: true}),
		})
		l.G, l.K = shape.g, shape.k
		d.Blocks = append(d.Blocks, l)
	}
	b := &builder{}
	d.Head = newLogits(b, b.rmsNorm(d.prefix+"norm", d.D, d.eps), d.unembedding(b), finalCap)
	return d.Model
}

// keySources (Gemma 3n, Gemma 4) are, of each layer, the one whose keys and values it attends to: its own, or, of the last
// num_kv_shared_layers, the last before these that has a window as it has, or none as it has none.
// What checkpoints hold of the keys and values of these is not used.
func (d *decoder) keySources(c *config, widths []int) []int {
	shared := c.int("num_kv_shared_layers", 0)
	if shared < 0 || shared > d.L {
		c.fail("%snum_kv_shared_layers is %d, wanted 0 to %d", c.prefix, shared, d.L)
		shared = 0
	}
	sources := make([]int, len(widths))
	last := [2]int{-1, -1} // without a window and with one
	unused := map[string]bool{}
	for i, w := range widths {
		kind := ropeOfWindow(w)
		if i < d.L-shared {
			last[kind] = i
		} else {
			for _, part := range []string{"k_proj", "v_proj", "k_norm", "v_norm"} {
				unused[fmt.Sprintf("%slayers.%d.self_attn.%s", d.prefix, i, part)] = true
			}
		}
		if sources[i] = last[kind]; sources[i] < 0 {
			c.fail("%snum_kv_shared_layers is %d, wanted fewer: no layer before has keys of layer %d's type", c.prefix, shared, i)
			sources[i] = i
		}
	}
	d.Ignored = func(name string) bool {
		i := strings.LastIndexByte(name, '.')
		return i >= 0 && unused[name[:i]]
	}
	return sources
}

// keyShape is the number of key/value heads of a layer, and their width.
type keyShape struct{ g, k int }

// gemma4Keys are the shapes of the layers without a window and of those with one: as published,
// num_global_key_value_heads, which counts where values are keys, and global_head_dim, or, as
// transformers writes them, per_layer_config.
func (d *decoder) gemma4Keys(c *config, widths []int, equal bool) (shapes [2]keyShape) {
	full := keyShape{d.G, d.K}
	if c.has("per_layer_config") || c.null("per_layer_config") {
		full = d.gemma4Layers(c.object("per_layer_config"), widths)
		only(c, "global_head_dim", full.k)
		if equal {
			only(c, "num_global_key_value_heads", full.g)
		}
	} else {
		full.k = c.size("global_head_dim", 512)
		if equal {
			full.g = c.size("num_global_key_value_heads", d.G)
		}
	}
	c.ignore("num_global_key_value_heads")
	if d.N%full.g != 0 {
		c.fail("%snum_attention_heads is %d, wanted a multiple of num_global_key_value_heads %d", c.prefix, d.N, full.g)
	}
	return [2]keyShape{full, {d.G, d.K}}
}

// gemma4Layers is the shape of the layers without a window by per_layer_config, which may be
// nil; p names no others.
func (d *decoder) gemma4Layers(p *config, widths []int) keyShape {
	full := keyShape{d.G, d.K}
	if p == nil {
		return full
	}
	named := map[int]keyShape{}
	for key := range p.keys {
		layer, err := strconv.Atoi(key)
		if err != nil || layer < 0 || layer >= len(widths) {
			p.refuse(key)
			continue
		}
		if one := p.object(key); one != nil {
			named[layer] = keyShape{one.size("num_key_value_heads", d.G), one.size("head_dim", d.K)}
			one.leftovers()
		}
	}
	first := true
	for i, w := range widths {
		shape, ok := named[i]
		if !ok {
			shape = keyShape{d.G, d.K}
		}
		switch {
		case w > 0 && shape != keyShape{d.G, d.K}:
			p.fail("%s%d has a window, and %d heads of keys of width %d, wanted %d of %d, as without it", p.prefix, i, shape.g, shape.k, d.G, d.K)
		case w == 0 && !first && shape != full:
			p.fail("%s%d has %d heads of keys of width %d, wanted %d of %d, as layers without a window before", p.prefix, i, shape.g, shape.k, full.g, full.k)
		case w == 0:
			full, first = shape, false
		}
	}
	return full
}

// gemma4Ropes are those of the layers without a window and of those with one. A proportional
// rope turns the first of all pairs of a head, and the rest by no angle, with the frequencies
// that they have where all are turned (modeling_rope_utils.py, _compute_proportional_rope_parameters).
func gemma4Ropes(c *config, shapes [2]keyShape) []Rope {
	p := c.object("rope_parameters")
	ropes := make([]Rope, 2)
	for i, key := range []string{"full_attention", "sliding_attention"} {
		k := shapes[i].k
		if k%2 != 0 {
			c.fail("a head is %d wide, wanted an even number", k)
			k++
		}
		kind, theta, part, factor := []string{"proportional", "default"}[i], []float64{1e6, 1e4}[i], []float64{0.25, 1}[i], 1.0
		if p != nil {
			s := p.object(key)
			if s == nil {
				p.fail("%s%s is missing", p.prefix, key)
				continue
			}
			kind, theta = s.string("rope_type", "default"), s.positive("rope_theta", 0)
			switch kind {
			case "default":
				only(s, "partial_rotary_factor", 1.0)
			case "proportional":
				part, factor = s.positive("partial_rotary_factor", 1), s.positive("factor", 1)
			default:
				s.refuse("rope_type")
			}
			s.leftovers()
		}
		ropes[i] = plainRope(theta, k)
		if kind != "proportional" {
			continue
		}
		if part > 1 {
			c.fail("rotated share of a head is %g, wanted at most 1", part)
		}
		for pair := range ropes[i].InvFreq {
			if pair >= int(part*float64(k))/2 {
				ropes[i].InvFreq[pair] = 0
			}
			ropes[i].InvFreq[pair] /= float32(factor)
		}
	}
	if p != nil {
		p.leftovers()
	}
	return ropes
}

// gemma4Attention is o(attend(rotate(norm(q x)), rotate(norm(k x)), norm(v x))), each norm of
// each head, that of v without a weight.
type gemma4Attention struct {
	q, k, v, o          linear // v is zero where it is k; both are where keys and values are those of another block
	qNorm, kNorm, vNorm rmsNorm
	n, g                int // heads, key/value heads
	Attention
}

// gemma4Attention declares an attention below "self_attn.".
func (d *decoder) gemma4Attention(b *builder, shape keyShape, bias, equal bool, a Attention) gemma4Attention {
	width := shape.g * shape.k
	l := gemma4Attention{n: d.N, g: shape.g, Attention: a, vNorm: rmsNorm{eps: d.eps}}
	l.q = b.linear("self_attn.q_proj", d.D, d.N*shape.k, bias)
	l.qNorm = b.rmsNorm("self_attn.q_norm", shape.k, d.eps)
	l.o = b.linear("self_attn.o_proj", d.N*shape.k, d.D, bias)
	if b.back > 0 {
		return l
	}
	l.k = b.linear("self_attn.k_proj", d.D, width, bias)
	if !equal {
		l.v = b.linear("self_attn.v_proj", d.D, width, bias)
	}
	l.kNorm = b.rmsNorm("self_attn.k_norm", shape.k, d.eps)
	return l
}

func (a gemma4Attention) apply(s *Scope, x *Node) *Node { // [T D] -> [T D]
	q := s.rotate(a.qNorm.apply(s, heads(a.q.apply(s, x), a.n))) // [T N K]
	if a.k == (linear{}) {
		k, v := heads(s.Shared[0], a.g), heads(s.Shared[1], a.g) // [T G K]
		return a.o.apply(s, s.Attend(q, k, v, nil, a.Attention))
	}
	k := heads(a.k.apply(s, x), a.g) // [T G K]
	v := k
	if a.v != (linear{}) {
		v = heads(a.v.apply(s, x), a.g)
	}
	k, v = s.rotate(a.kNorm.apply(s, k)), a.vNorm.apply(s, v)
	return a.o.apply(s, s.Attend(q, k, v, nil, a.Attention))
}

type gemma4Block struct {
	attentionNorm     rmsNorm
	attention         gemma4Attention
	postAttentionNorm rmsNorm
	mlpNorm           rmsNorm
	mlp               gatedMLP
	mixture           gemma4Mixture // zero for none
	postMLPNorm       rmsNorm
	given             given // zero for none
	factor            param
}

func (l gemma4Block) apply(s *Scope, x *Node) *Node { // [T D] -> [T D]
	h := l.attention.apply(s, l.attentionNorm.apply(s, x))
	x = Add(x, l.postAttentionNorm.apply(s, h))
	h = l.mlp.apply(s, l.mlpNorm.apply(s, x))
	if l.mixture != (gemma4Mixture{}) {
		h = l.mixture.beside(s, h, x)
	}
	x = Add(x, l.postMLPNorm.apply(s, h))
	if l.given != (given{}) {
		x = Add(x, l.given.apply(s, x))
	}
	return Mul(x, s.vector(l.factor, x))
}

// gemma4Mixture are experts beside the MLP, each of the two with norms of its own, and a router
// that reads the stream itself (Gemma4TextRouter).
type gemma4Mixture struct {
	mlpNorm     rmsNorm // of what the MLP gives
	routed      rmsNorm // of what the router reads, with its scale as the weight
	root        float64 // 1/sqrt(D)
	norm        rmsNorm // of what the experts read
	experts     experts
	expertsNorm rmsNorm // of what they give
}

// gemma4Mixture declares the experts of a block, of width f; none where size is zero.
func (d *decoder) gemma4Mixture(b *builder, size Experts, f int) gemma4Mixture {
	if size.E == 0 {
		return gemma4Mixture{}
	}
	m := gemma4Mixture{root: 1 / math.Sqrt(float64(d.D))}
	m.mlpNorm = b.rmsNorm("post_feedforward_layernorm_1", d.D, d.eps)
	m.expertsNorm = b.rmsNorm("post_feedforward_layernorm_2", d.D, d.eps)
	m.norm = b.rmsNorm("pre_feedforward_layernorm_2", d.D, d.eps)
	m.routed = rmsNorm{weight: b.vector("router.scale", d.D), eps: d.eps}
	m.experts = b.experts(func(string) bool { return false }, size, d.D, f, true, ofGemma)
	m.experts.factors, m.experts.gelu = b.vector("router.per_expert_scale", size.E), true
	return m
}

// beside adds to what the MLP gives, h, what the experts make of x [T D].
func (m gemma4Mixture) beside(s *Scope, h, x *Node) *Node {
	logits := m.experts.router.apply(s, MulScalar(m.routed.apply(s, x), m.root)) // [T E]
	y := m.experts.chosen(s, m.norm.apply(s, x), logits)
	return Add(m.mlpNorm.apply(s, h), m.expertsNorm.apply(s, y))
}

// gemma4 is a multimodal Gemma 4, of which texts need the text part.
func gemma4(c *config, exists func(string) bool) *Model {
	return c.gemma4("gemma4_text", gemma4Text, exists)
}

// gemma4Unified is one that has no towers.
func gemma4Unified(c *config, exists func(string) bool) *Model {
	return c.gemma4("gemma4_unified_text", gemma4UnifiedText, exists)
}

func (c *config) gemma4(kind string, build build, exists func(string) bool) *Model {
	c.ignore("audio_config", "boi_token_id", "eoi_token_id", "boa_token_id", "eoa_token_id", "eoa_token_index",
		"vision_soft_tokens_per_image", "audio_soft_tokens_per_image", "audio_ms_per_token")
	text := c.text(kind)
	text.tie(c.bool("tie_word_embeddings", true))
	pad := text.int("pad_token_id", 0)
	m := text.inner(build, exists)
	if pad < 0 || pad >= m.V {
		c.fail("text_config.pad_token_id is %d, wanted a row of the vocabulary of %d", pad, m.V)
	}
	// Where nothing stands for them, placeholders are embedded as padding.
	m.Embed.As = map[int32]int32{}
	for key, id := range map[string]int{"image_token_id": 258_880, "video_token_id": 258_884, "audio_token_id": 258_881} {
		m.Embed.As[int32(c.int(key, id))] = int32(pad)
	}
	return m
}
