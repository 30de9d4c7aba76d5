package arch

import (
	"strings"

	. "github.com/gomlx/gomlx/core/graph"
)

// llama is Llama 2 to 3.3, SmolLM2 and whatever else was published under their
// model_type (modeling_llama.py): pre-norm, rotary positions, gated MLP.
func llama(c *config, exists func(string) bool) *Model {
	d := newDecoder(c, exists, defaults{})
	d.readRope(c, "", 1)
	bias, mlpBias := c.bool("attention_bias", false), c.bool("mlp_bias", false)
	act := c.activation("hidden_act", "silu")
	// Falcon 3 says it a second time, with the name of the gated MLP; nothing reads that.
	if second := activation(c.string("activation", string(act))); second != act && second != gated[act] {
		c.refuse("activation")
	}
	c.ignore("pretraining_tp", "is_llama_config") // the first splits products, with the same sums
	only(c, "rope_interleaved", false)
	d.Ignored = rotaryBuffer

	d.Embed = d.embedding(1)
	for i := range d.L {
		b := d.block(i)
		d.Blocks = append(d.Blocks, newLayer(b, 0, llamaBlock{
			attentionNorm: b.rmsNorm("input_layernorm", d.D, d.eps),
			attention:     d.attention(b, bias, bias, d.scaled(0)),
			mlpNorm:       b.rmsNorm("post_attention_layernorm", d.D, d.eps),
			mlp:           d.mlp(b, act, mlpBias),
		}))
	}
	d.Head = d.rmsHead()
	return d.Model
}

type llamaBlock = normedBlock[selfAttention, gatedMLP]

// preNorm adds to the stream what a mixer, attention or what stands in its place, makes of it
// normed, and then what an MLP or a mixture of experts does.
type preNorm[Norm, Mixer, MLP block] struct {
	attentionNorm Norm
	attention     Mixer
	mlpNorm       Norm
	mlp           MLP
}

type normedBlock[Mixer, MLP block] = preNorm[rmsNorm, Mixer, MLP]

func (l preNorm[Norm, Mixer, MLP]) apply(s *Scope, x *Node) *Node { // [T D] -> [T D]
	x = Add(x, l.attention.apply(s, l.attentionNorm.apply(s, x)))
	return Add(x, l.mlp.apply(s, l.mlpNorm.apply(s, x)))
}

// gated are names of the gated MLP by its activation.
var gated = map[activation]activation{"silu": "swiglu", "swish": "swiglu", "gelu": "geglu"}

// rotaryBuffer tells of the frequencies that older writers saved with the weights.
func rotaryBuffer(name string) bool { return strings.HasSuffix(name, ".rotary_emb.inv_freq") }
