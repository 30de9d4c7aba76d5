package tokenize

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"unicode/utf8"
)

// TestDecoder decodes without the library, also in a build without it.
func TestDecoder(t *testing.T) {
	for _, name := range []string{"llama3", "smollm2", "qwen2", "neox", "gemma", "llama2", "mistral"} {
		data, err := os.ReadFile(filepath.Join("testdata", name, "tokenizer.json"))
		if err != nil {
			t.Fatal(err)
		}
		s, err := parseSpec(data)
		if err != nil {
			t.Fatal(name, err)
		}
		tok := &Tokenizer{config: &config{}}
		if err := tok.setVocab(s); err != nil {
			t.Fatal(name, err)
		}
		if tok.decoder, err = s.decoder(); err != nil {
			t.Fatal(name, err)
		}
		var v struct {
			IDs     [][]int32
			Decoded []string
		}
		data, err = os.ReadFile(filepath.Join("testdata", name, "vectors.json"))
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(data, &v); err != nil {
			t.Fatal(err)
		}
		for i, ids := range v.IDs {
			if got := tok.Decode(ids...); got != v.Decoded[i] {
				t.Errorf("%s %v: %q, wanted %q", name, ids, got, v.Decoded[i])
			}
		}
	}
}

func TestByteLevel(t *testing.T) {
	seen := map[byte]rune{}
	for c := rune(0); c < 0x200; c++ {
		if b, ok := byteOf(c); ok {
			if other, twice := seen[b]; twice {
				t.Errorf("byte %#x is %q and %q", b, other, c)
			}
			seen[b] = c
		}
	}
	// tokenizers.pre_tokenizers.ByteLevel.alphabet() and GPT-2's encoder.py
	for b, want := range map[byte]rune{0: 'Ā', '\n': 'Ċ', ' ': 'Ġ', '!': '!', '~': '~', 0x7f: 'ġ', 0xa0: 'ł', 0xa1: '¡', 0xad: 'Ń', 0xff: 'ÿ'} {
		if seen[b] != want {
			t.Errorf("byte %#x is %q, wanted %q", b, seen[b], want)
		}
	}
	if len(seen) != 256 {
		t.Errorf("%d bytes, wanted 256", len(seen))
	}
}

// TestLossy holds the examples of the Unicode Standard, table 3-8, and others as
// Python's bytes.decode("utf-8", "replace") decodes them.
func TestLossy(t *testing.T) {
	for in, want := range map[string]string{
		"a":                                    "a",
		"\xe6":                                 "\uFFFD",
		"\xe6\x97":                             "\uFFFD",
		"\xe6\x97\xa5":                         "日",
		"\xe6\x97a":                            "\uFFFDa",
		"\x97\xa5":                             "\uFFFD\uFFFD",
		"\xf0\x9f\x98":                         "\uFFFD",
		"\xf0\x9f\x98\xf0\x9f":                 "\uFFFD\uFFFD",
		"\xc0\xaf\xe0\x80\xbf\xf0\x81\x82":     "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD",
		"\xed\xa0\x80\xed\xbf\xbf":             "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD",
		"\xf4\x91\x92\x93\xff\x41":             "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFDA",
		"\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41": "\uFFFD\uFFFD\uFFFD\uFFFDA",
		"\x00":                                 "\x00",
	} {
		if got := lossy([]byte(in)); got != want {
			t.Errorf("%q: %q, wanted %q", in, got, want)
		}
		if !utf8.ValidString(lossy([]byte(in))) {
			t.Errorf("%q: not UTF-8", in)
		}
	}
}

func TestByteFallback(t *testing.T) {
	for _, c := range []struct {
		in   []string
		want string
	}{
		{[]string{"a", "<0xE6>", "<0x97>", "<0xA5>", "b"}, "a日b"},
		{[]string{"<0xE6>", "<0x97>"}, "\uFFFD\uFFFD"},
		{[]string{"<0xE6>", "x", "<0x97>"}, "\uFFFDx\uFFFD"},
		{[]string{"<0x41>", "<0xE6>"}, "\uFFFD\uFFFD"}, // one bad byte spoils the run, as in the library
		{[]string{"<0x4>", "<0xZZ>"}, "<0x4><0xZZ>"},
		{nil, ""},
	} {
		d := &decoder{steps: []func([]string) []string{byteFallbackStep}}
		if got := d.decode(c.in); got != c.want {
			t.Errorf("%q: %q, wanted %q", c.in, got, c.want)
		}
	}
	if got := (&decoder{}).decode([]string{"a", "b"}); got != "a b" {
		t.Errorf("without a decoder: %q, wanted %q", got, "a b")
	}
}
