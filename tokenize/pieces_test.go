//go:build !nodaulet

package tokenize

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"unicode/utf8"
)

// odd makes a tokenizer of one in testdata: with further added tokens that overlap, of all
// flags, and with other parts that depend on where in a text they are.
func odd(t testing.TB, rng *rand.Rand, folder string) *Tokenizer {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", folder, "tokenizer.json"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := parseSpec(data)
	if err != nil {
		t.Fatal(err)
	}
	flag := func() bool { return rng.IntN(3) == 0 }
	var more []addedToken
	for _, name := range []string{"<x>", "<x>y", "<<x>", "x>", "x", " <w>", "<w> ", "<w>", "\n", "\n\n", "  ", "word", "W", "é", "e", "日", "<|", "|>", ">a"} {
		for range rng.IntN(3) { // two entries can contradict each other
			more = append(more, addedToken{Content: name, SingleWord: flag(), Lstrip: flag(), Rstrip: flag(), Normalized: flag(), Special: flag()})
		}
	}
	if err := s.add(more); err != nil {
		t.Fatal(err)
	}
	pick := func(raw *json.RawMessage, other ...string) {
		if i := rng.IntN(2 * len(other)); i < len(other) {
			*raw = json.RawMessage(other[i])
		}
	}
	pick(&s.Normalizer, `{"type":"Prepend","prepend":"▁"}`, `{"type":"Lowercase"}`, `{"type":"NFKC"}`, `{"type":"NFD"}`, `{"type":"Replace","pattern":{"String":"a "},"content":"b"}`)
	pick(&s.PreTokenizer, `{"type":"Metaspace","replacement":"▁","prepend_scheme":"first","split":true}`, `{"type":"Metaspace","replacement":"▁","prepend_scheme":"always","split":false}`,
		`{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true}`, `{"type":"Punctuation","behavior":"Contiguous"}`,
		`{"type":"Split","pattern":{"Regex":"^\\S+|\\s+(?!\\S)|(?<=a)b|\\s+$"},"behavior":"MergedWithNext","invert":false}`)
	file, err := s.encoderFile()
	if err != nil {
		t.Fatal(err)
	}
	split := rng.IntN(4) == 0
	tok := &Tokenizer{}
	if tok.encoder, err = newEncoder(file, split); err != nil {
		t.Fatal(err)
	}
	tok.pieces.cuts = newCuts(s.AddedTokens, split)
	t.Cleanup(func() { tok.Close() })
	return tok
}

// checkPieces compares what is encoded in pieces with the whole, of all heads with all tails,
// and twice: made of the whole, and put together. It returns how many texts were cut.
func checkPieces(t testing.TB, tok *Tokenizer, heads, tails []string) (cut int) {
	t.Helper()
	for _, head := range heads {
		for _, tail := range tails {
			s := head + tail
			if token, _ := tok.pieces.find(s, len(head)); token != "" {
				cut++
			}
			want, wantSpans, err := tok.encoder.encode(s)
			fails := err != nil // as the library does where tokens take the same white space
			for range 2 {
				ids, spans, err := tok.encodePieces(s, len(head))
				if (err != nil) != fails || !slices.Equal(ids, want) || !slices.Equal(spans, wantSpans) {
					t.Fatalf("%q and %q: %v %v %v, wanted %v %v", head, tail, ids, spans, err, want, wantSpans)
				}
				clear(ids) // the caller's
				clear(spans)
			}
		}
	}
	return cut
}

// oddPieces compares texts of an odd tokenizer, made of parts that matter to it and of more.
func oddPieces(t testing.TB, seed uint64, which int, more string) (cut int) {
	rng := rand.New(rand.NewPCG(seed, 0))
	tok := odd(t, rng, folders[uint(which)%uint(len(folders))])
	parts := []string{"", " ", "  ", "\n", "\u00a0", "\u3000", "a", "b", "W", "é", "e\u0301", "\u0301", "日本", "😀", "12", "▁", "_", "it's", "<", ">", "|>", "the word", more}
	for _, words := range tok.pieces.all.words {
		parts = append(parts, words...)
	}
	for token := range tok.pieces.before { // once more
		parts = append(parts, token)
	}
	slices.Sort(parts)
	texts := make([]string, 20)
	for i := range texts {
		texts[i] = texts[i/3*3] // three that begin alike
		for range rng.IntN(6) {
			part := parts[rng.IntN(len(parts))]
			if n := rng.IntN(len(part) + 1); rng.IntN(6) == 0 && utf8.ValidString(part[:n]) {
				part = part[:n] // which the next text may complete
			}
			texts[i] += part
		}
	}
	return checkPieces(t, tok, texts[:10], texts[10:])
}

// TestOddPieces: texts that share heads and tails have the ids and spans of the whole,
// whatever the added tokens and the settings around them.
func TestOddPieces(t *testing.T) {
	cut := 0
	for i := range 40 * len(folders) {
		cut += oddPieces(t, uint64(i), i, "Freedom ")
	}
	if cut < 7000 {
		t.Errorf("%d texts were cut, wanted 7000: the test shows little", cut)
	}
}

func FuzzPieces(f *testing.F) {
	f.Add(uint64(443), 443, "Freedom ") // a token within one that the tail completes
	f.Add(uint64(523), 523, "Freedom ") // a single word that one token after it ends and another does not
	f.Fuzz(func(t *testing.T, seed uint64, which int, more string) {
		if valid("", more) == nil {
			oddPieces(t, seed, which, more)
		}
	})
}

// TestPieces: chats of real templates and tokenizers, with replies that begin or complete a
// token, and white space and accents at the cut.
func TestPieces(t *testing.T) {
	replies := []string{"", "Freedom", " Freedom", "\u0301", "e\u0301", "  ", "\n", "\n\nx", "日本語😀", "_start", ">", "<|im_end|>", "a<|im_end|>\n<|im_start|>user\nb", "</s>", "<end_of_turn>", "[/INST]", "▁x", "1984"}
	tokenizers := map[string]*Tokenizer{}
	for _, name := range folders {
		tokenizers[name] = testdata(t, name)
	}
	if dir := "../.deps/models/smollm2-135m-instruct"; !testing.Short() {
		if _, err := os.Stat(dir); err == nil {
			tokenizers["SmolLM2"] = mustLoad(t, dir)
		}
	}
	for name, tok := range tokenizers {
		var heads []string
		for _, prompt := range []string{"What?", "What? ", "e\u0301", "<|im_st", "a<|im_end|> b"} {
			if head, err := tok.Render([]Message{{Role: "user", Content: prompt}}, nil); err == nil {
				heads = append(heads, head)
			}
			heads = append(heads, prompt, "<s>x</s>"+prompt)
		}
		if cut := checkPieces(t, tok, heads, replies); cut == 0 && name != "neox" { // which has no template
			t.Errorf("%s: no text was cut", name)
		}
	}
}
