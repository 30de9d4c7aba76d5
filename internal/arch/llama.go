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
	rope, limit := readRope(c, 10_000, "", 1).rope(c, d.model.K, d.model.Context, "linear", "llama3")
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

// rotaryBuffer tells of the frequencies that older writers saved with the weights.
func rotaryBuffer(name string) bool { return strings.HasSuffix(name, ".rotary_emb.inv_freq") }
