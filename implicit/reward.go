package implicit

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

// Item is one reply to score and the conversation before it.
type Item struct {
	Prompt   string             // one user message
	Messages []tokenize.Message // instead of Prompt: a conversation, usually ending with a user message
	Reply    string
	// EndTurn scores the reply as the assistant's complete message, as the chat template
	// renders it with its end of turn, instead of as the beginning of one.
	EndTurn    bool
	PromptName string // label in errors and results, such as that of a lexicon.Prompt
	Err        error  // why the item cannot be scored, set by its source and returned in Reward.Err
}

// Conversation returns Messages, or Prompt as one user message.
func (it Item) Conversation() []tokenize.Message {
	if it.Messages != nil {
		return it.Messages
	}
	return []tokenize.Message{{Role: "user", Content: it.Prompt}}
}

// Reward is an item scored by both models.
type Reward struct {
	Index int // index of the item in the sequence, from 0
	Item
	Err                 error // an *ItemError if the item could not be scored; texts and results are then empty
	Beta                float64
	TunedText, BaseText tokenize.Encoded
	Tuned, Base         logprob.Result
}

// referenceFree reports whether there is no base model.
func (r Reward) referenceFree() bool { return r.BaseText.IDs == nil }

// LogRatio returns ln p_tuned(y|x) - ln p_base(y|x) in nats: the implicit reward for beta =
// 1, without c(x). The tokens' float32 values are summed in float64. It is exactly 0 if both
// sums are equal, including both -Inf. Without a base model it is ln p_tuned(y|x). If Err is
// set it is NaN.
func (r Reward) LogRatio() float64 {
	if r.Err != nil {
		return math.NaN()
	}
	return LogRatio(r.Tuned.Sum(), r.Base.Sum())
}

// Value returns Beta * LogRatio(). Beta > 0 is the pair's strength of the KL penalty under
// which the tuned model would be optimal; it scales rewards and changes no rank, so publish
// it with the number. Beta 0 means 1.
func (r Reward) Value() float64 { return cmp.Or(r.Beta, 1) * r.LogRatio() }

// MeanLogRatio returns Tuned.Mean() - Base.Mean(), each mean over the tokens of its own
// model. It is not the implicit reward, nor a likelihood ratio, nor comparable between
// replies that are tokenized into different numbers of tokens. Without a base model it is
// Tuned.Mean().
func (r Reward) MeanLogRatio() float64 {
	if r.referenceFree() {
		return r.Tuned.Mean()
	}
	return LogRatio(r.Tuned.Mean(), r.Base.Mean())
}

// PerByte returns LogRatio() divided by the reply's length in UTF-8 bytes: a
// length-normalised value that is independent of the tokenizers.
func (r Reward) PerByte() float64 { return r.LogRatio() / float64(len(r.Reply)) }

// PerToken returns the reward of every reply token, ln p_tuned - ln p_base; the sum is
// LogRatio up to rounding. It returns false if the models tokenize the reply differently:
// the tokens' byte spans within the reply must agree, or, for texts made from ids, which
// have no spans, the reply ids. PerSpan works for any two tokenizers. Without a base model
// the values are ln p_tuned.
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

// Values of Reward.Flags.
const (
	FlagTunedStraddle = "tuned-straddle" // the tuned model's first reply token also covers the end of the prompt
	FlagBaseStraddle  = "base-straddle"  // same for the base model
	FlagTunedSpecial  = "tuned-special"  // the item's text contains the name of a special token of the tuned model, such as "</s>"
	FlagBaseSpecial   = "base-special"   // same for the base model
	FlagTunedTrimmed  = "tuned-trimmed"  // with Item.EndTurn: the tuned model's chat template trims the reply
	FlagBaseTrimmed   = "base-trimmed"   // same for the base model
	FlagCut           = "cut"            // the models tokenize the reply differently: use PerSpan, not PerToken
	FlagText          = "text"           // a policy's Encode changed the reply, so the models read different texts
)

// Flags lists what a reader of the number should know, in the order of the constants;
// usually nil.
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

// sameCut reports whether both texts have the same reply, tokenized into the same pieces.
func sameCut(a, b tokenize.Encoded) bool {
	if a.Spans == nil || b.Spans == nil {
		return a.Spans == nil && b.Spans == nil && slices.Equal(a.IDs[a.Reply:], b.IDs[b.Reply:])
	}
	return replyOf(a) == replyOf(b) && slices.Equal(replySpans(a), replySpans(b))
}

// replySpans returns the byte spans of the reply's tokens relative to the reply. A token
// that straddles the prompt boundary begins at 0.
func replySpans(t tokenize.Encoded) [][2]int {
	spans := make([][2]int, 0, len(t.Spans)-t.Reply)
	for _, s := range t.Spans[t.Reply:] {
		spans = append(spans, [2]int{max(s[0]-t.Start, 0), max(s[1]-t.Start, 0)})
	}
	return spans
}

// ItemError is an item that cannot be scored: its source says so (Item.Err), its text cannot
// be encoded, has no prompt or no reply, or exceeds the model's context.
type ItemError struct {
	Item  Item
	Model string // "tuned" or "base" if one model's encoding failed
	Err   error
}

func (e *ItemError) Error() string {
	where := fmt.Sprintf("implicit: reply %q", e.Item.Reply)
	if e.Item.PromptName != "" {
		where += " to " + e.Item.PromptName
	}
	return where + ": " + e.Cause().Error()
}

// Cause returns why the item cannot be scored without naming it: Err, after "tuned model: "
// or "base model: " if one model's encoding failed.
func (e *ItemError) Cause() error {
	if e.Model == "" {
		return e.Err
	}
	return fmt.Errorf("%s model: %w", e.Model, e.Err)
}

func (e *ItemError) Unwrap() error { return e.Err }
