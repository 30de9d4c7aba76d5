package arch

import (
	"fmt"
	"math"
	"strings"

	. "github.com/gomlx/gomlx/core/graph"
)

// deepseekV2 is DeepSeek-V2 (modeling_deepseek_v2.py): attention through latent vectors, the first
// layers with an MLP and the others with a mixture of experts, beside which are shared ones. An
// expert's probability is that of the softmax of all; it is chosen among all, or among those of
// the topk_group groups whose best are the best (topk_method group_limited_greedy).
func deepseekV2(c *config, exists func(string) bool) *Model {
	d := newDecoder(c, exists, defaults{F: 11008, K: 1, Context: 2048, Eps: 1e-6})
	router := choice{scale: c.positive("routed_scaling_factor", 1), best: 1}
	switch c.string("topk_method", "greedy") {
	case "greedy":
		c.ignore("n_group", "topk_group")
	case "group_limited_greedy":
		router.groups, router.kept = c.size("n_group", 0), c.size("topk_group", 0)
	default:
		c.refuse("topk_method")
	}
	only(c, "scoring_func", "softmax")
	only(c, "norm_topk_prob", false) // transformers does not read it
	only(c, "mlp_bias", false)
	return d.deepseek(c, exists, router, deepseekSizes{moe: 1407, shared: 2, experts: 64}, true)
}

// deepseekV3 is DeepSeek-V3 (modeling_deepseek_v3.py), of which R1 and Moonlight are: V2 with
// experts whose weights are sigmoids of their logits. To these a bias is added where experts are
// chosen, among those of the topk_group groups whose two best have the largest sum.
// Layers that predict further tokens, which follow the others in the files, are left aside.
func deepseekV3(c *config, exists func(string) bool) *Model {
	d := newDecoder(c, exists, defaults{F: 18432, K: 1, Context: 4096, Eps: 1e-6})
	router := c.sigmoids(2.5, 8, 4)
	only(c, "topk_method", "noaux_tc")
	only(c, "scoring_func", "sigmoid")
	neighbours := c.bool("rope_interleave", true)
	m := d.deepseek(c, exists, router, deepseekSizes{moe: 2048, shared: 1, experts: 256, k: 8, dense: 3}, neighbours)
	d.ignoreLater(c)
	return m
}

// sigmoids reads how DeepSeek-V3 and those after it choose: by sigmoids, in groups.
func (c *config) sigmoids(scale float64, groups, kept int) choice {
	return choice{
		scale: c.positive("routed_scaling_factor", scale), best: 2, sigmoid: true,
		groups: c.size("n_group", groups), kept: c.size("topk_group", kept), shares: c.bool("norm_topk_prob", true),
	}
}

// ignoreLater leaves the layers that predict further tokens aside.
func (d *decoder) ignoreLater(c *config) {
	after := max(c.int("num_nextn_predict_layers", 1), c.int("num_mtp_layers", 1))
	d.Ignored = func(name string) bool {
		for i := range min(after, 16) {
			if strings.HasPrefix(name, fmt.Sprintf("%slayers.%d.", d.prefix, d.L+i)) {
				return true
			}
		}
		return rotaryBuffer(name)
	}
}

// deepseekSizes are what the two config classes have for absent keys.
type deepseekSizes struct{ moe, shared, experts, k, dense int }

// deepseek declares the blocks, those with experts as router says.
func (d *decoder) deepseek(c *config, exists func(string) bool, router choice, def deepseekSizes, neighbours bool) *Model {
	a := latentAttention{
		n: d.N, neighbours: neighbours,
		nope: c.size("qk_nope_head_dim", 128), rope: c.size("qk_rope_head_dim", 64), v: c.size("v_head_dim", 128),
	}
	only(c, "head_dim", a.rope)
	only(c, "qk_head_dim", a.nope+a.rope)
	if d.G != d.N {
		c.refuse("num_key_value_heads")
	}
	d.G, d.K = d.N, a.width()
	rc := readRopeConfig(c, 10_000, "", 1)
	rope, limit := rc.rope(c, a.rope, d.Context, scalings...)
	d.Ropes, d.Context = []Rope{rope}, limit
	a.Attention = Attention{Scale: deepseekScale(rc) / math.Sqrt(float64(a.nope+a.rope))}
	ranks := latentRanks{kv: c.size("kv_lora_rank", 512), bias: c.bool("attention_bias", false)}
	if !c.null("q_lora_rank") {
		ranks.q = c.size("q_lora_rank", 1536)
	}
	mixture, dense := d.readDeepseekMixture(c, router, def)
	only(c, "moe_layer_freq", 1)
	c.ignore("aux_loss_alpha", "ep_size", "pretraining_tp", "seq_aux") // of training and of servers
	d.Ignored = rotaryBuffer

	d.Embed = d.embedding(1)
	for i := range d.L {
		b := d.block(i)
		attentionNorm := b.rmsNorm("input_layernorm", d.D, d.eps)
		attention := a.declared(b, d.D, ranks)
		mlpNorm := b.rmsNorm("post_attention_layernorm", d.D, d.eps)
		if i < dense {
			d.Blocks = append(d.Blocks, newLayer(b, 0, normedBlock[latentAttention, gatedMLP]{attentionNorm, attention, mlpNorm, d.mlp(b, "silu", false)}))
			continue
		}
		mlp := mixture.experts(d, b, exists)
		d.Blocks = append(d.Blocks, newLayer(b, 0, normedBlock[latentAttention, experts]{attentionNorm, attention, mlpNorm, mlp}))
	}
	d.Head = d.rmsHead()
	return d.Model
}

// deepseekMixture is a mixture of experts of width f, and an MLP as wide as some of them beside it.
type deepseekMixture struct {
	Experts
	router    choice
	f, shared int
}

// readDeepseekMixture reads a mixture, and how many layers have an MLP before those with mixtures.
func (d *decoder) readDeepseekMixture(c *config, router choice, def deepseekSizes) (m deepseekMixture, dense int) {
	m = deepseekMixture{Experts: c.experts(d.L, def.experts, def.k), router: router, f: c.size("moe_intermediate_size", def.moe)}
	m.shared = m.f * c.size("n_shared_experts", def.shared)
	m.router.checkGroups(c, m.Experts)
	return m, c.int("first_k_dense_replace", def.dense)
}

func (m deepseekMixture) experts(d *decoder, b *builder, exists func(string) bool) experts {
	mlp := b.experts(exists, m.Experts, d.D, m.f, m.router.shares, ofQwen, inMemory)
	mlp.choice = m.router
	if mlp.sigmoid {
		mlp.correction = b.param(Tensor{Name: "mlp.gate.e_score_correction_bias", Shape: []int{mlp.E}, Buffer: true})
	}
	mlp.shared.mlp = b.gatedMLP("mlp.shared_experts.", d.D, m.shared, "silu", false)
	return mlp
}

// deepseekScale is what a scaled rope multiplies the scores by: (0.1 mscale_all_dim ln factor + 1)^2.
func deepseekScale(rc ropeConfig) float64 {
	if rc.scaling == nil {
		return 1
	}
	all, factor := rc.scaling.float("mscale_all_dim", 0), rc.scaling.float("factor", 1)
	if all == 0 || factor <= 1 {
		return 1
	}
	m := 0.1*all*math.Log(factor) + 1
	return m * m
}

// latentAttention is DeepSeek's (MLA): keys and values of all heads are made of one vector, which
// is narrower, and the part of a key that is rotated is that of all heads; so are, with a rank,
// queries. They are not kept as such here: keys and values are those of the heads.
type latentAttention struct {
	q, qA, qB     linear // q or, through a norm, qB(qA x)
	qNorm         rmsNorm
	kvA, kvB, o   linear
	kvNorm        rmsNorm
	n             int  // heads
	nope, rope, v int  // widths of a key's parts, which are not rotated and are, and of a value
	neighbours    bool // rotation is rotateNeighbours
	Attention
}

// latentRanks are the widths of the vectors between, of queries 0 for none.
type latentRanks struct {
	q, kv int
	bias  bool // of what makes them, and of o
}

// declared is a with its tensors.
func (a latentAttention) declared(b *builder, width int, r latentRanks) latentAttention {
	const eps = 1e-6 // whatever rms_norm_eps is
	queries := a.n * (a.nope + a.rope)
	if r.q == 0 {
		a.q = b.linear("self_attn.q_proj", width, queries, false)
	} else {
		a.qA = b.linear("self_attn.q_a_proj", width, r.q, r.bias)
		a.qNorm = b.rmsNorm("self_attn.q_a_layernorm", r.q, eps)
		a.qB = b.linear("self_attn.q_b_proj", r.q, queries, false)
	}
	a.kvA = b.linear("self_attn.kv_a_proj_with_mqa", width, r.kv+a.rope, r.bias)
	a.kvNorm = b.rmsNorm("self_attn.kv_a_layernorm", r.kv, eps)
	a.kvB = b.linear("self_attn.kv_b_proj", r.kv, a.n*(a.nope+a.v), false)
	a.o = b.linear("self_attn.o_proj", a.n*a.v, width, r.bias)
	return a
}

// width is that of a head as Attend sees it: keys or values are filled up with zeros, so that both
// have it.
func (a latentAttention) width() int { return max(a.nope+a.rope, a.v) }

func (a latentAttention) apply(s *Scope, x *Node) *Node { // [T D] -> [T D]
	var q *Node
	if a.q != (linear{}) {
		q = a.q.apply(s, x)
	} else {
		q = a.qB.apply(s, a.qNorm.apply(s, a.qA.apply(s, x)))
	}
	part := func(x *Node, from, to int) *Node { return SliceAxis(x, -1, AxisRange(from, to)) }
	turn := s.rotate
	if a.neighbours {
		turn = s.rotateNeighbours
	}
	q = heads(q, a.n) // [T N nope+rope]
	q = Concatenate([]*Node{part(q, 0, a.nope), turn(part(q, a.nope, a.nope+a.rope))}, -1)

	kv := a.kvA.apply(s, x)
	tokens, rank := kv.Shape().Dimensions[0], kv.Shape().Dimensions[1]-a.rope
	turned := BroadcastToDims(turn(heads(part(kv, rank, rank+a.rope), 1)), tokens, a.n, a.rope)
	kv = heads(a.kvB.apply(s, a.kvNorm.apply(s, part(kv, 0, rank))), a.n) // [T N nope+v]
	k := Concatenate([]*Node{part(kv, 0, a.nope), turned}, -1)
	v := part(kv, a.nope, a.nope+a.v)
	o := s.Attend(a.filled(q), a.filled(k), a.filled(v), nil, a.Attention) // [T N*width]
	if a.v < a.width() {
		o = Reshape(part(heads(o, a.n), 0, a.v), tokens, a.n*a.v)
	}
	return a.o.apply(s, o)
}

// filled is x [T N ..] with zeros up to width.
func (a latentAttention) filled(x *Node) *Node {
	d := x.Shape().Dimensions
	if d[2] == a.width() {
		return x
	}
	zeros := BroadcastToDims(ScalarZero(x.Graph(), x.DType()), d[0], d[1], a.width()-d[2])
	return Concatenate([]*Node{x, zeros}, -1)
}
