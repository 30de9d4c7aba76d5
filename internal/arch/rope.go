package arch

import (
	"encoding/json"
	"math"
	"slices"
)

// Rope is a rotary position embedding: position p turns the pair (x[i], x[i+R/2])
// of a head by the angle p * InvFreq[i]; the rest of the head stays as it is.
type Rope struct {
	InvFreq []float32 // R/2 of them
	Scale   float32   // of cos and sin ("attention_factor"); 1 but for yarn and longrope
}

// Table returns cos and sin, [len(positions) R/2] row by row. The angle is a
// float32 product, as transformers computes it; its cosine is rounded once.
func (r Rope) Table(positions []int32) (cos, sin []float32) {
	half := len(r.InvFreq)
	cos = make([]float32, len(positions)*half)
	sin = make([]float32, len(positions)*half)
	for t, p := range positions {
		for i, f := range r.InvFreq {
			s, c := math.Sincos(float64(float32(p) * f))
			cos[t*half+i] = float32(c) * r.Scale
			sin[t*half+i] = float32(s) * r.Scale
		}
	}
	return cos, sin
}

// plainRope is the unscaled one: InvFreq[i] = theta^(-2i/dim).
func plainRope(theta float64, dim int) Rope {
	r := Rope{InvFreq: make([]float32, dim/2), Scale: 1}
	for i := range r.InvFreq {
		exponent := float32(2*i) / float32(dim)
		r.InvFreq[i] = 1 / float32(math.Pow(float64(float32(theta)), float64(exponent)))
	}
	return r
}

// ropeConfig are the settings of one rotary embedding.
type ropeConfig struct {
	theta   float64
	partial float64 // rotated share of a head
	scaling *config // nil, or the object that holds rope_type and its parameters
}

// readRope reads the one rotary embedding of a family, and what it allows of Context.
// partialKey is the family's own key for the rotated share of a head, "" where it rotates
// all of it, and partial the share without the key; kinds are the types of scaling that it
// computes beside "default", by default scalings.
func (m *Model) readRope(c *config, partialKey string, partial float64, kinds ...string) {
	m.setRope(c, readRopeConfig(c, 10_000, partialKey, partial), kinds...)
}

// setRope makes settings the one rotary embedding; kinds are as readRope's.
func (m *Model) setRope(c *config, rc ropeConfig, kinds ...string) {
	if kinds == nil {
		kinds = scalings
	}
	rope, limit := rc.rope(c, m.K, m.Context, kinds...)
	m.Ropes, m.Context = []Rope{rope}, limit
}

// readRopeConfig finds the settings as v4 writes them (rope_theta, rope_scaling beside
// the other keys) or as v5 does (one object rope_parameters). partialKey is the
// family's own v4 key for the rotated share, "" where it has none.
func readRopeConfig(c *config, theta float64, partialKey string, partial float64) ropeConfig {
	rc := ropeConfig{theta: theta, partial: partial}
	thetaKey := "rope_theta"
	if partialKey == "rotary_pct" { // gpt_neox has v4 names of its own
		thetaKey = "rotary_emb_base"
	}
	rc.theta = c.positive(thetaKey, theta)
	if partialKey != "" {
		rc.partial = c.positive(partialKey, partial)
	}
	defer rc.others(c, thetaKey, partialKey)
	for _, key := range []string{"rope_parameters", "rope_scaling"} {
		s := c.object(key)
		if s == nil || len(s.keys) == 0 {
			continue
		}
		if rc.scaling != nil {
			c.refuse(key) // which of the two counts depends on who reads them
			continue
		}
		rc.scaling = s
		if s.has("rope_theta") {
			rc.theta = s.positive("rope_theta", theta)
			if c.has(thetaKey) && c.positive(thetaKey, theta) != rc.theta {
				c.refuse(thetaKey)
			}
		}
		if partialKey == "" {
			only(s, "partial_rotary_factor", 1.0)
		} else if s.has("partial_rotary_factor") {
			rc.partial = s.positive("partial_rotary_factor", partial)
			if c.has(partialKey) && c.positive(partialKey, partial) != rc.partial {
				c.refuse(partialKey)
			}
		}
	}
	if rc.partial > 1 {
		c.fail("rotated share of a head is %g, wanted at most 1", rc.partial)
		rc.partial = 1
	}
	return rc
}

// ownRope is the embedding of a config class that has one of its own for configs that say nothing
// of it, keys as rope_parameters has them. Where a config says null, transformers 5 takes that one
// and 4 none.
func (rc *ropeConfig) ownRope(c *config, own string) {
	if rc.scaling != nil {
		return
	}
	for _, key := range []string{"rope_scaling", "rope_parameters"} {
		if _, ok := c.keys[key]; ok {
			c.refuse(key)
		}
	}
	rc.scaling = &config{modelType: c.modelType, read: map[string]bool{}, prefix: "rope_parameters.", parent: c}
	if err := json.Unmarshal([]byte(own), &rc.scaling.keys); err != nil {
		panic(err)
	}
}

// scalings are the kinds of scaling that most families compute, beside "default".
var scalings = []string{"linear", "dynamic", "yarn", "llama3"}

// others refuses the settings under names that the family does not read, where they do
// not agree: transformers 4.47 to 4.57 write GPT-NeoX's under two names each.
func (rc *ropeConfig) others(c *config, thetaKey, partialKey string) {
	if thetaKey != "rope_theta" {
		only(c, "rope_theta", rc.theta)
	}
	if partialKey != "partial_rotary_factor" {
		only(c, "partial_rotary_factor", rc.partial)
	}
}

// rope computes the frequencies for heads of width k. context is
// max_position_embeddings; limit is the longest text for which the frequencies
// hold (longrope changes them beyond its original context). kinds are the types of
// scaling that the family computes, beside "default".
func (rc ropeConfig) rope(c *config, k, context int, kinds ...string) (r Rope, limit int) {
	dim := int(float64(k) * rc.partial)
	if dim < 2 || dim%2 != 0 {
		c.fail("%d of a head's %d values are rotated, wanted an even number from 2", dim, k)
		dim = 2
	}
	r, limit = plainRope(rc.theta, dim), context
	c.ignore("original_max_position_embeddings") // original and longRope read it
	s := rc.scaling
	if s == nil {
		return r, limit
	}
	key := "rope_type"
	if !s.has(key) {
		key = "type" // the older name
	}
	kind := s.string(key, "default")
	if s.has("type") && s.string("type", kind) != kind {
		s.refuse("type")
	}
	if kind != "default" && !slices.Contains(kinds, kind) {
		s.refuse(key)
		return r, limit // its parameters would only repeat the message
	}
	s.ignore("rope_theta", "finetuned")
	switch kind {
	case "linear":
		// modeling_rope_utils.py, _compute_linear_scaling_rope_parameters
		factor := float32(s.positive("factor", 0))
		for i := range r.InvFreq {
			r.InvFreq[i] /= factor
		}
	case "dynamic":
		// _compute_dynamic_ntk_parameters: the default up to max_position_embeddings, and
		// beyond it other frequencies for every length of text, so that a token's
		// log-probability would depend on what follows it. limit is within.
		s.ignore("factor")
	case "yarn":
		if slices.Contains(kinds, "longrope") {
			r, limit = longRope(c, s, r, context) // phi3
		} else {
			r = yarnRope(c, s, rc.theta, dim, context)
		}
	case "llama3":
		r = llama3Rope(s, r, original(c, s, context))
	case "longrope", "su":
		r, limit = longRope(c, s, r, context)
	}
	s.leftovers()
	return r, limit
}

// original is the context that a scaled model was trained with before. A key beside the
// scaling counts before the one in it (RotaryEmbeddingConfigMixin.standardize_rope_params).
func original(c, s *config, context int) int {
	const key = "original_max_position_embeddings"
	inner := s.size(key, context)
	if !c.has(key) {
		return inner
	}
	outer := c.size(key, 0)
	if s.has(key) && inner != outer {
		c.refuse(key) // older readers take the inner one
	}
	return outer
}

// yarnRope leaves the short wavelengths, divides the long ones' frequencies by factor,
// passes linearly, pair by pair, between them, and scales cos and sin
// (modeling_rope_utils.py, _compute_yarn_parameters, of transformers 5.23).
func yarnRope(c, s *config, theta float64, dim, context int) Rope {
	trained := original(c, s, context)
	ratio := float64(context) / float64(trained)
	factor := ratio
	if !s.null("factor") {
		factor = s.positive("factor", 0)
		if factor != ratio && trained != context {
			c.doubt("yarn's factor is %g, but max_position_embeddings / original_max_position_embeddings is %g: the factor is taken, as in transformers", factor, ratio)
		}
	}
	if s.has("attn_factor") {
		c.doubt("yarn's attn_factor %s is not used, as in transformers; other programs multiply by it", brief(s.keys["attn_factor"]))
	}
	s.ignore("attn_factor")
	scale := func(m float64) float64 {
		if factor <= 1 {
			return 1
		}
		return 0.1*m*math.Log(factor) + 1
	}
	attention := scale(1)
	if m, all := s.float("mscale", 0), s.float("mscale_all_dim", 0); m != 0 && all != 0 {
		attention = scale(m) / scale(all)
	}
	if s.has("attention_factor") {
		attention = s.positive("attention_factor", 0)
	}
	// Index of the pair that turns a number of times within the trained context.
	index := func(key string, def float64) float64 {
		turns := s.float(key, def)
		if turns == 0 {
			turns = def
		}
		at := float64(dim) * math.Log(float64(trained)/(turns*2*math.Pi)) / (2 * math.Log(theta))
		if math.IsNaN(at) || math.IsInf(at, 0) {
			s.fail("%s%s is %g with a rope_theta of %g, wanted more than 0 and a rope_theta other than 1", s.prefix, key, turns, theta)
			return 0
		}
		return at
	}
	low, high := index("beta_fast", 32), index("beta_slow", 1)
	if s.bool("truncate", true) && !s.null("truncate") {
		low, high = math.Floor(low), math.Ceil(high)
	}
	low, high = max(low, 0), min(high, float64(dim-1))
	if low == high {
		high += 0.001
	}
	r := Rope{InvFreq: make([]float32, dim/2), Scale: float32(attention)}
	for i := range r.InvFreq {
		exponent := float32(2*i) / float32(dim)
		wavelength := float32(math.Pow(float64(float32(theta)), float64(exponent)))
		ramp := min(max((float32(i)-float32(low))/float32(high-low), 0), 1)
		r.InvFreq[i] = 1/(float32(factor)*wavelength)*ramp + 1/wavelength*(1-ramp)
	}
	return r
}

// llama3Rope slows the long wavelengths down by factor, leaves the short ones and
// passes smoothly between them (modeling_rope_utils.py, _compute_llama3_parameters).
func llama3Rope(s *config, r Rope, original int) Rope {
	factor := float32(s.positive("factor", 0))
	low := float32(s.positive("low_freq_factor", 0))
	high := float32(s.positive("high_freq_factor", 0))
	context := float32(original)
	if low > 0 && high < low { // Llama 4 Scout's are equal
		s.fail("%shigh_freq_factor is %g, wanted low_freq_factor %g or more", s.prefix, high, low)
		return r
	}
	for i, f := range r.InvFreq {
		wavelength := 2 * math.Pi / f
		switch {
		case wavelength < context/high:
		case wavelength > context/low:
			r.InvFreq[i] = f / factor
		default:
			smooth := float32(1)
			if high > low {
				smooth = (context/wavelength - low) / (high - low)
			}
			r.InvFreq[i] = (1-smooth)*(f/factor) + smooth*f
		}
	}
	return r
}

// longRope divides each frequency by its own factor. transformers takes
// short_factor for texts up to the original context and long_factor for every
// position of a longer one, so that a token's log-probability would depend on the
// length of the text it stands in. Here texts are limited to the original
// context, within which the short factors are what transformers computes.
func longRope(c, s *config, r Rope, context int) (Rope, int) {
	// Phi3Config's own key counts, whatever the inner one says.
	original := c.size("original_max_position_embeddings", 4096)
	only(s, "original_max_position_embeddings", original)
	factor := s.float("factor", float64(context)/float64(original))
	short := s.floats("short_factor")
	s.ignore("long_factor")
	scale := 1.0
	if factor > 1 {
		scale = math.Sqrt(1 + math.Log(factor)/math.Log(float64(original)))
	}
	r.Scale = float32(s.float("attention_factor", scale))
	if len(short) != len(r.InvFreq) {
		s.fail("%sshort_factor has %d values, wanted %d", s.prefix, len(short), len(r.InvFreq))
		return r, original
	}
	for i, f := range short {
		r.InvFreq[i] /= float32(f)
	}
	return r, min(original, context)
}

// ropesByType are the rotary embeddings of the full layers, which may be scaled, and of the
// sliding ones, with the thetas of each by default.
type ropesByType struct {
	full, sliding float64
	slidingKey    string // v4's for the theta of the sliding layers; "" where it is that of the full ones
	truncates     bool   // yarn is computed with truncation alone: see truncated
}

// ropeOfWindow is the rope of a layer with a window (0 for none), among those that read returns.
func ropeOfWindow(window int) int {
	if window > 0 {
		return 1
	}
	return 0
}

// read returns the ropes of full and of sliding layers, for heads of width k, and what they
// leave of the context.
func (t ropesByType) read(c *config, k, context int) (ropes []Rope, limit int) {
	truncate := func(s *config) {
		if t.truncates {
			truncated(s)
		}
	}
	if p := c.object("rope_parameters"); p != nil { // v5: one object for each type of layer
		limit = context
		for i, key := range [2]string{"full_attention", "sliding_attention"} {
			theta := [2]float64{t.full, t.sliding}[i]
			rc := ropeConfig{theta: theta, partial: 1}
			if s := p.object(key); s != nil {
				rc = ropeConfig{theta: s.positive("rope_theta", theta), partial: 1, scaling: s}
				only(s, "partial_rotary_factor", 1.0)
				truncate(s)
			}
			r, l := rc.rope(c, k, context, scalings...)
			ropes, limit = append(ropes, r), min(limit, l)
		}
		p.leftovers() // a flat object among them
		return ropes, limit
	}
	rc := readRopeConfig(c, t.full, "", 1)
	truncate(rc.scaling)
	full, limit := rc.rope(c, k, context, scalings...)
	sliding := rc.theta
	if t.slidingKey != "" {
		sliding = c.positive(t.slidingKey, t.sliding)
	}
	return []Rope{full, plainRope(sliding, k)}, limit
}

// truncated refuses yarn without truncation: transformers 5 looks for the key where
// Gemma 3 does not have it, 4 where it has.
func truncated(s *config) {
	if s != nil && (s.null("truncate") || !s.bool("truncate", true)) {
		s.refuse("truncate")
	}
}
