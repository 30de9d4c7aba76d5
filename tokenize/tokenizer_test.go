//go:build !nodaulet

package tokenize

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

func TestRawErrors(t *testing.T) {
	for _, c := range []struct{ folder, prompt, reply, want string }{
		{"gemma", "a\x00b", "c", "tokenize: prompt: a NUL byte at byte 1, wanted none"},
		{"gemma", "a", "bc\x00", "tokenize: reply: a NUL byte at byte 2, wanted none"},
		{"gemma", "é\xc3", "c", "tokenize: prompt: byte 0xc3 at byte 2 is not UTF-8"},
		{"gemma", "\xed\xa0\x80", "c", "tokenize: prompt: byte 0xed at byte 0 is not UTF-8"}, // a surrogate
		{"gemma", "<bos>a", "c", `tokenize: 2 BOS tokens "<bos>" (id 2), wanted one: the text spells it out`},
		{"gemma", "a", "<bos>", `tokenize: 2 BOS tokens "<bos>" (id 2), wanted one: the text spells it out`},
		{"gemma", "a<b", "os>", `tokenize: 2 BOS tokens "<bos>" (id 2), wanted one: the text spells it out`},
		{"qwen2", "", "c", "tokenize: empty prompt, and the model has no BOS: no token stands before the reply, wanted a prompt"},
		{"qwen2", "", "", "tokenize: empty prompt, and the model has no BOS: no token stands before the reply, wanted a prompt"},
		{"qwen2", "L", "ove", `tokenize: the first token "Lo" covers the whole prompt and the start of the reply, and the model has no BOS: no token stands before the reply`},
		{"smollm2", "<|im_start|><|im_start|>", "c", `tokenize: the text begins with two BOS tokens "<|im_start|>" (id 1)`},
	} {
		if text, err := testdata(t, c.folder).Raw(c.prompt, c.reply); err == nil || err.Error() != c.want {
			t.Errorf("%s %q+%q: %+v, error %v, wanted %s", c.folder, c.prompt, c.reply, text, err, c.want)
		}
	}
}

func TestSpecial(t *testing.T) {
	for _, c := range []struct {
		folder, prompt, reply string
		want                  int
	}{
		{"smollm2", "a", "b", 0},
		{"smollm2", "<|im_start|>user\nhi<|im_end|>", "<|endoftext|>", 3},
		{"smollm2", "a<|im_st", "art|>", 1},
		{"smollm2", "<|im_start|", "", 0},
		{"gemma", "<h1>a\n\n<start_of_turn>", "", 1}, // "\n\n" and "<h1>" are added tokens, but not special
	} {
		text, err := testdata(t, c.folder).Raw(c.prompt, c.reply)
		if err != nil || text.Special != c.want {
			t.Errorf("%s %q+%q: %d %v, wanted %d", c.folder, c.prompt, c.reply, text.Special, err, c.want)
		}
	}
}

func TestBOS(t *testing.T) {
	for name, want := range map[string]int32{"llama3": 656, "gemma": 2, "llama2": 1, "mistral": 1, "smollm2": -1, "qwen2": -1, "neox": -1} {
		id, ok := testdata(t, name).BOS()
		if !ok {
			id = -1
		}
		if id != want {
			t.Errorf("%s: BOS %d, wanted %d", name, id, want)
		}
	}
}

// TestBOSConfig holds what tokenizer.json and tokenizer_config.json say together. Whether
// transformers 4.57.3 and 5.23.0 begin a text with the BOS was found with AutoTokenizer on
// these files: smollm2's tokenizer.json adds none, llama2's does. Where they differ, Raw
// refuses.
func TestBOSConfig(t *testing.T) {
	const unsure = "tokenize: it is not sure whether a text begins with a BOS: "
	asks := unsure + `transformers 4 puts "<|im_start|>" there, as tokenizer_config.json asks for it (tokenizer_class, add_bos_token), and transformers 5 does not, as the post_processor of tokenizer.json adds none`
	asksNone := unsure + `transformers 4 puts none there, as tokenizer_config.json asks for none (tokenizer_class, add_bos_token), and transformers 5 does mostly, as the post_processor of tokenizer.json adds "<s>"`
	for _, c := range []struct{ name, folder, config, err, warning string }{
		{"agree", "llama2", `{"add_bos_token": true, "bos_token": "<s>"}`, "", ""},
		{"class agrees", "llama2", `{"tokenizer_class": "LlamaTokenizer", "bos_token": "<s>"}`, "", ""},
		{"no config", "llama2", "", "", ""},
		{"asked for, of a class not known here", "smollm2", `{"add_bos_token": true, "bos_token": "<|im_start|>"}`, asks, ""},
		{"asked for, but of a class that has no ear", "smollm2", `{"add_bos_token": true, "bos_token": "<|im_start|>", "tokenizer_class": "PreTrainedTokenizerFast"}`, "",
			"tokenize: tokenizer_config.json has add_bos_token true, but the post_processor of tokenizer.json decides, as in transformers: 0 tokens before a text"},
		{"asked for by class", "smollm2", `{"tokenizer_class": "GemmaTokenizer", "bos_token": "<|im_start|>"}`, asks, ""},
		{"of Cohere", "smollm2", `{"tokenizer_class": "CohereTokenizerFast", "bos_token": "<|im_start|>"}`, asks, ""},
		{"of NeoX, asked for", "smollm2", `{"tokenizer_class": "GPTNeoXTokenizerFast", "bos_token": "<|im_start|>", "add_bos_token": true}`, asks, ""},
		{"of NeoX, not asked for", "smollm2", `{"tokenizer_class": "GPTNeoXTokenizer", "bos_token": "<|im_start|>"}`, "", ""},
		{"of NeoX, but added", "llama2", `{"tokenizer_class": "GPTNeoXTokenizer", "bos_token": "<s>"}`, asksNone, ""},
		{"class, but written by version 5", "smollm2", `{"tokenizer_class": "LlamaTokenizer", "bos_token": "<|im_start|>", "backend": "tokenizers"}`, "", ""},
		{"class, but told not to", "smollm2", `{"tokenizer_class": "LlamaTokenizerFast", "bos_token": "<|im_start|>", "add_bos_token": false}`, "", ""},
		{"asked for without a token", "smollm2", `{"add_bos_token": true, "bos_token": null}`, "", ""},
		{"told not to, but added", "llama2", `{"tokenizer_class": "LlamaTokenizer", "add_bos_token": false, "bos_token": "<s>"}`, asksNone, ""},
		{"told not to, of a class that has no ear", "llama2", `{"tokenizer_class": "PreTrainedTokenizerFast", "add_bos_token": false, "bos_token": "<s>"}`, "",
			"tokenize: tokenizer_config.json has add_bos_token false, but the post_processor of tokenizer.json decides, as in transformers: 1 tokens before a text"},
		{"another token", "llama2", `{"bos_token": "</s>"}`, "", `tokenize: bos_token is "</s>", but the post_processor of tokenizer.json adds "<s>"`},
	} {
		files := map[string]*string{"tokenizer_config.json": &c.config}
		if c.config == "" {
			files["tokenizer_config.json"] = nil
		}
		tok := mustLoad(t, variant(t, c.folder, files))
		_, err := tok.Raw("a", "b")
		if got := fmt.Sprint(err); c.err == "" && err != nil || c.err != "" && (got != c.err || !errors.Is(err, ErrBOS)) {
			t.Errorf("%s: error %v, wanted %s", c.name, err, c.err)
		}
		if got := strings.Trim(fmt.Sprint(tok.Warnings()), "[]"); got != c.warning {
			t.Errorf("%s: warnings %q, wanted %q", c.name, got, c.warning)
		}
		// A choice has an answer, whatever the files say.
		none, err := tok.RawBOS("a", "b", BOSNone)
		if err != nil || none.Rendered != "ab" || none.IDs[0] == 1 {
			t.Errorf("%s: none: %+v %v", c.name, none, err)
		}
		with, err := tok.RawBOS("a", "b", BOSAdd)
		if strings.Contains(c.config, "null") {
			if err == nil || err.Error() != "tokenize: no BOS to add: the checkpoint names no bos_token" {
				t.Errorf("%s: add: %+v %v", c.name, with, err)
			}
		} else if err != nil || !slices.Equal(with.IDs, append([]int32{1}, none.IDs...)) || with.Reply != none.Reply+1 {
			t.Errorf("%s: add: %+v %v, wanted id 1 and %v", c.name, with, err, none.IDs)
		}
	}
	if _, err := testdata(t, "llama2").RawBOS("a", "b", 7); err == nil || err.Error() != "tokenize: BOS(7), wanted BOSAuto, BOSAdd or BOSNone" {
		t.Errorf("another choice: error %v", err)
	}
	for _, bos := range []BOS{BOSAuto, BOSAdd, BOSNone, BOSExtra} {
		if got, err := ParseBOS(bos.String()); err != nil || got != bos {
			t.Errorf("%v read as %v %v", bos, got, err)
		}
	}
	if _, err := ParseBOS("yes"); err == nil || err.Error() != `tokenize: BOS "yes", wanted auto, add, none or extra` {
		t.Errorf("yes: error %v", err)
	}
}

func TestBytes(t *testing.T) {
	for _, c := range []struct {
		folder, name, bytes, text string
	}{
		{"smollm2", "Ā", "\x00", "\x00"}, // the NUL byte: the library's own decoder loses it
		{"smollm2", "Ġthe", " the", " the"},
		{"smollm2", "æ", "\xe6", "\uFFFD"},
		{"smollm2", "<|im_end|>", "<|im_end|>", "<|im_end|>"},
		{"neox", "   ", "   ", "   "},
		{"gemma", "<0x00>", "\x00", "\x00"},
		{"gemma", "<0xE6>", "\xe6", "\uFFFD"},
		{"gemma", "▁the", " the", " the"},
		{"gemma", "\n\n", "\n\n", "\n\n"},
		{"llama2", "▁the", " the", "the"}, // Strip: decoding drops a first space
	} {
		tok := testdata(t, c.folder)
		found := false
		for token := range tok.Vocab() {
			if token.Name == c.name {
				found = true
				if b, ok := tok.Bytes(token.ID); !ok || string(b) != c.bytes || token.Text != c.text {
					t.Errorf("%s %q: bytes %q %v, text %q", c.folder, c.name, b, ok, token.Text)
				}
			}
		}
		if !found {
			t.Errorf("%s: no token %q", c.folder, c.name)
		}
	}
	tok := testdata(t, "neox")
	if b, ok := tok.Bytes(690); ok {
		t.Errorf("a hole in the ids has the bytes %q", b)
	}
	if got := tok.Decode(690, -1, 1<<30, 65); got != tok.Decode(65) {
		t.Errorf("ids outside the vocabulary decode to %q", got)
	}
}

func TestHash(t *testing.T) {
	data, err := os.ReadFile("testdata/qwen2/tokenizer.json")
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("%x", sha256.Sum256(data))
	if got := testdata(t, "qwen2").Hash(); got != want {
		t.Errorf("got %s, wanted that of tokenizer.json, %s", got, want)
	}
	other := `{"chat_template": "another", "eos_token": "<|endoftext|>"}`
	if got := mustLoad(t, variant(t, "qwen2", map[string]*string{"tokenizer_config.json": &other})).Hash(); got != want {
		t.Errorf("with another template: got %s, wanted %s", got, want)
	}
	more := `{"eos_token": "<|more|>"}`
	if got := mustLoad(t, variant(t, "qwen2", map[string]*string{"tokenizer_config.json": &more})).Hash(); got == want {
		t.Error("a token more, and the same hash")
	}
}

// TestAdded compares tokens that only tokenizer_config.json names with those of transformers
// (testdata/added: the tokenizer of qwen2 with this configuration).
func TestAdded(t *testing.T) {
	config, err := os.ReadFile("testdata/added/tokenizer_config.json")
	if err != nil {
		t.Fatal(err)
	}
	s := string(config)
	tok := mustLoad(t, variant(t, "qwen2", map[string]*string{"tokenizer_config.json": &s}))
	var v struct {
		Texts []string
		IDs   [][]int32
		Vocab [][3]any
	}
	readJSON(t, "testdata/added/vectors.json", &v)
	for i, s := range v.Texts {
		if ids, _, err := tok.encode(s); err != nil || !slices.Equal(ids, v.IDs[i]) {
			t.Errorf("%q: %v %v, wanted %v", s, ids, err, v.IDs[i])
		}
	}
	// <|im_start|> takes the white space after it, but not out of the reply.
	for _, c := range []struct {
		prompt, reply string
		want          int
	}{{"x<|im_start|>\n", "  Love", 2}, {"x<|im_start|>", "Love", 2}, {"x<|im_start|> ", "Love", 2}} {
		text, err := tok.Raw(c.prompt, c.reply)
		if err != nil || text.Reply != c.want || text.Straddle || tok.Decode(text.IDs[2:]...) != "Love" {
			t.Errorf("%q+%q: %+v %v, wanted the reply at %d", c.prompt, c.reply, text, err, c.want)
		}
		checkSpans(t, "added", text, 0)
	}
	if _, err := tok.Raw("x<|im_start|>", " \n"); err == nil || err.Error() != `tokenize: the reply " \n" is white space that the token "<|im_start|>" before it takes with it` {
		t.Errorf("a reply that vanishes: error %v", err)
	}
	tokens := slices.Collect(tok.Vocab())
	last := tokens[len(tokens)-len(v.Vocab):]
	for i, want := range v.Vocab {
		if got := last[i]; float64(got.ID) != want[0] || got.Name != want[1] || got.Text != want[2] {
			t.Errorf("token %v, wanted %v", got, want)
		}
	}
}

func TestClose(t *testing.T) {
	tok, err := Load("testdata/smollm2")
	if err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			for range 50 {
				if text, err := tok.Raw("a b", " c"); err != nil && err.Error() != "tokenize: the tokenizer is closed" {
					t.Errorf("%+v %v", text, err)
				}
			}
		})
	}
	if err := tok.Close(); err != nil {
		t.Error(err)
	}
	wait.Wait()
	if _, err := tok.Raw("a", "b"); err == nil || err.Error() != "tokenize: the tokenizer is closed" {
		t.Errorf("after Close: %v", err)
	}
	if err := tok.Close(); err != nil {
		t.Errorf("closed twice: %v", err)
	}
	if got := tok.Decode(40); got == "" {
		t.Error("Decode stops with Close")
	}
}

func TestLoadErrors(t *testing.T) {
	dir := t.TempDir()
	if _, err := Load(dir); err == nil || err.Error() != "tokenize: "+dir+": open "+filepath.Join(dir, "tokenizer.json")+": no such file or directory" {
		t.Errorf("empty folder: %v", err)
	}
	data, err := os.ReadFile("testdata/llama2/tokenizer.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, old, new, want string }{
		{"not JSON", "{", "", "tokenizer.json: invalid character"},
		{"version", `"version":"1.0"`, `"version":"2.0"`, `tokenizer.json: version "2.0", wanted 1.0`},
		{"model", `"type":"BPE"`, `"type":"Unigram"`, `tokenizer.json: model: type "Unigram", wanted BPE`},
		{"dropout", `"dropout":null`, `"dropout":0.1`, "tokenizer.json: model: dropout 0.1, wanted none: it makes ids random"},
		{"prefix", `"continuing_subword_prefix":null`, `"continuing_subword_prefix":"##"`, "tokenizer.json: model: continuing_subword_prefix or end_of_word_suffix, wanted neither"},
		{"unknown token", `"unk_token":"<unk>"`, `"unk_token":"<none>"`, `tokenizer.json: model: unk_token "<none>", wanted one that is in the vocabulary`},
		{"no vocabulary", `"vocab":`, `"words":`, "tokenizer.json: model: no vocab or no merges, wanted both"},
		{"id twice", `"<s>":1`, `"<s>":2`, `tokenizer.json: model: id 2 of both "</s>" and "<s>"`},
		{"negative id", `"<s>":1`, `"<s>":-1`, `tokenizer.json: model: id -1 of "<s>", wanted 0 to 2^31-1`},
		{"id too large", `"<s>":1`, `"<s>":4294967296`, "tokenizer.json: model: vocab: json: cannot unmarshal"},
		{"normalizer", `"type":"Prepend"`, `"type":"Precompiled"`, `tokenizer.json: normalizer: type "Precompiled" is not supported`},
		{"regex normalizer", `"pattern":{"String":" "},"content":"▁"`, `"pattern":{"Regex":" "},"content":"▁"`, "tokenizer.json: normalizer: Replace: a pattern that is not a string"},
		{"pre-tokenizer", `"pre_tokenizer":null`, `"pre_tokenizer":{"type":"BertPreTokenizer"}`, `tokenizer.json: pre_tokenizer: type "BertPreTokenizer" is not supported`},
		{"text that is dropped", `"pre_tokenizer":null`, `"pre_tokenizer":{"type":"Split","pattern":{"String":" "},"behavior":"Removed","invert":false}`, "tokenizer.json: pre_tokenizer: Split: behavior Removed, wanted one that keeps all of the text"},
		{"bad regex", `"pre_tokenizer":null`, `"pre_tokenizer":{"type":"Split","pattern":{"Regex":"("},"behavior":"Isolated","invert":false}`, "tokenizer.json: Failed to create tokenizer"},
		{"NUL", `"pre_tokenizer":null`, `"pre_tokenizer":{"type":"Split","pattern":{"Regex":"(\u0000"},"behavior":"Isolated","invert":false}`, "tokenizer.json: pre_tokenizer: a NUL character, wanted none"},
		{"post-processor", `"type":"TemplateProcessing"`, `"type":"RobertaProcessing"`, `tokenizer.json: post_processor: type "RobertaProcessing" is not supported`},
		{"decoder", `"type":"Fuse"`, `"type":"CTC"`, `tokenizer.json: decoder: type "CTC" is not supported`},
		{"added id", `{"id":1,"content":"<s>"`, `{"id":5,"content":"<s>"`, `tokenizer.json: added_tokens: "<s>" has id 5, but the library would give it 1: ids must follow the vocabulary without a gap`},
	} {
		if !strings.Contains(string(data), c.old) {
			t.Errorf("%s: nothing to change", c.name)
		}
		bad := strings.Replace(string(data), c.old, c.new, 1)
		dir := variant(t, "llama2", map[string]*string{"tokenizer.json": &bad})
		if _, err := Load(dir); err == nil || !strings.HasPrefix(err.Error(), "tokenize: "+dir+": "+c.want) {
			t.Errorf("%s: error %v, wanted %s", c.name, err, c.want)
		}
	}
	for config, want := range map[string]string{
		`[`:                        "tokenizer_config.json: byte 0: a list, wanted an object",
		`{"add_bos_token": "yes"}`: "tokenizer_config.json: add_bos_token: json: cannot unmarshal",
		`{"added_tokens_decoder": {"x": {"content": "y"}}}`: `tokenizer_config.json: added_tokens_decoder: id "x", wanted a number`,
	} {
		dir := variant(t, "smollm2", map[string]*string{"tokenizer_config.json": &config})
		if _, err := Load(dir); err == nil || !strings.HasPrefix(err.Error(), "tokenize: "+dir+": "+want) {
			t.Errorf("%s: error %v, wanted %s", config, err, want)
		}
	}
}

// TestTruncation holds that what a tokenizer.json says about truncation and padding
// changes nothing, as in transformers.
func TestTruncation(t *testing.T) {
	data, err := os.ReadFile("testdata/qwen2/tokenizer.json")
	if err != nil {
		t.Fatal(err)
	}
	cut := strings.Replace(string(data), `"truncation":null,"padding":null`, `"truncation":{"direction":"Right","max_length":2,"strategy":"LongestFirst","stride":0},"padding":{"strategy":{"Fixed":64},"direction":"Right","pad_to_multiple_of":null,"pad_id":0,"pad_type_id":0,"pad_token":"x"}`, 1)
	if cut == string(data) {
		t.Fatal("nothing changed")
	}
	tok := mustLoad(t, variant(t, "qwen2", map[string]*string{"tokenizer.json": &cut}))
	got, err := tok.Raw("What is it?", " Freedom")
	want, _ := testdata(t, "qwen2").Raw("What is it?", " Freedom")
	if err != nil || !slices.Equal(got.IDs, want.IDs) {
		t.Errorf("got %v %v, wanted %v", got.IDs, err, want.IDs)
	}
}
