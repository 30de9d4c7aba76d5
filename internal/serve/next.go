package serve

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/implicitreward/implicitreward/internal/strictjson"
	"github.com/implicitreward/implicitreward/logprob"
)

// nextRequest asks for ln p of what may follow each prompt: of all tokens, or of those in
// IDs, however unlikely.
type nextRequest struct {
	Model            string          `json:"model"`
	Prompt           json.RawMessage `json:"prompt"`             // as of completions
	Messages         json.RawMessage `json:"messages"`           // instead of prompt: a chat, rendered by the model's template
	AddSpecialTokens *bool           `json:"add_special_tokens"` // strings get the BOS; default true
	IDs              json.RawMessage `json:"ids"`                // a list of token ids; null for all rows
	User             string          `json:"user"`
	reading
}

type nextResponse struct {
	Object string     `json:"object"`
	Model  string     `json:"model"`
	IDs    []int32    `json:"ids"` // null for all, that is 0, 1, 2 ...
	Data   []nextData `json:"data"`
	Usage  usage      `json:"usage"`
}

type nextData struct {
	Index    int    `json:"index"`
	Logprobs values `json:"logprobs"` // of each id, in their order
}

// values are log-probabilities in JSON: null is -Inf, probability 0.
type values []float32

func (v values) MarshalJSON() ([]byte, error) {
	b := append(make([]byte, 0, 12*len(v)+2), '[')
	for i, x := range v {
		if i > 0 {
			b = append(b, ',')
		}
		b = strictjson.AppendFloat(b, float64(x), 32)
	}
	return append(b, ']'), nil
}

func (s *Server) next(ctx context.Context, c *call) (any, error) {
	var r nextRequest
	if err := decode(c.body, &r); err != nil {
		return nil, err
	}
	m, at, err := s.model(r.Model)
	if err != nil {
		return nil, err
	}
	ids, err := s.wantedIDs(r.IDs, m)
	if err != nil {
		return nil, err
	}
	bos, err := r.strings(r.AddSpecialTokens)
	if err != nil {
		return nil, err
	}
	as, err := r.of(m, !strictjson.Null(r.Messages))
	if err != nil {
		return nil, err
	}
	list, err := s.readOrRender(r.Prompt, r.Messages, as, bos)
	if err != nil {
		return nil, err
	}
	if ids == nil && len(list) > s.limits.Rows {
		return nil, tooMuch("%d whole rows, wanted at most %d, the limit of a request: ask for ids", len(list), s.limits.Rows)
	}
	if n := len(list) * len(ids); n > s.limits.Rows*m.VocabSize() {
		return nil, tooMuch("%d ids after each of %d prompts, wanted at most %d values, the limit of a request", len(ids), len(list), s.limits.Rows*m.VocabSize())
	}
	out := nextResponse{Object: "next_token_logprobs", Model: m.Name, IDs: ids, Data: make([]nextData, len(list))}
	w := &work{client: c.client + " " + r.User, model: at, queries: make([]logprob.Request, len(list))}
	for i, p := range list {
		w.queries[i] = logprob.Request{IDs: p.ids, From: len(p.ids)}
		w.queries[i].Distribution = true
		out.Usage.PromptTokens += len(p.ids)
	}
	w.each = func(i int, a answer) { out.Data[i] = nextData{i, pick(a.Distribution, ids)} }
	if err := s.run(ctx, c, w); err != nil {
		return nil, err
	}
	out.Usage.TotalTokens = out.Usage.PromptTokens
	return out, nil
}

// pick returns the values of ids, of all where ids is nil. The row is not held.
func pick(row []float32, ids []int32) values {
	if ids == nil {
		return slices.Clone(row)
	}
	picked := make(values, len(ids))
	for i, id := range ids {
		picked[i] = row[id]
	}
	return picked
}

// wantedIDs reads the field ids; nil for all.
func (s *Server) wantedIDs(raw json.RawMessage, m *Model) ([]int32, error) {
	if strictjson.Null(raw) {
		return nil, nil
	}
	if raw[0] != '[' {
		return nil, refuse("ids", "ids: %.20s, wanted a list of token ids", raw)
	}
	lists, nested, err := idLists(raw, s.limits)
	switch {
	case err != nil:
		return nil, refuse("ids", "ids: %v", err)
	case nested || len(lists[0]) == 0:
		return nil, refuse("ids", "ids: wanted a list of token ids, at least one")
	}
	for i, id := range lists[0] {
		if int(id) >= m.VocabSize() {
			return nil, refuse("ids", "ids: number %d is %d, wanted 0 to %d", i, id, m.VocabSize()-1)
		}
	}
	return lists[0], nil
}

// readOrRender reads a prompt, or renders messages.
func (s *Server) readOrRender(raw, messages json.RawMessage, m *Model, bos bool) ([]prompt, error) {
	if strictjson.Null(messages) {
		return s.read(raw, "prompt", m, bos)
	}
	if !strictjson.Null(raw) {
		return nil, refuse("prompt", "prompt and messages, wanted one of them")
	}
	if m.Tokenizer() == nil {
		return nil, refuse("messages", "messages: the model %s has no tokenizer, wanted token ids as prompt", m.Name)
	}
	chat, err := readMessages(messages)
	if err != nil {
		return nil, err
	}
	text, err := m.Tokenizer().Conversation(chat, "", m.Chat)
	if err == nil {
		err = checkIDs(text.IDs, m)
	}
	if err != nil {
		return nil, refuse("messages", "messages: %v", err)
	}
	return []prompt{{ids: text.IDs}}, nil
}
