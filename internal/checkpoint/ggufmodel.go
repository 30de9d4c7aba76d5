package checkpoint

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/gomlx/compute/dtypes"
)

// ggufModel reads a GGUF file in transformers' terms: the keys of the config.json that its
// metadata amounts to, and the tensors under transformers' names, with what the converter
// (convert_hf_to_gguf.py of llama.cpp) did to them undone.
func ggufModel(path string) (config map[string]json.RawMessage, w *Weights, err error) {
	g, w, err := openGGUF(path)
	if err != nil {
		return nil, nil, err
	}
	m := &ggufConfig{gguf: g, w: w, keys: map[string]any{}, read: map[string]bool{}}
	if err = m.build(); err == nil {
		config, err = m.json()
	}
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("checkpoint: %s: %w", path, err), w.Close())
	}
	w.names = sortedKeys(w.tensors)
	w.describe(path)
	return config, w, nil
}

// ggufConfig makes a config of metadata, all of whose keys of the architecture must be read.
type ggufConfig struct {
	*gguf
	w     *Weights
	arch  string
	keys  map[string]any
	read  map[string]bool
	wrong []string
	heads map[string]int // of q and k, whose rows are permuted
	minus bool           // norms are stored with 1 added

	mixture int         // experts of a layer
	values  *valueHeads // of delta nets, whose rows are permuted
}

// number returns the architecture's metadata under a key; ok is false where there is none.
func (m *ggufConfig) number(key string) (x float64, ok bool) {
	key = m.arch + "." + key
	m.read[key] = true
	v, ok := m.metadata[key]
	if !ok {
		return 0, false
	}
	x, number := v.(float64)
	if !number || math.IsInf(x, 0) || math.IsNaN(x) {
		m.wrong = append(m.wrong, fmt.Sprintf("%s is %s, wanted a number", quote(key), briefly(v)))
	}
	return x, true
}

// size returns a whole number that must be there.
func (m *ggufConfig) size(key string) int {
	x, ok := m.number(key)
	if !ok || x < 1 || x > 1<<24 || x != math.Trunc(x) {
		m.wrong = append(m.wrong, fmt.Sprintf("%s is %s, wanted a whole number from 1", quote(m.arch+"."+key), briefly(m.metadata[m.arch+"."+key])))
		return 1
	}
	return int(x)
}

// same refuses a key that is there with another value.
func (m *ggufConfig) same(key string, want int) {
	if x, ok := m.number(key); ok && x != float64(want) {
		m.wrong = append(m.wrong, fmt.Sprintf("%s=%v, wanted %d", quote(m.arch+"."+key), x, want))
	}
}

func briefly(v any) string {
	switch v := v.(type) {
	case nil:
		return "missing"
	case list:
		return fmt.Sprintf("a list of %d", int(v))
	case string:
		return quote(v)
	}
	return fmt.Sprint(v)
}

// build fills in the config and the tensors.
func (m *ggufConfig) build() error {
	m.arch, _ = m.metadata["general.architecture"].(string)
	family, ok := ggufFamilies[m.arch]
	if !ok {
		return fmt.Errorf("general.architecture %s, wanted one of %s", quote(m.arch), strings.Join(sortedKeys(ggufFamilies), ", "))
	}
	embed, ok := m.w.stored["token_embd.weight"]
	if !ok || len(embed.Shape) != 2 {
		return errors.New("no tensor token_embd.weight with two axes")
	}
	layers, heads := m.size("block_count"), m.size("attention.head_count")
	m.keys["vocab_size"], m.keys["hidden_size"] = embed.Shape[0], m.size("embedding_length")
	m.keys["num_hidden_layers"], m.keys["num_attention_heads"] = layers, heads
	m.keys["max_position_embeddings"] = m.size("context_length")
	if _, ok := m.metadata[m.arch+".feed_forward_length"]; ok || m.arch != "qwen35moe" { // none of whose layers is without experts
		m.keys["intermediate_size"] = m.size("feed_forward_length")
	}
	m.keys["rms_norm_eps"], _ = m.number("attention.layer_norm_rms_epsilon")
	_, untied := m.w.stored["output.weight"]
	m.keys["tie_word_embeddings"] = !untied
	kv := heads
	if _, ok := m.number("attention.head_count_kv"); ok {
		kv = m.size("attention.head_count_kv")
	}
	width := embed.Shape[1] / heads
	if _, ok := m.number("attention.key_length"); ok {
		width = m.size("attention.key_length")
	}
	m.same("vocab_size", embed.Shape[0])
	m.same("attention.value_length", width)
	m.keys["num_key_value_heads"], m.keys["head_dim"] = kv, width
	m.keys["rope_theta"] = 10_000.0 // llama.cpp's, where the key is missing
	if x, ok := m.number("rope.freq_base"); ok {
		m.keys["rope_theta"] = x
	}
	if m.arch != "phi3" {
		m.scaling()
	}
	if !slices.Contains([]string{"phi2", "phi3", "qwen35", "qwen35moe"}, m.arch) { // of which a part of each head is rotated
		m.same("rope.dimension_count", width)
	}
	family(m, layers, heads, kv, width)
	m.leftover()
	if len(m.wrong) > 0 {
		slices.Sort(m.wrong)
		return fmt.Errorf("%s: not supported: %s", m.arch, strings.Join(slices.Compact(m.wrong), "; "))
	}
	return m.place()
}

// scaling reads how rotary positions are scaled: by one factor, or, as Llama 3.1's, by one for
// each frequency, which the file has as a tensor.
func (m *ggufConfig) scaling() {
	kind, _ := m.metadata[m.arch+".rope.scaling.type"].(string)
	m.read[m.arch+".rope.scaling.type"], m.read[m.arch+".rope.scaling.finetuned"] = true, true
	factor, scaled := m.number("rope.scaling.factor")
	switch {
	case kind == "linear" && scaled:
		m.keys["rope_scaling"] = map[string]any{"rope_type": "linear", "factor": factor}
	case kind == "yarn" && scaled:
		m.keys["rope_scaling"] = map[string]any{"rope_type": "yarn", "factor": factor, "original_max_position_embeddings": m.size("rope.scaling.original_context_length")}
	case kind != "" && kind != "none":
		m.wrong = append(m.wrong, fmt.Sprintf("rope.scaling.type=%s", quote(kind)))
	}
	if factors, ok := m.factors("rope_freqs.weight"); ok {
		if m.keys["rope_scaling"] = llama3Scaling(factors, m.keys["rope_theta"].(float64)); m.keys["rope_scaling"] == nil {
			m.wrong = append(m.wrong, `tensor "rope_freqs.weight" with other factors than Llama 3.1's scaling has`)
		}
	}
}

// llama3Scaling is the scaling (rope_type llama3) that a converter has made these divisors of
// frequencies of: 1 for wavelengths below original/4, factor for those above original, and
// between them linear in original/wavelength. nil if there is none with a power of two as
// original.
func llama3Scaling(divisors []float32, theta float64) any {
	factor := float64(slices.Max(append(slices.Clone(divisors), 1)))
	for original := 16.0; original <= 1<<24; original *= 2 {
		fits := true
		for i, got := range divisors {
			wavelength := 2 * math.Pi * math.Pow(theta, 2*float64(i)/float64(2*len(divisors)))
			smooth := min(max((original/wavelength-1)/3, 0), 1)
			want := 1 / ((1-smooth)/factor + smooth)
			fits = fits && math.Abs(float64(got)-want) <= 1e-5*want
		}
		if fits {
			return map[string]any{"rope_type": "llama3", "factor": factor, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": int(original)}
		}
	}
	return nil
}

// factors are the numbers of a small tensor that belongs to the config.
func (m *ggufConfig) factors(name string) ([]float32, bool) {
	t, ok := m.w.stored[name]
	if !ok {
		return nil, false
	}
	m.read[name] = true
	values, err := t.Float32s()
	if err != nil || len(t.Shape) != 1 || len(values) > 1<<12 || t.CheckFinite() != nil {
		m.wrong = append(m.wrong, fmt.Sprintf("tensor %s of type %s and shape %v", quote(name), t.kind, t.Shape))
		return nil, false
	}
	return slices.Clone(values), true
}

// leftover refuses what nothing has read. What general., tokenizer. and quantize. say does not
// bear on the computation.
func (m *ggufConfig) leftover() {
	for _, key := range sortedKeys(m.metadata) {
		if m.read[key] || strings.HasPrefix(key, "general.") || strings.HasPrefix(key, "tokenizer.") || strings.HasPrefix(key, "quantize.") || strings.HasPrefix(key, "split.") {
			continue
		}
		m.wrong = append(m.wrong, fmt.Sprintf("%s=%s", quote(key), briefly(m.metadata[key])))
	}
}

// json is the config.
func (m *ggufConfig) json() (map[string]json.RawMessage, error) {
	config := map[string]json.RawMessage{}
	for _, key := range sortedKeys(m.keys) {
		raw, err := json.Marshal(m.keys[key])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		config[key] = raw
	}
	return config, nil
}

var ggufLayer = regexp.MustCompile(`^blk\.(\d+)\.([a-z0-9_]+)(\.(?:weight|bias))?$`)

// place gives the tensors their names in transformers.
func (m *ggufConfig) place() error {
	modelType, _ := m.keys["model_type"].(string)
	modules := ggufModules(modelType)
	whole := map[string]string{"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight", "output.weight": "lm_head.weight"}
	if modelType == "phi" {
		whole["output_norm.weight"], whole["output_norm.bias"], whole["output.bias"] = "model.final_layernorm.weight", "model.final_layernorm.bias", "lm_head.bias"
	}
	for _, name := range sortedKeys(m.w.stored) {
		if m.read[name] {
			continue
		}
		t := m.w.stored[name]
		to, part := whole[name], ""
		if at := ggufLayer.FindStringSubmatch(name); at != nil {
			part = at[2]
			if module := modules[part+at[3]]; module != "" { // the whole name
				to = "model.layers." + at[1] + "." + module
			} else if module := modules[part]; module != "" {
				to = "model.layers." + at[1] + "." + module + at[3]
			}
		}
		var err error
		switch _, second := m.w.tensors[to]; {
		case to == "":
			err = fmt.Errorf("which %s has no place for", m.arch)
		case second:
			err = fmt.Errorf("a second one for %s", to)
		case len(t.Shape) == 1 && blockOf(t).decode != nil:
			err = fmt.Errorf("one axis of %s, wanted plain floats", t.kind)
		case strings.Contains(to, "%d"):
			err = m.split(t, to)
		default:
			err = m.put(t, to, part)
		}
		if err != nil {
			return fmt.Errorf("tensor %s: %w", quote(name), err)
		}
	}
	return nil
}

// put gives a tensor its name and its shape in transformers, with what was done to it undone.
func (m *ggufConfig) put(t Tensor, to, part string) error {
	t.Name = to
	var c ggufChange
	if heads := m.heads[part]; heads > 0 {
		if t.Shape[0]%(2*heads) != 0 {
			return fmt.Errorf("%d rows, wanted an even number for each of %d heads", t.Shape[0], heads)
		}
		half := t.Shape[0] / heads / 2 // of a head, whose two halves are interleaved
		c.row = func(row int) int {
			head, within := row/(2*half), row%(2*half)
			return head*2*half + within%half*2 + within/half
		}
	}
	if m.minus && strings.HasSuffix(to, "norm.weight") && part != "ssm_norm" {
		c.each = func(x float32) float32 { return x - 1 }
	}
	if m.values != nil {
		if err := m.values.change(&c, t, part); err != nil {
			return err
		}
	}
	switch part { // axes of 1 that the converter takes away
	case "ffn_gate_inp_shexp":
		t.Shape = append([]int{1}, t.Shape...)
	case "ssm_conv1d":
		if len(t.Shape) == 2 {
			t.Shape = []int{t.Shape[0], 1, t.Shape[1]}
		}
	}
	m.w.tensors[to] = ggufTensor(t, c)
	return nil
}

// split makes the tensors of each expert, to with its number, of that of all of them.
func (m *ggufConfig) split(t Tensor, to string) error {
	if len(t.Shape) != 3 || t.Shape[0] != m.mixture {
		return fmt.Errorf("shape %v, wanted [%d, outputs, inputs], of all experts", t.Shape, m.mixture)
	}
	size := len(t.raw) / m.mixture // whole rows
	for e := range m.mixture {
		one := t
		one.Name, one.Shape, one.raw = fmt.Sprintf(to, e), t.Shape[1:], t.raw[e*size:(e+1)*size:(e+1)*size]
		if t.Data != nil {
			one.Data = one.raw
		}
		m.w.tensors[one.Name] = ggufTensor(one, ggufChange{})
	}
	return nil
}

// ggufChange is what a converter did to a tensor, undone: where a row and a column of the model's are
// in the file, and what an element is of the file's, in float32. nil is for no change.
type ggufChange struct {
	row, column func(int) int
	each        func(float32) float32
}

// ggufTensor is a tensor whose elements are decoded when they are read, or a plain one as it is.
func ggufTensor(t Tensor, c ggufChange) Tensor {
	b := blockOf(t)
	if b.decode == nil && c.row == nil && c.column == nil && c.each == nil {
		return t
	}
	width := 1
	if len(t.Shape) > 1 {
		width = t.Shape[len(t.Shape)-1]
	}
	raw, plain := t.raw, t
	p := &packed{from: [][]byte{raw}, in: dtypes.Float32}
	if b.decode == nil {
		p.in = t.DType
	}
	one := func(dst []float32, at int) {
		if b.decode == nil {
			size := plain.DType.Size()
			part := Tensor{DType: plain.DType, Shape: []int{len(dst)}, Data: raw[at*size : (at+len(dst))*size]}
			_ = part.Float32sInto(dst) // a plain type and the right length
			return
		}
		for ; len(dst) > 0; dst, at = dst[b.elements:], at+b.elements {
			b.decode(dst[:b.elements], raw[at/b.elements*b.bytes:][:b.bytes])
		}
	}
	p.decode = func(dst []float32, at int) {
		if c.row == nil {
			one(dst, at)
		} else {
			for row := 0; row < len(dst)/width; row++ {
				one(dst[row*width:(row+1)*width], c.row(at/width+row)*width)
			}
		}
		if c.column != nil {
			stored := make([]float32, width)
			for row := 0; row < len(dst)/width; row++ {
				copy(stored, dst[row*width:])
				for i := range width {
					dst[row*width+i] = stored[c.column(i)]
				}
			}
		}
		if c.each != nil {
			for i, x := range dst {
				dst[i] = c.each(x)
			}
		}
	}
	return Tensor{Name: t.Name, DType: dtypes.Float32, Shape: t.Shape, kind: t.kind, file: t.file, packed: p}
}

// describe says which types the matrices have, if any is no plain float.
func (w *Weights) describe(path string) {
	kinds := map[string]bool{}
	quantised := false
	for _, t := range w.stored {
		if len(t.Shape) > 1 {
			kinds[t.kind] = true
			quantised = quantised || blockOf(t).decode != nil
		}
	}
	if !quantised {
		return
	}
	w.format = "gguf " + strings.Join(sortedKeys(kinds), " ")
	w.doubts = append(w.doubts, fmt.Errorf("checkpoint: %s: the weights are %s, decoded; llama.cpp rounds activations to 8 bits as well, which is not computed here", path, w.format))
}
