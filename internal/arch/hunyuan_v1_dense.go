package arch

import "math"

// hunyuanDense is HunYuan 0.5B to 7B (modeling_hunyuan_v1_dense.py): llama with RMSNorm on each
// head of q and k after rotation.
func hunyuanDense(c *config, exists func(string) bool) *Model {
	d := newDecoder(c, exists, defaults{Eps: 1e-5})
	d.hunyuanRope(c)
	bias := c.bool("attention_bias", false)
	act := c.activation("hidden_act", "silu")
	only(c, "num_experts", 1)
	c.ignore("num_shared_expert")
	d.hunyuanKeys(c)

	d.Embed = d.embedding(1)
	for i := range d.L {
		b := d.block(i)
		attention := d.hunyuanAttention(b, bias)
		d.Blocks = append(d.Blocks, newLayer(b, 0, llamaBlock{
			attentionNorm: b.rmsNorm("input_layernorm", d.D, d.eps),
			attention:     attention,
			mlpNorm:       b.rmsNorm("post_attention_layernorm", d.D, d.eps),
			mlp:           d.mlp(b, act, false),
		}))
	}
	d.Head = d.rmsHead()
	return d.Model
}

// hunyuanKeys are what the family's own code reads and transformers does not, and the ids of its tokens.
func (d *decoder) hunyuanKeys(c *config) {
	only(c, "use_qk_norm", true)
	only(c, "norm_type", "rms")
	only(c, "attention_head_dim", d.K)
	for _, key := range []string{"use_cla", "mlp_bias", "add_classification_head"} {
		only(c, key, false)
	}
	c.ignore("pretraining_tp", "cla_share_factor", "eod_token_id", "pad_id", "im_start_id", "im_end_id", "im_newline_id",
		"text_start_id", "text_end_id", "mask_init_id", "class_num", "pool_type", "num_media_embeds",
		"org_vocab_size", "dense_list", "vit_path")
}

func (d *decoder) hunyuanAttention(b *builder, bias bool) selfAttention {
	a := d.attention(b, bias, bias, d.scaled(0))
	a.qNorm = b.rmsNorm("self_attn.query_layernorm", d.K, d.eps)
	a.kNorm = b.rmsNorm("self_attn.key_layernorm", d.K, d.eps)
	a.afterwards = true
	return a
}

// hunyuanRope reads the rope, whose type "dynamic" is one of its own where it has an alpha: of
// base rope_theta * alpha^(K/(K-2)), whatever the length of a text
// (compute_ntk_alpha_rope_parameters).
func (d *decoder) hunyuanRope(c *config) {
	rc := readRopeConfig(c, 10_000, "", 1)
	if s := rc.scaling; s != nil && s.string("rope_type", s.string("type", "")) == "dynamic" && s.float("alpha", 0) != 0 {
		if d.K < 4 {
			c.fail("head_dim is %d, wanted at least 4", d.K)
			return
		}
		rc.theta *= math.Pow(s.positive("alpha", 0), float64(d.K)/float64(d.K-2))
		s.ignore("beta_fast", "beta_slow", "mscale", "mscale_all_dim") // yarn's, which dynamic does not read
	}
	d.setRope(c, rc)
}
