package checkpoint

import (
	"testing"
)

func TestReadConfig(t *testing.T) {
	dir := folder(t, map[string]string{"config.json": `{"model_type": "llama", "rope_scaling": {"factor": 8.0}, "x": null, "n": 1e999}`})
	config, err := ReadConfig(dir)
	if err != nil || len(config) != 4 || string(config["model_type"]) != `"llama"` ||
		string(config["rope_scaling"]) != `{"factor": 8.0}` || string(config["x"]) != "null" {
		t.Errorf("%s, %v", config, err)
	}
	for _, test := range []struct{ config, want string }{
		{"", "checkpoint: config.json: not a JSON object: unexpected end of JSON input"},
		{"{} {}", "checkpoint: config.json: not a JSON object: invalid character '{' after top-level value"},
		{"[]", "checkpoint: config.json: not a JSON object: json: cannot unmarshal array into Go value of type map[string]json.RawMessage"},
		{"null", "checkpoint: config.json: null, wanted a JSON object"},
		{`{"a": NaN}`, "checkpoint: config.json: not a JSON object: invalid character 'N' looking for beginning of value"},
		{`{"a": 1, "b": 2, "a": 1}`, `checkpoint: config.json: key "a" comes twice, wanted once`},
		{`{"a": [1, {"f": {}}, {"f": 1, "g": "f", "f": 2}]}`, `checkpoint: config.json: key "f" comes twice, wanted once`},
		{`{"b": 1e999, "a": {}, "a": {}}`, `checkpoint: config.json: key "a" comes twice, wanted once`},
		{"{\"a\": \"\xff\"}", "checkpoint: config.json: not UTF-8, wanted JSON"},
	} {
		dir := folder(t, map[string]string{"config.json": test.config})
		_, err := ReadConfig(dir)
		wantError(t, err, dir, test.want)
	}
	dir = t.TempDir()
	_, err = ReadConfig(dir)
	wantError(t, err, dir, "checkpoint: stat config.json: no such file or directory")
}

// Equal keys of different objects, and strings that look like keys, are no
// duplicates.
func TestNoFalseDuplicate(t *testing.T) {
	for _, text := range []string{
		`{"a": {"a": {"a": 1}}, "b": {"a": 1}}`,
		`{"a": "a", "b": ["a", "a", ["a"]], "c": "a"}`,
		`{"l": [{"a": 1}, {"a": 2}], "a": [], "b": {}, "c": {"a": [], "b": {}}}`,
	} {
		if _, err := decodeObject([]byte(text)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}
