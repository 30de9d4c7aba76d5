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

// TestConfigMutations: tokenizer_config.json and special_tokens_map.json with one of the
// names that decide ids or chats misspelt, in another case or there twice, or with a value of
// another kind, give the ids and the rendering of before or an error.
func TestConfigMutations(t *testing.T) {
	key := regexp.MustCompile(`"(bos_token|eos_token|unk_token|pad_token|add_bos_token|split_special_tokens|tokenizer_class|added_tokens_decoder|additional_special_tokens|extra_special_tokens|chat_template)": ?("(?:[^"\\]|\\.)*"|true|false|null|[\[{])`)
	rng := rand.New(rand.NewPCG(13, 8))
	shows := func(dir string) (s, chat string, err error) {
		tok, err := Load(dir)
		if err != nil {
			return "", "", err
		}
		defer tok.Close()
		for _, text := range []string{"What is it?", " Freedom <|im_start|> x  <|endoftext|>y<extra>z"} {
			got, err := tok.Raw("a", text)
			s += fmt.Sprint(got.IDs, err, ";")
		}
		if chat, err = tok.Render([]Message{{Role: "user", Content: "a"}}, nil); err != nil {
			chat = "" // an error is no other rendering
		}
		return s, chat, nil
	}
	kinds := []string{"misspelt", "case", "twice", "type"}
	var n, refused [4]int
	for _, folder := range folders {
		for _, file := range []string{"tokenizer_config.json", "special_tokens_map.json"} {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", folder))); err != nil {
				t.Fatal(err)
			}
			if file == "special_tokens_map.json" {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(`{"bos_token": {"content": "<s>", "lstrip": false, "normalized": false, "rstrip": false, "single_word": false}, "eos_token": "<|endoftext|>", "additional_special_tokens": ["<extra>"]}`), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			data, err := os.ReadFile(filepath.Join(dir, file))
			if err != nil {
				t.Fatal(err)
			}
			want, chat, err := shows(dir)
			if err != nil {
				continue // tokens that tokenizer.json lacks, refused as they are
			}
			places := key.FindAllSubmatchIndex(data, -1)
			for range 60 {
				p := places[rng.IntN(len(places))]
				b := slices.Clone(data)
				kind := rng.IntN(4)
				switch at := p[2] + rng.IntN(p[3]-p[2]); kind {
				case 0:
					b = slices.Delete(b, at, at+1)
					if bytes.HasSuffix(b[p[2]:p[3]-1], []byte("_token")) && p[3]-p[2] == len("bos_token") {
						continue // a token of the model's own may have this name
					}
				case 1:
					b = slices.Replace(b, p[2], p[3], bytes.ToUpper(b[p[2]:p[3]])...)
				case 2:
					b = slices.Insert(b, p[0], fmt.Appendf(nil, `"%s": null, `, data[p[2]:p[3]])...)
				case 3:
					if c := b[p[4]]; c == '[' || c == '{' {
						continue
					}
					b = slices.Replace(b, p[4], p[5], [][]byte{[]byte("7"), []byte(`[1]`), []byte(`{"a": 1}`), []byte("true")}[rng.IntN(4)]...)
				}
				n[kind]++
				if err := os.WriteFile(filepath.Join(dir, file), b, 0o600); err != nil {
					t.Fatal(err)
				}
				got, gotChat, err := shows(dir)
				if err != nil {
					refused[kind]++
				} else if got != want || gotChat != chat && gotChat != "" {
					t.Errorf("%s/%s, %s: %.100q gives\n%.300s\nwanted\n%.300s", folder, file, kinds[kind], b[max(0, p[0]-5):], got+gotChat, want+chat)
				}
			}
		}
	}
	for i, kind := range kinds {
		if n[i] == 0 || refused[i]*3 < n[i] {
			t.Errorf("%s: %d of %d refused, wanted most", kind, refused[i], n[i])
		}
	}
	t.Logf("%q: %d of %d refused", kinds, refused, n)
}
