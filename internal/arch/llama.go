package arch

import (
	"math"
	"strings"
)

// llama is Llama 2 to 3.3, SmolLM2 and whatever else was published under their
// model_type (modeling_llama.py): pre-norm, rotary positions, gated MLP.
func llama(c *Config, has func(string) bool) *Model {
	d := newDecoder(c, has, sizes{})
	d.tied = c.Bool("tie_word_embeddings", false)
	attentionBias, mlpBias := c.Bool("attention_bias", false), c.Bool("mlp_bias", false)
	act := activation(c, "hidden_act", "silu")
	// Falcon 3 says it a second time, with the name of the gated MLP; nothing reads that.
	name := c.String("hidden_act", "silu")
	if second := c.String("activation", name); second != name && second != gated[name] {
		c.Refuse("activation")
	}
	rope, limit := readRope(c, 10_000, "", 1).rope(c, d.model.K, d.model.Context, scalings...)
	d.model.Ropes, d.model.Context = []Rope{rope}, limit
	d.model.Ignored = rotaryBuffer
	c.Ignore("pretraining_tp", "is_llama_config") // the first splits products, with the same sums
	Only(c, "rope_interleaved", false)
	how := Attention{Scale: 1 / math.Sqrt(float64(d.model.K))}
	for i := range d.layers {
		d.preNormBlock(i, how, act, func(b *builder) selfAttention {
			return d.attention(b, attentionBias, attentionBias, how)
		}, mlpBias)
	}
	return d.finish()
}

// gated are names of the gated MLP by its activation.
var gated = map[string]string{"silu": "swiglu", "swish": "swiglu", "gelu": "geglu"}

// rotaryBuffer tells of the frequencies that older writers saved with the weights.
func rotaryBuffer(name string) bool { return strings.HasSuffix(name, ".rotary_emb.inv_freq") }
