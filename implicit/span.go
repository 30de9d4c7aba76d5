package implicit

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/implicitreward/implicitreward/tokenize"
)

// Span is a piece of a reply that is a whole number of tokens in both models.
type Span struct {
	Start, End int     // byte offsets in the reply (UTF-8); End > Start
	Text       string  // the reply's bytes Start to End, whole characters
	Tuned      float64 // sum of the tuned model's ln p over the span's tokens, in nats; -Inf if one has probability 0
	Base       float64 // same for the base model
	// TunedTokens and BaseTokens are the span's half-open ranges of reply tokens, at least
	// one token each: indices into Tuned.LogProbs, and, counted from TunedText.Reply, into
	// TunedText.IDs.
	TunedTokens, BaseTokens [2]int
}

// LogRatio returns Tuned - Base in nats, the span's part of the reward for beta = 1. It is 0
// if both are equal, including both -Inf.
func (s Span) LogRatio() float64 { return LogRatio(s.Tuned, s.Base) }

// PerSpan returns the reward by pieces of text, for models that may tokenize the reply
// differently. The reply is cut at every byte where a token ends in both models. So the
// spans cover the reply without gaps, every reply token of either model lies in exactly one
// span, and there are as many spans as possible; in the worst case one, the whole reply.
//
//	tuned   " friend" "ship" "s"        reply  " friendships"
//	base    " friendship" "s"           spans  " friendship" "s"
//
// A span's value is ln p_tuned - ln p_base of its tokens, given all text before it. The
// values add up to LogRatio within n 2^-52 S for n tokens of both models whose |ln p| sum to
// S; the exception is a reply with a token of probability 0 in both models, for which
// LogRatio is 0, being the difference of two sums of -Inf.
//
// Characters are not cut: tokens that hold parts of one character (byte-level BPE, byte
// fallback) are in the span of that character. Text that a tokenizer changes counts as the
// text it came from (tokenize.Encoded.Spans): an accent that NFC merges into the letter
// before it, a "▁" put before the text. A token without bytes of its own, which only a
// custom Encode can produce, belongs to the span that begins there, or at the end of the
// reply to the last one. Special tokens spelled out in the reply are treated like others. If
// the first token reaches back into the prompt (FlagTunedStraddle, FlagBaseStraddle), the
// first span has its whole value, as in LogRatio, but only the reply's part of its text.
//
// It is an error if there is no common text: for texts made from ids, if a custom Encode
// gave the models different replies, or if spans and log-probabilities do not fit the reply,
// one for each token, in order, from its first byte to its last. Rewards made with Raw and
// Chat have none of these.
//
// Without a base model the spans are the tuned model's tokens, and Base is 0.
func (r Reward) PerSpan() ([]Span, error) {
	if r.referenceFree() {
		r.BaseText, r.Base.LogProbs = r.TunedText, make([]float32, len(r.Tuned.LogProbs))
	}
	sides := [2]struct {
		name   string
		text   tokenize.Encoded
		values []float32
		cuts   []cut
	}{{name: "tuned", text: r.TunedText, values: r.Tuned.LogProbs}, {name: "base", text: r.BaseText, values: r.Base.LogProbs}}
	for i := range sides {
		s := &sides[i]
		var err error
		if s.cuts, err = cuts(s.text, len(s.values)); err != nil {
			return nil, fmt.Errorf("implicit: spans: reply %q: %s model: %w", r.Reply, s.name, err)
		}
	}
	reply := replyOf(r.TunedText)
	if other := replyOf(r.BaseText); other != reply {
		return nil, fmt.Errorf("implicit: spans: the tuned model was given the reply %q, the base model %q, wanted one text", reply, other)
	}
	// Both lists of cuts are increasing and end at the reply's end: merge them.
	var spans []Span
	a, b := sides[0].cuts, sides[1].cuts
	from, tuned, base := 0, 0, 0 // first byte and tokens of the current span
	for i, j := 0, 0; i < len(a) && j < len(b); {
		switch {
		case a[i].at < b[j].at:
			i++
			continue
		case a[i].at > b[j].at:
			j++
			continue
		}
		to, m, n := a[i].at, a[i].tokens, b[j].tokens
		spans = append(spans, Span{Start: from, End: to, Text: reply[from:to],
			Tuned: sum(sides[0].values[tuned:m]), Base: sum(sides[1].values[base:n]),
			TunedTokens: [2]int{tuned, m}, BaseTokens: [2]int{base, n}})
		from, tuned, base = to, m, n
		i, j = i+1, j+1
	}
	return spans, nil
}

// cut is a byte offset in a reply at which a token of one model ends, and the number of
// reply tokens before it.
type cut struct{ at, tokens int }

// cuts returns the token boundaries of a text's n reply tokens, in order; the last is the
// end of the reply.
func cuts(t tokenize.Encoded, n int) ([]cut, error) {
	switch {
	case t.Spans == nil:
		return nil, errors.New("made from ids, wanted a text whose tokens have spans")
	case len(t.Spans) != len(t.IDs) || t.Reply < 0 || t.Reply > len(t.IDs) || t.Start < 0 || t.Start > len(t.Rendered):
		return nil, fmt.Errorf("%d spans of %d tokens, the reply from token %d and byte %d of %d, wanted a span a token", len(t.Spans), len(t.IDs), t.Reply, t.Start, len(t.Rendered))
	case n != len(t.IDs)-t.Reply:
		return nil, fmt.Errorf("%d log-probabilities for %d tokens, wanted one each", n, len(t.IDs)-t.Reply)
	case t.Start == len(t.Rendered) && n == 0:
		return nil, nil // an empty reply
	case n == 0:
		return nil, errors.New("a reply of no tokens, wanted at least one")
	}
	tokens := t.Spans[t.Reply:]
	if err := checkCover(t, tokens); err != nil {
		return nil, err
	}
	reply := t.Rendered[t.Start:]
	var all []cut
	for i := 1; i < n; i++ {
		at := tokens[i][0] - t.Start
		parted := at > 0 && tokens[i-1][1]-t.Start == at
		if !parted || at == len(reply) || !utf8.RuneStart(reply[at]) {
			continue
		}
		if k := len(all); k > 0 && all[k-1].at == at {
			continue // a token of no bytes: the cut is before it
		}
		all = append(all, cut{at, i})
	}
	return append(all, cut{len(reply), n}), nil
}

// checkCover checks the reply's spans: within the text, in order, without gaps, from the
// reply's first byte (or before it) to its last.
func checkCover(t tokenize.Encoded, tokens [][2]int) error {
	if t.Reply > 0 {
		if over := t.Spans[t.Reply-1][1] - t.Start; over > 0 {
			return fmt.Errorf("the prompt's last token reaches %d bytes into the reply, wanted it among the reply's", over)
		}
	}
	before := [2]int{0, t.Start}
	for i, s := range tokens {
		switch {
		case s[0] < before[0] || s[1] < before[1] && i > 0 || s[1] < s[0] || s[1] > len(t.Rendered):
			return fmt.Errorf("reply token %d has the bytes %d to %d of %d, and the one before it %d to %d, wanted spans in order", i, s[0], s[1], len(t.Rendered), before[0], before[1])
		case s[0] > before[1]:
			return fmt.Errorf("bytes %d to %d belong to no token, wanted the whole reply covered", before[1], s[0])
		case s[0] < t.Start && s[1] <= t.Start:
			return fmt.Errorf("reply token %d ends at byte %d, where the reply only begins at %d, wanted it among the prompt's", i, s[1], t.Start)
		}
		before = s
	}
	if before[1] < len(t.Rendered) {
		return fmt.Errorf("bytes %d to %d belong to no token, wanted the whole reply covered", before[1], len(t.Rendered))
	}
	return nil
}

// sum adds float32 values in float64.
func sum(values []float32) float64 {
	total := 0.0
	for _, v := range values {
		total += float64(v)
	}
	return total
}
