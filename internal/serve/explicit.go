package serve

import (
	"context"
	"encoding/json"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/implicit/rewardmodel"
	"github.com/implicitreward/implicitreward/internal/strictjson"
	"github.com/implicitreward/implicitreward/tokenize"
)

// explicitRequest asks for the explicit reward model's rewards of one reply or several.
type explicitRequest struct {
	Model     string          `json:"model"`
	Prompt    *string         `json:"prompt"`
	Messages  json.RawMessage `json:"messages"` // instead of prompt: a chat
	Reply     *string         `json:"reply"`
	Replies   json.RawMessage `json:"replies"`   // instead of reply: a list of strings
	Rendering string          `json:"rendering"` // chat or raw
	IDs       bool            `json:"ids"`       // the answer holds what the model read
	User      string          `json:"user"`
	reading
}

type explicitResponse struct {
	Object    string         `json:"object"`
	Model     string         `json:"model"`
	Head      string         `json:"head"`
	Output    string         `json:"output"` // what is the reward, "" for the head's own
	Pooling   string         `json:"pooling"`
	Normalize bool           `json:"normalize"`
	Rendering rmRendering    `json:"rendering"`
	Data      []explicitData `json:"data"` // one a reply, in order
	Usage     usage          `json:"usage"`
}

type explicitData struct {
	Index     int                 `json:"index"`
	Reward    float64             `json:"reward"`    // in the head's own unit
	Outputs   strictjson.Numbers  `json:"outputs"`   // by their names
	Weights   *strictjson.Numbers `json:"weights"`   // of the outputs in the reward; null for a head that does not weigh them by the text
	Quantiles namedLists          `json:"quantiles"` // of the outputs; null for a head without
	Position  int                 `json:"position"`  // of the token whose state the head read
	Tokens    int                 `json:"tokens"`    // of prompt and reply
	Flags     []string            `json:"flags"`     // what to know of the number: see rewardmodel.Score.Flags
	IDs       []int32             `json:"ids"`       // null unless asked for
}

// namedLists is an object of lists in the order of its names; null without lists.
type namedLists struct {
	names []string
	lists [][]float64
}

func (l namedLists) MarshalJSON() ([]byte, error) {
	if l.lists == nil {
		return []byte("null"), nil
	}
	b := []byte{'{'}
	for i, list := range l.lists {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(b, encodeJSON(l.names[i])...), ':')
		b = append(b, encodeJSON(list)...)
	}
	return append(b, '}'), nil
}

func (s *Server) explicit(ctx context.Context, c *call) (any, error) {
	var r explicitRequest
	if err := decode(c.body, &r); err != nil {
		return nil, err
	}
	if err := s.needRM(r.Model); err != nil {
		return nil, err
	}
	rm, err := s.rmAs(&r.reading, r.Rendering)
	if err != nil {
		return nil, err
	}
	chat, err := chatOf(r.Prompt, r.Messages)
	if err != nil {
		return nil, err
	}
	if rm.how.As == "raw" && (len(chat) > 1 || chat[0].Role != "user") {
		return nil, refuse("rendering", "the reward model reads raw text, and messages of several turns are none: wanted rendering chat, or one prompt")
	}
	replies, err := repliesOf(r.Reply, r.Replies, s.limits)
	if err != nil {
		return nil, err
	}
	texts := make([]tokenize.Encoded, len(replies))
	for i, reply := range replies {
		if texts[i], err = rm.encode(implicit.Item{Messages: chat, Reply: reply}); err != nil {
			return nil, refuse("replies", "reply %d: %v", i, err)
		}
	}
	facts := s.rm.Facts
	out := explicitResponse{Object: "reward", Model: s.rm.Name, Head: facts.Head, Output: facts.Output, Pooling: poolingOf(facts), Normalize: facts.Normalize,
		Rendering: rm.how, Data: make([]explicitData, len(texts))}
	names := rm.Outputs()
	err = s.scoreRM(ctx, c, r.User, texts, func(i int, a rewardmodel.Result) {
		d := explicitData{Index: i, Reward: a.Reward, Outputs: strictjson.Numbers{Names: names, Values: a.Outputs}, Quantiles: namedLists{names, a.Quantiles},
			Position: a.Position, Tokens: len(texts[i].IDs), Flags: append([]string{}, rewardmodel.Score{Text: texts[i], Result: a}.Flags()...)}
		if a.Weights != nil {
			d.Weights = &strictjson.Numbers{Names: names, Values: a.Weights}
		}
		if r.IDs {
			d.IDs = texts[i].IDs
		}
		out.Data[i] = d
	})
	if err != nil {
		return nil, err
	}
	out.Usage = usage{PromptTokens: c.tokens, TotalTokens: c.tokens}
	return out, nil
}
