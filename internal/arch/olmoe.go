package arch

// olmoe is OLMoE (modeling_olmoe.py): llama with RMSNorm over the whole width of q and k, whose
// values clip_qkv may bound, and a mixture of experts in the place of each MLP.
func olmoe(c *config, exists func(string) bool) *Model {
	d := newDecoder(c, exists, defaults{F: 2048, Eps: 1e-5})
	d.readRope(c, "", 1)
	bias := c.bool("attention_bias", false)
	size := c.experts(d.L, 64, 8)
	shares := c.bool("norm_topk_prob", false)
	clip := c.cap("clip_qkv", 0)

	d.Embed = d.embedding(1)
	for i := range d.L {
		b := d.block(i)
		attention := d.attention(b, bias, bias, d.scaled(0))
		attention.qNorm = b.rmsNorm("self_attn.q_norm", d.N*d.K, d.eps)
		attention.kNorm = b.rmsNorm("self_attn.k_norm", d.G*d.K, d.eps)
		attention.acrossHeads, attention.clip = true, clip
		d.Blocks = append(d.Blocks, newLayer(b, 0, mixtureBlock{
			attentionNorm: b.rmsNorm("input_layernorm", d.D, d.eps),
			attention:     attention,
			mlpNorm:       b.rmsNorm("post_attention_layernorm", d.D, d.eps),
			mlp:           b.experts(exists, size, d.D, d.F, shares, ofQwen, inMemory),
		}))
	}
	d.Head = d.rmsHead()
	return d.Model
}
