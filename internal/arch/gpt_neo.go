package arch

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
)

// gptNeoMask names the causal masks that published GPT-Neo checkpoints hold.
var gptNeoMask = regexp.MustCompile(`^(transformer\.)?h\.\d+\.attn\.attention\.(bias|masked_bias)$`)

// gptNeo is GPT-Neo and TinyStories (modeling_gpt_neo.py): GPT-2 with matrices of their own for
// q, k and v, scores that are not scaled, and a window in the layers that are "local".
func gptNeo(c *config, exists func(string) bool) *Model {
	m := &Model{
		V:       c.size("vocab_size", 0),
		D:       c.size("hidden_size", 0),
		N:       c.size("num_heads", 0),
		Context: c.size("max_position_embeddings", 2048),
	}
	m.evenHeads(c, "hidden_size", "num_heads")
	layers, f := c.layers("num_layers", 0), c.size("intermediate_size", 4*m.D)
	eps := c.positive("layer_norm_epsilon", 1e-5)
	act := c.activation("activation_function", "gelu_new")
	tied := c.bool("tie_word_embeddings", true)
	window := c.size("window_size", 256)
	c.ignore("embed_dropout", "resid_dropout")
	local := locals(c, layers)

	prefix := ""
	if exists("transformer.wte.weight") {
		prefix = "transformer."
	}
	m.Names = Names{Prefix: prefix, Trunk: []string{"transformer."}, Head: []string{"lm_head"}}
	m.Ignored = gptNeoMask.MatchString
	m.Embed = Embedding{
		Table:     Tensor{Name: prefix + "wte.weight", Shape: []int{m.V, m.D}},
		Scale:     1,
		Positions: &Tensor{Name: prefix + "wpe.weight", Shape: []int{m.Context, m.D}},
	}
	for i := range layers {
		attention := Attention{Scale: 1}
		if local[i] {
			attention.Window = window
		}
		b := &builder{prefix: fmt.Sprintf("%sh.%d.", prefix, i)}
		m.Blocks = append(m.Blocks, newLayer(b, noRope, plainBlock{
			attentionNorm: b.layerNorm("ln_1", m.D, eps),
			attention:     m.projections(b, "attn.attention.", "out_proj", false, true, attention),
			mlpNorm:       b.layerNorm("ln_2", m.D, eps),
			mlp:           plainMLP{up: b.linear("mlp.c_fc", m.D, f, true), down: b.linear("mlp.c_proj", f, m.D, true), act: act},
		}))
	}
	b := &builder{}
	m.Head = newLogits(b, b.layerNorm(prefix+"ln_f", m.D, eps), m.lmHead(b, tied), 0)
	return m
}

// locals tells which layers have a window. attention_types lists kinds and how often they are
// repeated, [[["global", "local"], 12]]; attention_layers, which transformers does not read,
// says the same layer by layer.
func locals(c *config, layers int) []bool {
	const key, form = "attention_types", `pairs of a list of "global" and "local" and a number, one kind for each layer`
	kinds := []string{}
	raw, ok := c.raw(key)
	if !ok {
		raw = json.RawMessage(`[[["global", "local"], 12]]`)
	}
	var groups [][2]json.RawMessage
	wrong := json.Unmarshal(raw, &groups) != nil
	for _, g := range groups {
		var names []string
		var times int
		if json.Unmarshal(g[0], &names) != nil || json.Unmarshal(g[1], &times) != nil || times < 0 || times*len(names) > layers {
			wrong = true
			break
		}
		kinds = append(kinds, slices.Repeat(names, times)...)
	}
	local := make([]bool, layers)
	if wrong || len(kinds) != layers {
		c.fail("%s is %s, wanted %s", key, brief(raw), form)
		return local
	}
	if listed := c.strings("attention_layers"); listed != nil && !slices.Equal(listed, kinds) {
		c.refuse("attention_layers")
	}
	for i, kind := range kinds {
		if kind != "global" && kind != "local" {
			c.refuse(key)
		}
		local[i] = kind == "local"
	}
	return local
}
