package tokenize

import (
	"errors"
	"slices"
	"strings"
	"unicode"
)

var (
	errBefore = errors.New("tokenize: chat template: it writes the conversation otherwise where the assistant's message follows, wanted the same text as for a generation")
	errReply  = errors.New("tokenize: chat template: it writes the assistant's message otherwise than it is, wanted it as it is or trimmed")
)

// Turn is Conversation with the reply rendered by the chat template as the assistant's
// message, with its end of turn: the input of preference training. The reply begins where
// the text of Render ends, and includes the end of the turn and what the template writes
// after it. It is an error if the template renders the messages before the reply differently
// from Render (see Transcript), or changes the reply; a template that trims it is allowed
// (Encoded.Trimmed).
func (t *Tokenizer) Turn(messages []Message, reply string, o *ChatOptions) (Encoded, error) {
	return t.conversation(messages, reply, o, func(o *ChatOptions) (chat, error) {
		before, err := t.render(messages, o, true)
		if err != nil {
			return chat{}, err
		}
		whole, err := t.answered(messages, reply, o)
		if err != nil {
			return chat{}, err
		}
		turn, ok := strings.CutPrefix(whole, before)
		trimmed := !strings.HasPrefix(turn, reply)
		switch {
		case !ok:
			return chat{}, errBefore
		case trimmed && !strings.HasPrefix(turn, strings.TrimFunc(reply, isSpace)):
			return chat{}, errReply
		}
		return chat{whole, len(before), trimmed}, nil
	})
}

// Transcript is the conversation with the reply as the assistant's message, rendered by the
// chat template without a generation prompt, as reward models read it: the text of
// transformers' apply_chat_template(messages + [reply], tokenize=False). Unlike Turn it does
// not demand that a generation prompt is written as the beginning of that message: Qwen 3's
// template puts an empty thought before the reply, Llama 2's a space.
//
// Encoded.Start is where the reply stands in the text, trimmed if the template trims it
// (Encoded.Trimmed). It is found by rendering the conversation a second time with a reply of
// private-use characters, and it is an error if the template changes the reply otherwise.
func (t *Tokenizer) Transcript(messages []Message, reply string, o *ChatOptions) (Encoded, error) {
	return t.conversation(messages, reply, o, func(o *ChatOptions) (chat, error) {
		whole, err := t.answered(messages, reply, o)
		if err != nil {
			return chat{}, err
		}
		mark := "\uE0A7\uE0A8"
		for strings.Contains(whole, mark) {
			mark += "\uE0A8"
		}
		marked, err := t.answered(messages, mark, o)
		if err != nil {
			return chat{}, err
		}
		before, after, ok := strings.Cut(marked, mark)
		if !ok || strings.Contains(after, mark) {
			return chat{}, errReply
		}
		return locate(whole, before, after, reply)
	})
}

// locate finds a reply in a rendered chat, given what the template writes before and after
// another one. It may write a part of before only: Qwen 3's empty thought is left out for a
// reply that holds one itself.
func locate(whole, before, after, reply string) (chat, error) {
	text, ok := strings.CutSuffix(whole, after)
	if !ok {
		return chat{}, errReply
	}
	if turn, ok := strings.CutPrefix(text, before); ok && strings.Contains(reply, turn) && strings.Contains(turn, strings.TrimFunc(reply, isSpace)) {
		return chat{whole, len(before), turn != reply}, nil
	}
	if part, ok := strings.CutSuffix(text, reply); ok && strings.HasPrefix(before, part) {
		return chat{text: whole, start: len(part)}, nil
	}
	return chat{}, errReply
}

// answered renders messages and the reply as the assistant's, without a generation prompt.
func (t *Tokenizer) answered(messages []Message, reply string, o *ChatOptions) (string, error) {
	return t.render(append(slices.Clip(messages), Message{Role: "assistant", Content: reply}), o, false)
}

// isSpace is Python's str.isspace, by which templates trim.
func isSpace(c rune) bool { return unicode.IsSpace(c) || c >= 0x1c && c <= 0x1f }
