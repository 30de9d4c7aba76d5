package implicit

import (
	"errors"
	"fmt"

	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

// Policy is a language model together with the way a conversation and a reply become its
// tokens. Package implicittest tests all that is asked of one.
type Policy struct {
	LM logprob.LM
	// Encode makes the model's tokens of an item's Conversation and Reply.
	Encode func(Item) (tokenize.Encoded, error)
	// WordEnds, where it is not nil, tells which of the model's tokens may follow a finished
	// word; nil is what the text of the tokens of LM.Tokenizer says (words.Boundaries).
	WordBoundaries func() []bool
	// Within asks, after every reply, for the probability of a set of tokens: see
	// logprob.Request. The answers are Reward.Tuned.Within and Reward.Base.Within.
	Within []bool
}

// Raw is m reading the prompt as it stands, the reply right after it: the paper's
// rendering for base models. It begins as the checkpoint's tokenizer begins text.
func Raw(m logprob.LM) *Policy { return RawBOS(m, tokenize.BOSAuto) }

// RawBOS is Raw with or without a BOS, whatever the checkpoint's tokenizer would do.
func RawBOS(m logprob.LM, bos tokenize.BOS) *Policy {
	return policy(m, func(t *tokenize.Tokenizer, it Item) (tokenize.Encoded, error) {
		switch messages := it.Conversation(); {
		case len(messages) != 1 || messages[0].Role != "user":
			return tokenize.Encoded{}, fmt.Errorf("%d messages, the first of the %s, wanted one of the user, as the rendering is raw", len(messages), messages[0].Role)
		case len(messages[0].Extra) > 0:
			return tokenize.Encoded{}, fmt.Errorf("a message with %q, wanted role and content, as the rendering is raw", messages[0].Extra[0].Name)
		case it.EndTurn:
			return tokenize.Encoded{}, errors.New("the end of a turn is asked for, which raw text has not: wanted the chat rendering")
		default:
			return t.RawBOS(messages[0].Content, it.Reply, bos)
		}
	})
}

// Chat is m reading the prompt as the user's turn of its own chat template and the
// reply as the assistant's, raw (with Item.EndTurn as the assistant's message): the
// paper's rendering for tuned models. nil options are tokenize's defaults.
func Chat(m logprob.LM, o *tokenize.ChatOptions) *Policy {
	return policy(m, func(t *tokenize.Tokenizer, it Item) (tokenize.Encoded, error) {
		if it.EndTurn {
			return t.Turn(it.Conversation(), it.Reply, o)
		}
		return t.Conversation(it.Conversation(), it.Reply, o)
	})
}

func policy(m logprob.LM, encode func(*tokenize.Tokenizer, Item) (tokenize.Encoded, error)) *Policy {
	return &Policy{LM: m, Encode: func(it Item) (tokenize.Encoded, error) {
		t := m.Tokenizer()
		if t == nil {
			return tokenize.Encoded{}, errors.New("no tokenizer, wanted one to make tokens of text")
		}
		return encode(t, it)
	}}
}

// encode makes the policy's text of an item, and holds it to what can be scored.
func (p *Policy) encode(it Item) (tokenize.Encoded, error) {
	switch {
	case it.Messages != nil && it.Prompt != "":
		return tokenize.Encoded{}, errors.New("messages and a prompt, wanted one of them")
	case it.Messages != nil && len(it.Messages) == 0:
		return tokenize.Encoded{}, errors.New("no messages, wanted at least one")
	}
	text, err := p.Encode(it)
	switch n := len(text.IDs); {
	case err != nil:
	case text.Reply >= n:
		err = errors.New("the encoded reply has no tokens, wanted at least one")
	case text.Reply == 0:
		err = errors.New("the reply begins at the first token, which nothing predicts: wanted a prompt")
	case n > p.LM.MaxTokens():
		err = fmt.Errorf("%d tokens, wanted at most %d", n, p.LM.MaxTokens())
	}
	return text, err
}

// request asks for what the policy wants to know of a text.
func (p *Policy) request(t tokenize.Encoded) logprob.Request {
	r := logprob.RequestOf(t)
	r.Within = p.Within
	return r
}
