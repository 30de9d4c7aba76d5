package arch

import (
	"math"
	"strings"

	. "github.com/gomlx/gomlx/core/graph"
)

// nemotronH is Nemotron-H and Nemotron 3 (modeling_nemotron_h.py): each layer has one norm and one
// mixer, of which hybrid_override_pattern has a letter and layers_block_type a name: Mamba 2 (M),
// attention without positions (*), an MLP of relu^2 without a gate (-), or experts of such (E), chosen
// as DeepSeek-V3's are, beside one that all tokens pass. With a moe_latent_size what is chosen of the
// experts is computed between two more matrices, of fewer values. Layers that predict further tokens
// are left aside.
func nemotronH(c *config, exists func(string) bool) *Model {
	mixers := c.mixers()
	d := newDecoder(c, exists, defaults{V: 131_072, D: 4096, F: 21_504, L: len(mixers), N: 32, G: 8, K: 128, Context: 4096,
		Eps: 1e-5, EpsKey: "layer_norm_epsilon"})
	if d.L != len(mixers) {
		c.fail("num_hidden_layers is %d, wanted %d, of as many mixers", d.L, len(mixers))
	}
	only(c, "tie_word_embeddings", false) // transformers ties none
	only(c, "attention_bias", false)      // nor has it these two
	only(c, "mamba_proj_bias", false)
	only(c, "attention_head_dim", d.K)
	c.ignore("rope_theta", "partial_rotary_factor", // attention has no positions
		"num_nextn_predict_layers", "mtp_layers_block_type", "mtp_hybrid_override_pattern",
		"num_logits_to_keep", "rescale_prenorm_residual", "residual_in_fp32")
	act, bias := c.activation("mlp_hidden_act", "relu2"), c.bool("mlp_bias", false)
	mamba, mixture := d.readNemotronMamba(c), d.readNemotronMixture(c, strings.Contains(mixers, "E"))
	if mixture.E > 0 && act != "relu2" {
		c.refuse("mlp_hidden_act")
	}

	d.prefix = "backbone."
	if exists("model.embeddings.weight") { // transformers 5's name in memory
		d.prefix = "model."
	}
	d.Ignored = func(name string) bool { return strings.HasPrefix(name, "mtp.") }
	d.Embed = Embedding{Table: Tensor{Name: d.prefix + "embeddings.weight", Shape: []int{d.V, d.D}}, Scale: 1}
	mlp := func(b *builder, prefix string, f int) plainMLP {
		return plainMLP{up: b.linear(prefix+"up_proj", d.D, f, bias), down: b.linear(prefix+"down_proj", f, d.D, bias), act: act}
	}
	for i, mixer := range mixers {
		b := d.block(i)
		norm := b.rmsNorm("norm", d.D, d.eps)
		switch mixer {
		case 'M':
			d.Blocks = append(d.Blocks, newLayer(b, noRope, mixerBlock[mamba2]{norm, d.mamba(b, mamba)}))
		case '*':
			attention := d.projections(b, "mixer.", "o_proj", false, false, d.scaled(0))
			d.Blocks = append(d.Blocks, newLayer(b, noRope, mixerBlock[selfAttention]{norm, attention}))
		case '-':
			b.keepsNothing()
			d.Blocks = append(d.Blocks, newLayer(b, noRope, mixerBlock[plainMLP]{norm, mlp(b, "mixer.", d.F)}))
		case 'E':
			b.keepsNothing()
			m := mixture.declared(b, d.D, bias)
			m.shared = mlp(b, "mixer.shared_experts.", mixture.shared)
			d.Blocks = append(d.Blocks, newLayer(b, noRope, mixerBlock[nemotronExperts]{norm, m}))
		}
	}
	b := &builder{}
	norm := b.rmsNorm(d.prefix+"norm_f", d.D, d.eps)
	d.Head = newLogits(b, norm, d.unembedding(b), 0)
	d.Names.Trunk = []string{"model.", "backbone."}
	return d.Model
}

// mixers has a letter for each layer; "M" where the config is wrong.
func (c *config) mixers() string {
	names := map[string]string{"linear_attention": "M", "mamba": "M", "full_attention": "*", "attention": "*", "mlp": "-", "moe": "E"}
	mixers, key := c.string("hybrid_override_pattern", "ME*-"), "hybrid_override_pattern"
	if types := c.strings("layers_block_type"); types != nil {
		mixers, key = "", "layers_block_type"
		for _, t := range types {
			mixers += names[t]
		}
		if len(mixers) != len(types) {
			c.refuse(key)
			return "M"
		}
	}
	if strings.Trim(mixers, "M*-E") != "" || len(mixers) > 1024 || !strings.Contains(mixers, "M") {
		c.refuse(key) // without Mamba 2 none is published
		return "M"
	}
	return mixers
}

// mixerBlock adds to the stream what a mixer makes of it normed.
type mixerBlock[Mixer block] struct {
	norm  rmsNorm
	mixer Mixer
}

func (l mixerBlock[Mixer]) apply(s *Scope, x *Node) *Node { // [T D] -> [T D]
	return Add(x, l.mixer.apply(s, l.norm.apply(s, x)))
}

// readNemotronMamba reads the sizes of Mamba 2.
func (d *decoder) readNemotronMamba(c *config) mambaConfig {
	m := mambaConfig{at: "mixer.", bias: c.bool("use_bias", false), convBias: c.bool("use_conv_bias", true), normed: true}
	m.outBias = m.bias
	m.H, m.V = c.size("mamba_num_heads", 128), c.size("mamba_head_dim", 64)
	m.G, m.K, m.Taps = c.size("n_groups", 8), c.size("ssm_state_size", 128), c.taps("conv_kernel", 4)
	if m.H%m.G != 0 {
		c.fail("mamba_num_heads is %d, wanted a multiple of n_groups %d", m.H, m.G)
	}
	only(c, "mamba_hidden_act", "silu")
	least, most := c.limits("time_step_limit", 0, math.Inf(1))
	if m.least, m.most = c.float("time_step_min", 0.001), math.Inf(1); m.least < 0 {
		c.fail("time_step_min is %g, wanted at least 0", m.least)
	}
	switch {
	case least > m.least || most < m.most:
		c.refuse("time_step_limit") // transformers 5.23 does not read it
	case least < m.least:
		c.doubt("time_step_min is %g and time_step_limit begins with %g: transformers 5.23 raises shorter time steps to the first, as here, and others to the second", m.least, least)
	}
	c.ignore("expand", "chunk_size", "use_mamba_kernels", "mamba_ssm_cache_dtype", "time_step_max", "time_step_floor")
	return m
}

// nemotronMixture is the sizes of a mixture: of experts of width f between latent values, and of the
// one beside them.
type nemotronMixture struct {
	Experts
	router            choice
	f, latent, shared int
	down              bool // the experts' values are latent ones, not those of the stream
}

// readNemotronMixture reads it; without one there is nothing to read.
func (d *decoder) readNemotronMixture(c *config, any bool) (m nemotronMixture) {
	if !any {
		c.ignore("n_routed_experts", "num_experts_per_tok", "n_shared_experts", "moe_intermediate_size", "moe_shared_expert_intermediate_size",
			"moe_latent_size", "moe_shared_expert_overlap", "n_group", "topk_group", "norm_topk_prob", "routed_scaling_factor", "output_router_logits")
		return m
	}
	m = nemotronMixture{
		Experts: c.experts(d.L, 8, 2), f: c.size("moe_intermediate_size", 7688), shared: c.size("moe_shared_expert_intermediate_size", 7688),
		latent: d.D, down: c.has("moe_latent_size"), router: c.sigmoids(1, 1, 1),
	}
	if m.down {
		m.latent = c.size("moe_latent_size", 0)
	}
	m.router.checkGroups(c, m.Experts)
	only(c, "n_shared_experts", 1) // transformers has one, of the width that the config says
	c.ignore("moe_latent_size", "moe_shared_expert_overlap")
	return m
}

// nemotronExperts is a mixture that sees x through one matrix and is seen through another, or as it
// is, and an MLP that all tokens pass.
type nemotronExperts struct {
	experts  experts
	down, up linear // zero for none
	shared   plainMLP
}

// declared declares all but the shared MLP.
func (m nemotronMixture) declared(b *builder, width int, bias bool) nemotronExperts {
	out := nemotronExperts{experts: experts{Experts: m.Experts, choice: m.router, plain: true, router: b.router(ofNemotron.router, m.E, width)}}
	out.experts.correction = b.param(Tensor{Name: ofNemotron.router + ".e_score_correction_bias", Shape: []int{m.E}, Buffer: true})
	b.matrices(&out.experts, ofNemotron, m.latent, m.f)
	if m.down {
		out.down = b.linear("mixer.fc1_latent_proj", width, m.latent, bias)
		out.up = b.linear("mixer.fc2_latent_proj", m.latent, width, bias)
	}
	return out
}

func (m nemotronExperts) apply(s *Scope, x *Node) *Node { // [T D] -> [T D]
	x = s.float(x)
	y, logits := x, m.experts.router.apply(s, x) // [T E]
	if m.down != (linear{}) {
		y = m.down.apply(s, x)
	}
	y = m.experts.chosen(s, y, logits)
	if m.up != (linear{}) {
		y = m.up.apply(s, y)
	}
	return Add(y, m.shared.apply(s, x))
}
