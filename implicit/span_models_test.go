package implicit_test

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/internal/testdata/demos"
	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

// TestPerSpanModels crosses the demo's pairs, byte-level BPE with BPE over "▁" and byte
// fallback: the tokens of a span spell its text, in both models, and nothing is lost.
func TestPerSpanModels(t *testing.T) {
	models := demos.Models(t)
	rng := rand.New(rand.NewPCG(7, 7))
	replies := []string{"Love", " friendships and leadership", "é", " 日本 is far", "👍🏽!", " x\n\n  y", "power<|eot_id|>", "<end_of_turn>", "<eos> <|eot_id|>", "a\u0301e\u0301"}
	letters := []rune("abcdefgh   \n日本é\u0301😀👍🏽ﬁ<>.1")
	words := []string{"love", " power", "friendship", " tender", "ness", "ship", " lead", "er", "The", " and"}
	for range 60 {
		var b strings.Builder
		for range 1 + rng.IntN(8) {
			if rng.IntN(2) == 0 {
				b.WriteString(words[rng.IntN(len(words))])
			} else {
				b.WriteRune(letters[rng.IntN(len(letters))])
			}
		}
		replies = append(replies, b.String())
	}
	var list []implicit.Item
	for i, reply := range replies {
		list = append(list, implicit.Item{Prompt: []string{"What is best?", "x", "日", "The greatest friend", "a "}[i%5], Reply: reply})
	}
	llama, gemma := models["llama"], models["gemma2"]
	straddles, uneven := 0, 0
	for name, pair := range map[string][2]*logprob.Model{ // tuned, base
		"llama against llama": {llama[1], llama[0]}, "gemma2 against gemma2": {gemma[1], gemma[0]},
		"llama against gemma2": {llama[1], gemma[0]}, "gemma2 against llama": {gemma[1], llama[0]},
	} {
		for _, r := range collect(t, implicit.Rewards(t.Context(), implicit.Pair{Tuned: implicit.Chat(pair[0], nil), Base: implicit.Raw(pair[1])}, slices.Values(list))) {
			spans, err := r.PerSpan()
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			text, sum := "", 0.0
			for i, s := range spans {
				for k, side := range []struct {
					text   tokenize.Encoded
					tokens [2]int
				}{{r.TunedText, s.TunedTokens}, {r.BaseText, s.BaseTokens}} {
					var b []byte
					for _, id := range side.text.IDs[side.text.Reply:][side.tokens[0]:side.tokens[1]] {
						more, ok := pair[k].Tokenizer().Bytes(id)
						if !ok {
							t.Fatalf("%s: no bytes of token %d", name, id)
						}
						b = append(b, more...)
					}
					straddle := i == 0 && side.text.Straddle
					if straddle {
						straddles++
					}
					if string(b) != s.Text && !(straddle && strings.HasSuffix(string(b), s.Text)) {
						t.Errorf("%s: %q: span %q of tokens that spell %q", name, r.Reply, s.Text, b)
					}
				}
				if s.TunedTokens[1]-s.TunedTokens[0] != s.BaseTokens[1]-s.BaseTokens[0] {
					uneven++
				}
				if !utf8.ValidString(s.Text) || s.Start != len(text) || s.End != len(text)+len(s.Text) {
					t.Errorf("%s: %q: span %+v after %q", name, r.Reply, s, text)
				}
				text, sum = text+s.Text, sum+s.LogRatio()
			}
			if text != r.Reply || !(math.Abs(sum-r.LogRatio()) < 1e-12) || r.LogRatio() == 0 {
				t.Errorf("%s: %q: spans %q add up to %v, the log-ratio is %v", name, r.Reply, text, sum, r.LogRatio())
			}
			// If PerToken has an answer, spans are tokens, except for characters in several
			// tokens.
			if steps, ok := r.PerToken(); ok {
				for _, s := range spans {
					want := 0.0
					for _, v := range steps[s.TunedTokens[0]:s.TunedTokens[1]] {
						want += v
					}
					if s.TunedTokens != s.BaseTokens || !(math.Abs(s.LogRatio()-want) < 1e-12) {
						t.Errorf("%s: %q: span %+v, by token %v", name, r.Reply, s, steps)
					}
				}
			}
		}
	}
	if straddles == 0 || uneven == 0 {
		t.Errorf("%d spans began in the prompt, %d had different numbers of tokens: the cases say little", straddles, uneven)
	}
}

// TestPerSpanTokenizers crosses the tokenizers of tokenize's tests: with NFC, with a "▁"
// put before the text, byte-level and with byte fallback.
func TestPerSpanTokenizers(t *testing.T) {
	if !tokenize.Available {
		t.Skip("needs the Rust tokenizers")
	}
	toks := map[string]*tokenize.Tokenizer{}
	for _, name := range []string{"llama3", "smollm2", "qwen2", "neox", "gemma", "llama2", "mistral"} {
		tok, err := tokenize.Load("../tokenize/testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { tok.Close() })
		toks[name] = tok
	}
	policy := func(name string, seed uint64) *implicit.Policy {
		return &implicit.Policy{LM: &fake{seed: seed}, Encode: func(it implicit.Item) (tokenize.Encoded, error) { return toks[name].Raw(it.Prompt, it.Reply) }}
	}
	spans := func(tuned, base, prompt, reply string) ([]implicit.Span, implicit.Reward) {
		for r, err := range implicit.Rewards(t.Context(), implicit.Pair{Tuned: policy(tuned, 1), Base: policy(base, 2)}, slices.Values([]implicit.Item{{Prompt: prompt, Reply: reply}})) {
			if err != nil {
				t.Fatal(err)
			}
			if r.Err != nil {
				return nil, r // no token before the reply, or a BOS inside: not tested here
			}
			list, err := r.PerSpan()
			if err != nil {
				t.Errorf("%s against %s: %q+%q: %v", tuned, base, prompt, reply, err)
			}
			return list, r
		}
		return nil, implicit.Reward{}
	}
	for _, c := range []struct{ tuned, base, prompt, reply, want string }{
		{"qwen2", "llama3", "a ", "cafe\u0301s", "caf|e\u0301|s"},                                 // " caf" "é" "s" against " caf" "e" and two bytes, "s"
		{"neox", "gemma", "x", " e\u0323\u0307 y", " e\u0323|\u0307| |y"},                         // " " and three bytes of ẹ against " e" and two bytes
		{"llama2", "gemma", "", "Love it", "Love| it"},                                            // "▁Love" "▁it"
		{"llama2", "gemma", "", "日 it", "日| it"},                                                  // "▁" and three bytes
		{"mistral", "llama3", "", "日本", "日本"},                                                     // "▁" and twice three bytes against two bytes, a byte and "本"
		{"mistral", "gemma", "", "日本", "日|本"},                                                     // against twice three bytes
		{"gemma", "smollm2", "日", "本 語", "本| |語"},                                                 // bytes against a token that begins with one of the prompt's
		{"llama3", "gemma", "19", "84", "84"},                                                     // "198" "4" against "984"
		{"llama3", "qwen2", "a", " b<|end_of_text|><|im_end|>", " |b|<|end_of_text|>|<|im_end|>"}, // each model's own special tokens
	} {
		list, _ := spans(c.tuned, c.base, c.prompt, c.reply)
		var pieces []string
		for _, s := range list {
			pieces = append(pieces, s.Text)
		}
		if got := strings.Join(pieces, "|"); got != c.want {
			t.Errorf("%s against %s: %q+%q: spans %q, wanted %q", c.tuned, c.base, c.prompt, c.reply, got, c.want)
		}
	}
	file, err := os.ReadFile("../tokenize/testdata/texts.json")
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	if err := json.Unmarshal(file, &texts); err != nil {
		t.Fatal(err)
	}
	n := 0
	for tuned := range toks {
		for base := range toks {
			for i, s := range texts {
				at := len(s) * (i % 3) / 3
				for ; at < len(s) && !utf8.RuneStart(s[at]); at++ {
				}
				list, r := spans(tuned, base, s[:at], s[at:])
				text, sum := "", 0.0
				for _, s := range list {
					text, sum = text+s.Text, sum+s.LogRatio()
				}
				if list != nil && (text != s[at:] || !(math.Abs(sum-r.LogRatio()) < 1e-9)) {
					t.Errorf("%s against %s: %q: spans %q add up to %v, the log-ratio is %v", tuned, base, s[at:], text, sum, r.LogRatio())
				}
				n += len(list)
			}
		}
	}
	if n < 5000 {
		t.Errorf("%d spans in all: the cases say little", n)
	}
}
