package arch

import (
	"slices"

	. "github.com/gomlx/gomlx/core/graph"
)

// graniteHybrid is Granite 4 (modeling_granitemoehybrid.py): granite with layers of Mamba 2 in the
// place of attention, which has rotary positions where position_embedding_type is rope and none
// elsewhere, and an MLP that all tokens pass, beside a mixture of experts or alone. The micro, 1b
// and 350m models without an h in their names have attention alone.
func graniteHybrid(c *config, exists func(string) bool) *Model {
	d := newDecoder(c, exists, defaults{V: 32_000, D: 4096, F: 11_008, L: 32, N: 32, Context: 2048, Eps: 1e-6})
	h := graniteLayers{rope: noRope, bias: c.bool("attention_bias", false), f: c.size("shared_intermediate_size", 1024)}
	if c.string("position_embedding_type", "nope") == "rope" {
		d.readRope(c, "", 1)
		h.rope = 0
	} else {
		only(c, "position_embedding_type", "nope")
		c.ignore("rope_theta", "rope_scaling", "rope_parameters")
	}
	only(c, "normalization_function", "rmsnorm")
	c.ignore("init_method")
	h.full = c.marked(d.L, func(int) bool { return false }, "full_attention", "linear_attention")
	if slices.Contains(h.full, false) {
		h.mamba = d.readMamba(c, 0)
		c.doubtGroups(h.mamba)
	} else {
		c.ignore("mamba_n_heads", "mamba_n_groups", "mamba_d_state", "mamba_d_head", "mamba_d_conv", "mamba_expand",
			"mamba_chunk_size", "mamba_conv_bias", "mamba_proj_bias", "time_step_limit")
	}
	var size Experts
	if c.int("num_local_experts", 8) != 0 {
		size = c.experts(d.L, 8, 2)
	} else {
		only(c, "hidden_act", "silu")
		c.ignore("num_experts_per_tok", "output_router_logits", "router_aux_loss_coef")
	}
	h.attention, h.residual = d.graniteFactors(c)
	for i := range h.full {
		b := d.block(i)
		shared := fusedMLP{
			gateUp: b.linear("shared_mlp.input_linear", d.D, 2*h.f, false),
			down:   b.linear("shared_mlp.output_linear", h.f, d.D, false),
			act:    "silu", f: h.f,
		}
		if size.E == 0 {
			d.Blocks = append(d.Blocks, graniteLayer(d, b, h, i, shared))
			continue
		}
		mixture := b.experts(exists, size, d.D, d.F, true, ofGranite, graniteInMemory)
		d.Blocks = append(d.Blocks, graniteLayer(d, b, h, i, besideExperts{mixture, shared}))
	}
	return d.Model
}

// graniteLayers is what the layers of a Granite 4 have in common.
type graniteLayers struct {
	full      []bool // the layers with attention; nil where they are wrong
	rope      int
	bias      bool // of attention
	f         int  // width of the MLP that all tokens pass
	mamba     mambaConfig
	attention Attention
	residual  float64
}

// graniteLayer declares the norms of layer i and what stands before its MLP.
func graniteLayer[MLP block](d *decoder, b *builder, h graniteLayers, i int, mlp MLP) *Layer {
	mixerNorm := b.rmsNorm("input_layernorm", d.D, d.eps)
	mlpNorm := b.rmsNorm("post_attention_layernorm", d.D, d.eps)
	if h.full[i] {
		attention := d.attention(b, h.bias, h.bias, h.attention)
		return newLayer(b, h.rope, graniteBlock[selfAttention, MLP]{normedBlock[selfAttention, MLP]{mixerNorm, attention, mlpNorm, mlp}, h.residual})
	}
	mixer := d.mamba(b, h.mamba)
	return newLayer(b, noRope, graniteBlock[mamba2, MLP]{normedBlock[mamba2, MLP]{mixerNorm, mixer, mlpNorm, mlp}, h.residual})
}

// besideExperts is a mixture of experts and an MLP that all tokens pass.
type besideExperts struct {
	experts experts
	shared  fusedMLP
}

func (m besideExperts) apply(s *Scope, x *Node) *Node { // [T D] -> [T D]
	return Add(m.experts.apply(s, x), m.shared.apply(s, x))
}
