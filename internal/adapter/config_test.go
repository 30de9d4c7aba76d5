package adapter

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/implicitreward/implicitreward/internal/arch"
)

// with is a valid config with some keys set, to JSON text; "" leaves the key out.
func with(keys map[string]string) []byte {
	all := map[string]json.RawMessage{
		"peft_type": json.RawMessage(`"LORA"`), "task_type": json.RawMessage(`"CAUSAL_LM"`), "r": json.RawMessage("8"), "lora_alpha": json.RawMessage("16"),
		"target_modules": json.RawMessage(`["q_proj", "v_proj"]`),
	}
	for key, text := range keys {
		if all[key] = json.RawMessage(text); text == "" {
			delete(all, key)
		}
	}
	b, err := json.Marshal(all)
	if err != nil {
		panic(err)
	}
	return b
}

// TestModules: which modules a config adapts, and that what peft's check_target_module_exists
// answers for the same config (peft 0.21.2, which was asked) is the same.
func TestModules(t *testing.T) {
	paths := []string{
		"model.layers.0.self_attn.q_proj", "model.layers.0.mlp.up_proj", "model.layers.1.self_attn.q_proj", "model.layers.10.self_attn.q_proj",
		"model.layers.1.self_attn.xq_proj", "lm_head",
	}
	for _, c := range []struct {
		keys map[string]string
		want string // of each path: y or n
	}{
		{map[string]string{"target_modules": `["q_proj"]`}, "ynyynn"},
		{map[string]string{"target_modules": `["lm_head"]`}, "nnnnny"},
		{map[string]string{"target_modules": `["model.layers.1.self_attn.q_proj"]`}, "nnynnn"},
		{map[string]string{"target_modules": `["1.self_attn.q_proj"]`}, "nnynnn"}, // a suffix begins after a dot: not of layer 10
		{map[string]string{"target_modules": `"all-linear"`}, "yyyyyn"},
		{map[string]string{"target_modules": `"All-Linear"`}, "yyyyyn"},
		{map[string]string{"target_modules": `".*q_proj"`}, "ynyyyn"},
		{map[string]string{"target_modules": `"q_proj"`}, "nnnnnn"}, // the whole path must match
		{map[string]string{"target_modules": `"a|model\\.layers\\.0\\..*"`}, "yynnnn"},
		{map[string]string{"target_modules": `["q_proj"]`, "exclude_modules": `["layers.1.self_attn.q_proj"]`}, "ynnynn"},
		{map[string]string{"target_modules": `["q_proj"]`, "exclude_modules": `".*\\.1\\..*"`}, "ynnynn"},
		{map[string]string{"target_modules": `["q_proj"]`, "modules_to_save": `["self_attn"]`}, "nnnnnn"},
		{map[string]string{"target_modules": `["q_proj", "lm_head"]`, "layers_to_transform": "1"}, "nnynny"},
		{map[string]string{"target_modules": `["q_proj", "lm_head"]`, "layers_to_transform": "[0, 10]"}, "ynnyny"},
		{map[string]string{"target_modules": `["q_proj", "lm_head"]`, "layers_to_transform": "[]"}, "ynyyny"},
		{map[string]string{"target_modules": `["q_proj"]`, "layers_to_transform": "[0]", "layers_pattern": `"layers"`}, "ynnnnn"},
		{map[string]string{"target_modules": `["q_proj"]`, "layers_to_transform": "[0]", "layers_pattern": `["h", "lay.rs"]`}, "ynnnnn"},
		{map[string]string{"target_modules": `["q_proj"]`, "layers_to_transform": "[0]", "layers_pattern": `"h"`}, "nnnnnn"},
		{map[string]string{"target_modules": `["model.layers.1.self_attn.q_proj"]`, "layers_to_transform": "[0]"}, "nnynnn"}, // a whole path counts whatever its layer
	} {
		got, err := parseConfig(with(c.keys))
		if err != nil {
			t.Errorf("%v: %v", c.keys, err)
			continue
		}
		answers := ""
		for _, path := range paths {
			if got.modules.has(path, path == "lm_head") {
				answers += "y"
			} else {
				answers += "n"
			}
		}
		if answers != c.want {
			t.Errorf("%v: %s, wanted %s", c.keys, answers, c.want)
		}
	}
}

// TestScale: ranks and alphas by the first pattern that matches, and the scale of each.
func TestScale(t *testing.T) {
	for _, c := range []struct {
		keys  map[string]string
		path  string
		r     int
		scale float64
	}{
		{nil, "a.q_proj", 8, 2},
		{map[string]string{"use_rslora": "true", "r": "4"}, "a.q_proj", 4, 8},
		{map[string]string{"rank_pattern": `{"q_proj": 4}`}, "a.q_proj", 4, 4},
		{map[string]string{"rank_pattern": `{"proj": 4}`}, "a.q_proj", 8, 2}, // a key begins after a dot
		{map[string]string{"rank_pattern": `{"^a.q_proj": 4}`}, "a.q_proj", 4, 4},
		{map[string]string{"rank_pattern": `{"^q_proj": 4}`}, "a.q_proj", 8, 2},
		{map[string]string{"rank_pattern": `{"q_proj": 4, "a.q_proj": 2}`}, "a.q_proj", 4, 4},
		{map[string]string{"rank_pattern": `{"a.q_proj": 2, "q_proj": 4}`}, "a.q_proj", 2, 8},
		{map[string]string{"alpha_pattern": `{"k_proj|q_proj": 4}`}, "a.q_proj", 8, 0.5},
		{map[string]string{"alpha_pattern": `{"q_pro": 4}`}, "a.q_proj", 8, 2}, // and ends with the path
		{map[string]string{"alpha_pattern": `{"q_proj": 2.5}`, "rank_pattern": `{".*": 2}`}, "a.q_proj", 2, 1.25},
		{map[string]string{"alpha_pattern": `{"q_proj": 8}`, "rank_pattern": `{"q_proj": 16}`, "use_rslora": "true"}, "a.q_proj", 16, 2},
		{map[string]string{"lora_alpha": "-3"}, "a.q_proj", 8, -0.375},
	} {
		got, err := parseConfig(with(c.keys))
		if err != nil {
			t.Errorf("%v: %v", c.keys, err)
		} else if got.rank(c.path) != c.r || got.scale(c.path) != c.scale {
			t.Errorf("%v: rank %d, scale %g, wanted %d, %g", c.keys, got.rank(c.path), got.scale(c.path), c.r, c.scale)
		}
	}
}

// TestRefused: what is not computed is refused by name and value, and what cannot be is an error.
func TestRefused(t *testing.T) {
	for _, c := range []struct{ key, text, want string }{
		{"init_lora_weights", `"pissa"`, `not supported: init_lora_weights="pissa"`},
		{"init_lora_weights", `"pissa_niter_4"`, `init_lora_weights="pissa_niter_4"`},
		{"init_lora_weights", `"olora"`, `init_lora_weights="olora"`},
		{"init_lora_weights", `"loftq"`, `init_lora_weights="loftq"`},
		{"init_lora_weights", `"corda"`, `init_lora_weights="corda"`},
		{"init_lora_weights", `"mica"`, `init_lora_weights="mica"`},
		{"layer_replication", "[[0, 2]]", "layer_replication=[[0, 2]]"},
		{"trainable_token_indices", "[1]", "trainable_token_indices=[1]"},
		{"target_parameters", `["x"]`, `target_parameters=["x"]`},
		{"alora_invocation_tokens", "[1]", "alora_invocation_tokens=[1]"},
		{"use_qalora", "true", "use_qalora=true"},
		{"ensure_weight_tying", "true", "ensure_weight_tying=true"},
		{"megatron_config", `{"a": 1}`, `megatron_config={"a":1}`},
		{"use_bdlora", `{}x`, ""},
		{"kasa_config", `{"beta": 1}`, "kasa_config="},
		{"made_up", "false", "made_up=false"}, // nobody knows what its default does
		{"peft_type", `"ADALORA"`, `peft_type="ADALORA"`},
		{"peft_type", "", "peft_type=missing"},
		{"task_type", `"FEATURE_EXTRACTION"`, "task_type="},
		{"bias", `"vera_only"`, "bias="},
		{"target_modules", "null", "target_modules=null"},
		{"target_modules", "[]", "target_modules=[]"},
		{"target_modules", `"(?=a)b"`, "target_modules="},
		{"target_modules", `"(a)\\1"`, "target_modules="},
		{"target_modules", `"a{,3}"`, "which Python reads differently"},
		{"rank_pattern", `{"[": 1}`, `rank_pattern="["`},
		{"alpha_pattern", `{"a++": 1}`, "alpha_pattern="},
		{"rank_pattern", `{"a": 0}`, "wanted an integer from 1"},
		{"rank_pattern", `{"a": 1.5}`, "wanted an integer from 1"},
		{"rank_pattern", `{"a": "x"}`, "wanted a number"},
		{"rank_pattern", `[1]`, "wanted an object"},
		{"modules_to_save", `"score"`, "wanted a list of names"},
		{"modules_to_save", `[""]`, "empty name"},
		{"r", "0", "r is 0"},
		{"r", "1e99", "r is 1e99"},
		{"r", `"8"`, "wanted an integer"},
		{"lora_alpha", "", "lora_alpha is missing"},
		{"lora_alpha", "NaN", ""},
		{"use_dora", "1", "wanted true or false"},
		{"layers_to_transform", `"1"`, "layers_to_transform"},
	} {
		text := with(map[string]string{c.key: "0"})
		if c.text == "" {
			text = with(map[string]string{c.key: ""})
		} else {
			text = []byte(strings.Replace(string(text), `"`+c.key+`":0`, `"`+c.key+`":`+c.text, 1))
		}
		_, err := parseConfig(text)
		if err == nil || !strings.Contains(strings.ReplaceAll(err.Error(), `": 1`, `":1`), c.want) {
			t.Errorf("%s=%s: %v, wanted an error with %s", c.key, c.text, err, c.want)
		}
		if strings.HasPrefix(c.want, "not supported") && !errors.As(err, new(*UnsupportedError)) {
			t.Errorf("%s=%s: %T", c.key, c.text, err)
		}
	}
	for _, text := range []string{"", "[]", "{", `{"r": 1, "r": 2}`, `{"rank_pattern": {"a": 1, "a": 2}}`, "{}\x00", strings.Repeat("[", 5000)} {
		if _, err := parseConfig([]byte(text)); err == nil {
			t.Errorf("%.40q: no error", text)
		}
	}
	if _, err := parseConfig(with(map[string]string{"use_dora": "true", "lora_bias": "true"})); err == nil {
		t.Error("DoRA with lora_bias, which peft refuses: no error")
	}
	if _, err := parseConfig(with(map[string]string{"target_modules": `"a"`, "layers_to_transform": "[0]"})); err == nil {
		t.Error("layers of an expression, which peft refuses: no error")
	}
}

// TestLargeConfig: a config of 4 GB is an error, not a config in memory.
func TestLargeConfig(t *testing.T) {
	dir := t.TempDir()
	f, err := os.Create(filepath.Join(dir, configFile))
	if err == nil {
		err = errors.Join(f.Truncate(4<<30), f.Close()) // a hole: it takes no room
	}
	if err != nil {
		t.Skip(err)
	}
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "wanted at most 16777216") {
		t.Errorf("%v", err)
	}
}

// FuzzConfig: no config makes the reader panic, and one that it accepts can be asked of any path.
func FuzzConfig(f *testing.F) {
	paths, _ := filepath.Glob("../../logprob/testdata/adapters/*/adapter_config.json")
	for _, path := range paths {
		if b, err := os.ReadFile(path); err == nil {
			f.Add(b, "model.layers.0.self_attn.q_proj")
		}
	}
	f.Add(with(map[string]string{"rank_pattern": `{"(a*)*b": 1}`}), strings.Repeat("a", 100))
	f.Fuzz(func(t *testing.T, data []byte, path string) {
		c, err := parseConfig(data)
		if err != nil {
			return
		}
		if c.r < 1 || c.rank(path) < 1 {
			t.Errorf("rank %d, %d of %q", c.r, c.rank(path), path)
		}
		c.scale(path)
		c.saves(path)
		if c.modules.has(path, false) && c.modules.exclusion != nil && c.modules.exclusion.MatchString(path) {
			t.Errorf("%q is adapted and excluded", path)
		}
	})
}

// TestNoAttention: an adapter beside attention needs some.
func TestNoAttention(t *testing.T) {
	_, _, err := (&Fresh{}).modules(&arch.Model{Type: "some", Names: arch.Names{Trunk: []string{"model."}}})
	if err == nil || !strings.Contains(err.Error(), "some: no linear layer of attention in the model's blocks") {
		t.Errorf("%v, wanted that there is no attention", err)
	}
}
