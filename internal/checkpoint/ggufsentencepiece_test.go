package checkpoint

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/implicitreward/implicitreward/tokenize"
)

// pieces are what testdata/pieces.py has written.
type pieces struct {
	Tokens []string
	Scores []float32
	Types  []int32
	Texts  []struct {
		Text string
		IDs  []int32
	}
}

func readPieces(t testing.TB) (p pieces, keys map[string]any) {
	t.Helper()
	b, err := os.ReadFile("testdata/pieces.json")
	if err == nil {
		err = json.Unmarshal(b, &p)
	}
	if err != nil {
		t.Fatal(err)
	}
	return p, map[string]any{
		"tokenizer.ggml.model": "llama", "tokenizer.ggml.pre": "default", "tokenizer.ggml.tokens": p.Tokens, "tokenizer.ggml.scores": p.Scores,
		"tokenizer.ggml.token_type": p.Types, "tokenizer.ggml.bos_token_id": 1, "tokenizer.ggml.eos_token_id": 2, "tokenizer.ggml.unknown_token_id": 0,
	}
}

// ofKeys is the tokenizer of a GGUF file with metadata of its tokenizer.
func ofKeys(t testing.TB, own map[string]any) (path string, files map[string][]byte, err error) {
	t.Helper()
	keys, shapes := tiny()
	maps.Copy(keys, own)
	path = filepath.Join(t.TempDir(), "m.gguf")
	if err := os.WriteFile(path, []byte(ggufOf(keys, shapes, nil)), 0o644); err != nil {
		t.Fatal(err)
	}
	files, err = Tokenizer(path)
	return path, files, err
}

// TestSentencePiece: a SentencePiece tokenizer of a GGUF file gives texts the ids that SentencePiece
// itself gives them, after BOS, unless the file says otherwise.
func TestSentencePiece(t *testing.T) {
	if !tokenize.Available {
		t.Skip("needs the Rust tokenizers")
	}
	p, keys := readPieces(t)
	for _, bos := range []bool{true, false} {
		if !bos {
			keys["tokenizer.ggml.add_bos_token"] = false
		}
		path, files, err := ofKeys(t, keys)
		if err != nil {
			t.Fatal(err)
		}
		tok, err := tokenize.LoadFiles(path, files)
		if err != nil {
			t.Fatal(err)
		}
		defer tok.Close()
		if id, has := tok.BOS(); has != bos || has && id != 1 {
			t.Errorf("BOS %d %v, wanted %v", id, has, bos)
		}
		for _, text := range p.Texts {
			want := text.IDs
			got, _, err := tok.Encode(text.Text)
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("%q: %v, %v; wanted %v", text.Text, got, err, want)
			}
		}
	}
}

// TestSentencePieceRefused: what the file does not say, or says otherwise, is one line that names it.
func TestSentencePieceRefused(t *testing.T) {
	for want, change := range map[string]func(map[string]any){
		`SentencePiece of "gemma2", whose order of merging the file does not hold`:     func(k map[string]any) { k["general.architecture"] = "gemma2" },
		`tokenizer.ggml.pre "llama-bpe", wanted default`:                               func(k map[string]any) { k["tokenizer.ggml.pre"] = "llama-bpe" },
		`tokenizer.ggml.merges beside tokenizer.ggml.scores`:                           func(k map[string]any) { k["tokenizer.ggml.merges"] = []string{"a b"} },
		`tokenizer.ggml.scores is missing, wanted a number for each of 900 tokens`:     func(k map[string]any) { delete(k, "tokenizer.ggml.scores") },
		`tokenizer.ggml.scores is a list of 1, wanted a number for each of 900 tokens`: func(k map[string]any) { k["tokenizer.ggml.scores"] = []float32{1} },
		`tokenizer.ggml.scores: token 260, "`:                                          func(k map[string]any) { k["tokenizer.ggml.scores"] = make([]float32, 900) },
		`tokenizer.ggml.remove_extra_whitespaces is true, wanted false`:                func(k map[string]any) { k["tokenizer.ggml.remove_extra_whitespaces"] = true },
		`tokenizer.ggml.add_space_prefix is 1, wanted true or false`:                   func(k map[string]any) { k["tokenizer.ggml.add_space_prefix"] = 1 },
		`no tokenizer.ggml.bos_token_id, wanted the token that is put beside a text`:   func(k map[string]any) { delete(k, "tokenizer.ggml.bos_token_id") },
		`"tokenizer.ggml.precompiled_charsmap"="x": not supported`:                     func(k map[string]any) { k["tokenizer.ggml.precompiled_charsmap"] = "x" },
		`tokenizer.ggml.tokens has 255 bytes, wanted 256, <0x41> among them`:           func(k map[string]any) { kinds(k)[3+0x41] = tokenNormal },
		`tokenizer.ggml.token_type has no unknown token (type 2), wanted one`:          func(k map[string]any) { kinds(k)[0] = tokenControl },
		`tokenizer.ggml.token_type: token 5, "<0x02>", of type 7, wanted 1 to 6`:       func(k map[string]any) { kinds(k)[5] = 7 },
	} {
		_, keys := readPieces(t)
		change(keys)
		path, _, err := ofKeys(t, keys)
		if err == nil {
			t.Errorf("accepted, wanted %s", want)
			continue
		}
		if text := err.Error(); !strings.HasPrefix(text, "checkpoint: "+path+": its tokenizer: ") || strings.Contains(text, "\n") || !strings.Contains(text, want) {
			t.Errorf("%v\nwanted %s", err, want)
		}
	}
}

func kinds(keys map[string]any) []int32 { return keys["tokenizer.ggml.token_type"].([]int32) }
