package implicit_test

import (
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

// tokens makes a text of which the reply's tokens cover the given bytes of the reply
// (negative: of the prompt); the prompt is one token.
func tokens(prompt, reply string, spans ...[2]int) tokenize.Encoded {
	t := tokenize.Encoded{Rendered: prompt + reply, Start: len(prompt), Reply: 1, IDs: []int32{0}, Spans: [][2]int{{0, len(prompt)}}}
	for i, s := range spans {
		t.IDs = append(t.IDs, int32(i+1))
		t.Spans = append(t.Spans, [2]int{s[0] + t.Start, s[1] + t.Start})
		t.Straddle = t.Straddle || s[0] < 0
	}
	if t.Straddle {
		t.Spans[0][1] += spans[0][0]
	}
	return t
}

func values(v ...float32) logprob.Result { return logprob.Result{LogProbs: v} }

// TestPerSpan holds small cases by hand: the spans as "text tuned base", joined by |.
func TestPerSpan(t *testing.T) {
	type sides struct {
		text  tokenize.Encoded
		score logprob.Result
	}
	for _, c := range []struct {
		name        string
		tuned, base sides
		want        []implicit.Span
	}{
		{"as the documentation has it",
			sides{tokens("Q", " friendships", [2]int{0, 7}, [2]int{7, 11}, [2]int{11, 12}), values(-1, -2, -4)},
			sides{tokens("Quest", " friendships", [2]int{0, 11}, [2]int{11, 12}), values(-8, -16)},
			[]implicit.Span{{0, 11, " friendship", -3, -8, [2]int{0, 2}, [2]int{0, 1}}, {11, 12, "s", -4, -16, [2]int{2, 3}, [2]int{1, 2}}}},
		{"no cut in common",
			sides{tokens("Q", "abcd", [2]int{0, 1}, [2]int{1, 3}, [2]int{3, 4}), values(-1, -2, -4)},
			sides{tokens("Q", "abcd", [2]int{0, 2}, [2]int{2, 4}), values(-8, -16)},
			[]implicit.Span{{0, 4, "abcd", -7, -24, [2]int{0, 3}, [2]int{0, 2}}}},
		{"three bytes of a character, of which the first comes with a space, against one token each",
			sides{tokens("Q", " 日本", [2]int{0, 4}, [2]int{1, 4}, [2]int{1, 7}, [2]int{4, 7}), values(-1, -2, -4, -8)},
			sides{tokens("Q", " 日本", [2]int{0, 1}, [2]int{1, 4}, [2]int{4, 7}), values(-16, -32, -64)},
			[]implicit.Span{{0, 7, " 日本", -15, -112, [2]int{0, 4}, [2]int{0, 3}}}},
		{"bytes of characters",
			sides{tokens("Q", "日本", [2]int{0, 3}, [2]int{0, 3}, [2]int{0, 3}, [2]int{3, 6}), values(-1, -2, -4, -8)},
			sides{tokens("Q", "日本", [2]int{0, 3}, [2]int{3, 6}, [2]int{3, 6}), values(-16, -32, -64)},
			[]implicit.Span{{0, 3, "日", -7, -16, [2]int{0, 3}, [2]int{0, 1}}, {3, 6, "本", -8, -96, [2]int{3, 4}, [2]int{1, 3}}}},
		{"an Encode that cuts inside a character, both at one byte",
			sides{tokens("Q", "aé", [2]int{0, 2}, [2]int{2, 3}), values(-1, -2)},
			sides{tokens("Q", "aé", [2]int{0, 1}, [2]int{1, 2}, [2]int{2, 3}), values(-4, -8, -16)},
			[]implicit.Span{{0, 3, "aé", -3, -28, [2]int{0, 2}, [2]int{0, 3}}}},
		{"a token that reaches into the prompt",
			sides{tokens("hello wor", "lds", [2]int{-4, 2}, [2]int{2, 3}), values(-1, -2)},
			sides{tokens("hello wor", "lds", [2]int{0, 1}, [2]int{1, 2}, [2]int{2, 3}), values(-4, -8, -16)},
			[]implicit.Span{{0, 2, "ld", -1, -12, [2]int{0, 1}, [2]int{0, 2}}, {2, 3, "s", -2, -16, [2]int{1, 2}, [2]int{2, 3}}}},
		{"tokens of no bytes at the start, inside and at the end",
			sides{tokens("Q", "ab", [2]int{0, 0}, [2]int{0, 1}, [2]int{1, 1}, [2]int{1, 1}, [2]int{1, 2}, [2]int{2, 2}), values(-1, -2, -4, -8, -16, -32)},
			sides{tokens("Q", "ab", [2]int{0, 1}, [2]int{1, 2}), values(-64, -128)},
			[]implicit.Span{{0, 1, "a", -3, -64, [2]int{0, 2}, [2]int{0, 1}}, {1, 2, "b", -60, -128, [2]int{2, 6}, [2]int{1, 2}}}},
		{"probability 0",
			sides{tokens("Q", "abc", [2]int{0, 1}, [2]int{1, 2}, [2]int{2, 3}), values(negInf, -2, negInf)},
			sides{tokens("Q", "abc", [2]int{0, 1}, [2]int{1, 2}, [2]int{2, 3}), values(negInf, negInf, -1)},
			[]implicit.Span{{0, 1, "a", math.Inf(-1), math.Inf(-1), [2]int{0, 1}, [2]int{0, 1}}, {1, 2, "b", -2, math.Inf(-1), [2]int{1, 2}, [2]int{1, 2}}, {2, 3, "c", math.Inf(-1), -1, [2]int{2, 3}, [2]int{2, 3}}}},
		{"an empty reply", sides{tokens("Q", ""), values()}, sides{tokens("Qu", ""), values()}, nil},
	} {
		r := implicit.Reward{TunedText: c.tuned.text, BaseText: c.base.text, Tuned: c.tuned.score, Base: c.base.score}
		got, err := r.PerSpan()
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v, %v, wanted %v", c.name, got, err, c.want)
		}
	}
	for want, s := range map[float64]implicit.Span{0: {Tuned: math.Inf(-1), Base: math.Inf(-1)}, math.Inf(1): {Tuned: -2, Base: math.Inf(-1)}, math.Inf(-1): {Tuned: math.Inf(-1), Base: -1}, -1.5: {Tuned: -2, Base: -0.5}} {
		if got := s.LogRatio(); got != want {
			t.Errorf("%v: %v, wanted %v", s, got, want)
		}
	}
}

// TestPerSpanRefused: what has no common text, or is not covered by its tokens, is
// refused with the reason.
func TestPerSpanRefused(t *testing.T) {
	good, two := tokens("Q", "ab", [2]int{0, 1}, [2]int{1, 2}), values(-1, -2)
	for _, c := range []struct {
		name  string
		tuned tokenize.Encoded
		score logprob.Result
		want  string
	}{
		{"from ids", tokenize.Encoded{IDs: []int32{0, 1, 2}, Reply: 1}, two, "tuned model: made from ids, wanted a text whose tokens have spans"},
		{"another text", tokens("Q", "ac", [2]int{0, 1}, [2]int{1, 2}), two, ""},
		{"too few values", good, values(-1), "tuned model: 1 log-probabilities for 2 tokens, wanted one each"},
		{"no tokens", tokens("Q", "ab"), values(), "tuned model: a reply of no tokens, wanted at least one"},
		{"a gap", tokens("Q", "ab", [2]int{0, 0}, [2]int{1, 2}), two, "tuned model: bytes 1 to 2 belong to no token, wanted the whole reply covered"},
		{"a gap at the start", tokens("Q", "ab", [2]int{1, 2}, [2]int{1, 2}), two, "tuned model: bytes 1 to 2 belong to no token, wanted the whole reply covered"},
		{"a gap at the end", tokens("Q", "abc", [2]int{0, 1}, [2]int{1, 2}), two, "tuned model: bytes 3 to 4 belong to no token, wanted the whole reply covered"},
		{"out of order", tokens("Q", "ab", [2]int{0, 2}, [2]int{0, 1}), two, "tuned model: reply token 1 has the bytes 1 to 2 of 3, and the one before it 1 to 3, wanted spans in order"},
		{"starts out of order", tokens("Q", "abc", [2]int{0, 1}, [2]int{-1, 3}), two, "tuned model: reply token 1 has the bytes 0 to 4 of 4, and the one before it 1 to 2, wanted spans in order"},
		{"beyond the text", tokens("Q", "ab", [2]int{0, 1}, [2]int{1, 3}), two, "tuned model: reply token 1 has the bytes 2 to 4 of 3, and the one before it 1 to 2, wanted spans in order"},
		{"backwards", tokens("Q", "ab", [2]int{1, 0}, [2]int{0, 2}), two, "tuned model: reply token 0 has the bytes 2 to 1 of 3, and the one before it 0 to 1, wanted spans in order"},
		{"of the prompt", tokens("Qu", "ab", [2]int{-1, 0}, [2]int{0, 2}), two, "tuned model: reply token 0 ends at byte 2, where the reply only begins at 2, wanted it among the prompt's"},
		{"the prompt's", tokenize.Encoded{Rendered: "Qab", Start: 1, Reply: 1, IDs: []int32{1, 2}, Spans: [][2]int{{0, 2}, {2, 3}}}, values(-1), "tuned model: the prompt's last token reaches 1 bytes into the reply, wanted it among the reply's"},
		{"spans short", tokenize.Encoded{Rendered: "Qab", Start: 1, Reply: 1, IDs: []int32{1, 2}, Spans: [][2]int{{0, 1}}}, values(-1), "tuned model: 1 spans of 2 tokens, the reply from token 1 and byte 1 of 3, wanted a span a token"},
	} {
		want := `implicit: spans: reply "ab": ` + c.want
		if c.want == "" {
			want = `implicit: spans: the tuned model was given the reply "ac", the base model "ab", wanted one text`
		}
		r := implicit.Reward{Item: implicit.Item{Reply: "ab"}, TunedText: c.tuned, BaseText: good, Tuned: c.score, Base: two}
		if got, err := r.PerSpan(); err == nil || err.Error() != want || got != nil {
			t.Errorf("%s: %v, %v, wanted %s", c.name, got, err, want)
		}
		r.TunedText, r.BaseText, r.Tuned, r.Base = good, c.tuned, two, c.score
		if got, err := r.PerSpan(); err == nil || got != nil || c.want != "" && err.Error() != strings.Replace(want, "tuned model", "base model", 1) {
			t.Errorf("%s: the other way round: %v, %v", c.name, got, err)
		}
	}
}

// randomText cuts a reply at random bytes, and widens the tokens to whole characters, as
// tokenize does; now and then the first reaches into the prompt, and one has no bytes.
func randomText(rng *rand.Rand, prompt, reply string) tokenize.Encoded {
	var spans [][2]int
	for from := 0; from < len(reply); {
		to := min(from+1+rng.IntN(6), len(reply))
		s := [2]int{from, to}
		for ; !utf8.RuneStart(reply[s[0]]); s[0]-- {
		}
		for ; s[1] < len(reply) && !utf8.RuneStart(reply[s[1]]); s[1]++ {
		}
		if rng.IntN(12) == 0 && s[0] == from {
			spans = append(spans, [2]int{from, from})
		}
		spans = append(spans, s)
		from = to
	}
	if rng.IntN(4) == 0 && spans[0][0] != spans[0][1] {
		spans[0][0] = -1 - rng.IntN(len(prompt))
	}
	return tokens(prompt, reply, spans...)
}

func randomScore(rng *rand.Rand, t tokenize.Encoded) logprob.Result {
	var s logprob.Result
	for range t.IDs[t.Reply:] {
		s.LogProbs = append(s.LogProbs, float32(-20*rng.ExpFloat64()))
	}
	return s
}

// TestPerSpanBruteForce compares random texts and cuts with the definition, byte by byte.
func TestPerSpanBruteForce(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	letters := []rune("abc  \n日本é\u0301😀👍🏽ﬁ")
	several, finer := 0, 0
	for range 20000 {
		s := make([]rune, 1+rng.IntN(24))
		for i := range s {
			s[i] = letters[rng.IntN(len(letters))]
		}
		reply := string(s)
		r := implicit.Reward{Item: implicit.Item{Reply: reply}, TunedText: randomText(rng, "Prompt:", reply), BaseText: randomText(rng, "Another prompt:", reply)}
		r.Tuned, r.Base = randomScore(rng, r.TunedText), randomScore(rng, r.BaseText)
		got, err := r.PerSpan()
		if err != nil {
			t.Fatalf("%+v: %v", r, err)
		}

		// The definition: a cut is where no token of either model holds bytes on both sides.
		ends := []int{}
		for at := 1; at <= len(reply); at++ {
			if !across(r.TunedText, at) && !across(r.BaseText, at) {
				ends = append(ends, at)
			}
		}
		from, sum, all := 0, 0.0, 0.0
		counts := [2]int{}
		for i, s := range got {
			if i >= len(ends) || s.Start != from || s.End != ends[i] || s.Text != reply[from:ends[i]] || !utf8.ValidString(s.Text) {
				t.Fatalf("%q: spans %v, wanted ends %v", reply, got, ends)
			}
			for k, side := range []struct {
				text   tokenize.Encoded
				score  logprob.Result
				tokens [2]int
				sum    float64
			}{{r.TunedText, r.Tuned, s.TunedTokens, s.Tuned}, {r.BaseText, r.Base, s.BaseTokens, s.Base}} {
				want, n := 0.0, 0
				for j, x := range side.text.Spans[side.text.Reply:] {
					a, b := x[0]-side.text.Start, x[1]-side.text.Start
					inside := max(a, 0) >= s.Start && b <= s.End && b > s.Start // it holds bytes of this span only
					if a == b {                                                 // or none: with what follows, at the end with the last
						inside = a >= s.Start && a < s.End || a == len(reply) && i == len(got)-1
					}
					if inside {
						want += float64(side.score.LogProbs[j])
						all -= float64(side.score.LogProbs[j])
						n++
					}
				}
				if side.sum != want || side.tokens != [2]int{counts[k], counts[k] + n} || n == 0 {
					t.Fatalf("%q: span %+v of side %d, wanted %d tokens from %d on and the sum %v", reply, s, k, n, counts[k], want)
				}
				counts[k] += n
			}
			from, sum = s.End, sum+s.LogRatio()
		}
		n := len(r.Tuned.LogProbs) + len(r.Base.LogProbs)
		if len(got) != len(ends) || from != len(reply) || counts != [2]int{len(r.Tuned.LogProbs), len(r.Base.LogProbs)} {
			t.Fatalf("%q: spans %v, wanted ends %v and all tokens", reply, got, ends)
		}
		if d := math.Abs(sum - r.LogRatio()); !(d <= float64(n)*0x1p-52*all) {
			t.Fatalf("%q: spans add up to %v, the log-ratio is %v", reply, sum, r.LogRatio())
		}
		if len(got) > 1 {
			several++
		}
		// The same text against itself: every span is 0, and if tokens are whole characters
		// there is a span for each token.
		r.BaseText, r.Base = r.TunedText, r.Tuned
		same, err := r.PerSpan()
		if err != nil || len(same) < len(got) {
			t.Fatalf("%q: against itself %v (%v), against another %v", reply, same, err, got)
		}
		for _, s := range same {
			if s.LogRatio() != 0 || s.TunedTokens != s.BaseTokens {
				t.Fatalf("%q: against itself: %+v", reply, s)
			}
		}
		if len(same) > len(got) {
			finer++
		}
	}
	if several < 2000 || finer < 2000 {
		t.Errorf("%d replies of several spans, %d with more against themselves: the cases say little", several, finer)
	}
}

// across reports whether a token has bytes of the reply on both sides of byte at, or of the
// prompt and beyond at.
func across(t tokenize.Encoded, at int) bool {
	for _, s := range t.Spans[t.Reply:] {
		if s[0]-t.Start < at && at < s[1]-t.Start {
			return true
		}
	}
	return false
}
