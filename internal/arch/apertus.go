package arch

import . "github.com/gomlx/gomlx/core/graph"

// apertus is Apertus (modeling_apertus.py): llama with norms on each head of q and k, and an
// MLP without a gate whose activation, xIELU, has two numbers that are trained in each layer.
func apertus(c *config, exists func(string) bool) *Model {
	d := newDecoder(c, exists, defaults{Eps: 1e-5})
	apertusRope(c, d)
	bias := c.bool("attention_bias", false)
	only(c, "hidden_act", "xielu")
	// Keys of the published files, which transformers does not read.
	only(c, "mlp_bias", false)
	only(c, "post_norm", false)
	only(c, "qk_norm", true)

	d.Embed = d.embedding(1)
	for i := range d.L {
		b := d.block(i)
		attention := d.attention(b, bias, bias, d.scaled(0))
		attention.qNorm = b.rmsNorm("self_attn.q_norm", d.K, d.eps)
		attention.kNorm = b.rmsNorm("self_attn.k_norm", d.K, d.eps)
		d.Blocks = append(d.Blocks, newLayer(b, 0, apertusBlock{
			attentionNorm: b.rmsNorm("attention_layernorm", d.D, d.eps),
			attention:     attention,
			mlpNorm:       b.rmsNorm("feedforward_layernorm", d.D, d.eps),
			up:            b.linear("mlp.up_proj", d.D, d.F, false),
			act:           b.xIELU("mlp.act_fn."),
			down:          b.linear("mlp.down_proj", d.F, d.D, false),
		}))
	}
	d.Head = d.rmsHead()
	return d.Model
}

// apertusRope reads the rope, by default ApertusConfig's own. Where the config says a theta alone,
// transformers 5 does not read it.
func apertusRope(c *config, d *decoder) {
	const theta, own = 12e6, `{"rope_type": "llama3", "rope_theta": 12e6, "factor": 8.0, "original_max_position_embeddings": 8192,
		"low_freq_factor": 1.0, "high_freq_factor": 4.0}`
	rc := readRopeConfig(c, theta, "", 1)
	if rc.scaling == nil {
		only(c, "rope_theta", theta)
	}
	rc.ownRope(c, own)
	d.setRope(c, rc)
}

type apertusBlock struct {
	attentionNorm rmsNorm
	attention     selfAttention
	mlpNorm       rmsNorm
	up, down      linear
	act           xIELU
}

func (l apertusBlock) apply(s *Scope, x *Node) *Node { // [T D] -> [T D]
	x = Add(x, l.attention.apply(s, l.attentionNorm.apply(s, x)))
	return Add(x, l.down.apply(s, l.act.apply(s, l.up.apply(s, l.mlpNorm.apply(s, x)))))
}

// xIELU is, with softplus(a) = ln(1 + e^a), ap = softplus(alpha_p) and
// an = beta + softplus(alpha_n) (activations.py, XIELUActivation),
//
//	ap x^2 + beta x                            for x > 0
//	an (e^min(x, eps) - 1 - x) + beta x        elsewhere
//
// beta and eps are not trained, and are those of the file: a file in bfloat16 has an eps that is
// not quite -1e-6.
type xIELU struct{ alphaP, alphaN, beta, eps param }

func (b *builder) xIELU(name string) xIELU {
	return xIELU{
		alphaP: b.vector(name+"alpha_p", 1),
		alphaN: b.vector(name+"alpha_n", 1),
		beta:   b.param(Tensor{Name: name + "beta", Shape: []int{}, Buffer: true}),
		eps:    b.param(Tensor{Name: name + "eps", Shape: []int{}, Buffer: true}),
	}
}

func (a xIELU) apply(s *Scope, x *Node) *Node {
	beta := s.vector(a.beta, x)
	positive := Mul(softplus(s.vector(a.alphaP, x)), Square(x))
	below := Min(x, BroadcastToDims(s.vector(a.eps, x), x.Shape().Dimensions...))
	negative := Mul(Add(beta, softplus(s.vector(a.alphaN, x))), Sub(Expm1(below), x))
	return Add(Where(GreaterThan(x, ScalarZero(x.Graph(), x.DType())), positive, negative), Mul(beta, x))
}

// softplus is ln(1 + e^x), which large values of x do not overflow.
func softplus(x *Node) *Node {
	return Add(MaxScalar(x, 0), Log1p(Exp(Neg(Abs(x)))))
}
