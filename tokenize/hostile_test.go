//go:build !nodaulet

package tokenize

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// use does what can be done with whatever loads: nothing may panic, and nothing may
// end the process, which a panic in the library's own code would.
func use(t *testing.T, dir string) {
	tok, err := Load(dir)
	if err != nil {
		return
	}
	defer tok.Close()
	for _, s := range []string{"", "What is it?", " Freedom é日😀\u0301\n", "<s><bos><|im_start|>", "\u2581<0x00>"} {
		text, err := tok.Raw("a"+s, s)
		if err == nil {
			checkSpans(t, dir, text, len(tok.prefix))
			tok.Decode(text.IDs...)
		}
		tok.Chat(s, s, nil)
	}
	for token := range tok.Vocab() {
		tok.Bytes(token.ID)
	}
}

// mutate changes one value somewhere in a JSON value, the sooner the less deep.
func mutate(rng *rand.Rand, v any) any {
	odd := []any{nil, true, -1.0, 0.0, 1.0, 4294967295.0, 4294967296.0, 1e300, 0.5, "", "x", "▁", "\x00", "\u2028", "(", "(a*)*b", "<0x00>", "BPE", "Unigram", "WordPiece", "ByteLevel", "NFC", "Precompiled", "Strip", "Removed",
		[]any{}, map[string]any{}, []any{"a", "b"}, map[string]any{"String": ""}, map[string]any{"Regex": "("}, map[string]any{"Regex": "(?=)"}, map[string]any{"type": "Metaspace", "replacement": "▁"}}
	pick := odd[rng.IntN(len(odd))]
	switch v := v.(type) {
	case map[string]any:
		if len(v) == 0 || rng.IntN(12) == 0 {
			return pick
		}
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		k := keys[rng.IntN(len(keys))]
		switch rng.IntN(8) {
		case 0:
			delete(v, k)
		case 1:
			v[k+"x"] = v[k]
		case 2:
			v[k] = v[keys[rng.IntN(len(keys))]]
		default:
			v[k] = mutate(rng, v[k])
		}
		return v
	case []any:
		if len(v) == 0 || rng.IntN(12) == 0 {
			return pick
		}
		i := rng.IntN(len(v))
		switch rng.IntN(6) {
		case 0:
			return append(v[:i:i], v[i+1:]...)
		case 1:
			return append(v, v[i])
		}
		v[i] = mutate(rng, v[i])
		return v
	}
	return pick
}

// FuzzLoad loads tokenizers with a few values changed.
func FuzzLoad(f *testing.F) {
	for i := range 300 {
		f.Add(uint64(i), i%len(folders), 1+i%3)
	}
	f.Fuzz(func(t *testing.T, seed uint64, which, times int) {
		rng := rand.New(rand.NewPCG(seed, 0))
		folder := filepath.Join("testdata", folders[uint(which)%uint(len(folders))])
		dir := t.TempDir()
		for _, name := range []string{"tokenizer.json", "tokenizer_config.json"} {
			data, err := os.ReadFile(filepath.Join(folder, name))
			if err != nil {
				t.Fatal(err)
			}
			var v any
			if err := json.Unmarshal(data, &v); err != nil {
				t.Fatal(err)
			}
			if name == "tokenizer.json" || seed%2 == 0 {
				for range 1 + uint(times)%4 {
					v = mutate(rng, v)
				}
			}
			if data, err = json.Marshal(v); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o666); err != nil {
				t.Fatal(err)
			}
		}
		use(t, dir)
	})
}

// FuzzTokenizerJSON loads any bytes.
func FuzzTokenizerJSON(f *testing.F) {
	f.Add([]byte(`{"version":"1.0","truncation":null,"added_tokens":[{"id":3,"content":"<s>","single_word":false,"lstrip":true,"rstrip":false,"normalized":false,"special":true}],
		"normalizer":{"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"▁"},{"type":"Replace","pattern":{"String":" "},"content":"▁"}]},
		"pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":"\\s+"},"behavior":"Isolated","invert":false},{"type":"Digits","individual_digits":true}]},
		"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>","type_id":0}},{"Sequence":{"id":"A","type_id":0}}],"pair":[],"special_tokens":{"<s>":{"id":"<s>","ids":[3],"tokens":["<s>"]}}},
		"decoder":{"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},{"type":"ByteFallback"},{"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":0}]},
		"model":{"type":"BPE","unk_token":"u","byte_fallback":true,"fuse_unk":true,"vocab":{"u":0,"a":1,"aa":2,"<s>":3,"<0x41>":4},"merges":["a a"]}}`))
	f.Add([]byte(`{"version":"1.0","added_tokens":[{"id":1,"content":"b","special":true}],"model":{"vocab":{"a":0},"merges":[]}}`))
	f.Add([]byte(`{"version":"1.0","model":{"type":"BPE","vocab":{"a":0,"\ud800":1},"merges":["a a"]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "tokenizer.json"), data, 0o666); err != nil {
			t.Fatal(err)
		}
		use(t, dir)
	})
}
