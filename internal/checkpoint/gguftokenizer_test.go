package checkpoint

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/implicitreward/implicitreward/tokenize"
)

// tokenizerKeys are the metadata that llama.cpp's converter writes of a folder's tokenizer.
func tokenizerKeys(t testing.TB, dir, pre string) map[string]any {
	t.Helper()
	var whole struct {
		AddedTokens []added `json:"added_tokens"`
		Model       struct {
			Vocab  map[string]int
			Merges []json.RawMessage
		}
		Post json.RawMessage `json:"post_processor"`
	}
	var config map[string]json.RawMessage
	for name, to := range map[string]any{"tokenizer.json": &whole, "tokenizer_config.json": &config} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err == nil {
			err = json.Unmarshal(b, to)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	size := 0
	ids := map[string]int{}
	for word, id := range whole.Model.Vocab {
		ids[word], size = id, max(size, id+1)
	}
	for _, a := range whole.AddedTokens {
		ids[a.Content], size = a.ID, max(size, a.ID+1)
	}
	words, kinds := make([]string, size+2), make([]int32, size+2) // rows of the model without a token
	for i := range words {
		words[i], kinds[i] = fmt.Sprintf("[PAD%d]", i), tokenUnused
	}
	for word, id := range ids {
		words[id], kinds[id] = word, tokenNormal
	}
	for _, a := range whole.AddedTokens {
		kinds[a.ID] = tokenUser
		if a.Special {
			kinds[a.ID] = tokenControl
		}
	}
	var merges []string
	for _, raw := range whole.Model.Merges {
		var pair []string
		var line string
		if json.Unmarshal(raw, &pair) == nil {
			line = strings.Join(pair, " ")
		} else if err := json.Unmarshal(raw, &line); err != nil {
			t.Fatal(err)
		}
		merges = append(merges, line)
	}
	keys := map[string]any{
		"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": pre, "tokenizer.ggml.tokens": words, "tokenizer.ggml.token_type": kinds,
		"tokenizer.ggml.merges": merges, "tokenizer.ggml.add_bos_token": strings.Contains(string(whole.Post), "TemplateProcessing"),
		"tokenizer.ggml.eot_token_id": 1, "tokenizer.ggml.add_space_prefix": false,
	}
	for key, name := range ggufTokens {
		var word string
		if json.Unmarshal(config[name], &word) == nil && word != "" && key != "seperator_token_id" {
			keys["tokenizer.ggml."+key] = ids[word]
		}
	}
	var template string
	var templates []struct{ Name, Template string }
	if b, err := os.ReadFile(filepath.Join(dir, "chat_template.jinja")); err == nil {
		keys["tokenizer.chat_template"] = string(b)
	} else if json.Unmarshal(config["chat_template"], &template) == nil && template != "" {
		keys["tokenizer.chat_template"] = template
	} else if json.Unmarshal(config["chat_template"], &templates) == nil {
		var names []string
		for _, n := range templates {
			if n.Name == "default" {
				keys["tokenizer.chat_template"] = n.Template
				continue
			}
			names = append(names, n.Name)
			keys["tokenizer.chat_template."+n.Name] = n.Template
		}
		keys["tokenizer.chat_templates"] = names
	}
	return keys
}

// TestGGUFTokenizer: the tokenizer of a file's metadata gives every text the ids and spans, and
// every chat the text, that the folder's gives, of which the metadata were made.
func TestGGUFTokenizer(t *testing.T) {
	if !tokenize.Available {
		t.Skip("needs the Rust tokenizers")
	}
	const from = "../../tokenize/testdata/"
	gpt2 := t.TempDir() // GPT-NeoX's without its normalizer
	for _, name := range []string{"tokenizer.json", "tokenizer_config.json"} {
		b, err := os.ReadFile(from + "neox/" + name)
		if err != nil {
			t.Fatal(err)
		}
		var keys map[string]json.RawMessage
		if err := json.Unmarshal(b, &keys); err != nil {
			t.Fatal(err)
		}
		delete(keys, "normalizer")
		if b, err = json.Marshal(keys); err == nil {
			err = os.WriteFile(filepath.Join(gpt2, name), b, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	folders := map[string]string{"llama-bpe": from + "llama3", "qwen2": from + "qwen2", "smollm": from + "smollm2", "gpt-2": gpt2, "phi-2": gpt2}
	if real := "../../.deps/models/smollm2-135m-instruct"; !testing.Short() {
		if _, err := os.Stat(real + "/tokenizer.json"); err == nil {
			folders["smollm real"] = real
		}
	}
	var texts []string
	b, err := os.ReadFile(from + "texts.json")
	if err == nil {
		err = json.Unmarshal(b, &texts)
	}
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("gguftokenizer.go")
	if err != nil {
		t.Fatal(err)
	}
	texts = append(texts, string(source), "1234567 x1y22 ٣٤٥ Ⅷ ½ 年2024", "It'S we'LL he\u2019d\r\n\r\n  \t x", "e\u0301 ﬁ 가 \u1100\u1161 ﷺ", "<|im_start|>user\nlove<|im_end|> <|eot_id|>\n<|endoftext|>")
	for name, dir := range folders {
		t.Run(name, func(t *testing.T) {
			pre, _, _ := strings.Cut(name, " ")
			got := tokenizerOf(t, tokenizerKeys(t, dir, pre))
			want, err := tokenize.Load(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer want.Close()
			sameTokens(t, got, want, texts)
		})
	}
}

// TestMarks: Qwen 3.5's tokenizer keeps a mark with its letter, where Qwen 2's cuts between them
// (tokenization_qwen3_5.py, whose expression and NFC are those of qwen35).
func TestMarks(t *testing.T) {
	if !tokenize.Available {
		t.Skip("needs the Rust tokenizers")
	}
	for pre, want := range map[string][]int32{"qwen2": {6, 8}, "qwen35": {9}} {
		tok := tokenizerOf(t, map[string]any{
			"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": pre, "tokenizer.ggml.tokens": []string{"à", "¤", "¥", "¨", "į", "à¤", "à¤¨", "à¥", "à¥į", "à¤¨à¥į"},
			"tokenizer.ggml.token_type": []int32{1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, "tokenizer.ggml.merges": []string{"à ¤", "à¤ ¨", "à ¥", "à¥ į", "à¤¨ à¥į"},
		})
		if got, _, err := tok.Encode("\u0928\u094d"); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, %v; wanted %v", pre, got, err, want)
		}
	}
}

// sameTokens compares two tokenizers.
func sameTokens(t *testing.T, got, want *tokenize.Tokenizer, texts []string) {
	t.Helper()
	encoded := 0
	for _, text := range texts {
		a, err := got.Raw("The ", text)
		b, other := want.Raw("The ", text)
		if (err == nil) != (other == nil) || !reflect.DeepEqual(a, b) {
			t.Errorf("%q: %v, %v; wanted %v, %v", text, a, err, b, other)
		}
		if err == nil {
			encoded++
		}
		a, err = got.Chat(text, " yes", nil)
		b, other = want.Chat(text, " yes", nil)
		if (err == nil) != (other == nil) || !reflect.DeepEqual(a, b) {
			t.Errorf("chat of %q: %v, %v; wanted %v, %v", text, a, err, b, other)
		}
	}
	if encoded < len(texts)/2 {
		t.Errorf("%d of %d texts encoded", encoded, len(texts))
	}
	if id, ok := got.BOS(); true {
		if other, has := want.BOS(); id != other || ok != has {
			t.Errorf("BOS %d %v, wanted %d %v", id, ok, other, has)
		}
	}
	if !reflect.DeepEqual(got.Template(), want.Template()) {
		t.Errorf("template %q, wanted %q", got.Template(), want.Template())
	}
	names := map[int32]tokenize.Token{}
	for token := range want.Vocab() {
		names[token.ID] = token
	}
	if got.VocabSize() != len(names) {
		t.Errorf("%d tokens, wanted %d", got.VocabSize(), len(names))
	}
	for token := range got.Vocab() {
		if names[token.ID] != token {
			t.Errorf("token %v, wanted %v", token, names[token.ID])
		}
	}
}

// TestGGUFTokenizerRefused: what is not known, or does not fit together, is one line that names it.
func TestGGUFTokenizerRefused(t *testing.T) {
	for want, change := range map[string]func(map[string]any){
		`tokenizer.ggml.model "t5", wanted gpt2`:                                     func(k map[string]any) { k["tokenizer.ggml.model"] = "t5" },
		`tokenizer.ggml.model is 3, wanted a text`:                                   func(k map[string]any) { k["tokenizer.ggml.model"] = 3 },
		`tokenizer.ggml.pre "default", wanted one of command-r, dbrx, `:              func(k map[string]any) { k["tokenizer.ggml.pre"] = "default" },
		`tokenizer.ggml.pre "", wanted one of`:                                       func(k map[string]any) { delete(k, "tokenizer.ggml.pre") },
		`tokenizer.ggml.tokens is missing, wanted a list of texts`:                   func(k map[string]any) { delete(k, "tokenizer.ggml.tokens") },
		`tokenizer.ggml.tokens is a list of 2, wanted a list of texts`:               func(k map[string]any) { k["tokenizer.ggml.tokens"] = []int32{1, 2} },
		`token 3 is "a", as token 0 is`:                                              func(k map[string]any) { k["tokenizer.ggml.tokens"] = []string{"a", "b", "ab", "a"} },
		`tokenizer.ggml.tokens: "\xff", wanted UTF-8`:                                func(k map[string]any) { k["tokenizer.ggml.tokens"] = []string{"a", "b", "ab", "\xff"} },
		`token_type is a list of 1, wanted a whole number for each of 4 tokens`:      func(k map[string]any) { k["tokenizer.ggml.token_type"] = []int32{1} },
		`token 1, "b", of type 6, wanted 1 to 5`:                                     func(k map[string]any) { k["tokenizer.ggml.token_type"] = []int32{1, 6, 1, 1} },
		`tokenizer.ggml.merges: "a b c", wanted two parts`:                           func(k map[string]any) { k["tokenizer.ggml.merges"] = []string{"a b c"} },
		`tokenizer.ggml.bos_token_id is 4, wanted one of 4 tokens`:                   func(k map[string]any) { k["tokenizer.ggml.bos_token_id"] = 4 },
		`no tokenizer.ggml.bos_token_id, wanted the token that is put beside a text`: func(k map[string]any) { k["tokenizer.ggml.add_bos_token"] = true },
		`tokenizer.ggml.add_bos_token is 1, wanted true or false`:                    func(k map[string]any) { k["tokenizer.ggml.add_bos_token"] = 1 },
		`tokenizer.ggml.add_space_prefix is true, wanted false`:                      func(k map[string]any) { k["tokenizer.ggml.add_space_prefix"] = true },
		`"tokenizer.ggml.precompiled_charsmap"="x": not supported`:                   func(k map[string]any) { k["tokenizer.ggml.precompiled_charsmap"] = "x" },
		`tokenizer.chat_templates is "x", wanted a list of texts`:                    func(k map[string]any) { k["tokenizer.chat_templates"] = "x" },
		`tokenizer.ggml.eos_token_id is 3, wanted one of 4 tokens`: func(k map[string]any) {
			k["tokenizer.ggml.eos_token_id"], k["tokenizer.ggml.token_type"] = 3, []int32{1, 1, 1, tokenUnused}
		},
	} {
		keys, shapes := tiny()
		maps.Copy(keys, map[string]any{
			"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "gpt-2", "tokenizer.ggml.tokens": []string{"a", "b", "ab", "<end>"},
			"tokenizer.ggml.token_type": []int32{1, 1, 1, 3}, "tokenizer.ggml.merges": []string{"a b"},
		})
		change(keys)
		path := filepath.Join(t.TempDir(), "m.gguf")
		if err := os.WriteFile(path, []byte(ggufOf(keys, shapes, nil)), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := Tokenizer(path)
		if err == nil {
			t.Errorf("accepted, wanted %s", want)
			continue
		}
		if text := err.Error(); !strings.HasPrefix(text, "checkpoint: "+path+": its tokenizer: ") || strings.Contains(text, "\n") || !strings.Contains(text, want) {
			t.Errorf("%v\nwanted %s", err, want)
		}
	}
}
