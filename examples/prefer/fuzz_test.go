package main

import (
	"bytes"
	"testing"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go"
)

// FuzzRead reads files of preferences: no panic, and of what is read without an error every
// pair is refused for a reason or has a conversation that ends with the user.
func FuzzRead(f *testing.F) {
	f.Add([]byte(mixed()))
	f.Add([]byte(`{"prompt": [{"role": "user", "content": ""}], "chosen": [{"role": "assistant", "content": "\ud83d\ude00"}], "rejected": "z", "id": -1e9}`))
	f.Add([]byte("\ufeff{\"prompt\": [], \"chosen\": [[]], \"rejected\": [null]}"))
	var nested, plain bytes.Buffer
	subset := "s"
	if err := parquet.Write(&nested, []preference{{"x", []message{{"a", "user"}, {"b", "assistant"}}, []message{{"a", "user"}, {"c", "assistant"}}, &subset, 7}}); err != nil {
		f.Fatal(err)
	}
	if err := parquet.Write(&plain, []struct {
		Prompt   string `parquet:"prompt"`
		Chosen   string `parquet:"chosen"`
		Rejected string `parquet:"rejected"`
	}{{"x", "y", "z"}}); err != nil {
		f.Fatal(err)
	}
	f.Add(nested.Bytes())
	f.Add(plain.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		list, hash, err := read(t.Context(), "-", bytes.NewReader(b))
		if err != nil {
			return
		}
		if len(list) == 0 || len(hash) != 64 {
			t.Errorf("%d pairs, hash %q, and no error", len(list), hash)
		}
		for _, p := range list {
			if (p.refused == "") == (p.conversation == "") || p.number < 1 || !utf8.ValidString(p.replies[0]+p.replies[1]+p.subset+p.id) {
				t.Errorf("%+v", p)
			}
			if p.refused != "" {
				continue
			}
			messages, err := decode(p.conversation)
			if err != nil || messages[len(messages)-1].Role != "user" {
				t.Errorf("%+v, %v", p, err)
			}
		}
	})
}
