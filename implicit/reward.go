package implicit

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"

	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

// Scorer gives the log-probabilities of replies, one Score a text, in input order.
// *logprob.Model is one. Where it has a method MaxTokens() int, as that has, longer
// texts are not handed to it. Package implicittest tests all that is asked of a Scorer, and
// has one for tests.
type Scorer interface {
	Score(ctx context.Context, texts iter.Seq[tokenize.Encoded]) iter.Seq2[logprob.Result, error]
}

// EndScorer is a Scorer that can also say how likely the reply is over: Score.End = ln sum
// of p(v | prompt, reply) over the tokens v with ends[v]. *logprob.Model is one. It costs
// the computation of every reply's last token.
type EndScorer interface {
	ScoreEnds(ctx context.Context, texts iter.Seq[tokenize.Encoded], ends []bool) iter.Seq2[logprob.Result, error]
}

// Model is what Raw and Chat need of a model. *logprob.Model is one.
type Model interface {
	Scorer
	Tokenizer() *tokenize.Tokenizer
}

// Policy is a model together with the way a prompt and a reply become its tokens.
type Policy struct {
	Scorer Scorer
	Encode func(prompt, reply string) (tokenize.Encoded, error)
	// Conversation, where it is not nil, is Encode after several messages: of items that
	// have some, and of nothing else.
	Conversation func(messages []tokenize.Message, reply string) (tokenize.Encoded, error)
	// Ends, where it is not nil, returns which of the model's tokens may follow a
	// finished word, as the function Ends does. MeasureEnded needs it, and nothing else.
	Ends func() []bool
}

// Raw is m reading the prompt as it stands, the reply right after it: the paper's
// rendering for base models. It begins as the checkpoint's tokenizer begins text.
func Raw(m Model) Policy { return RawBOS(m, tokenize.BOSAuto) }

// RawBOS is Raw with or without a BOS, whatever the checkpoint's tokenizer would do.
func RawBOS(m Model, bos tokenize.BOS) Policy {
	return policy(m, func(t *tokenize.Tokenizer, messages []tokenize.Message, reply string) (tokenize.Encoded, error) {
		if len(messages) != 1 || messages[0].Role != "user" {
			return tokenize.Encoded{}, fmt.Errorf("%d messages, the first of the %s, wanted one of the user, as the rendering is raw", len(messages), messages[0].Role)
		}
		if len(messages[0].Extra) > 0 {
			return tokenize.Encoded{}, fmt.Errorf("a message with %q, wanted role and content, as the rendering is raw", messages[0].Extra[0].Name)
		}
		return t.RawBOS(messages[0].Content, reply, bos)
	})
}

// Chat is m reading the prompt as the user's turn of its own chat template and the
// reply as the assistant's, raw: the paper's rendering for tuned models. nil options
// are tokenize's defaults.
func Chat(m Model, o *tokenize.ChatOptions) Policy {
	return policy(m, func(t *tokenize.Tokenizer, messages []tokenize.Message, reply string) (tokenize.Encoded, error) {
		return t.Conversation(messages, reply, o)
	})
}

func policy(m Model, encode func(t *tokenize.Tokenizer, messages []tokenize.Message, reply string) (tokenize.Encoded, error)) Policy {
	p := Policy{Scorer: m}
	p.Conversation = func(messages []tokenize.Message, reply string) (tokenize.Encoded, error) {
		t := m.Tokenizer()
		if t == nil {
			return tokenize.Encoded{}, errors.New("no tokenizer, wanted one to make tokens of text")
		}
		if len(messages) == 0 {
			return tokenize.Encoded{}, errors.New("no messages, wanted at least one")
		}
		return encode(t, messages, reply)
	}
	p.Encode = func(prompt, reply string) (tokenize.Encoded, error) {
		return p.Conversation([]tokenize.Message{{Role: "user", Content: prompt}}, reply)
	}
	if m.Tokenizer() != nil {
		p.Ends = func() []bool { return Ends(m.Tokenizer()) }
	}
	return p
}

// Item is one reply to score. Prompt and Reply are what is scored; the rest is
// carried along to the results.
type Item struct {
	Prompt, Reply string
	Messages      []tokenize.Message // instead of Prompt: a conversation, mostly with the user's message last
	PromptName    string             // of a lexicon.Prompt
	Word          string             // the corpus entry of which Reply is a form
	Categories    []string           // of that entry
	Wildcard      bool               // the reply is a pattern such as "abandon*", which Rewards refuses
}

// Reward is an item as both models score it.
type Reward struct {
	Item
	TunedText, BaseText tokenize.Encoded
	Tuned, Base         logprob.Result
}

// LogRatio returns ln p_tuned(y|x) - ln p_base(y|x), in nats: the implicit reward for
// beta = 1, without the unknown c(x). The sums run in float64 on the tokens' float32
// values. It is exactly 0 where both sums are equal, also where both are -Inf.
func (r Reward) LogRatio() float64 { return minus(r.Tuned.Sum(), r.Base.Sum()) }

// Value returns beta * LogRatio(). beta > 0 is the strength of the KL penalty under
// which the tuned model would be optimal; it scales the rewards and changes no rank.
// Publish it with the number.
func (r Reward) Value(beta float64) float64 { return beta * r.LogRatio() }

// MeanLogRatio returns Tuned.Mean() - Base.Mean(), each per token of its own model:
// another quantity than the implicit reward, no likelihood ratio, and not comparable
// between replies that the tokenizers cut into different numbers of pieces.
func (r Reward) MeanLogRatio() float64 { return minus(r.Tuned.Mean(), r.Base.Mean()) }

// PerByte returns LogRatio() per byte (UTF-8) of the reply: a length-normalised value
// that does not depend on the tokenizers.
func (r Reward) PerByte() float64 { return r.LogRatio() / float64(len(r.Reply)) }

// PerToken returns the reward of every reply token, ln p_tuned - ln p_base. They add
// up to LogRatio, but for rounding. It answers false where the models cut the reply
// differently, so that there is no common token: the byte spans within the reply must
// agree (ids need not). Texts made from ids have no spans; theirs must have the same
// reply ids. PerSpan answers for every pair of tokenizers.
func (r Reward) PerToken() ([]float64, bool) {
	if !sameCut(r.TunedText, r.BaseText) || len(r.Tuned.LogProbs) != len(r.Base.LogProbs) {
		return nil, false
	}
	values := make([]float64, len(r.Tuned.LogProbs))
	for i, t := range r.Tuned.LogProbs {
		values[i] = minus(float64(t), float64(r.Base.LogProbs[i]))
	}
	return values, true
}

// What Flags may answer.
const (
	FlagTunedStraddle = "tuned-straddle" // the tuned model's first reply token covers the end of the prompt as well
	FlagBaseStraddle  = "base-straddle"  // the base model's does
	FlagTunedSpecial  = "tuned-special"  // the caller's text spells out a special token of the tuned model, such as "</s>"
	FlagBaseSpecial   = "base-special"   // of the base model
	FlagCut           = "cut"            // the models cut the reply differently: no per-token rewards, but PerSpan's
	FlagText          = "text"           // the models were given different texts as the reply: a policy's Encode changes it
)

// Flags names what a reader of the number should know, in the order of the constants;
// nil mostly.
func (r Reward) Flags() []string {
	var flags []string
	for _, f := range []struct {
		on   bool
		name string
	}{
		{r.TunedText.Straddle, FlagTunedStraddle}, {r.BaseText.Straddle, FlagBaseStraddle},
		{r.TunedText.Special > 0, FlagTunedSpecial}, {r.BaseText.Special > 0, FlagBaseSpecial},
		{!sameCut(r.TunedText, r.BaseText), FlagCut}, {replyOf(r.TunedText) != replyOf(r.BaseText), FlagText},
	} {
		if f.on {
			flags = append(flags, f.name)
		}
	}
	return flags
}

// minus is a - b, and 0 where both are the same infinity.
func minus(a, b float64) float64 {
	if a == b {
		return 0
	}
	return a - b
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

// ItemError is an item that cannot be scored: it is a wildcard, its text cannot be
// encoded, has no prompt or no reply, or is longer than the model's context. Rewards
// goes on after it.
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

// A window is scored by one model and then by the other; it ends at either bound. Its
// texts and scores are all that Rewards holds: some tens of MB.
const (
	windowItems  = 4096
	windowTokens = 1 << 19
)

// entry is a reward in the making, or why there is none.
type entry struct {
	Reward
	err error
}

// Rewards scores every item under both models and yields the rewards in input order.
// Items are drawn and encoded as they are needed, a window of up to 4,096 at a time,
// so memory stays bounded however many there are; within a window the tuned model
// runs first. Items of one prompt should follow each other: what they share is
// computed once.
//
// An item that cannot be scored is yielded in its place with an *ItemError, and the
// work goes on. Any other error (a scorer's, the context's, a NaN log-probability) is
// yielded last and ends the stream. break stops the work; ctx is looked at before
// every item drawn and by the scorers.
func Rewards(ctx context.Context, tuned, base Policy, items iter.Seq[Item]) iter.Seq2[Reward, error] {
	return rewards(ctx, tuned, base, tuned.Scorer.Score, base.Scorer.Score, items)
}

// scoring is a model's Score, or its ScoreEnds for some ends.
type scoring func(ctx context.Context, texts iter.Seq[tokenize.Encoded]) iter.Seq2[logprob.Result, error]

func rewards(ctx context.Context, tuned, base Policy, scoreTuned, scoreBase scoring, items iter.Seq[Item]) iter.Seq2[Reward, error] {
	return func(yield func(Reward, error) bool) {
		var window []entry
		tokens := 0
		for it := range items {
			if err := ctx.Err(); err != nil {
				yield(Reward{Item: it}, fmt.Errorf("implicit: rewards: %w", err))
				return
			}
			e := encode(tuned, base, it)
			window = append(window, e)
			tokens += len(e.TunedText.IDs) + len(e.BaseText.IDs)
			if len(window) == windowItems || tokens >= windowTokens {
				if !score(ctx, scoreTuned, scoreBase, window, yield) {
					return
				}
				window, tokens = window[:0], 0
			}
		}
		score(ctx, scoreTuned, scoreBase, window, yield)
	}
}

// encode makes a model's text of an item.
func (p Policy) encode(it Item) (tokenize.Encoded, error) {
	switch {
	case it.Messages == nil:
		return p.Encode(it.Prompt, it.Reply)
	case it.Prompt != "":
		return tokenize.Encoded{}, errors.New("messages and a prompt, wanted one of them")
	case p.Conversation == nil:
		return tokenize.Encoded{}, errors.New("messages, and the policy reads none (Policy.Conversation), wanted a prompt")
	}
	return p.Conversation(it.Messages, it.Reply)
}

// encode makes the two texts of an item, or says why there are none.
func encode(tuned, base Policy, it Item) entry {
	e := entry{Reward: Reward{Item: it}}
	switch {
	case it.Wildcard:
		e.err = &ItemError{Item: it, Err: errors.New("a wildcard, wanted a word: replace it by the words it stands for")}
		return e
	case it.Reply == "":
		e.err = &ItemError{Item: it, Err: errors.New("empty, wanted text")}
		return e
	}
	for _, m := range []struct {
		name string
		Policy
		text *tokenize.Encoded
	}{{"tuned", tuned, &e.TunedText}, {"base", base, &e.BaseText}} {
		var err error
		*m.text, err = m.encode(it)
		limit, limited := m.Scorer.(interface{ MaxTokens() int })
		switch n := len(m.text.IDs); {
		case err != nil:
		case m.text.Reply >= n:
			err = errors.New("the encoded reply has no tokens, wanted at least one")
		case m.text.Reply == 0:
			err = errors.New("the reply begins at the first token, which nothing predicts: wanted a prompt")
		case limited && n > limit.MaxTokens():
			err = fmt.Errorf("%d tokens, wanted at most %d", n, limit.MaxTokens())
		}
		if err != nil {
			e.TunedText, e.BaseText = tokenize.Encoded{}, tokenize.Encoded{}
			e.err = &ItemError{Item: it, Model: m.name, Err: err}
			return e
		}
	}
	return e
}

// score runs both models over a window and yields its rewards. It answers whether to
// go on.
func score(ctx context.Context, tuned, base scoring, window []entry, yield func(Reward, error) bool) bool {
	var todo []*Reward
	for i := range window {
		if window[i].err == nil {
			todo = append(todo, &window[i].Reward)
		}
	}
	for _, m := range []struct {
		name  string
		score scoring
		part  func(*Reward) (tokenize.Encoded, *logprob.Result)
	}{
		{"tuned", tuned, func(r *Reward) (tokenize.Encoded, *logprob.Result) { return r.TunedText, &r.Tuned }},
		{"base", base, func(r *Reward) (tokenize.Encoded, *logprob.Result) { return r.BaseText, &r.Base }},
	} {
		if err := run(ctx, m.score, todo, m.part); err != nil {
			yield(Reward{}, fmt.Errorf("implicit: rewards: %s model: %w", m.name, err))
			return false
		}
	}
	for _, e := range window {
		if !yield(e.Reward, e.err) {
			return false
		}
	}
	return true
}

// run fills in one model's scores and holds the model to its promise: a score a text,
// one value a reply token, finite or -Inf.
func run(ctx context.Context, score scoring, todo []*Reward, part func(*Reward) (tokenize.Encoded, *logprob.Result)) error {
	if len(todo) == 0 {
		return nil
	}
	texts := func(yield func(tokenize.Encoded) bool) {
		for _, r := range todo {
			if text, _ := part(r); !yield(text) {
				return
			}
		}
	}
	n := 0
	for s, err := range score(ctx, texts) {
		if err != nil {
			return err
		}
		if n == len(todo) {
			return fmt.Errorf("more scores than the %d texts", n)
		}
		text, to := part(todo[n])
		if want := len(text.IDs) - text.Reply; len(s.LogProbs) != want {
			return fmt.Errorf("reply %q: %d log-probabilities, wanted %d", todo[n].Reply, len(s.LogProbs), want)
		}
		for i, v := range s.LogProbs {
			if v != v || math.IsInf(float64(v), 1) {
				return fmt.Errorf("reply %q: token %d: log-probability %v, wanted a number or -Inf", todo[n].Reply, i, v)
			}
		}
		if end := s.Within; end != end || end > 1e-3 {
			return fmt.Errorf("reply %q: ln of the probability of its end is %v, wanted at most 0", todo[n].Reply, end)
		}
		*to = s
		n++
	}
	if n < len(todo) {
		return fmt.Errorf("%d scores for %d texts", n, len(todo))
	}
	return nil
}
