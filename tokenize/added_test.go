//go:build !nodaulet

package tokenize

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestNamedTokens compares tokens that only the config files name with those of transformers
// 4.57.3 and 5.23.0 (testdata/named.py): the common result, or that of the only one that
// loads the files; a refusal if they differ.
func TestNamedTokens(t *testing.T) {
	var files struct {
		Texts       []string
		Checkpoints []map[string]json.RawMessage
	}
	type result struct {
		Added [][]any // id, content, lstrip, rstrip, normalized, single_word
		IDs   [][]int32
	}
	var four, five []*result
	readJSON(t, "testdata/added/named.json", &files)
	readJSON(t, "testdata/added/named.4.57.3.json", &four)
	readJSON(t, "testdata/added/named.5.23.0.json", &five)
	counts := map[string]int{}
	for i, checkpoint := range files.Checkpoints {
		content := map[string]*string{"tokenizer_config.json": nil, "chat_template.jinja": nil}
		for name, raw := range checkpoint {
			s := string(raw)
			content[name] = &s
		}
		dir := variant(t, "qwen2", content)
		tok, err := Load(dir)
		want := five[i]
		switch {
		case four[i] == nil && five[i] == nil:
			want = nil
		case five[i] == nil:
			want = four[i]
		case four[i] != nil && fmt.Sprint(four[i]) != fmt.Sprint(five[i]):
			counts["refused"]++
			if err == nil || !strings.Contains(err.Error(), "transformers 4 and 5 make different tokens") {
				t.Errorf("%v: error %v, wanted a refusal", checkpoint, err)
			}
			continue
		}
		if want == nil {
			if err == nil {
				t.Errorf("%v: no error", checkpoint)
			}
			continue
		}
		counts["right"]++
		if err != nil {
			t.Errorf("%v: %v", checkpoint, err)
			continue
		}
		for k, s := range files.Texts {
			if ids, _, err := tok.encode(s); err != nil || !slices.Equal(ids, want.IDs[k]) {
				t.Errorf("%v: %q: %v %v, wanted %v", checkpoint, s, ids, err, want.IDs[k])
			}
		}
		for _, a := range want.Added {
			if id := int32(a[0].(float64)); tok.name(id) != a[1] || !tok.added[id] || tok.rstrip[id] != a[3] {
				t.Errorf("%v: token %d is %q, wanted %v", checkpoint, id, tok.name(id), a)
			}
		}
		tok.Close()
	}
	if counts["right"] < 70 || counts["refused"] < 5 {
		t.Errorf("%v checkpoints, wanted 70 that are read and 5 that are refused: the test shows little", counts)
	}
}

// TestNamedErrors are files that name no tokens.
func TestNamedErrors(t *testing.T) {
	for _, c := range []struct{ file, content, want string }{
		{"tokenizer_config.json", `{"additional_special_tokens": "<a>"}`, "tokenizer_config.json: additional_special_tokens: "},
		{"tokenizer_config.json", `{"additional_special_tokens": [5]}`, "tokenizer_config.json: additional_special_tokens: "},
		{"tokenizer_config.json", `{"extra_special_tokens": 5}`, "tokenizer_config.json: extra_special_tokens: "},
		{"tokenizer_config.json", `{"extra_special_tokens": {"a": null}}`, "tokenizer_config.json: extra_special_tokens: "},
		{"tokenizer_config.json", `{"eos_token": 5}`, "tokenizer_config.json: eos_token: "},
		{"tokenizer_config.json", `{"added_tokens_decoder": {"5": null}}`, `tokenizer_config.json: added_tokens_decoder: id "5": `},
		{"tokenizer_config.json", `{"bos_token": "<a>", "bos_token": "<b>"}`, "tokenizer_config.json: "},
		{"special_tokens_map.json", `[]`, "special_tokens_map.json: byte 0: a list, wanted an object"},
		{"added_tokens.json", `{"<a>": "x"}`, `added_tokens.json: "<a>": `},
		{"added_tokens.json", `{"<a>": 1.5}`, `added_tokens.json: "<a>": `},
	} {
		empty := "{}"
		files := map[string]*string{"tokenizer_config.json": &empty}
		files[c.file] = &c.content
		dir := variant(t, "qwen2", files)
		if _, err := Load(dir); err == nil || !strings.HasPrefix(err.Error(), "tokenize: "+dir+": "+c.want) {
			t.Errorf("%s: error %v, wanted %s", c.content, err, c.want)
		}
	}
}
