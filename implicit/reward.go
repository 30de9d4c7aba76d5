package implicit

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

// Item is one reply to score, after a conversation.
type Item struct {
	Prompt   string             // a conversation of one message, the user's
	Messages []tokenize.Message // instead of Prompt: a conversation, mostly with the user's message last
	Reply    string
	// EndTurn scores the reply as the assistant's whole message, as the chat template writes
	// it, with its end of turn, instead of as the beginning of one.
	EndTurn    bool
	PromptName string // for errors and results: of a lexicon.Prompt
	Err        error  // why the item cannot be scored, where its source says so: it comes back in its place
}

// Conversation is Messages, or Prompt as the message of a user.
func (it Item) Conversation() []tokenize.Message {
	if it.Messages != nil {
		return it.Messages
	}
	return []tokenize.Message{{Role: "user", Content: it.Prompt}}
}

// Reward is an item as both models score it.
type Reward struct {
	Index int // of the item in the sequence, from 0
	Item
	Err                 error // an *ItemError that says why the item could not be scored; texts and results are then empty
	Beta                float64
	TunedText, BaseText tokenize.Encoded
	Tuned, Base         logprob.Result
}

// referenceFree tells whether there is no base model.
func (r Reward) referenceFree() bool { return r.BaseText.IDs == nil }

// LogRatio returns ln p_tuned(y|x) - ln p_base(y|x), in nats: the implicit reward for
// beta = 1, without the unknown c(x). The sums run in float64 on the tokens' float32
// values. It is exactly 0 where both sums are equal, also where both are -Inf. Without a
// base model it is ln p_tuned(y|x). It is NaN where there is Err.
func (r Reward) LogRatio() float64 {
	if r.Err != nil {
		return math.NaN()
	}
	return LogRatio(r.Tuned.Sum(), r.Base.Sum())
}

// Value returns Beta * LogRatio(). Beta > 0 is the pair's, the strength of the KL penalty
// under which the tuned model would be optimal; it scales the rewards and changes no rank.
// Publish it with the number. Beta 0 is 1.
func (r Reward) Value() float64 { return cmp.Or(r.Beta, 1) * r.LogRatio() }

// MeanLogRatio returns Tuned.Mean() - Base.Mean(), each per token of its own model:
// another quantity than the implicit reward, no likelihood ratio, and not comparable
// between replies that the tokenizers cut into different numbers of pieces.
// Without a base model it is Tuned.Mean().
func (r Reward) MeanLogRatio() float64 {
	if r.referenceFree() {
		return r.Tuned.Mean()
	}
	return LogRatio(r.Tuned.Mean(), r.Base.Mean())
}

// PerByte returns LogRatio() per byte (UTF-8) of the reply: a length-normalised value
// that does not depend on the tokenizers.
func (r Reward) PerByte() float64 { return r.LogRatio() / float64(len(r.Reply)) }

// PerToken returns the reward of every reply token, ln p_tuned - ln p_base. They add
// up to LogRatio, but for rounding. It answers false where the models cut the reply
// differently, so that there is no common token: the byte spans within the reply must
// agree (ids need not). Texts made from ids have no spans; theirs must have the same
// reply ids. PerSpan answers for every pair of tokenizers. Without a base model the values
// are ln p_tuned.
func (r Reward) PerToken() ([]float64, bool) {
	if r.Err != nil {
		return nil, false
	}
	if r.referenceFree() {
		r.BaseText, r.Base.LogProbs = r.TunedText, make([]float32, len(r.Tuned.LogProbs))
	}
	if !sameCut(r.TunedText, r.BaseText) || len(r.Tuned.LogProbs) != len(r.Base.LogProbs) {
		return nil, false
	}
	values := make([]float64, len(r.Tuned.LogProbs))
	for i, t := range r.Tuned.LogProbs {
		values[i] = LogRatio(float64(t), float64(r.Base.LogProbs[i]))
	}
	return values, true
}

// What Flags may answer.
const (
	FlagTunedStraddle = "tuned-straddle" // the tuned model's first reply token covers the end of the prompt as well
	FlagBaseStraddle  = "base-straddle"  // the base model's does
	FlagTunedSpecial  = "tuned-special"  // the caller's text spells out a special token of the tuned model, such as "</s>"
	FlagBaseSpecial   = "base-special"   // of the base model
	FlagTunedTrimmed  = "tuned-trimmed"  // with Item.EndTurn: the tuned model's chat template trims the reply
	FlagBaseTrimmed   = "base-trimmed"   // the base model's does
	FlagCut           = "cut"            // the models cut the reply differently: no per-token rewards, but PerSpan's
	FlagText          = "text"           // the models were given different texts as the reply: a policy's Encode changes it
)

// Flags names what a reader of the number should know, in the order of the constants;
// nil mostly.
func (r Reward) Flags() []string {
	var flags []string
	pair := !r.referenceFree()
	for _, f := range []struct {
		on   bool
		name string
	}{
		{r.TunedText.Straddle, FlagTunedStraddle}, {r.BaseText.Straddle, FlagBaseStraddle},
		{r.TunedText.Special > 0, FlagTunedSpecial}, {r.BaseText.Special > 0, FlagBaseSpecial},
		{r.TunedText.Trimmed, FlagTunedTrimmed}, {r.BaseText.Trimmed, FlagBaseTrimmed},
		{pair && !sameCut(r.TunedText, r.BaseText), FlagCut}, {pair && replyOf(r.TunedText) != replyOf(r.BaseText), FlagText},
	} {
		if f.on {
			flags = append(flags, f.name)
		}
	}
	return flags
}

func replyOf(t tokenize.Encoded) string {
	if t.Spans == nil {
		return ""
	}
	return t.Rendered[t.Start:]
}

// sameCut tells whether both texts have the same reply in the same pieces.
func sameCut(a, b tokenize.Encoded) bool {
	if a.Spans == nil || b.Spans == nil {
		return a.Spans == nil && b.Spans == nil && slices.Equal(a.IDs[a.Reply:], b.IDs[b.Reply:])
	}
	return replyOf(a) == replyOf(b) && slices.Equal(replySpans(a), replySpans(b))
}

// replySpans returns the spans of the reply's tokens within the reply; a token that
// straddles the boundary begins at 0.
func replySpans(t tokenize.Encoded) [][2]int {
	spans := make([][2]int, 0, len(t.Spans)-t.Reply)
	for _, s := range t.Spans[t.Reply:] {
		spans = append(spans, [2]int{max(s[0]-t.Start, 0), max(s[1]-t.Start, 0)})
	}
	return spans
}

// ItemError is an item that cannot be scored: its source says so (Item.Err), its text
// cannot be encoded, has no prompt or no reply, or is longer than the model's context.
type ItemError struct {
	Item  Item
	Model string // "tuned" or "base" where one model's encoding failed
	Err   error
}

func (e *ItemError) Error() string {
	where := fmt.Sprintf("implicit: reply %q", e.Item.Reply)
	if e.Item.PromptName != "" {
		where += " to " + e.Item.PromptName
	}
	if e.Model != "" {
		where += ": " + e.Model + " model"
	}
	return where + ": " + e.Err.Error()
}

func (e *ItemError) Unwrap() error { return e.Err }
