package implicit

import (
	"errors"
	"fmt"

	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

// Policy is a language model with the way it renders a conversation and a reply as tokens.
// Package implicittest tests that one keeps the rules.
type Policy struct {
	LM logprob.LM
	// Encode renders an item's Conversation and Reply as tokens of the model.
	Encode func(Item) (tokenize.Encoded, error)
	// WordBoundaries reports for each token id whether the token may follow a finished word;
	// the default (nil) decides by the texts of LM.Tokenizer's tokens (words.Boundaries).
	WordBoundaries func() []bool
	// Within is a set of tokens whose probability after every reply is requested
	// (logprob.Request.Within); the results are Reward.Tuned.Within and Reward.Base.Within.
	Within []bool
}

// Raw is the policy that reads the prompt as plain text, followed directly by the reply: the
// paper's rendering for base models. The checkpoint's tokenizer decides whether a BOS
// precedes it.
func Raw(m logprob.LM) *Policy { return RawBOS(m, tokenize.BOSAuto) }

// RawBOS is Raw with the given choice of BOS instead of the tokenizer's.
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

// Chat is the policy that renders the conversation with the model's chat template and the
// reply as the beginning of the assistant's message (with Item.EndTurn as all of it): the
// paper's rendering for tuned models. nil options are those of package tokenize.
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

// encode renders an item and checks that the model can score it.
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

// request makes the request for a rendered item.
func (p *Policy) request(t tokenize.Encoded) logprob.Request {
	r := logprob.RequestOf(t)
	r.Within = p.Within
	return r
}
