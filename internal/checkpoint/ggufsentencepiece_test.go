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

func readPieces(t testing.TB, name string) (p pieces, keys map[string]any) {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
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

// tokenizerOf loads the tokenizer of the file that ofKeys makes.
func tokenizerOf(t *testing.T, keys map[string]any) *tokenize.Tokenizer {
	t.Helper()
	path, files, err := ofKeys(t, keys)
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenize.LoadFiles(path, files)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tok.Close() })
	return tok
}

// TestSentencePiece: a SentencePiece tokenizer of a GGUF file gives texts the ids that SentencePiece
// itself gives them, after BOS, unless the file says otherwise.
func TestSentencePiece(t *testing.T) {
	if !tokenize.Available {
		t.Skip("needs the Rust tokenizers")
	}
	p, keys := readPieces(t, "pieces.json")
	for _, bos := range []bool{true, false} {
		if !bos {
			keys["tokenizer.ggml.add_bos_token"] = false
		}
		tok := tokenizerOf(t, keys)
		if id, has := tok.BOS(); has != bos || has && id != 1 {
			t.Errorf("BOS %d %v, wanted %v", id, has, bos)
		}
		encodesPieces(t, tok, p)
	}
}

func encodesPieces(t *testing.T, tok *tokenize.Tokenizer, p pieces) {
	t.Helper()
	for _, text := range p.Texts {
		got, _, err := tok.Encode(text.Text)
		if err != nil || !slices.Equal(got, text.IDs) {
			t.Errorf("%q: %v, %v; wanted %v", text.Text, got, err, text.IDs)
		}
	}
}

// gemmaPieces are those of Gemma's settings; plain is as converters have them that read tokenizer.model
// alone: what users define is a normal token of score 0 with its spaces as U+2581.
func gemmaPieces(t testing.TB, plain bool) (p pieces, keys map[string]any) {
	p, keys = readPieces(t, "pieces-gemma.json")
	maps.Copy(keys, map[string]any{
		"general.architecture": "gemma3", "tokenizer.ggml.bos_token_id": 2, "tokenizer.ggml.eos_token_id": 1, "tokenizer.ggml.padding_token_id": 0,
		"tokenizer.ggml.unknown_token_id": 3, "tokenizer.ggml.add_space_prefix": false,
	})
	if !plain {
		return p, keys
	}
	delete(keys, "tokenizer.ggml.add_space_prefix")
	for id, kind := range p.Types {
		switch {
		case id == 3:
			p.Types[id], p.Scores[id] = tokenUnknown, 0
		case id > 3 && kind == tokenControl || kind == tokenUser:
			p.Tokens[id], p.Types[id], p.Scores[id] = strings.ReplaceAll(p.Tokens[id], " ", "▁"), tokenNormal, 0
		}
	}
	return p, keys
}

// TestSentencePieceGemma: the same of Gemma's settings, with tokens that users define: longest first, of
// spaces too, before the bytes and behind all that was learned, whether the file gives their types or not.
func TestSentencePieceGemma(t *testing.T) {
	if !tokenize.Available {
		t.Skip("needs the Rust tokenizers")
	}
	for _, plain := range []bool{false, true} {
		p, keys := gemmaPieces(t, plain)
		tok := tokenizerOf(t, keys)
		if id, has := tok.BOS(); !has || id != 2 {
			t.Errorf("BOS %d %v, wanted 2", id, has)
		}
		if tok.VocabSize() != len(p.Tokens) {
			t.Errorf("%d tokens, wanted %d", tok.VocabSize(), len(p.Tokens))
		}
		for token := range tok.Vocab() {
			if want := strings.ReplaceAll(p.Tokens[token.ID], "▁", " "); p.Types[token.ID] != tokenByte && token.Text != want {
				t.Errorf("token %d is %q, wanted %q", token.ID, token.Text, want)
			}
		}
		encodesPieces(t, tok, p)
	}
}

// TestSentencePieceRefused: what the file does not say, or says otherwise, is one line that names it.
func TestSentencePieceRefused(t *testing.T) {
	for want, change := range map[string]func(map[string]any){
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
		`has no unknown token (type 2) and no tokenizer.ggml.unknown_token_id`:         func(k map[string]any) { kinds(k)[0] = tokenControl; delete(k, "tokenizer.ggml.unknown_token_id") },
		`token 1, "▁▁▁▁▁▁▁", is one that users define, of spaces, beside a space before each`: func(k map[string]any) {
			k["tokenizer.ggml.tokens"].([]string)[1] = "▁▁▁▁▁▁▁"
			kinds(k)[1] = tokenUser
		},
		`tokenizer.ggml.token_type: token 5, "<0x02>", of type 7, wanted 1 to 6`: func(k map[string]any) { kinds(k)[5] = 7 },
	} {
		_, keys := readPieces(t, "pieces.json")
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

// TestGemmaPiecesRefused: Gemma's files are not better by being Gemma's.
func TestGemmaPiecesRefused(t *testing.T) {
	for want, change := range map[string]func(map[string]any){
		`tokenizer.ggml.scores: token 278, "`:                                 func(k map[string]any) { clear(k["tokenizer.ggml.scores"].([]float32)) },
		`token 13, "  ", is one that users define, of spaces, beside a space`: func(k map[string]any) { k["tokenizer.ggml.add_space_prefix"] = true },
		`tokenizer.ggml.tokens: token 14 is "  ", as token 13 is`:             func(k map[string]any) { k["tokenizer.ggml.tokens"].([]string)[14] = "  " },
		`tokenizer.ggml.unknown_token_id is 700, wanted one of 644 tokens`:    func(k map[string]any) { k["tokenizer.ggml.unknown_token_id"] = 700 },
		`tokenizer.ggml.scores: token 300, "`:                                 func(k map[string]any) { s := k["tokenizer.ggml.scores"].([]float32); s[300] = s[299] },
	} {
		_, keys := gemmaPieces(t, false)
		change(keys)
		if _, _, err := ofKeys(t, keys); err == nil || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), want) {
			t.Errorf("%v\nwanted %s", err, want)
		}
	}
}

// FuzzSentencePiece makes tokenizers of Gemma's pieces with anything in the place of one, its score and its type: no panic, and what is
// accepted encodes a text.
func FuzzSentencePiece(f *testing.F) {
	f.Add(300, "▁the", float32(-0.5), int32(1), true)
	f.Add(13, " ", float32(0), int32(4), false)
	f.Add(21, "<0x00>", float32(-1), int32(6), false)
	f.Add(400, "", float32(0), int32(5), true)
	f.Fuzz(func(t *testing.T, id int, word string, score float32, kind int32, plain bool) {
		p, keys := gemmaPieces(t, plain)
		id = int(uint(id) % uint(len(p.Tokens)))
		p.Tokens[id], p.Scores[id], p.Types[id] = word, score, kind
		path, files, err := ofKeys(t, keys)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "checkpoint: "+path+": its tokenizer: ") || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %q, wanted one line that names the file", err)
			}
			return
		}
		if !tokenize.Available {
			return
		}
		tok, err := tokenize.LoadFiles(path, files)
		if err != nil {
			return
		}
		defer tok.Close()
		if _, _, err := tok.Encode("The  words\n\n<h1>\t" + strings.ToValidUTF8(strings.ReplaceAll(word, "\x00", ""), "")); err != nil {
			t.Error(err)
		}
	})
}

func kinds(keys map[string]any) []int32 { return keys["tokenizer.ggml.token_type"].([]int32) }
