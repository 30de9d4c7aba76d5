package serve

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/implicit/rewardmodel"
	"github.com/implicitreward/implicitreward/internal/strictjson"
	"github.com/implicitreward/implicitreward/tokenize"
)

// pooled is the part of a request that /classify and /pooling share: texts, or a chat.
type pooled struct {
	Input               json.RawMessage `json:"input"`                  // as prompt of completions
	Messages            json.RawMessage `json:"messages"`               // instead of input: a chat that ends with the reply
	AddSpecialTokens    *bool           `json:"add_special_tokens"`     // of strings: default true; of a chat: a BOS on top of the template's, default false
	AddGenerationPrompt bool            `json:"add_generation_prompt"`  // false
	ContinueFinal       bool            `json:"continue_final_message"` // false
	ChatTemplate        json.RawMessage `json:"chat_template"`          // null: the model's own
	MediaKwargs         json.RawMessage `json:"media_io_kwargs"`        // null
	poolingFields
	reading
}

// texts are what the model is to read for a request.
func (s *Server) pooledTexts(r *pooled) ([]tokenize.Encoded, error) {
	switch {
	case r.AddGenerationPrompt:
		return nil, refuse("add_generation_prompt", "add_generation_prompt: true, wanted false: a reward model reads a finished reply")
	case r.ContinueFinal:
		return nil, refuse("continue_final_message", "continue_final_message: true, wanted false: a reward model reads a finished reply")
	case !strictjson.Null(r.ChatTemplate):
		return nil, refuse("chat_template", "chat_template: not done, wanted the model's own, or input rendered by yours with add_special_tokens false")
	case !strictjson.Null(r.MediaKwargs):
		return nil, refuse("media_io_kwargs", "media_io_kwargs: not done, texts are all that is read")
	}
	var texts []tokenize.Encoded
	var err error
	chat := !strictjson.Null(r.Messages)
	switch {
	case chat != strictjson.Null(r.Input):
		return nil, refuse("input", "wanted input or messages, one of them")
	case chat:
		texts, err = s.pooledChat(r)
	default:
		texts, err = s.pooledInput(r)
	}
	if err != nil {
		return nil, err
	}
	for i, t := range texts {
		if err := r.cuts(t.IDs); err != nil {
			return nil, refuse("truncate_prompt_tokens", "text %d: %v", i, err)
		}
	}
	return texts, nil
}

// pooledInput reads texts as they stand.
func (s *Server) pooledInput(r *pooled) ([]tokenize.Encoded, error) {
	special, err := r.strings(r.AddSpecialTokens)
	if err != nil {
		return nil, err
	}
	m, err := r.of(s.reader, false)
	if err != nil {
		return nil, err
	}
	bos := m.bos()
	if !special {
		bos = tokenize.BOSNone
	}
	list, ids, err := prompts(r.Input, "input", s.limits)
	if err != nil {
		return nil, err
	}
	if len(list) > 0 && m.Tokenizer() == nil {
		return nil, refuse("input", "input: the model %s has no tokenizer, wanted token ids", m.Name)
	}
	for i, text := range list {
		read, err := m.whole(text, bos)
		if name, ok := m.Tokenizer().SpecialToken("bos_token"); err != nil && ok && strings.HasPrefix(text, name) {
			err = fmt.Errorf("%w: wanted add_special_tokens false, or bos extra to read both", err)
		}
		if err != nil {
			return nil, refuse("input", "input: text %d: %v", i, err)
		}
		ids = append(ids, read)
	}
	fits := rmReading{model: m, check: s.rm.Check}.fits
	texts := make([]tokenize.Encoded, len(ids))
	for i, list := range ids {
		if err := fits(list); err != nil {
			return nil, refuse("input", "input: text %d: %v", i, err)
		}
		texts[i] = tokenize.Encoded{IDs: list, Reply: 1}
	}
	return texts, nil
}

// pooledChat renders a chat, whose last message is the reply, as the template does without a
// generation prompt. vLLM reads what the template writes, with a further BOS where
// add_special_tokens asks for it. Where the server's own way to read a chat is another one, the
// request must say which is meant.
func (s *Server) pooledChat(r *pooled) ([]tokenize.Encoded, error) {
	if _, err := r.strings(r.AddSpecialTokens); err != nil {
		return nil, err
	}
	it, err := readTurn(r.Messages)
	if err != nil {
		return nil, err
	}
	encode := func(how reading) (tokenize.Encoded, error) {
		rm, err := s.rmAs(&how, "chat")
		if err != nil {
			return tokenize.Encoded{}, err
		}
		text, err := rm.encode(it)
		if err != nil {
			return text, refuse("messages", "messages: %v", err)
		}
		return text, nil
	}
	if r.BOS != nil {
		text, err := encode(r.reading)
		return []tokenize.Encoded{text}, err
	}
	vllm, bos := r.reading, tokenize.BOSNone.String()
	if r.AddSpecialTokens != nil && *r.AddSpecialTokens {
		bos = tokenize.BOSExtra.String()
	}
	vllm.BOS = &bos
	text, err := encode(vllm)
	if err != nil {
		return nil, err
	}
	if r.AddSpecialTokens == nil {
		own, err := encode(r.reading)
		if err != nil {
			return nil, err
		}
		if !slices.Equal(own.IDs, text.IDs) {
			return nil, refuse("add_special_tokens", "messages: vLLM reads the %d tokens that the template writes, and this server otherwise reads %d, with BOS %s: wanted add_special_tokens (false for vLLM's), or bos", len(text.IDs), len(own.IDs), s.rm.Facts.BOS)
		}
	}
	return []tokenize.Encoded{text}, nil
}

// readTurn reads a chat that ends with the assistant's reply.
func readTurn(raw json.RawMessage) (it implicit.Item, err error) {
	list, err := strictjson.List(raw)
	if err != nil || len(list) < 2 {
		return it, refuse("messages", "messages: wanted a list of at least two objects with role and content, the last of them the assistant's reply")
	}
	last, err := readMessage(list[len(list)-1])
	switch {
	case err != nil:
		return it, refuse("messages", "messages: message %d %v", len(list)-1, err)
	case last.Role != "assistant":
		return it, refuse("messages", "messages: the last one is the %s's, wanted the assistant's: a reward model scores a reply", last.Role)
	case len(last.Extra) > 0:
		return it, refuse("messages", "messages: the last one has %.40q, wanted role and content of the reply", last.Extra[0].Name)
	}
	it.Reply = last.Content
	it.Messages, err = messagesOf(list[:len(list)-1])
	return it, err
}

type classifyResponse struct {
	ID      string         `json:"id"`
	Object  string         `json:"object"`
	Created int64          `json:"created"`
	Model   string         `json:"model"`
	Data    []classifyData `json:"data"`
	Usage   usage          `json:"usage"`
}

type classifyData struct {
	Index      int       `json:"index"`
	Label      string    `json:"label"` // of the greatest of probs
	Probs      []float64 `json:"probs"` // probabilities, or with use_activation false the head's outputs
	NumClasses int       `json:"num_classes"`
	Flags      []string  `json:"flags,omitempty"` // ours: see rewardmodel.Score.Flags
}

// classify answers as vLLM's endpoint of that name.
func (s *Server) classify(ctx context.Context, c *call) (any, error) {
	var r pooled
	if err := decode(c.body, &r); err != nil {
		return nil, err
	}
	out := classifyResponse{ID: r.id("classify", s), Object: "list", Created: time.Now().Unix()}
	err := s.pool(ctx, c, &r, func(n int) { out.Data = make([]classifyData, n) }, func(i int, values []float64, flags []string) {
		best := slices.Index(values, slices.Max(values))
		out.Data[i] = classifyData{i, s.rm.Outputs()[best], values, len(values), flags}
	})
	if err != nil {
		return nil, err
	}
	out.Model, out.Usage = s.rm.Name, usage{PromptTokens: c.tokens, TotalTokens: c.tokens}
	return out, nil
}

// poolingRequest is a pooled with what its endpoint has beside.
type poolingRequest struct {
	Task       *string `json:"task"` // classify
	Dimensions *int    `json:"dimensions"`
	Encoding   *string `json:"encoding_format"` // float
	DType      *string `json:"embed_dtype"`     // of other encodings
	Endianness *string `json:"endianness"`      // of other encodings
	pooled
}

type poolingResponse struct {
	ID      string        `json:"id"`
	Object  string        `json:"object"`
	Created int64         `json:"created"`
	Model   string        `json:"model"`
	Data    []poolingData `json:"data"`
	Usage   usage         `json:"usage"`
}

type poolingData struct {
	Index  int       `json:"index"`
	Object string    `json:"object"`
	Data   []float64 `json:"data"`
	Flags  []string  `json:"flags,omitempty"` // ours: see rewardmodel.Score.Flags
}

// pooling answers as vLLM's endpoint of that name for the task classify.
func (s *Server) pooling(ctx context.Context, c *call) (any, error) {
	var r poolingRequest
	if err := decode(c.body, &r); err != nil {
		return nil, err
	}
	switch {
	case r.Task == nil:
		return nil, refuse("task", "task is missing: by their version, vLLM's servers then answer with one value a text or one a token: wanted classify")
	case *r.Task != "classify":
		return nil, refuse("task", "task: %.30q, wanted classify: a text has one reward", *r.Task)
	case r.Dimensions != nil:
		return nil, refuse("dimensions", "dimensions: not done, wanted none")
	case r.Encoding != nil && *r.Encoding != "float":
		return nil, refuse("encoding_format", "encoding_format: %.20q, wanted float", *r.Encoding)
	}
	out := poolingResponse{ID: r.id("pool", s), Object: "list", Created: time.Now().Unix()}
	err := s.pool(ctx, c, &r.pooled, func(n int) { out.Data = make([]poolingData, n) }, func(i int, values []float64, flags []string) {
		out.Data[i] = poolingData{i, "pooling", values, flags}
	})
	if err != nil {
		return nil, err
	}
	out.Model, out.Usage = s.rm.Name, usage{PromptTokens: c.tokens, TotalTokens: c.tokens}
	return out, nil
}

// pool scores the texts of a request. start is given their number, and each then the values of
// each text after the activation that was asked for.
func (s *Server) pool(ctx context.Context, c *call, r *pooled, start func(n int), each func(i int, values []float64, flags []string)) error {
	if err := s.needRM(r.Model); err != nil {
		return err
	}
	if err := r.check(); err != nil {
		return err
	}
	activation, err := s.rm.activation(r.Activation)
	if err != nil {
		return err
	}
	texts, err := s.pooledTexts(r)
	if err != nil {
		return err
	}
	start(len(texts))
	return s.scoreRM(ctx, c, r.User, texts, func(i int, a rewardmodel.Result) {
		each(i, activation(outputs(a)), rewardmodel.Score{Text: texts[i], Result: a}.Flags())
	})
}
