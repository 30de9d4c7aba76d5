package arch

import (
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"
)

// decoder reads the settings that the families descended from Llama share, and
// builds their outer parts: table, blocks under "model.layers.", norm and head.
type decoder struct {
	model     *Model
	layers, f int
	eps       float64
	prefix    string  // of every tensor but the head
	headName  string  // of the head, without ".weight"
	offset    float64 // of the norms' weights
	tied      bool
	finalCap  float64 // of the logits, 0 for none
}

// sizes are what a config class has for absent keys; 0: the key must be there.
type sizes struct {
	V, D, F, Layers, N, G, K, Context int
	Eps                               float64
}

// newDecoder reads the sizes. Where neither the config nor def has them, G is N
// and K is D/N. Checkpoints saved without their head have no prefix.
func newDecoder(c *Config, has func(string) bool, def sizes) *decoder {
	d := &decoder{prefix: "model.", headName: "lm_head"}
	if has("embed_tokens.weight") {
		d.prefix = ""
	}
	m := &Model{
		V:       c.Size("vocab_size", def.V),
		D:       c.Size("hidden_size", def.D),
		N:       c.Size("num_attention_heads", def.N),
		Context: c.Size("max_position_embeddings", def.Context),
	}
	if def.G == 0 || c.Null("num_key_value_heads") {
		def.G = m.N
	}
	m.G = c.Size("num_key_value_heads", def.G)
	if def.K == 0 {
		def.K = max(m.D/m.N, 1)
		if !c.Has("head_dim") && m.D%m.N != 0 {
			c.fail("hidden_size is %d, wanted a multiple of num_attention_heads %d", m.D, m.N)
		}
	}
	m.K = c.Size("head_dim", def.K)
	if m.N%m.G != 0 {
		c.fail("num_attention_heads is %d, wanted a multiple of num_key_value_heads %d", m.N, m.G)
	}
	d.model = m
	d.layers = c.layers("num_hidden_layers", def.Layers)
	d.f = c.Size("intermediate_size", def.F)
	d.eps = c.Positive("rms_norm_eps", def.Eps)
	return d
}

// layers is a size of at most 1,024.
func (c *Config) layers(key string, def int) int {
	n := c.Size(key, def)
	if n > 1024 {
		c.fail("%s is %d, wanted at most 1024", key, n)
		return 1
	}
	return n
}

// attention declares q, k, v and o below "self_attn.".
func (d *decoder) attention(b *builder, qkvBias, oBias bool, how Attention) selfAttention {
	m := d.model
	return selfAttention{
		q: b.linear("self_attn.q_proj", m.D, m.N*m.K, qkvBias),
		k: b.linear("self_attn.k_proj", m.D, m.G*m.K, qkvBias),
		v: b.linear("self_attn.v_proj", m.D, m.G*m.K, qkvBias),
		o: b.linear("self_attn.o_proj", m.N*m.K, m.D, oBias),
		n: m.N, g: m.G, how: how,
	}
}

// block starts block i; rope is -1 or an index into the model's ropes.
func (d *decoder) block(i, rope int, how Attention) *builder {
	b := newPart(kindOf(rope, how), fmt.Sprintf("%slayers.%d.", d.prefix, i))
	b.part.Rope = rope
	d.model.Blocks = append(d.model.Blocks, b.part)
	return b
}

// mlp declares gate, up and down below "mlp.".
func (d *decoder) mlp(b *builder, act func(*Node) *Node, bias bool) gatedMLP {
	return gatedMLP{
		gate: b.linear("mlp.gate_proj", d.model.D, d.f, bias),
		up:   b.linear("mlp.up_proj", d.model.D, d.f, bias),
		down: b.linear("mlp.down_proj", d.f, d.model.D, bias),
		act:  act,
	}
}

// headNorms declares the norms of each head of q and k.
func (d *decoder) headNorms(b *builder, a *selfAttention) {
	q := b.rms("self_attn.q_norm", d.model.K, d.eps, d.offset)
	k := b.rms("self_attn.k_norm", d.model.K, d.eps, d.offset)
	a.qNorm, a.kNorm = &q, &k
}

// finish adds the embedding table and the head: logits = cap(W norm(x)).
func (d *decoder) finish() *Model {
	m := d.model
	m.Embed.Table = Tensor{Name: d.prefix + "embed_tokens.weight", Shape: []int{m.V, m.D}}
	if m.Embed.Scale == 0 {
		m.Embed.Scale = 1
	}
	b := newPart("head", "")
	norm := b.rms(d.prefix+"norm", m.D, d.eps, d.offset)
	var head linear
	if d.tied {
		head = b.linear(d.prefix+"embed_tokens", m.D, m.V, false)
		m.Copies = map[string]string{d.headName + ".weight": d.prefix + "embed_tokens.weight"}
	} else {
		head = b.linear(d.headName, m.D, m.V, false)
	}
	b.part.Graph = func(p *Pass, x *Node) *Node {
		return softCap(head.of(p, norm.of(p, x)), d.finalCap)
	}
	m.Head = b.part
	return m
}

// preNormBlock is the block of llama, mistral, qwen2 and qwen3:
// x += attention(norm x); x += mlp(norm x).
func (d *decoder) preNormBlock(i int, how Attention, act func(*Node) *Node, attend func(*builder) selfAttention, mlpBias bool) {
	b := d.block(i, 0, how)
	inputNorm := b.rms("input_layernorm", d.model.D, d.eps, 0)
	attention := attend(b)
	mlpNorm := b.rms("post_attention_layernorm", d.model.D, d.eps, 0)
	mlp := d.mlp(b, act, mlpBias)
	b.part.Graph = func(p *Pass, x *Node) *Node {
		x = Add(x, attention.of(p, inputNorm.of(p, x)))
		return Add(x, mlp.of(p, mlpNorm.of(p, x)))
	}
}

// sandwichBlock is the block of gemma2 and gemma3:
// x += norm(attention(norm x)); x += norm(mlp(norm x)).
func (d *decoder) sandwichBlock(i, rope int, how Attention, act func(*Node) *Node, attend func(*builder) selfAttention) {
	b := d.block(i, rope, how)
	norm := func(name string) rms { return b.rms(name, d.model.D, d.eps, d.offset) }
	attention, before, after := attend(b), norm("input_layernorm"), norm("post_attention_layernorm")
	mlp, mlpBefore, mlpAfter := d.mlp(b, act, false), norm("pre_feedforward_layernorm"), norm("post_feedforward_layernorm")
	b.part.Graph = func(p *Pass, x *Node) *Node {
		x = Add(x, after.of(p, attention.of(p, before.of(p, x))))
		return Add(x, mlpAfter.of(p, mlp.of(p, mlpBefore.of(p, x))))
	}
}

// windows returns the window of each layer (0: none). layer_types decides where it
// is present; otherwise sliding tells which layers slide.
func windows(c *Config, layers, window int, sliding func(layer int) bool) []int {
	w := make([]int, layers)
	types := c.Strings("layer_types")
	if types != nil && len(types) != layers {
		c.fail("%slayer_types has %d entries, wanted %d", c.prefix, len(types), layers)
		return w
	}
	for i := range w {
		slides := sliding(i)
		if types != nil {
			switch types[i] {
			case "sliding_attention":
				slides = true
			case "full_attention", "attention": // the second is an old alias
				slides = false
			default:
				c.Refuse("layer_types")
				return w
			}
		}
		if slides {
			if window < 1 {
				c.fail("%ssliding_window is missing, wanted at least 1 for a sliding layer", c.prefix)
				return w
			}
			w[i] = window
		}
	}
	return w
}
