package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

// policy is a model that reads conversations: an item's prompt is its messages, as encode
// wrote them. chat is Loader.Reads'.
func policy(m *logprob.Model, as string, chat *tokenize.ChatOptions) implicit.Policy {
	t := m.Tokenizer()
	return implicit.Policy{Scorer: m, Encode: func(prompt, reply string) (tokenize.Text, error) {
		messages, err := decode(prompt)
		switch {
		case err != nil:
			return tokenize.Text{}, err
		case as == "chat":
			return t.Conversation(messages, reply, chat)
		case len(messages) > 1 || messages[0].Role != "user":
			return tokenize.Text{}, fmt.Errorf("%d messages, the first of the %s, wanted one of the user, as the rendering is raw", len(messages), messages[0].Role)
		}
		return t.PlainBOS(messages[0].Content, reply, chat.BOS)
	}}
}

// encode writes a conversation as an item's prompt.
func encode(messages []tokenize.Message) string {
	b, err := json.Marshal(messages)
	if err != nil {
		panic(err) // they are strings
	}
	return string(b)
}

func decode(prompt string) (messages []tokenize.Message, err error) {
	if err = json.Unmarshal([]byte(prompt), &messages); err == nil && len(messages) == 0 {
		err = errors.New("no messages, wanted at least one")
	}
	return messages, err
}

// certain is the reference of a reward without one: it gives every reply probability 1.
type certain struct{}

func (certain) Score(_ context.Context, texts iter.Seq[tokenize.Text]) iter.Seq2[logprob.Score, error] {
	return func(yield func(logprob.Score, error) bool) {
		for t := range texts {
			if !yield(logprob.Score{LogProb: make([]float32, len(t.IDs)-t.Reply)}, nil) {
				return
			}
		}
	}
}
