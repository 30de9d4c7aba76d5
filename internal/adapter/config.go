package adapter

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"github.com/implicitreward/implicitreward/internal/regular"
	"github.com/implicitreward/implicitreward/internal/strictjson"
)

const (
	configFile  = "adapter_config.json"
	weightsFile = "adapter_model.safetensors"

	maxConfig   = 16 << 20 // bytes of adapter_config.json
	maxPatterns = 10_000   // names and patterns in it together: each is tried on each module
)

// UnsupportedError says what an adapter_config.json asks for that is not computed here.
type UnsupportedError struct {
	Keys []string // "key=value" of every such setting, sorted
}

// Error names the settings.
func (e *UnsupportedError) Error() string {
	return configFile + ": not supported: " + strings.Join(e.Keys, ", ")
}

// inert are keys of adapter_config.json without influence on the numbers of a trained adapter:
// where it comes from, how it was trained and started, and settings of what is off.
var inert = strings.Fields(`
	auto_mapping base_model_name_or_path corda_config eva_config fan_in_fan_out inference_mode loftq_config lora_dropout
	lora_ga_config megatron_core peft_version qalora_group_size revision runtime_config`)

// off are keys of what is not computed, which may say that it is off: null, false, [] or {}.
var off = strings.Fields(`
	alora_invocation_tokens arrow_config enable_lora ensure_weight_tying kasa_config layer_replication megatron_config
	monteclora_config target_parameters trainable_token_indices use_bdlora use_qalora velora_config`)

// starts are values of init_lora_weights that leave the base's weights as they are. (pissa,
// olora, corda, loftq and lora_ga subtract what A and B begin with; mica is a layer of its own.)
var starts = []string{"true", "false", "null", `"gaussian"`, `"eva"`, `"orthogonal"`}

// config is what an adapter_config.json says.
type config struct {
	task   string // CAUSAL_LM, SEQ_CLS, or "" if it does not say
	r      int
	alpha  float64
	rslora bool
	dora   bool
	// loraBias: B has a bias of its own. bias says which of the base's the adapter holds:
	// none, all, lora_only.
	loraBias bool
	bias     string
	modules  selection
	saved    []string // modules_to_save
	ranks    patterns
	alphas   patterns
}

// reader reads keys and collects what is wrong with them.
type reader struct {
	keys    map[string]json.RawMessage
	read    map[string]bool
	refused []string
	wrong   []string
}

// readConfig reads a folder's adapter_config.json.
func readConfig(dir string) (*config, error) {
	data, err := regular.Read(filepath.Join(dir, configFile), maxConfig)
	if err != nil {
		return nil, err
	}
	return parseConfig(data)
}

func parseConfig(data []byte) (*config, error) {
	keys, err := strictjson.Object(data, "")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", configFile, err)
	}
	r := &reader{keys: keys, read: map[string]bool{}}
	c := &config{
		r:        value(r, "r", 0, "an integer"),
		alpha:    value(r, "lora_alpha", math.NaN(), "a number"),
		rslora:   value(r, "use_rslora", false, "true or false"),
		dora:     value(r, "use_dora", false, "true or false"),
		loraBias: value(r, "lora_bias", false, "true or false"),
		bias:     value(r, "bias", "none", "a string"),
		saved:    value[[]string](r, "modules_to_save", nil, "a list of names"),
	}
	if kind := value(r, "peft_type", "", "a string"); kind != "LORA" {
		r.refuse("peft_type")
	}
	if c.task = value(r, "task_type", "", "a string"); !slices.Contains([]string{"", "CAUSAL_LM", "SEQ_CLS"}, c.task) {
		r.refuse("task_type")
	}
	if !slices.Contains([]string{"none", "all", "lora_only"}, c.bias) {
		r.refuse("bias")
	}
	if c.dora && c.loraBias {
		r.refuse("lora_bias") // peft refuses both together
	}
	if start, ok := keys["init_lora_weights"]; ok && !slices.Contains(starts, string(start)) {
		r.refuse("init_lora_weights")
	}
	r.read["init_lora_weights"] = true
	if c.r < 1 {
		r.fail("r is %d, wanted at least 1", c.r)
	}
	if math.IsNaN(c.alpha) {
		r.fail("lora_alpha is missing")
	}
	c.modules = r.selection(c.saved)
	c.ranks, c.alphas = r.patterns("rank_pattern"), r.patterns("alpha_pattern")
	for _, p := range c.ranks {
		if p.value < 1 || p.value != math.Trunc(p.value) || p.value > math.MaxInt32 {
			r.fail("rank_pattern of %q is %g, wanted an integer from 1", brief(p.key), p.value)
		}
	}
	r.leftovers()
	return c, r.finish()
}

// value is a key's, or def where it is absent or null.
func value[T any](r *reader, key string, def T, kind string) T {
	r.read[key] = true
	raw, ok := r.keys[key]
	if !ok || strictjson.Null(raw) {
		return def
	}
	var v T
	if err := json.Unmarshal(raw, &v); err != nil {
		r.fail("%s is %s, wanted %s", key, brief(string(raw)), kind)
		return def
	}
	return v
}

func (r *reader) fail(format string, args ...any) {
	r.wrong = append(r.wrong, fmt.Sprintf(format, args...))
}

// refuse reports a key's value as not supported.
func (r *reader) refuse(key string) {
	r.read[key] = true
	text := "missing"
	if raw, ok := r.keys[key]; ok {
		text = brief(string(raw))
	}
	r.refused = append(r.refused, key+"="+text)
}

// leftovers refuses every key that nothing has read, and what is on of what must be off.
func (r *reader) leftovers() {
	for key, raw := range r.keys {
		switch {
		case r.read[key], slices.Contains(inert, key), strictjson.Null(raw):
		case slices.Contains(off, key) && slices.Contains([]string{"false", "[]", "{}"}, string(raw)):
		default:
			r.refuse(key)
		}
	}
}

func (r *reader) finish() error {
	if len(r.wrong) > 0 {
		return errors.New(configFile + ": " + strings.Join(r.wrong, "; "))
	}
	if len(r.refused) > 0 {
		slices.Sort(r.refused)
		return &UnsupportedError{slices.Compact(r.refused)}
	}
	return nil
}

// brief is a value for a message, cut where it is long.
func brief(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > 60 {
		return strings.ToValidUTF8(s[:57], "") + "..."
	}
	return s
}

// rank is a module's.
func (c *config) rank(path string) int {
	if v, ok := c.ranks.match(path); ok {
		return int(v)
	}
	return c.r
}

// scale is the factor of a module's B A: alpha / r, with rslora alpha / sqrt(r), both its own.
func (c *config) scale(path string) float64 {
	alpha := c.alpha
	if v, ok := c.alphas.match(path); ok {
		alpha = v
	}
	r := float64(c.rank(path))
	if c.rslora {
		return alpha / math.Sqrt(r)
	}
	return alpha / r
}

// saves tells whether a tensor belongs to a module of modules_to_save: whether the path of the
// module that holds it, or of one around that, ends in one of the names. (peft compares the
// end alone, so that "norm" is input_layernorm too.)
func (c *config) saves(tensor string) bool {
	for path := tensor; ; {
		i := strings.LastIndexByte(path, '.')
		if i < 0 {
			return false
		}
		path = path[:i]
		if slices.ContainsFunc(c.saved, func(name string) bool { return strings.HasSuffix(path, name) }) {
			return true
		}
	}
}
