package arch

import "strings"

// qwen35Text is Qwen 3.5's and 3.6's dense text model (modeling_qwen3_5.py): gated delta nets in
// the place of attention in three layers of four, elsewhere attention whose output has a gate
// beside each head of q, rotary positions on a quarter of each head, and norms that are stored
// less 1, but for that of the delta net.
func qwen35Text(c *config, exists func(string) bool) *Model {
	d := newDecoder(c, exists, defaults{V: 248_320, D: 4096, F: 12_288, L: 32, N: 16, G: 4, K: 256, Context: 32_768, Eps: 1e-6})
	h := d.readHybrid(c)
	act := c.activation("hidden_act", "silu")
	if v, ok := c.raw("mlp_only_layers"); ok && string(v) != "[]" {
		c.refuse("mlp_only_layers") // of mixtures
	}

	d.Embed = d.embedding(1)
	for i := range d.L {
		b := d.block(i)
		d.Blocks = append(d.Blocks, hybridLayer(d, b, h, i, d.mlp(b, act, false)))
	}
	d.Head = d.gemmaHead()
	return d.Model
}

// qwen35 is a multimodal Qwen 3.5, of which texts need the text part. All three positions of its
// rotary embedding, of time, height and width, are a token's place in a text.
func qwen35(c *config, exists func(string) bool) *Model {
	return c.qwen35(exists, "qwen3_5_text", qwen35Text)
}

func (c *config) qwen35(exists func(string) bool, kind string, build build) *Model {
	c.ignore("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")
	text := c.text(kind)
	// Of the two places for tie_word_embeddings the outer one counts, where it is there.
	text.tie(c.bool("tie_word_embeddings", text.bool("tie_word_embeddings", false)))
	return text.inner(build, exists)
}

// hybrid is what the families with gated delta nets read of a config.
type hybrid struct {
	Recurrence
	full   []bool // the layers with attention
	bias   bool   // of attention
	byHead bool   // see deltaNet
}

func (d *decoder) readHybrid(c *config) hybrid {
	rope := readRopeConfig(c, 10_000, "partial_rotary_factor", 0.25)
	if rope.scaling != nil {
		rope.scaling.ignore("mrope_section", "mrope_interleaved") // which pairs turn by which of three equal positions
	}
	d.setRope(c, rope)
	h := hybrid{bias: c.bool("attention_bias", false), full: make([]bool, d.L)}
	h.Recurrence = Recurrence{
		H: c.size("linear_num_value_heads", 32), G: c.size("linear_num_key_heads", 16),
		K: c.size("linear_key_head_dim", 128), V: c.size("linear_value_head_dim", 128),
		Taps: c.taps("linear_conv_kernel_dim", 4),
	}
	if h.H%h.G != 0 {
		c.fail("linear_num_value_heads is %d, wanted a multiple of linear_num_key_heads %d", h.H, h.G)
	}
	interval := c.size("full_attention_interval", 4)
	if full := c.marked(d.L, func(i int) bool { return (i+1)%interval == 0 }, "full_attention", "linear_attention"); full != nil {
		h.full = full
	}
	only(c, "attn_output_gate", true)
	only(c, "use_sliding_window", false)
	// Of kernels, and of the layers that predict several tokens at once, which are not the model.
	c.ignore("mamba_ssm_dtype", "mtp_num_hidden_layers", "mtp_use_dedicated_embeddings")
	d.Ignored = func(name string) bool { return strings.HasPrefix(name, "mtp.") || rotaryBuffer(name) }
	return h
}

// hybridLayer declares the norms of layer i and what stands before its MLP.
func hybridLayer[MLP block](d *decoder, b *builder, h hybrid, i int, mlp MLP) *Layer {
	mixerNorm := b.gemmaNorm("input_layernorm", d.D, d.eps)
	mlpNorm := b.gemmaNorm("post_attention_layernorm", d.D, d.eps)
	if !h.full[i] {
		return newLayer(b, noRope, normedBlock[deltaNet, MLP]{mixerNorm, d.deltaNet(b, h), mlpNorm, mlp})
	}
	a := selfAttention{
		q:     b.linear("self_attn.q_proj", d.D, 2*d.N*d.K, h.bias),
		k:     b.linear("self_attn.k_proj", d.D, d.G*d.K, h.bias),
		v:     b.linear("self_attn.v_proj", d.D, d.G*d.K, h.bias),
		o:     b.linear("self_attn.o_proj", d.N*d.K, d.D, h.bias),
		qNorm: b.gemmaNorm("self_attn.q_norm", d.K, d.eps), kNorm: b.gemmaNorm("self_attn.k_norm", d.K, d.eps),
		gated: true, n: d.N, g: d.G, Attention: d.scaled(0),
	}
	return newLayer(b, 0, normedBlock[selfAttention, MLP]{mixerNorm, a, mlpNorm, mlp})
}

// deltaNet declares a gated delta net below "linear_attn.".
func (d *decoder) deltaNet(b *builder, h hybrid) deltaNet {
	b.recurrence(h.Recurrence)
	values := h.H * h.V
	n := deltaNet{Recurrence: h.Recurrence, byHead: h.byHead}
	if h.byHead {
		n.qkv = b.linear("linear_attn.in_proj_qkvz", d.D, h.convolved()+values, false)
		n.b = b.linear("linear_attn.in_proj_ba", d.D, 2*h.H, false)
	} else {
		n.qkv = b.linear("linear_attn.in_proj_qkv", d.D, h.convolved(), false)
		n.z = b.linear("linear_attn.in_proj_z", d.D, values, false)
		n.b = b.linear("linear_attn.in_proj_b", d.D, h.H, false)
		n.a = b.linear("linear_attn.in_proj_a", d.D, h.H, false)
	}
	n.conv = b.convolution("linear_attn.conv1d", h.convolved(), h.Taps, false)
	n.aLog, n.dt = b.vector("linear_attn.A_log", h.H), b.vector("linear_attn.dt_bias", h.H)
	n.norm = b.rmsNorm("linear_attn.norm", h.V, d.eps)
	n.out = b.linear("linear_attn.out_proj", values, d.D, false)
	return n
}
