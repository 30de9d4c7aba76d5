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

// TestNameMutations: of 1,400 tokenizer.json files in which a name is misspelt, in another
// case or there twice, or a value is of another kind, each gives the ids of before or is refused.
func TestNameMutations(t *testing.T) {
	paths, _ := filepath.Glob("testdata/*/tokenizer.json")
	setting := regexp.MustCompile(`"([a-z_A-Z]{2,})": ?("[^"]*"|true|false|[0-9.]+|null|[\[{])`)
	rng := rand.New(rand.NewPCG(13, 7))
	dir, refused, n := t.TempDir(), 0, 0
	ids := func(tok *Tokenizer) (s string) {
		for _, text := range []string{"What is it?", " Freedom é日😀\u0301 12345\n", "<s><bos><|im_start|> x  <|endoftext|>y", "\u2581<0x00>"} {
			got, err := tok.Plain("", text)
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
		places := setting.FindAllSubmatchIndex(data, -1)
		for range 1400 / len(paths) {
			p := places[rng.IntN(len(places))]
			b := slices.Clone(data)
			switch at := p[2] + rng.IntN(p[3]-p[2]); rng.IntN(5) {
			case 0:
				b[at] = "abcdefghijklmnopqrstuvwxyz_"[rng.IntN(27)]
			case 1:
				b = slices.Delete(b, at, at+1)
			case 2:
				b = slices.Replace(b, p[2], p[3], bytes.ToUpper(b[p[2]:p[3]])...)
			case 3:
				b = slices.Insert(b, p[0], fmt.Appendf(nil, `"%s": false, `, data[p[2]:p[3]])...)
			case 4:
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
