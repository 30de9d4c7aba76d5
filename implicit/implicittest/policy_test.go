package implicittest_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/implicit/implicittest"
	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

// TestBrokenPolicies: every broken policy is found, by the test that it breaks.
func TestBrokenPolicies(t *testing.T) {
	f := &implicittest.Fake{Seed: 6, Pairs: true}
	good := f.Chat()
	calls := 0
	// encode is the good policy with texts made otherwise.
	encode := func(change func(prompt, reply string, t *tokenize.Encoded)) *implicit.Policy {
		p := *good
		p.Encode = func(it implicit.Item) (tokenize.Encoded, error) {
			text, err := good.Encode(it)
			change(it.Prompt, it.Reply, &text)
			return text, err
		}
		return &p
	}
	for name, c := range map[string]struct {
		policy *implicit.Policy
		want   string
	}{
		"an error": {&implicit.Policy{LM: f, Encode: func(implicit.Item) (tokenize.Encoded, error) {
			return tokenize.Encoded{}, errors.New("no template")
		}}, "encode: item 0 (\"Freedom, of course!\"): no template"},
		"another text each time": {encode(func(_, _ string, t *tokenize.Encoded) { calls++; t.Rendered = fmt.Sprint(t.Rendered, calls) }), "encoded again it is another text"},
		"no reply":               {encode(func(_, _ string, t *tokenize.Encoded) { t.Reply = len(t.IDs) }), "encode: item 0"},
		"no prompt":              {encode(func(_, _ string, t *tokenize.Encoded) { t.Reply = 0 }), "the reply begins at token 0"},
		"an end of turn in the reply": {encode(func(_, _ string, t *tokenize.Encoded) {
			n := len(t.Rendered)
			t.IDs, t.Spans, t.Rendered = append(t.IDs, '.'), append(t.Spans, [2]int{n, n + 1}), t.Rendered+"."
		}), "an empty reply has 1 tokens"},
		"a header in the reply": {encode(func(_, reply string, t *tokenize.Encoded) {
			if reply != "" {
				t.Start -= len("Assistant: ")
				for t.Reply--; t.Spans[t.Reply][0] > t.Start; t.Reply-- {
				}
				t.Straddle = t.Spans[t.Reply][0] < t.Start
			}
		}), "spans: item 0: the reply is \"Assistant: Freedom, of course!\""},
		"a trimmed reply": {&implicit.Policy{LM: f, Encode: func(it implicit.Item) (tokenize.Encoded, error) {
			it.Reply = strings.TrimSpace(it.Reply)
			return good.Encode(it)
		}}, "spans: item 1: the reply is \"tenderness and good company\""},
		"a prompt that knows the reply": {&implicit.Policy{LM: f, Encode: func(it implicit.Item) (tokenize.Encoded, error) {
			it.Prompt = fmt.Sprint(it.Prompt, len(it.Reply))
			return good.Encode(it)
		}}, "spans: item 1: before the reply stands "},
		"a boundary off by one": {encode(func(_, reply string, t *tokenize.Encoded) {
			if reply != "" {
				t.Reply++
			}
		}), "and the first that ends after byte"},
		"a straddle unsaid":    {&implicit.Policy{LM: f, Encode: unsaid(f)}, "a straddle is false"},
		"too few spans":        {encode(func(_, _ string, t *tokenize.Encoded) { t.Spans = t.Spans[1:] }), "spans of"},
		"a gap in the spans":   {encode(func(_, _ string, t *tokenize.Encoded) { t.Spans[3][0]++ }), "wanted spans in order and without a gap"},
		"text after the spans": {encode(func(_, _ string, t *tokenize.Encoded) { t.Rendered += " " }), "the last token ends at byte"},
		"ends of another vocabulary": {&implicit.Policy{LM: f, Encode: good.Encode, WordBoundaries: func() []bool { return make([]bool, 5000) }},
			"ends of the policy: 5000 values for 933 rows"},
		"nothing ends": {&implicit.Policy{LM: f, Encode: good.Encode, WordBoundaries: func() []bool { return make([]bool, 933) }},
			"ends of the policy: all 933 tokens alike"},
		"a reward against itself": {&implicit.Policy{Encode: good.Encode, LM: with(f, func(_ int, _ logprob.Request, s *logprob.Result) {
			calls++
			each(s, func(v float32) float32 { return v - float32(calls%3)/1e5 })
		})}, "rewards: item 0"},
		"its model": {&implicit.Policy{Encode: good.Encode, LM: ignores(f)}, "cancelled context: "},
	} {
		if err := implicittest.TestPolicy(t.Context(), c.policy, nil, nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: found %v, wanted %q", name, err, c.want)
		}
	}
	if err := implicittest.TestPolicy(t.Context(), good, []implicit.Item{{Prompt: "a", Reply: "b"}}, nil); err == nil {
		t.Error("no error of one item")
	}
	if err := implicittest.TestLM(t.Context(), f, nil, nil); err == nil {
		t.Error("no error of no texts")
	}
}

// unsaid lets a pair of letters straddle the boundary and does not say so.
func unsaid(f *implicittest.Fake) func(implicit.Item) (tokenize.Encoded, error) {
	return func(it implicit.Item) (tokenize.Encoded, error) {
		if it.Prompt += " x"; it.Reply != "" {
			it.Reply = "y" + it.Reply
		}
		text, err := f.Raw().Encode(it)
		if err == nil {
			text.Straddle = false // "xy" is one token
		}
		return text, err
	}
}
