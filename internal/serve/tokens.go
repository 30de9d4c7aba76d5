package serve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/implicitreward/implicitreward/internal/strictjson"
	"github.com/implicitreward/implicitreward/tokenize"
)

// tokenizeRequest is vLLM's: a prompt, or the messages of a chat.
type tokenizeRequest struct {
	Model            string          `json:"model"`
	Prompt           *string         `json:"prompt"`
	Messages         json.RawMessage `json:"messages"`
	AddSpecialTokens *bool           `json:"add_special_tokens"` // of a prompt: the BOS; default true
	Strings          bool            `json:"return_token_strs"`

	AddGenerationPrompt *bool `json:"add_generation_prompt"` // of messages: true, which is the default
	reading
}

type tokenizeResponse struct {
	Count       int      `json:"count"`
	MaxModelLen int      `json:"max_model_len"`
	Tokens      []int32  `json:"tokens"`
	Strings     []string `json:"token_strs"` // null unless asked for
}

func (s *Server) tokenize(_ context.Context, c *call) (any, error) {
	var r tokenizeRequest
	if err := decode(c.body, &r); err != nil {
		return nil, err
	}
	m, t, err := s.tokenizer(r.Model)
	if err != nil {
		return nil, err
	}
	chat := !strictjson.Null(r.Messages)
	bos, err := r.strings(r.AddSpecialTokens)
	if err != nil {
		return nil, err
	}
	if m, err = r.of(m, chat); err != nil {
		return nil, err
	}
	ids, err := r.ids(m, t, chat, bos)
	if err != nil {
		return nil, err
	}
	c.tokens = len(ids)
	out := tokenizeResponse{Count: len(ids), MaxModelLen: m.MaxTokens(), Tokens: append([]int32{}, ids...)}
	if r.Strings {
		out.Strings = make([]string, len(ids))
		names := map[int32]string{}
		for token := range t.Vocab() {
			names[token.ID] = token.Name
		}
		for i, id := range ids {
			out.Strings[i] = names[id]
		}
	}
	return out, nil
}

// ids are the tokens of the request's messages, as a chat, or of its prompt, with what stands
// before text where there is bos.
func (r *tokenizeRequest) ids(m *Model, t *tokenize.Tokenizer, chat, bos bool) ([]int32, error) {
	switch {
	case chat == (r.Prompt != nil):
		return nil, refuse("prompt", "wanted prompt or messages, one of them")
	case chat && r.AddGenerationPrompt != nil && !*r.AddGenerationPrompt:
		return nil, refuse("add_generation_prompt", "add_generation_prompt: false, wanted true")
	case chat:
		messages, err := readMessages(r.Messages)
		if err != nil {
			return nil, err
		}
		text, err := t.Conversation(messages, "", m.Chat)
		if err != nil {
			return nil, refuse("messages", "messages: %v", err)
		}
		return text.IDs, nil
	case bos && *r.Prompt != "":
		text, err := m.raw(*r.Prompt, "")
		if err != nil {
			return nil, refuse("prompt", "prompt: %v", err)
		}
		return text.IDs, nil
	case bos:
		front, err := m.front(m.bos())
		if err != nil {
			return nil, refuse("prompt", "prompt: %v", err)
		}
		return front, nil
	}
	ids, _, err := t.Encode(*r.Prompt)
	if err != nil {
		return nil, refuse("prompt", "prompt: %v", err)
	}
	return ids, nil
}

// detokenizeRequest is vLLM's.
type detokenizeRequest struct {
	Model  string          `json:"model"`
	Tokens json.RawMessage `json:"tokens"`
}

func (s *Server) detokenize(_ context.Context, c *call) (any, error) {
	var r detokenizeRequest
	if err := decode(c.body, &r); err != nil {
		return nil, err
	}
	m, t, err := s.tokenizer(r.Model)
	if err != nil {
		return nil, err
	}
	if len(r.Tokens) == 0 || r.Tokens[0] != '[' {
		return nil, refuse("tokens", "tokens: wanted a list of token ids")
	}
	lists, nested, err := idLists(r.Tokens, s.limits)
	if err != nil || nested {
		return nil, refuse("tokens", "tokens: wanted a list of at most %d token ids", s.limits.Tokens)
	}
	c.tokens = len(lists[0])
	for i, id := range lists[0] {
		if int(id) >= m.VocabSize() {
			return nil, refuse("tokens", "tokens: token %d has id %d, wanted 0 to %d", i, id, m.VocabSize()-1)
		}
	}
	return map[string]string{"prompt": t.Decode(lists[0]...)}, nil
}

// tokenizer finds a model that has one: a language model, or the reward model.
func (s *Server) tokenizer(name string) (*Model, *tokenize.Tokenizer, error) {
	m := s.reader
	if !s.isRM(name) {
		var err error
		if m, _, err = s.model(name); err != nil {
			return nil, nil, err
		}
	}
	if m.Tokenizer() == nil {
		return nil, nil, fail(http.StatusNotFound, "invalid_request_error", "model", "no_tokenizer", "the model %s has no tokenizer", m.Name)
	}
	return m, m.Tokenizer(), nil
}

// tokenizerInfo tells, as vLLM does, what the checkpoint's files say of special tokens and
// chats; null where they say nothing. Which model is asked for by ?model=NAME.
func (s *Server) tokenizerInfo(w http.ResponseWriter, r *http.Request) {
	m, t, err := s.tokenizer(r.URL.Query().Get("model"))
	if err != nil {
		writeError(w, asAPI(err))
		return
	}
	info := map[string]any{"model": m.Name, "model_max_length": m.MaxTokens(), "vocab_size": t.VocabSize(), "chat_template": nil}
	for _, name := range []string{"bos_token", "eos_token", "pad_token", "unk_token"} {
		info[name] = nil
		if token, ok := t.SpecialToken(name); ok {
			info[name] = token
		}
	}
	if template := t.Template(); template != "" {
		info["chat_template"] = template
	}
	writeJSON(w, http.StatusOK, info)
}

// readMessages reads a chat: text in turns, the last of them not the assistant's, whose
// reply is what is scored. Further members of a message are for the template, which must
// read them: see tokenize.Message.
func readMessages(raw json.RawMessage) ([]tokenize.Message, error) {
	list, err := strictjson.List(raw)
	if err != nil {
		return nil, refuse("messages", "messages: wanted a list of objects with role and content, both strings")
	}
	return messagesOf(list)
}

func messagesOf(list []json.RawMessage) ([]tokenize.Message, error) {
	if len(list) == 0 {
		return nil, refuse("messages", "messages: an empty list, wanted at least one message")
	}
	messages := make([]tokenize.Message, len(list))
	var err error
	for i, raw := range list {
		if messages[i], err = readMessage(raw); err != nil {
			return nil, refuse("messages", "messages: message %d %v", i, err)
		}
	}
	if messages[len(messages)-1].Role == "assistant" {
		return nil, refuse("messages", "messages: the last one is the assistant's, wanted it as the reply")
	}
	return messages, nil
}

func readMessage(raw json.RawMessage) (m tokenize.Message, err error) {
	members, err := strictjson.Members(raw, "")
	if err != nil {
		return m, errors.New("is no object, wanted one with role and content, both strings")
	}
	content := false
	for _, member := range members {
		switch member.Key {
		case "role", "content":
			text, ok, err := strictjson.String(member.Value)
			switch {
			case err != nil:
				return m, fmt.Errorf("has a %s that is no text: %w", member.Key, err)
			case !ok && !strictjson.Null(member.Value):
				return m, fmt.Errorf("has a %s that is no string, wanted one", member.Key)
			case member.Key == "role":
				m.Role = text
			default:
				m.Content, content = text, ok
			}
		default:
			if strings.EqualFold(member.Key, "role") || strings.EqualFold(member.Key, "content") {
				return m, fmt.Errorf("has %.40q, wanted it in lower case", member.Key)
			}
			if !strictjson.Null(member.Value) {
				m.Extra = append(m.Extra, tokenize.Member{Name: member.Key, Value: member.Value})
			}
		}
	}
	switch {
	case m.Role != "user" && m.Role != "system" && m.Role != "assistant":
		return m, fmt.Errorf("has the role %.20q, wanted system, user or assistant", m.Role)
	case !content:
		return m, errors.New("has no content, wanted a string")
	}
	return m, nil
}
