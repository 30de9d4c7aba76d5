package checkpoint

import (
	"encoding/json"
	"fmt"
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

// TestSpaced: Gemma 4's tokenizer merges across words, whose spaces are U+2581, and has bytes for what it has no token for.
func TestSpaced(t *testing.T) {
	if !tokenize.Available {
		t.Skip("needs the Rust tokenizers")
	}
	words, kinds := []string{"<pad>", "<eos>", "<bos>", "<unk>"}, []int32{tokenControl, tokenControl, tokenControl, tokenControl}
	for b := range 256 {
		words, kinds = append(words, fmt.Sprintf("<0x%02X>", b)), append(kinds, tokenByte)
	}
	for _, word := range []string{"▁", "a", "b", "▁a", "\n", "\n\n", "ab"} {
		words, kinds = append(words, word), append(kinds, tokenNormal)
	}
	keys := map[string]any{
		"tokenizer.ggml.model": "gemma4", "tokenizer.ggml.tokens": words, "tokenizer.ggml.token_type": kinds, "tokenizer.ggml.merges": []string{"▁ a", "\n \n", "a b"},
		"tokenizer.ggml.bos_token_id": 2, "tokenizer.ggml.unknown_token_id": 3, "tokenizer.ggml.add_space_prefix": false,
	}
	got, _, err := tokenizerOf(t, keys).Encode(" ab\n\né")
	if want := []int32{263, 262, 265, 4 + 0xc3, 4 + 0xa9}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v; wanted %v", got, err, want)
	}
}
