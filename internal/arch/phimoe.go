package arch

import (
	. "github.com/gomlx/gomlx/core/graph"
)

// phimoe is Phi-3.5-MoE, Phi-mini-MoE and Phi-tiny-MoE (modeling_phimoe.py): LayerNorm with biases,
// and a mixture of two experts of each token whose probabilities are sparsemixer's. With longrope,
// cos and sin are multiplied by short_mscale, and the context is the original one: see longRope.
func phimoe(c *config, exists func(string) bool) *Model {
	d := newDecoder(c, exists, defaults{F: 6400, G: 8, Context: 131_072, Eps: 1e-5})
	d.phimoeRope(c)
	bias := c.bool("attention_bias", false)
	d.biased = c.bool("lm_head_bias", false)
	window := c.window(0)
	size := c.experts(d.L, 16, 2)
	only(c, "num_experts_per_tok", 2) // sparsemixer chooses two, whatever it says
	jitter := c.positive("router_jitter_noise", 0.01)
	c.ignore("input_jitter_noise") // of training
	d.Ignored = rotaryBuffer

	d.Embed = d.embedding(1)
	for i := range d.L {
		b := d.block(i)
		block := layerNormBlock[selfAttention, experts]{
			attentionNorm: b.layerNorm("input_layernorm", d.D, d.eps),
			attention:     d.attention(b, bias, bias, d.scaled(window)),
			mlpNorm:       b.layerNorm("post_attention_layernorm", d.D, d.eps),
			mlp:           b.experts(exists, size, d.D, d.F, false, ofMixtral, phimoeInMemory),
		}
		block.mlp.jitter = jitter
		d.Blocks = append(d.Blocks, newLayer(b, 0, block))
	}
	b := &builder{}
	d.Head = newLogits(b, b.layerNorm(d.prefix+"norm", d.D, d.eps), d.unembedding(b), 0)
	return d.Model
}

func (d *decoder) phimoeRope(c *config) {
	rc := readRopeConfig(c, 1_000_000, "", 1)
	scale := 0.0
	if s := rc.scaling; s != nil && s.string("rope_type", s.string("type", "default")) != "default" {
		scale = s.positive("short_mscale", 0)
		s.ignore("long_mscale")
	}
	d.setRope(c, rc, "longrope")
	if scale != 0 {
		d.Ropes[0].Scale = float32(scale) // in the place of what longrope computes
	}
}

// sparsemixer are the probabilities [T 2] of the two experts that are chosen, order [T 2], by their
// logits [T E] (sparsemixer of modeling_phimoe.py, where nothing is trained): an expert's is its share
// in the softmax over those that are near it, the second's without the first. Another is near if
//
//	top - logit <= 2 jitter max(|logit|, top)
//
// for the chosen one's logit top. That is no continuous function of the logits, nor is the order of the
// two: gap [T 1] is the least of the distance between them and of all to what decides whether they are near.
func sparsemixer(logits, order *Node, jitter float64) (p, gap *Node) {
	scores := StopGradient(logits)
	chosen := oneHots(order, logits.Shape().Dimensions[1], logits.DType()) // [T 2 E]
	one := func(i int) *Node { return Squeeze(SliceAxis(chosen, 1, AxisElem(i)), 1) }
	sum := func(x *Node) *Node { return ReduceAndKeep(x, ReduceSum, -1) }
	none := Infinity(logits.Graph(), logits.DType(), -1)
	gone := ZerosLike(logits) // 1 for those that are compared no more
	var all, tops []*Node
	for i := range 2 {
		of := one(i)                // [T E]
		top := sum(Mul(scores, of)) // [T 1]
		over := Sub(Sub(top, scores), MulScalar(Max(Abs(scores), top), 2*jitter))
		near := LogicalAnd(LessOrEqual(over, ZerosLike(over)), Equal(gone, ZerosLike(gone)))
		w := Exp(Where(near, Sub(logits, top), none))
		all = append(all, Div(sum(Mul(w, of)), sum(w)))
		gone = Add(gone, of)
		least := ReduceAndKeep(Where(Equal(gone, ZerosLike(gone)), Abs(over), Neg(BroadcastToShape(none, over.Shape()))), ReduceMin, -1)
		if gap == nil {
			gap = least
		}
		gap, tops = Min(gap, least), append(tops, top)
	}
	return Concatenate(all, -1), Min(gap, Sub(tops[0], tops[1]))
}
