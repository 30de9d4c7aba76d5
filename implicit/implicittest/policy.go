package implicittest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/tokenize"
)

// items are TestPolicy's defaults: replies of one and several words, with and without a
// leading space, in several scripts.
func items() []implicit.Item {
	var all []implicit.Item
	for _, prompt := range []string{"What, in one word, is the greatest thing ever?", "Say something kind.\n\nThen stop"} {
		for _, reply := range []string{"Freedom, of course!", " tenderness and good company", "naïve café, 世界, 🙂", "two\n\nlines\n"} {
			all = append(all, implicit.Item{Prompt: prompt, Reply: reply})
		}
	}
	return all
}

// TestPolicy tests a policy on items that it must be able to score; nil means eight built-in
// items in three scripts. Some items should share a prompt. It returns nil or all failures
// (errors.Join). The tests are
//
//   - encode: the same item gives the same ids; the reply begins after the first token and
//     before the last ends, and is the item's reply; an empty reply, if not an error, has no
//     tokens;
//   - spans, if Encode gives them (implicit.Reward.PerSpan and flags need them): one for
//     each token, from the first byte of Rendered to its last, in order; Rendered ends with
//     the reply, which begins at byte Start and token Reply, the first that ends after Start;
//     Straddle reports whether that token begins before Start; the text before the reply
//     depends on the prompt alone;
//   - word boundaries, if there are any: at most VocabSize values, both true and false;
//   - rewards: implicit.Rewards of the policy against itself are exactly 0;
//   - TestLM on the items' texts.
func TestPolicy(ctx context.Context, p *implicit.Policy, list []implicit.Item, o *Options) error {
	if list == nil {
		list = items()
	}
	if len(list) < 2 {
		return fmt.Errorf("implicittest: %d items, wanted two or more", len(list))
	}
	c := &conformance{ctx: ctx, m: p.LM, tolerance: o.tolerance()}
	var texts []tokenize.Encoded
	encoded := c.test("encode", func() (err error) {
		texts, err = encoded(p, list)
		return err
	})
	if !encoded {
		return errors.Join(c.found...)
	}
	c.test("spans", func() error { return spans(list, texts) })
	if p.WordBoundaries != nil {
		c.test("ends of the policy", func() error { return c.policyEnds(p.WordBoundaries()) })
	}
	c.test("rewards", func() error { return c.zero(p, list) })
	var long []tokenize.Encoded
	for _, t := range texts {
		same := func(u tokenize.Encoded) bool { return slices.Equal(t.IDs, u.IDs) && t.Reply == u.Reply }
		if t.Reply+2 <= len(t.IDs) && !slices.ContainsFunc(long, same) {
			long = append(long, t)
		}
	}
	return errors.Join(append(c.found, TestLM(ctx, p.LM, long, o))...)
}

// encoded returns the texts of the items.
func encoded(p *implicit.Policy, list []implicit.Item) ([]tokenize.Encoded, error) {
	var texts []tokenize.Encoded
	for i, it := range list {
		where := func(format string, args ...any) error {
			return fmt.Errorf("item %d (%.40q): %w", i, it.Reply, fmt.Errorf(format, args...))
		}
		t, err := p.Encode(it)
		if err != nil {
			return nil, where("%w", err)
		}
		again, err := p.Encode(it)
		if err != nil || !slices.Equal(t.IDs, again.IDs) || t.Reply != again.Reply || t.Rendered != again.Rendered {
			return nil, where("encoded again it is another text (%v)", err)
		}
		if t.Reply < 1 || t.Reply >= len(t.IDs) {
			return nil, where("the reply begins at token %d of %d, wanted one before it and one in it", t.Reply, len(t.IDs))
		}
		empty := it
		empty.Reply = ""
		if none, err := p.Encode(empty); err == nil && none.Reply != len(none.IDs) {
			return nil, where("an empty reply has %d tokens", len(none.IDs)-none.Reply)
		}
		texts = append(texts, t)
	}
	return texts, nil
}

func spans(list []implicit.Item, texts []tokenize.Encoded) error {
	before := map[string]string{} // by prompt
	for i, t := range texts {
		if t.Spans == nil {
			continue
		}
		if err := cover(t); err != nil {
			return fmt.Errorf("item %d (%.40q): %w", i, list[i].Reply, err)
		}
		if got := t.Rendered[t.Start:]; got != list[i].Reply {
			return fmt.Errorf("item %d: the reply is %q, wanted %q", i, got, list[i].Reply)
		}
		prompt, seen := before[list[i].Prompt]
		if seen && prompt != t.Rendered[:t.Start] {
			return fmt.Errorf("item %d: before the reply stands %q, and %q before another reply to the same prompt", i, t.Rendered[:t.Start], prompt)
		}
		before[list[i].Prompt] = t.Rendered[:t.Start]
	}
	return nil
}

// cover checks the spans of a text and where its reply begins.
func cover(t tokenize.Encoded) error {
	if len(t.Spans) != len(t.IDs) {
		return fmt.Errorf("%d spans of %d tokens", len(t.Spans), len(t.IDs))
	}
	if t.Start < 0 || t.Start > len(t.Rendered) {
		return fmt.Errorf("the reply begins at byte %d of %d", t.Start, len(t.Rendered))
	}
	start, end := 0, 0
	for k, s := range t.Spans {
		if s[0] < start || s[0] > end || s[1] < max(s[0], end) || s[1] > len(t.Rendered) {
			return fmt.Errorf("token %d spans bytes %v, after [%d %d] and of %d, wanted spans in order and without a gap", k, s, start, end, len(t.Rendered))
		}
		start, end = s[0], s[1]
	}
	if end != len(t.Rendered) {
		return fmt.Errorf("the last token ends at byte %d of %d", end, len(t.Rendered))
	}
	first := slices.IndexFunc(t.Spans, func(s [2]int) bool { return s[1] > t.Start })
	if first != t.Reply {
		return fmt.Errorf("the reply begins at token %d, and the first that ends after byte %d is %d", t.Reply, t.Start, first)
	}
	if straddle := t.Spans[first][0] < t.Start; straddle != t.Straddle {
		return fmt.Errorf("a straddle is %v, and token %d spans bytes %v of a reply from %d", t.Straddle, first, t.Spans[first], t.Start)
	}
	return nil
}

func (c *conformance) policyEnds(ends []bool) error {
	if rows := c.m.VocabSize(); len(ends) > rows {
		return fmt.Errorf("%d values for %d rows", len(ends), rows)
	}
	if !slices.Contains(ends, true) || !slices.Contains(ends, false) {
		return fmt.Errorf("all %d tokens alike, wanted some that end a word and some that do not", len(ends))
	}
	return nil
}

// zero scores the policy against itself.
func (c *conformance) zero(p *implicit.Policy, list []implicit.Item) error {
	n := 0
	for r, err := range implicit.Rewards(c.ctx, implicit.Pair{Tuned: p, Base: p}, slices.Values(list)) {
		switch {
		case err != nil:
			return err
		case r.Err != nil:
			return r.Err
		case r.Prompt != list[n].Prompt || r.Reply != list[n].Reply:
			return fmt.Errorf("item %d came back as %.40q", n, r.Reply)
		case r.LogRatio() != 0:
			return fmt.Errorf("item %d (%.40q): %v against itself, wanted exactly 0", n, r.Reply, r.LogRatio())
		}
		if r.TunedText.Spans != nil {
			all, err := r.PerSpan()
			if err != nil {
				return err
			}
			var text strings.Builder
			sum := 0.0
			for _, s := range all {
				text.WriteString(s.Text)
				sum += s.Tuned
			}
			if want := r.Tuned.Sum(); text.String() != r.Reply || sum != want && !(math.Abs(sum-want) <= 1e-9*(1+math.Abs(want))) {
				return fmt.Errorf("item %d: pieces %q of %v, wanted %q of %v", n, text.String(), sum, r.Reply, want)
			}
		}
		n++
	}
	if n != len(list) {
		return fmt.Errorf("%d rewards of %d items", n, len(list))
	}
	return nil
}
