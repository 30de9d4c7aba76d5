package arch

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// decoder is what the families descended from Llama read alike from a config, and how they
// name the tensors around their blocks.
type decoder struct {
	*Model
	L, F   int // blocks, width of the MLP
	eps    float64
	tied   bool   // the head's matrix is that of the embeddings
	biased bool   // the head has a bias
	prefix string // of every tensor but the head's matrix
	head   string // the name of that matrix, without ".weight"
}

// defaults are what a config class has for absent keys; 0: the key must be there.
type defaults struct {
	V, D, F, L, N, G, K, Context int
	Eps                          float64
	EpsKey                       string // that of the norms' eps; "": rms_norm_eps
	Tied                         bool
}

// newDecoder reads the sizes. Where neither the config nor def has them, G is N
// and K is D/N.
func newDecoder(c *config, exists func(string) bool, def defaults) *decoder {
	m := &Model{
		V:       c.size("vocab_size", def.V),
		D:       c.size("hidden_size", def.D),
		N:       c.size("num_attention_heads", def.N),
		Context: c.size("max_position_embeddings", def.Context),
	}
	if def.G == 0 || c.null("num_key_value_heads") {
		def.G = m.N
	}
	m.G = c.size("num_key_value_heads", def.G)
	if def.K == 0 {
		def.K = max(m.D/m.N, 1)
		if !c.has("head_dim") && m.D%m.N != 0 {
			c.fail("hidden_size is %d, wanted a multiple of num_attention_heads %d", m.D, m.N)
		}
	}
	m.K = c.size("head_dim", def.K)
	if m.N%m.G != 0 {
		c.fail("num_attention_heads is %d, wanted a multiple of num_key_value_heads %d", m.N, m.G)
	}
	d := &decoder{
		Model: m,
		L:     c.layers("num_hidden_layers", def.L),
		F:     c.size("intermediate_size", def.F),
		eps:   c.positive(cmp.Or(def.EpsKey, "rms_norm_eps"), def.Eps),
		tied:  c.bool("tie_word_embeddings", def.Tied),
	}
	d.prefix, d.head = textNames(exists)
	return d
}

// layers is a size of at most 1,024.
func (c *config) layers(key string, def int) int {
	n := c.size(key, def)
	if n > 1024 {
		c.fail("%s is %d, wanted at most 1024", key, n)
		return 1
	}
	return n
}

// embedding is the table of the embeddings.
func (d *decoder) embedding(scale float32) Embedding {
	return Embedding{Table: Tensor{Name: d.prefix + "embed_tokens.weight", Shape: []int{d.V, d.D}}, Scale: scale}
}

// block starts block i.
func (d *decoder) block(i int) *builder {
	return &builder{prefix: fmt.Sprintf("%slayers.%d.", d.prefix, i)}
}

// evenHeads makes D/N the width of a head, with keys and values for each, of the keys by which a
// family names D and N.
func (m *Model) evenHeads(c *config, width, number string) {
	if m.D%m.N != 0 {
		c.fail("%s is %d, wanted a multiple of %s %d", width, m.D, number, m.N)
	}
	m.G, m.K = m.N, max(m.D/m.N, 1)
}

// lmHead declares the head's matrix: lm_head, or where they are tied the embeddings'.
func (m *Model) lmHead(b *builder, tied bool) linear {
	name := "lm_head"
	if m.Tied = tied; tied {
		m.Copies = map[string]string{name + ".weight": m.Embed.Table.Name}
		name = strings.TrimSuffix(m.Embed.Table.Name, ".weight")
	}
	return b.linear(name, m.D, m.V, false)
}

// attention declares q, k, v and o below "self_attn.".
func (d *decoder) attention(b *builder, qkvBias, oBias bool, a Attention) selfAttention {
	return d.projections(b, "self_attn.", "o_proj", qkvBias, oBias, a)
}

// projections declares q_proj, k_proj, v_proj and o, under its family's name, below prefix.
func (m *Model) projections(b *builder, prefix, o string, qkvBias, oBias bool, a Attention) selfAttention {
	return selfAttention{
		q: b.linear(prefix+"q_proj", m.D, m.N*m.K, qkvBias),
		k: b.linear(prefix+"k_proj", m.D, m.G*m.K, qkvBias),
		v: b.linear(prefix+"v_proj", m.D, m.G*m.K, qkvBias),
		o: b.linear(prefix+o, m.N*m.K, m.D, oBias),
		n: m.N, g: m.G, Attention: a,
	}
}

// mlp declares gate, up and down below "mlp.".
func (d *decoder) mlp(b *builder, act activation, bias bool) gatedMLP {
	return b.gatedMLP("mlp.", d.D, d.F, act, bias)
}

// gatedMLP declares gate, up and down below prefix, of width f.
func (b *builder) gatedMLP(prefix string, d, f int, act activation, bias bool) gatedMLP {
	return gatedMLP{
		gate: b.linear(prefix+"gate_proj", d, f, bias),
		up:   b.linear(prefix+"up_proj", d, f, bias),
		down: b.linear(prefix+"down_proj", f, d, bias),
		act:  act,
	}
}

// fusedMLP declares gate_up and down below "mlp.".
func (d *decoder) fusedMLP(b *builder, act activation) fusedMLP {
	return fusedMLP{
		gateUp: b.linear("mlp.gate_up_proj", d.D, 2*d.F, false),
		down:   b.linear("mlp.down_proj", d.F, d.D, false),
		act:    act, f: d.F,
	}
}

// rmsHead is the head of most: RMSNorm, and the vocabulary's matrix without caps or factors.
func (d *decoder) rmsHead() Head {
	b := &builder{}
	return newLogits(b, b.rmsNorm(d.prefix+"norm", d.D, d.eps), d.unembedding(b), 0)
}

// gemmaHead is rmsHead with a norm that is stored less 1.
func (d *decoder) gemmaHead() Head {
	b := &builder{}
	return newLogits(b, b.gemmaNorm(d.prefix+"norm", d.D, d.eps), d.unembedding(b), 0)
}

// unembedding declares the head's matrix, the embeddings' where they are tied, and its bias.
func (d *decoder) unembedding(b *builder) linear {
	d.Names = Names{Prefix: d.prefix, Trunk: []string{"model."}, Head: []string{d.head}}
	matrix := d.head
	if d.Tied = d.tied; d.tied {
		matrix = d.prefix + "embed_tokens"
		d.Copies = map[string]string{d.head + ".weight": matrix + ".weight"}
	}
	l := b.linear(matrix, d.D, d.V, false)
	if d.biased {
		l.bias = b.headBias(d.head, d.V)
	}
	return l
}

// window is sliding_window: 0, which is none, where it is null, and def, 0 for none, where it is absent.
func (c *config) window(def int) int {
	const key = "sliding_window"
	if c.null(key) || def == 0 && !c.has(key) {
		return 0
	}
	return c.size(key, def)
}

// windows returns the window of each layer (0: none). layer_types decides where it
// is present; otherwise sliding tells which layers slide.
func windows(c *config, layers, window int, sliding func(layer int) bool) []int {
	w := make([]int, layers)
	for i, slides := range c.marked(layers, sliding, "sliding_attention", "full_attention") {
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

// renamed are types of layers by their names of before transformers 5.
var renamed = map[string]string{"attention": "full_attention", "mamba": "linear_attention"}

// marked tells of each layer whether layer_types calls it yes, and not one of no. Without
// layer_types, otherwise tells. nil where it is wrong.
func (c *config) marked(layers int, otherwise func(layer int) bool, yes string, no ...string) []bool {
	types := c.strings("layer_types")
	if types != nil && len(types) != layers {
		c.fail("%slayer_types has %d entries, wanted %d", c.prefix, len(types), layers)
		return nil
	}
	all := make([]bool, layers)
	for i := range all {
		switch {
		case types == nil:
			all[i] = otherwise(i)
		case types[i] == yes || renamed[types[i]] == yes:
			all[i] = true
		case !slices.Contains(no, types[i]) && !slices.Contains(no, renamed[types[i]]):
			c.refuse("layer_types")
			return nil
		}
	}
	return all
}
