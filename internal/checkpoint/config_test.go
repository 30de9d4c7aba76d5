package checkpoint

import (
	"testing"
)

func TestReadConfig(t *testing.T) {
	dir := folder(t, map[string]string{"config.json": `{"model_type": "llama", "rope_scaling": {"factor": 8.0}, "x": null, "n": 1e300}`})
	config, err := ReadConfig(dir)
	if err != nil || len(config) != 4 || string(config["model_type"]) != `"llama"` ||
		string(config["rope_scaling"]) != `{"factor": 8.0}` || string(config["x"]) != "null" {
		t.Errorf("%s, %v", config, err)
	}
	dir = folder(t, map[string]string{"config.json": "{\"x\": \"time_step_limit\", \"time_step_limit\" : [\n0.0,\n Infinity ]}"})
	config, err = ReadConfig(dir)
	if want := "[\n0.0,\n {\"__float__\": \"Infinity\"} ]"; err != nil || string(config["time_step_limit"]) != want {
		t.Errorf("%s, %v, wanted %s", config, err, want)
	}
	for _, test := range []struct{ config, want string }{
		{"", "checkpoint: config.json: byte 0: nothing, wanted an object"},
		{"{} {}", "checkpoint: config.json: byte 3: text after the end of the value"},
		{"[]", "checkpoint: config.json: byte 0: a list, wanted an object"},
		{"null", "checkpoint: config.json: byte 0: null, wanted an object"},
		{`{"a": NaN}`, "checkpoint: config.json: byte 6: invalid character 'N' at start of value"},
		{`{"a": 1, "b": 2, "a": 1}`, `checkpoint: config.json: byte 17: key "a" comes twice, wanted once`},
		{"{\"a\": [1, {\"f\": {}},\n{\"f\": 1, \"f\": 2}]}", `checkpoint: config.json: line 2, byte 30: key "f" comes twice in a/2, wanted once`},
		{`{"time_step_limit": [Infinity, Infinity]}`, "checkpoint: config.json: byte 21: invalid character 'I' at start of value"},
		{`{"time_step_limit": [0, -Infinity]}`, "checkpoint: config.json: byte 25: invalid character 'I' in number (expecting digit)"},
		{`{"time_step_limits": [0, Infinity]}`, "checkpoint: config.json: byte 25: invalid character 'I' at start of value"},
		{`{"b": 1e999}`, `checkpoint: config.json: byte 6: 1e999, wanted a number that float64 can hold`},
		{"{\"a\": \"\xff\"}", "checkpoint: config.json: byte 7: not UTF-8, wanted text"},
	} {
		dir := folder(t, map[string]string{"config.json": test.config})
		_, err := ReadConfig(dir)
		wantError(t, err, dir, test.want)
	}
	dir = t.TempDir()
	_, err = ReadConfig(dir)
	wantError(t, err, dir, "checkpoint: DIR: no config.json, wanted a checkpoint: config.json, model.safetensors, tokenizer.json")
}
