package arch

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Config reads a config.json key by key and remembers what was read. A problem
// does not stop the reading: all of them are reported together by finish.
type config struct {
	modelType string
	keys      map[string]json.RawMessage
	read      map[string]bool
	prefix    string   // "text_config." within a nested object
	refused   []string // "key=value" of settings that are not computed
	wrong     []string // values that cannot be
	doubts    []error  // what is computed and doubted
	parent    *config
	trunk     bool // the head is computed elsewhere
}

func newConfig(keys map[string]json.RawMessage) *config {
	return &config{keys: keys, read: map[string]bool{}}
}

// inert are keys without influence on log-probabilities, in any family: names and
// versions, what training and generation need, and what a cache or a kernel would.
var inert = strings.Fields(`
	_attn_implementation _attn_implementation_autoset _commit_hash _flash_attn_2_enabled _name_or_path _num_labels attention_dropout
	attention_probs_dropout_prob attn_implementation attn_pdrop auto_map bad_words_ids begin_suppress_tokens bos_token_id
	cache_implementation chunk_size_feed_forward custom_pipelines classifier_dropout classifier_dropout_prob cls_token_id decoder_start_token_id
	diversity_penalty do_sample dtype early_stopping embd_pdrop embed_pdrop encoder_no_repeat_ngram_size eos_token_id
	exponential_decay_length_penalty finetuning_task forced_bos_token_id forced_eos_token_id gradient_checkpointing hidden_dropout
	hidden_dropout_prob id2label initializer_factor initializer_range is_decoder keys_to_ignore_at_inference label2id
	length_penalty license max_length max_new_tokens max_sequence_length min_length model_max_length model_type name_or_path
	neuron no_repeat_ngram_size num_beam_groups num_beams num_labels num_return_sequences output_attentions output_hidden_states
	output_past output_scores pad_token_id prefix problem_type remove_invalid_values reorder_and_upcast_attn repetition_penalty resid_pdrop
	return_dict return_dict_in_generate revision sep_token_id summary_activation summary_first_dropout summary_proj_to_labels
	summary_type summary_use_proj suppress_tokens task_specific_params temperature tf_legacy_loss tokenizer_class top_k top_p
	torch_dtype torchscript transformers.js_config transformers_version typical_p unk_token_id unsloth_fixed unsloth_version
	use_bfloat16 use_cache use_return_dict`)

// ofHeads are keys that say how the head of a reward model computes: see Trunk.
var ofHeads = strings.Fields(`
	gating_hidden_dim gating_n_hidden gating_newtork gating_network gating_temperature loss mean normalize_reward num_objectives
	num_quantiles std summary_dropout_prob value_head_prefix vhead_layer_type vhead_num_layers vhead_num_neurons`)

// quantised are keys of checkpoints whose matrices are stored in fewer bits, in a way that
// package checkpoint does not decode: it takes the key away where it does.
var quantised = []string{"quantization_config", "compression_config"}

func (c *config) raw(key string) (json.RawMessage, bool) {
	c.read[key] = true
	v, ok := c.keys[key]
	if !ok || string(v) == "null" {
		return nil, false
	}
	return v, true
}

func get[T any](c *config, key string, def T, kind string) T {
	v, ok := c.raw(key)
	if !ok {
		return def
	}
	var out T
	if err := json.Unmarshal(v, &out); err != nil {
		c.fail("%s is %s, wanted %s", c.prefix+key, brief(v), kind)
		return def
	}
	return out
}

// has tells whether the key is there and not null.
func (c *config) has(key string) bool {
	v, ok := c.keys[key]
	return ok && string(v) != "null"
}

// int, float, bool and string return the value of a key, or def where it is absent or null;
// floats and strings a list, nil where it is.
func (c *config) int(key string, def int) int           { return get(c, key, def, "an integer") }
func (c *config) float(key string, def float64) float64 { return get(c, key, def, "a number") }
func (c *config) bool(key string, def bool) bool        { return get(c, key, def, "true or false") }
func (c *config) string(key, def string) string         { return get(c, key, def, "a string") }

func (c *config) floats(key string) []float64 {
	return get[[]float64](c, key, nil, "a list of numbers")
}

func (c *config) strings(key string) []string {
	return get[[]string](c, key, nil, "a list of strings")
}

// size returns an integer that must be there (or have a default above 0) and lie
// within 1 and 2^24: a hostile config cannot ask for a huge allocation.
func (c *config) size(key string, def int) int {
	n := c.int(key, def)
	if n < 1 || n > 1<<24 {
		if !c.has(key) {
			c.fail("%s is missing", c.prefix+key)
		} else {
			c.fail("%s is %d, wanted 1 to %d", c.prefix+key, n, 1<<24)
		}
		return 1
	}
	return n
}

// positive returns a number that must be above 0.
func (c *config) positive(key string, def float64) float64 {
	x := c.float(key, def)
	if !(x > 0) {
		if !c.has(key) {
			c.fail("%s is missing", c.prefix+key)
		} else {
			c.fail("%s is %g, wanted more than 0", c.prefix+key, x)
		}
		return 1
	}
	return x
}

// object returns a nested object as a config of its own, whose leftover keys count
// as leftovers of c; nil where the key is absent.
func (c *config) object(key string) *config {
	v, ok := c.raw(key)
	if !ok {
		return nil
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(v, &keys); err != nil {
		c.fail("%s is %s, wanted an object", c.prefix+key, brief(v))
		return nil
	}
	return &config{modelType: c.modelType, keys: keys, read: map[string]bool{}, prefix: c.prefix + key + ".", parent: c}
}

// null tells whether the key is there with the value null.
func (c *config) null(key string) bool {
	c.read[key] = true
	return string(c.keys[key]) == "null"
}

// cap returns a soft-cap: 0 (none) where the key is null, def where it is absent.
func (c *config) cap(key string, def float64) float64 {
	if c.null(key) {
		return 0
	}
	if !c.has(key) && def == 0 {
		return 0
	}
	return c.positive(key, def)
}

// ignore marks keys that have no influence on this family's log-probabilities.
func (c *config) ignore(keys ...string) {
	for _, k := range keys {
		c.read[k] = true
	}
}

// only refuses a boolean, numeric or string key that is present with another value
// than the one that is computed.
func only[T comparable](c *config, key string, want T) {
	if got := get(c, key, want, fmt.Sprintf("%v", want)); got != want {
		c.refuse(key)
	}
}

// refuse reports the key's value as not supported.
func (c *config) refuse(key string) {
	c.read[key] = true
	c.root().refused = append(c.root().refused, c.prefix+key+"="+brief(c.keys[key]))
}

func (c *config) fail(format string, args ...any) {
	c.root().wrong = append(c.root().wrong, fmt.Sprintf(format, args...))
}

// doubt says what is computed although readers of the config disagree.
func (c *config) doubt(format string, args ...any) {
	c.root().doubts = append(c.root().doubts, fmt.Errorf("arch: %s: config.json: "+format, append([]any{c.modelType}, args...)...))
}

func (c *config) root() *config {
	for c.parent != nil {
		c = c.parent
	}
	return c
}

// leftovers refuses every key that nothing has read. object's caller calls it once
// the nested object has been read.
func (c *config) leftovers() {
	for k, v := range c.keys {
		if !c.read[k] && !slices.Contains(inert, k) && string(v) != "null" && !(c.root().trunk && slices.Contains(ofHeads, k)) {
			c.refuse(k)
		}
	}
}

// common refuses what would make another model of any family.
func (c *config) common() {
	for _, a := range c.strings("architectures") {
		if !strings.HasSuffix(a, "ForCausalLM") && !strings.HasSuffix(a, "LMHeadModel") &&
			!strings.HasSuffix(a, "Model") && !(strings.HasSuffix(a, "ForConditionalGeneration") && c.has("text_config")) || strings.Contains(a, "Reward") {
			if c.trunk {
				continue
			}
			c.refuse("architectures") // a classifier's or reward model's head
		}
	}
	for _, key := range []string{"is_encoder_decoder", "add_cross_attention", "tie_encoder_decoder"} {
		only(c, key, false)
	}
	only(c, "is_causal", true)
	if v, ok := c.raw("pruned_heads"); ok && string(v) != "{}" {
		c.refuse("pruned_heads")
	}
	for _, key := range quantised {
		if v, ok := c.raw(key); ok {
			var q struct {
				Method json.RawMessage `json:"quant_method"`
			}
			if json.Unmarshal(v, &q); q.Method == nil {
				c.refuse(key)
				continue
			}
			c.root().refused = append(c.root().refused, c.prefix+key+".quant_method="+brief(q.Method))
		}
	}
}

func (c *config) finish() error {
	c.common()
	c.leftovers()
	if len(c.wrong) > 0 {
		slices.Sort(c.wrong)
		return fmt.Errorf("arch: %s: config.json: %s", c.modelType, strings.Join(slices.Compact(c.wrong), "; "))
	}
	if len(c.refused) > 0 {
		slices.Sort(c.refused)
		return &UnsupportedError{ModelType: c.modelType, Keys: slices.Compact(c.refused)}
	}
	return nil
}

// brief is a value for a message, cut where it is long.
func brief(v json.RawMessage) string {
	s := strings.Join(strings.Fields(string(v)), " ")
	if len(s) > 60 {
		return strings.ToValidUTF8(s[:57], "") + "..."
	}
	return s
}
