package serve

import (
	"context"
	"encoding/json"
	"time"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/implicit/rewardmodel"
	"github.com/implicitreward/implicitreward/internal/strictjson"
	"github.com/implicitreward/implicitreward/tokenize"
)

// scoreRequest is vLLM's for scores of pairs: of a text, or several, with one each or with
// several. It goes by four pairs of names.
type scoreRequest struct {
	Text1     json.RawMessage `json:"text_1"`
	Text2     json.RawMessage `json:"text_2"`
	Queries   json.RawMessage `json:"queries"`
	Documents json.RawMessage `json:"documents"`
	Items     json.RawMessage `json:"items"`
	Data1     json.RawMessage `json:"data_1"`
	Data2     json.RawMessage `json:"data_2"`

	// These are refused unless they ask for what is done anyway.
	MaxQuery    int     `json:"max_tokens_per_query"`
	MaxDocument int     `json:"max_tokens_per_doc"`
	Instruction *string `json:"instruction"`
	poolingFields
	reading
}

type scoreResponse struct {
	ID      string      `json:"id"`
	Object  string      `json:"object"`
	Created int64       `json:"created"`
	Model   string      `json:"model"`
	Data    []scoreData `json:"data"`
	Usage   usage       `json:"usage"`
}

type scoreData struct {
	Index  int      `json:"index"`
	Object string   `json:"object"`
	Score  float64  `json:"score"`           // the sigmoid of the reward, or with use_activation false the reward
	Flags  []string `json:"flags,omitempty"` // ours: see rewardmodel.Score.Flags
}

// score answers as vLLM's endpoint of that name. The first text of a pair is the prompt and the
// second the reply, as the server's reward model reads them; vLLM does so where it is started
// with a chat template that renders a query and a document as these, and otherwise joins the
// two without one.
func (s *Server) score(ctx context.Context, c *call) (any, error) {
	var r scoreRequest
	if err := decode(c.body, &r); err != nil {
		return nil, err
	}
	if err := s.needRM(r.Model); err != nil {
		return nil, err
	}
	value, err := r.value(s.rm)
	if err != nil {
		return nil, err
	}
	prompts, replies, err := r.pairs(s.limits)
	if err != nil {
		return nil, err
	}
	rm, err := s.rmAs(&r.reading, "")
	if err != nil {
		return nil, err
	}
	texts := make([]tokenize.Encoded, len(replies))
	for i, reply := range replies {
		prompt := prompts[0]
		if len(prompts) > 1 {
			prompt = prompts[i]
		}
		if texts[i], err = rm.encode(implicit.Item{Prompt: prompt, Reply: reply}); err == nil {
			err = r.cuts(texts[i].IDs)
		}
		if err != nil {
			return nil, refuse("text_2", "pair %d: %v", i, err)
		}
	}
	out := scoreResponse{ID: r.id("score", s), Object: "list", Created: time.Now().Unix(), Model: s.rm.Name, Data: make([]scoreData, len(texts))}
	err = s.scoreRM(ctx, c, r.User, texts, func(i int, a rewardmodel.Result) {
		out.Data[i] = scoreData{i, "score", value(a.Reward), rewardmodel.Score{Text: texts[i], Result: a}.Flags()}
	})
	if err != nil {
		return nil, err
	}
	out.Usage = usage{PromptTokens: c.tokens, TotalTokens: c.tokens}
	return out, nil
}

// value is what a score is of a reward. vLLM scores with models of one output alone, by whose
// sigmoid it does unless it is told otherwise; of a regression, its versions differ.
func (r *scoreRequest) value(rm *RM) (func(float64) float64, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	switch {
	case r.MaxQuery != 0:
		return nil, refuse("max_tokens_per_query", "max_tokens_per_query: %d, wanted 0: nothing is cut", r.MaxQuery)
	case r.MaxDocument != 0:
		return nil, refuse("max_tokens_per_doc", "max_tokens_per_doc: %d, wanted 0: nothing is cut", r.MaxDocument)
	case r.Instruction != nil:
		return nil, refuse("instruction", "instruction: not done, wanted system or chat_template_kwargs")
	case r.Activation != nil && !*r.Activation:
		return func(reward float64) float64 { return reward }, nil
	case len(rm.Outputs()) > 1:
		return nil, refuse("use_activation", "use_activation: vLLM scores with models of one output, and this one has %d: wanted false, which gives its reward", len(rm.Outputs()))
	case rm.Problem == "regression":
		return nil, refuse("use_activation", "use_activation: by their version, vLLM's servers give a model whose problem_type is regression a sigmoid or none: wanted false, which gives its reward")
	}
	if _, err := rm.activation(r.Activation); err != nil {
		return nil, err
	}
	return func(reward float64) float64 { return sigmoids([]float64{reward})[0] }, nil
}

// pairs reads the two lists: one prompt, or as many as replies.
func (r *scoreRequest) pairs(limits Limits) (prompts, replies []string, err error) {
	first, second := "text_1", "text_2"
	given := 0
	for _, names := range []struct {
		first, second string
		a, b          json.RawMessage
	}{{"text_1", "text_2", r.Text1, r.Text2}, {"queries", "documents", r.Queries, r.Documents}, {"queries", "items", r.Queries, r.Items}, {"data_1", "data_2", r.Data1, r.Data2}} {
		if strictjson.Null(names.a) || strictjson.Null(names.b) {
			continue
		}
		given++
		first, second = names.first, names.second
		if prompts, err = texts(names.a, first, limits); err != nil {
			return nil, nil, err
		}
		if replies, err = texts(names.b, second, limits); err != nil {
			return nil, nil, err
		}
	}
	fields := 0
	for _, raw := range []json.RawMessage{r.Text1, r.Text2, r.Queries, r.Documents, r.Items, r.Data1, r.Data2} {
		if !strictjson.Null(raw) {
			fields++
		}
	}
	switch {
	case given != 1 || fields != 2:
		return nil, nil, refuse("text_1", "wanted text_1 and text_2, queries and documents, queries and items, or data_1 and data_2")
	case len(prompts) != 1 && len(prompts) != len(replies):
		return nil, nil, refuse(first, "%d %s for %d %s, wanted one, or one each", len(prompts), first, len(replies), second)
	}
	return prompts, replies, nil
}

// texts reads a string or a list of strings.
func texts(raw json.RawMessage, field string, limits Limits) ([]string, error) {
	list, ids, err := prompts(raw, field, limits)
	if err == nil && ids != nil {
		err = refuse(field, "%s: wanted a string or a list of strings", field)
	}
	return list, err
}
