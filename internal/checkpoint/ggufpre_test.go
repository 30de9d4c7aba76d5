package checkpoint

import (
	"encoding/json"
	"os"
	"slices"
	"testing"

	"github.com/implicitreward/implicitreward/tokenize"
)

// TestPreTokenizers: each name cuts texts as the original tokenizer does, whose ids testdata/pre.py has of a
// vocabulary with tokens across all borders.
func TestPreTokenizers(t *testing.T) {
	if !tokenize.Available {
		t.Skip("needs the Rust tokenizers")
	}
	var want struct {
		Tokens, Merges, Texts []string
		Names                 map[string]struct {
			BOS bool
			IDs [][]int32
		}
	}
	b, err := os.ReadFile("testdata/pre.json")
	if err == nil {
		err = json.Unmarshal(b, &want)
	}
	if err != nil {
		t.Fatal(err)
	}
	// Those that are held to their tokenizers elsewhere, and other names of the same.
	others := []string{"smollm", "phi-2", "llama3", "llama-v3", "qwen35", "tekken"}
	for name, pre := range preTokenizers {
		original, ok := want.Names[name]
		if !ok {
			if !slices.Contains(others, name) {
				t.Errorf("%s: no ids of the original", name)
			}
			continue
		}
		if pre.bos != original.BOS {
			t.Errorf("%s: BOS %v, wanted %v", name, pre.bos, original.BOS)
		}
		kinds := make([]int32, len(want.Tokens))
		for i := range kinds {
			kinds[i] = tokenNormal
		}
		tok := tokenizerOf(t, map[string]any{
			"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": name, "tokenizer.ggml.tokens": want.Tokens, "tokenizer.ggml.token_type": kinds,
			"tokenizer.ggml.merges": want.Merges, "tokenizer.ggml.add_bos_token": false,
		})
		for i, text := range want.Texts {
			if got, _, err := tok.Encode(text); err != nil || !slices.Equal(got, original.IDs[i]) {
				t.Errorf("%s: %q: %v, %v; wanted %v", name, text, got, err, original.IDs[i])
			}
		}
	}
}
