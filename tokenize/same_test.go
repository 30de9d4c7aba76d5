package tokenize

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestSame: a tokenizer that another release has saved is the same one, a token that was added
// is told, and one that gives other ids is not the same.
func TestSame(t *testing.T) {
	const dir = "testdata/smollm2"
	file, err := os.ReadFile(filepath.Join(dir, "tokenizer.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		change func(top map[string]any)
		added  []string
		want   string // of the error
	}{
		{"as it is", func(map[string]any) {}, nil, ""},
		{"truncation and padding", func(top map[string]any) {
			top["truncation"] = map[string]any{"max_length": 5, "strategy": "LongestFirst", "stride": 0, "direction": "Right"}
			top["padding"] = nil
		}, nil, ""},
		{"merges in the other form", func(top map[string]any) {
			model := top["model"].(map[string]any)
			model["ignore_merges"] = false
			merges := model["merges"].([]any)
			for i, m := range merges {
				switch m := m.(type) {
				case string:
					a, b, _ := strings.Cut(m, " ")
					merges[i] = []any{a, b}
				case []any:
					merges[i] = m[0].(string) + " " + m[1].(string)
				}
			}
		}, nil, ""},
		{"a padding token", func(top map[string]any) {
			top["added_tokens"] = append(top["added_tokens"].([]any), map[string]any{
				"id": len(top["model"].(map[string]any)["vocab"].(map[string]any)), "content": "[PAD]", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true,
			})
		}, []string{"[PAD]"}, ""},
		{"another merge", func(top map[string]any) {
			model := top["model"].(map[string]any)
			merges := model["merges"].([]any)
			merges[0], merges[1] = merges[1], merges[0]
		}, nil, "differs in model"},
		{"no normalizer of before", func(top map[string]any) { top["pre_tokenizer"] = nil }, nil, "differs in pre_tokenizer"},
	} {
		var top map[string]any
		if err := json.Unmarshal(file, &top); err != nil {
			t.Fatal(err)
		}
		c.change(top)
		other := t.TempDir()
		b, err := json.Marshal(top)
		if err == nil {
			err = os.WriteFile(filepath.Join(other, "tokenizer.json"), b, 0o666)
		}
		if err == nil {
			b, err = os.ReadFile(filepath.Join(dir, "tokenizer_config.json"))
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(other, "tokenizer_config.json"), b, 0o666)
		}
		if err != nil {
			t.Fatal(err)
		}
		added, err := Same(dir, other)
		switch {
		case c.want == "" && err != nil, c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v, wanted %q", c.name, err, c.want)
		case !slices.Equal(added, c.added):
			t.Errorf("%s: added %q, wanted %q", c.name, added, c.added)
		}
	}
	if _, err := Same(dir, t.TempDir()); err == nil {
		t.Error("no tokenizer: no error")
	}
}
