//go:build !nodaulet

package tokenize

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// TestNameMutations: of 1,300 tokenizer.json files in which a name is misspelt, in another
// case or there twice, or a value is of another kind, each gives the ids of before or is
// refused. Without checkNames 15 give others in silence.
func TestNameMutations(t *testing.T) {
	paths, _ := filepath.Glob("testdata/*/tokenizer.json")
	setting := regexp.MustCompile(`"([a-z_A-Z]{2,})": ?("[^"]*"|true|false|[0-9.]+|null|[\[{])`)
	rng := rand.New(rand.NewPCG(13, 7))
	dir, refused, n := t.TempDir(), 0, 0
	ids := func(tok *Tokenizer) (s string) {
		for _, text := range []string{"What is it?", " Freedom é日😀\u0301 12345\n", "<s><bos><|im_start|> x  <|endoftext|>y", "\u2581<0x00>"} {
			got, err := tok.Raw("", text)
			s += fmt.Sprint(got.IDs, err, ";")
		}
		return s
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "tokenizer.json"), data, 0o600); err != nil {
			t.Fatal(err)
		}
		tok, err := Load(dir)
		if err != nil {
			t.Fatal(err)
		}
		want := ids(tok)
		tok.Close()
		places := slices.DeleteFunc(setting.FindAllSubmatchIndex(data, -1), func(p []int) bool {
			return '0' <= data[p[4]] && data[p[4]] <= '9' // mostly the vocabulary
		})
		for range 1400 / len(paths) {
			p := places[rng.IntN(len(places))]
			b := slices.Clone(data)
			switch at := p[2] + rng.IntN(p[3]-p[2]); rng.IntN(6) {
			case 0:
				b[at] = "abcdefghijklmnopqrstuvwxyz_"[rng.IntN(27)]
			case 1:
				b = slices.Delete(b, at, at+1)
			case 2:
				b = slices.Replace(b, p[2], p[3], bytes.ToUpper(b[p[2]:p[3]])...)
			case 3:
				b = slices.Insert(b, p[0], fmt.Appendf(nil, `"%s": false, `, data[p[2]:p[3]])...)
			case 4: // again, the other way, where only its case differs or not at all
				if c := data[p[4]]; c == '[' || c == '{' {
					continue
				}
				name, value := b[p[2]:p[3]], "true"
				if string(b[p[4]:p[5]]) == value {
					value = "false"
				}
				if rng.IntN(2) == 0 {
					name = bytes.ToUpper(name)
				}
				b = slices.Insert(b, p[5], fmt.Appendf(nil, `, "%s": %s`, name, value)...)
			case 5:
				if c := b[p[4]]; c == '[' || c == '{' {
					continue
				}
				b = slices.Replace(b, p[4], p[5], []byte(`{"a": 1}`)...)
			}
			n++
			if err := os.WriteFile(filepath.Join(dir, "tokenizer.json"), b, 0o600); err != nil {
				t.Fatal(err)
			}
			tok, err := Load(dir)
			if err != nil {
				refused++
				continue
			}
			if got := ids(tok); got != want {
				t.Errorf("%s: %s: other ids\n%s\n%s", path, b[max(0, p[0]-20):min(len(b), p[5]+20)], got, want)
			}
			tok.Close()
		}
	}
	if refused*2 < n {
		t.Errorf("%d of %d refused, wanted most", refused, n)
	}
	t.Logf("%d of %d refused", refused, n)
}

// TestOldNames: files as earlier versions of tokenizers wrote them load: merges as texts or
// pairs, a Metaspace with str_rep or add_prefix_space, a ByteLevel without use_regex, a model
// without type, and every member that a supported part has had.
func TestOldNames(t *testing.T) {
	const file = `{"version":"1.0","truncation":{"max_length":9,"strategy":"LongestFirst","stride":0},"padding":{"strategy":{"Fixed":3},"direction":"Right",
		"pad_to_multiple_of":null,"pad_id":0,"pad_type_id":0,"pad_token":"a"},"added_tokens":[{"id":0,"content":"<s>","single_word":false,"lstrip":false,
		"rstrip":false,"normalized":false,"special":true}],"normalizer":%s,"pre_tokenizer":%s,"post_processor":%s,"decoder":%s,"model":{%s}}`
	const bpe = `"type":"BPE","dropout":null,"unk_token":null,"continuing_subword_prefix":"","end_of_word_suffix":"","fuse_unk":false,`
	const byteLevel = `{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true}`
	const template = `{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>","type_id":0}},{"Sequence":{"id":"A","type_id":0}}],
		"pair":[{"Sequence":{"id":"A","type_id":0}},{"Sequence":{"id":"B","type_id":1}}],"special_tokens":{"<s>":{"id":"<s>","ids":[0],"tokens":["<s>"]}}}`
	const vocab = `"vocab":{"<s>":0,"a":1,"b":2,"ab":3},"merges":`
	for _, c := range [][5]string{
		{"null", byteLevel, byteLevel, byteLevel, bpe + vocab + `["a b"]`}, // GPT-2
		{`{"type":"NFC"}`, `{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true}`, template,
			`{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true}`, vocab + `["a b"]`},
		{"null", `{"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":"b+"},"behavior":"Isolated","invert":false},` + // Llama 3
			`{"type":"Digits","individual_digits":true},{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":false}]}`,
			`{"type":"Sequence","processors":[` + byteLevel + "," + template + "]}", byteLevel, bpe + `"byte_fallback":false,"ignore_merges":true,` + vocab + `[["a","b"]]`},
		{"null", `{"type":"Metaspace","replacement":"▁","str_rep":"▁","add_prefix_space":true}`, "null",
			`{"type":"Metaspace","replacement":"▁","str_rep":"▁","add_prefix_space":true}`, bpe + vocab + `["a b"]`},
		{"null", `{"type":"Metaspace","replacement":"▁","prepend_scheme":"first","split":false}`, "null",
			`{"type":"Metaspace","replacement":"▁","prepend_scheme":"first","split":false}`, bpe + vocab + `["a b"]`},
		{`{"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"▁"},{"type":"Replace","pattern":{"String":" "},"content":"▁"}]}`, "null", template, // Llama 2, Gemma
			`{"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},{"type":"ByteFallback"},{"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":0}]}`,
			bpe + `"byte_fallback":true,` + vocab + `["a b"]`},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "tokenizer.json"), fmt.Appendf(nil, file, c[0], c[1], c[2], c[3], c[4]), 0o600); err != nil {
			t.Fatal(err)
		}
		tok, err := Load(dir)
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		tok.Close()
	}
}
