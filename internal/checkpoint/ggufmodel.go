package checkpoint

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// ggufModel reads a GGUF file in transformers' terms: the keys of the config.json that its
// metadata amounts to, and the tensors under transformers' names, with what the converter
// (convert_hf_to_gguf.py of llama.cpp) did to them undone.
func ggufModel(path string) (config map[string]json.RawMessage, w *Weights, err error) {
	g, w, err := openGGUF(path)
	if err != nil {
		return nil, nil, err
	}
	m := &ggufConfig{gguf: g, w: w, keys: map[string]any{}, read: map[string]bool{}, names: firstNames()}
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

// ggufRefused are architectures of families that are scored otherwise, and why their files are not.
var ggufRefused = func() map[string]string {
	all := map[string]string{"phimoe": "the file does not say by what rotary positions are multiplied (short_mscale), which differs between models"}
	for _, arch := range []string{
		"bloom", "chatglm", "deepseek2", "ernie4_5-moe", "falcon", "falcon-h1", "glm4moe", "hunyuan-moe", "llama4", "mpt", "nemotron_h", "nemotron_h_moe", "qwen3next",
	} {
		all[arch] = "of this family checkpoints in safetensors alone are read"
	}
	return all
}()

// ggufConfig makes a config of metadata, all of whose keys of the architecture must be read.
type ggufConfig struct {
	*gguf
	w     *Weights
	arch  string
	keys  map[string]any
	read  map[string]bool
	wrong []string
	names ggufNames

	layers, heads, kv int // blocks, heads of queries, and of keys and values
	width             int // of a head
	mixture           int // experts of a layer
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

// take enters the number under a key as a key of the config, where there is one.
func (m *ggufConfig) take(key, to string) {
	if x, ok := m.number(key); ok {
		m.keys[to] = x
	}
}

// needed returns a number that must be there.
func (m *ggufConfig) needed(key string) float64 {
	x, ok := m.number(key)
	if !ok {
		m.wrong = append(m.wrong, fmt.Sprintf("%s is missing, wanted a number", quote(m.arch+"."+key)))
	}
	return x
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

// list returns the elements of an array of the architecture's metadata, as numbers: those of truth are 0 and 1.
func (m *ggufConfig) list(key string) ([]float64, bool) {
	m.read[m.arch+"."+key] = true
	return m.numbers(m.arch + "." + key)
}

// numbers returns those of an array of metadata; ok is false where there is none.
func (m *ggufConfig) numbers(key string) (all []float64, ok bool) {
	a, ok := m.arrays[key]
	size := ggufSizes[a.of]
	if !ok || size == 0 || len(a.data)/size > 1<<16 {
		return nil, false
	}
	r := &ggufReader{data: a.data}
	for r.at < len(a.data) {
		switch v := r.value(a.of).(type) {
		case float64:
			all = append(all, v)
		case bool:
			x := 0.0
			if v {
				x = 1
			}
			all = append(all, x)
		}
	}
	return all, true
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
	if reason := ggufRefused[m.arch]; reason != "" {
		return fmt.Errorf("general.architecture %s: not supported: %s", quote(m.arch), reason)
	}
	if !ok {
		return fmt.Errorf("general.architecture %s, wanted one of %s", quote(m.arch), strings.Join(sortedKeys(ggufFamilies), ", "))
	}
	embed, ok := m.w.stored["token_embd.weight"]
	if !ok || len(embed.Shape) != 2 {
		return errors.New("no tensor token_embd.weight with two axes")
	}
	m.common(embed)
	family(m)
	if m.keys["intermediate_size"] == nil && m.arch != "qwen35moe" { // none of whose layers is without experts
		m.size("feed_forward_length")
	}
	if _, ok := m.keys["rms_norm_eps"]; !ok && !m.read[m.arch+".attention.layer_norm_epsilon"] {
		m.needed("attention.layer_norm_rms_epsilon")
	}
	if !m.read[m.arch+".rope.scaling.type"] {
		m.scaling()
	}
	m.same("vocab_size", embed.Shape[0])
	m.same("attention.value_length", m.width)
	if !m.read[m.arch+".rope.dimension_count"] {
		m.same("rope.dimension_count", m.width)
	}
	if class := ggufClasses[m.keys["model_type"].(string)]; class != "" {
		m.keys["architectures"] = []string{class + "ForCausalLM"}
	}
	for key, of := range map[string]string{"bos_token_id": "bos", "eos_token_id": "eos", "pad_token_id": "padding"} {
		if id, ok := m.metadata["tokenizer.ggml."+of+"_token_id"].(float64); ok && id >= 0 && id < float64(embed.Shape[0]) && id == math.Trunc(id) {
			m.keys[key] = int(id)
		}
	}
	m.leftover()
	if len(m.wrong) > 0 {
		slices.Sort(m.wrong)
		return fmt.Errorf("%s: not supported: %s", m.arch, strings.Join(slices.Compact(m.wrong), "; "))
	}
	return m.place()
}

// common reads what all families have.
func (m *ggufConfig) common(embed Tensor) {
	m.layers, m.heads = m.size("block_count"), m.size("attention.head_count")
	m.keys["vocab_size"], m.keys["hidden_size"] = embed.Shape[0], m.size("embedding_length")
	m.keys["num_hidden_layers"], m.keys["num_attention_heads"] = m.layers, m.heads
	m.keys["max_position_embeddings"] = m.size("context_length")
	if _, ok := m.metadata[m.arch+".feed_forward_length"].(float64); ok {
		m.keys["intermediate_size"] = m.size("feed_forward_length")
	}
	m.take("attention.layer_norm_rms_epsilon", "rms_norm_eps")
	_, untied := m.w.stored["output.weight"]
	m.keys["tie_word_embeddings"] = !untied
	m.kv = m.heads
	if _, ok := m.metadata[m.arch+".attention.head_count_kv"].(float64); ok {
		m.kv = m.size("attention.head_count_kv")
	}
	m.width = embed.Shape[1] / m.heads
	if _, ok := m.number("attention.key_length"); ok {
		m.width = m.size("attention.key_length")
	}
	m.keys["num_key_value_heads"], m.keys["head_dim"] = m.kv, m.width
	m.keys["rope_theta"] = 10_000.0 // llama.cpp's, where the key is missing
	m.take("rope.freq_base", "rope_theta")
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
		m.keys["rope_scaling"] = m.yarn(factor)
	case kind != "" && kind != "none":
		m.wrong = append(m.wrong, fmt.Sprintf("rope.scaling.type=%s", quote(kind)))
	}
	if factors, ok := m.factors("rope_freqs.weight"); ok {
		if m.keys["rope_scaling"] = llama3Scaling(factors, m.keys["rope_theta"].(float64)); m.keys["rope_scaling"] == nil {
			m.wrong = append(m.wrong, `tensor "rope_freqs.weight" with other factors than Llama 3.1's scaling has`)
		}
	}
}

// unscaled is of families whose rotary positions are not scaled in any file.
func (m *ggufConfig) unscaled() {
	kind, said := m.metadata[m.arch+".rope.scaling.type"]
	m.read[m.arch+".rope.scaling.type"] = true
	if said && kind != "none" {
		m.wrong = append(m.wrong, fmt.Sprintf("rope.scaling.type=%s", briefly(kind)))
	}
}

// yarn is the scaling of that name. llama.cpp rounds the numbers of the pairs between which it blends, as
// transformers does unless truncate is false.
func (m *ggufConfig) yarn(factor float64) map[string]any {
	scaling := map[string]any{"rope_type": "yarn", "factor": factor, "original_max_position_embeddings": m.size("rope.scaling.original_context_length")}
	for key, to := range map[string]string{"yarn_beta_fast": "beta_fast", "yarn_beta_slow": "beta_slow", "yarn_attn_factor": "attention_factor"} {
		if x, ok := m.number("rope.scaling." + key); ok {
			scaling[to] = x
		}
	}
	m.same("rope.scaling.yarn_ext_factor", 1)
	return scaling
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
