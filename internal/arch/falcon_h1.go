package arch

import (
	"math"

	. "github.com/gomlx/gomlx/core/graph"
)

// falconH1 is Falcon-H1 (modeling_falcon_h1.py): in every block a layer of Mamba 2 beside
// attention, both of the same normed stream, and factors everywhere.
func falconH1(c *config, exists func(string) bool) *Model {
	d := newDecoder(c, exists, defaults{V: 128_000, D: 4096, F: 14_336, L: 32, N: 32, G: 8, Context: 8192, Eps: 1e-5})
	d.readRope(c, "", 1)
	bias, mlpBias := c.bool("attention_bias", false), c.bool("mlp_bias", false)
	width := 0
	if !c.null("mamba_d_ssm") {
		width = c.size("mamba_d_ssm", 1024)
	}
	m := d.readMamba(c, width)
	m.outBias, m.normed, m.first = c.bool("projectors_bias", false), c.bool("mamba_rms_norm", false), c.bool("mamba_norm_before_gate", true)
	only(c, "hidden_act", "silu")
	only(c, "mamba_use_mlp", true)
	c.ignore("num_logits_to_keep", "mlp_expansion_factor")

	ssm, mlp := c.factors("ssm_multipliers", 5), c.factors("mlp_multipliers", 2)
	m.factors = mambaFactors{input: c.positive("ssm_in_multiplier", 1), z: ssm[0], x: ssm[1], b: ssm[2], c: ssm[3], dt: ssm[4]}
	attention := Attention{Scale: c.positive("key_multiplier", 1) / math.Sqrt(float64(d.K))}
	out, in, of := c.positive("ssm_out_multiplier", 1), c.positive("attention_in_multiplier", 1), c.positive("attention_out_multiplier", 1)

	d.Embed = d.embedding(float32(c.positive("embedding_multiplier", 1)))
	for i := range d.L {
		b := d.block(i)
		l := falconH1Block{mixerNorm: b.rmsNorm("input_layernorm", d.D, d.eps), mlpNorm: b.rmsNorm("pre_ff_layernorm", d.D, d.eps)}
		l.mamba, l.mambaOut = d.mamba(b, m), out
		l.attention, l.attentionIn, l.attentionOut = d.attention(b, bias, bias, attention), in, of
		b.kept = append(b.kept, d.G*d.K, d.G*d.K) // after what mamba keeps, which is computed first
		l.mlp, l.gateBy, l.downBy = b.gatedMLP("feed_forward.", d.D, d.F, "silu", mlpBias), mlp[0], mlp[1]
		d.Blocks = append(d.Blocks, newLayer(b, 0, l))
	}
	b := &builder{}
	d.Head = newScaledLogits(b, b.rmsNorm(d.prefix+"final_layernorm", d.D, d.eps), d.unembedding(b), c.positive("lm_head_multiplier", 1))
	return d.Model
}

// factors reads a list of n factors, by default 1.
func (c *config) factors(key string, n int) []float64 {
	all := make([]float64, n)
	for i := range all {
		all[i] = 1
	}
	if !c.has(key) {
		c.ignore(key)
		return all
	}
	read := c.floats(key)
	if len(read) != n {
		c.fail("%s has %d numbers, wanted %d", key, len(read), n)
		return all
	}
	return read
}

// falconH1Block is Falcon-H1's: the stream, and what Mamba 2 and attention make of it normed; then
// what an MLP does of it, down(up x silu(gate x gateBy)) downBy.
type falconH1Block struct {
	mixerNorm, mlpNorm        rmsNorm
	mamba                     mamba2
	mambaOut                  float64
	attention                 selfAttention
	attentionIn, attentionOut float64
	mlp                       gatedMLP
	gateBy, downBy            float64
}

func (l falconH1Block) apply(s *Scope, x *Node) *Node { // [T D] -> [T D]
	h := l.mixerNorm.apply(s, x)
	m := MulScalar(l.mamba.apply(s, h), l.mambaOut)
	a := MulScalar(l.attention.apply(s, MulScalar(h, l.attentionIn)), l.attentionOut)
	x = Add(x, Add(m, a))
	h = l.mlpNorm.apply(s, x)
	h = Mul(l.mlp.up.apply(s, h), silu(MulScalar(l.mlp.gate.apply(s, h), l.gateBy)))
	return Add(x, MulScalar(l.mlp.down.apply(s, h), l.downBy))
}
