package serve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/internal/strictjson"
	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

// rewardRequest asks for beta (ln p_tuned(reply | prompt) - ln p_base(reply | prompt)) of one
// reply or several.
type rewardRequest struct {
	Prompt    *string         `json:"prompt"`
	Messages  json.RawMessage `json:"messages"` // instead of prompt: a chat
	Reply     *string         `json:"reply"`
	Replies   json.RawMessage `json:"replies"`   // instead of reply: a list of strings
	Rendering rendering       `json:"rendering"` // how each model reads the prompt
	Beta      *float64        `json:"beta"`
	PerToken  bool            `json:"per_token"`
	User      string          `json:"user"`
	reading
}

// rendering is "raw" or "chat" for each model of the pair, and "auto", "add" or "none" of its
// BOS; "" is the server's choice.
type rendering struct {
	Tuned    string `json:"tuned"`
	Base     string `json:"base"`
	TunedBOS string `json:"tuned_bos,omitempty"`
	BaseBOS  string `json:"base_bos,omitempty"`
}

type rewardResponse struct {
	Object    string       `json:"object"`
	Tuned     string       `json:"tuned"`
	Base      string       `json:"base"`
	Rendering rendering    `json:"rendering"`
	Beta      float64      `json:"beta"`
	Data      []rewardData `json:"data"` // one a reply, in order
	Usage     usage        `json:"usage"`
}

// rewardData is one reply's. Numbers that are not finite, as where a model gives
// probability 0, are null.
type rewardData struct {
	Index        int         `json:"index"`
	Reward       *float64    `json:"reward"`         // beta * log_ratio
	LogRatio     *float64    `json:"log_ratio"`      // logp_tuned - logp_base, nats
	LogpTuned    *float64    `json:"logp_tuned"`     // sum over the reply's tokens
	LogpBase     *float64    `json:"logp_base"`      //
	MeanLogRatio *float64    `json:"mean_log_ratio"` // of the means per token of each model
	TokensTuned  int         `json:"tokens_tuned"`   // of the reply
	TokensBase   int         `json:"tokens_base"`    //
	Flags        []string    `json:"flags"`          // what to know of the number: see implicit.Reward.Flags
	PerToken     []spanValue `json:"per_token"`      // null unless asked for
}

// spanValue is a piece of the reply that both models read as whole tokens: one token where
// they cut the reply alike.
type spanValue struct {
	Text      string   `json:"text"`
	Start     int      `json:"start"` // characters (code points) of the reply
	End       int      `json:"end"`
	LogpTuned *float64 `json:"logp_tuned"`
	LogpBase  *float64 `json:"logp_base"`
	Reward    *float64 `json:"reward"` // beta * (logp_tuned - logp_base)
}

// number is v, null where JSON has no such number.
func number(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}

func (s *Server) reward(ctx context.Context, c *call) (any, error) {
	var r rewardRequest
	if err := decode(c.body, &r); err != nil {
		return nil, err
	}
	if err := s.needPair(); err != nil {
		return nil, err
	}
	if err := r.Rendering.fill(s.models); err != nil {
		return nil, err
	}
	beta, err := s.betaOf(r.Beta)
	if err != nil {
		return nil, err
	}
	chat, err := r.chat()
	if err != nil {
		return nil, err
	}
	replies, err := repliesOf(r.Reply, r.Replies, s.limits)
	if err != nil {
		return nil, err
	}
	pair, err := s.pairAs(&r.reading, r.Rendering)
	if err != nil {
		return nil, err
	}
	pair.Beta = beta
	pairs := make([]implicit.Reward, len(replies))
	toScore := make([]*implicit.Reward, len(replies))
	for i, reply := range replies {
		if pairs[i], err = encode(pair, implicit.Item{Messages: chat, Reply: reply}); err != nil {
			return nil, refuse("replies", "reply %d: %v", i, err)
		}
		toScore[i] = &pairs[i]
	}
	if err := s.scorePairs(ctx, c, r.User, toScore); err != nil {
		return nil, err
	}
	out := rewardResponse{Object: "implicit_reward", Tuned: s.models[s.tuned].Name, Base: s.models[s.base].Name,
		Rendering: r.Rendering, Beta: beta, Data: make([]rewardData, len(pairs))}
	for i, p := range pairs {
		if out.Data[i], err = dataOf(i, p, r.PerToken); err != nil {
			return nil, err
		}
	}
	out.Usage = usage{PromptTokens: c.tokens, TotalTokens: c.tokens}
	return out, nil
}

func (s *Server) needPair() error {
	switch {
	case len(s.models) == 0:
		return fail(http.StatusNotFound, "invalid_request_error", "", "no_pair", "the server has an explicit reward model alone (/v1/reward), and implicit rewards are between two language models: start it with -tuned and -base too")
	case s.base < 0:
		return fail(http.StatusNotFound, "invalid_request_error", "", "no_pair", "the server has one model, and rewards are between two: start it with -tuned and -base")
	}
	return nil
}

// fill puts in what the models are served with where the request does not say.
func (r *rendering) fill(pair []*Model) error {
	for i, as := range []*string{&r.Tuned, &r.Base} {
		if *as == "" {
			*as = pair[i].As
		}
		if *as != "raw" && *as != "chat" {
			return refuse("rendering", "rendering: %.20q, wanted raw or chat", *as)
		}
	}
	for _, bos := range []string{r.TunedBOS, r.BaseBOS} {
		if _, err := tokenize.ParseBOS(bos); bos != "" && err != nil {
			return refuse("rendering", "rendering: BOS %.20q, wanted auto, add, none or extra", bos)
		}
	}
	return nil
}

func (s *Server) betaOf(beta *float64) (float64, error) {
	if beta == nil {
		return s.beta, nil
	}
	if !(*beta > 0) {
		return 0, refuse("beta", "beta: %g, wanted a number above 0", *beta)
	}
	return *beta, nil
}

// chatOf is a prompt, or messages in place of it, as messages.
func chatOf(prompt *string, raw json.RawMessage) ([]tokenize.Message, error) {
	messages := !strictjson.Null(raw)
	switch {
	case messages == (prompt != nil):
		return nil, refuse("prompt", "wanted prompt or messages, one of them")
	case !messages:
		return user(*prompt), nil
	}
	return readMessages(raw)
}

// chat is the prompt as messages.
func (r *rewardRequest) chat() ([]tokenize.Message, error) {
	chat, err := chatOf(r.Prompt, r.Messages)
	if err != nil || len(chat) == 1 && chat[0].Role == "user" {
		return chat, err
	}
	for i, as := range []string{r.Rendering.Tuned, r.Rendering.Base} {
		if as == "raw" {
			return nil, refuse("rendering", "the %s model reads raw text, and messages of several turns are none: wanted rendering chat for both models, or one prompt", [...]string{"tuned", "base"}[i])
		}
	}
	return chat, nil
}

// repliesOf is a reply, or several in place of it.
func repliesOf(reply *string, raw json.RawMessage, limits Limits) ([]string, error) {
	list := !strictjson.Null(raw)
	switch {
	case list == (reply != nil):
		return nil, refuse("reply", "wanted reply or replies, one of them")
	case !list:
		return []string{*reply}, nil
	}
	replies, err := stringList(raw, limits)
	if err == nil && len(replies) == 0 {
		err = errors.New("an empty list, wanted at least one")
	}
	if err != nil {
		return nil, refuse("replies", "replies: %v", err)
	}
	return replies, nil
}

// pairAs is the pair as its models read text for a request. A BOS of the rendering comes
// before that of reading, which is for both.
func (s *Server) pairAs(r *reading, as rendering) (pair implicit.Pair, err error) {
	chats := as.Tuned == "chat" || as.Base == "chat"
	tuned, err := r.of(s.models[s.tuned], chats)
	if err != nil {
		return pair, err
	}
	base, err := r.of(s.models[s.base], chats)
	if err != nil {
		return pair, err
	}
	return implicit.Pair{Tuned: tuned.with(as.TunedBOS).policy(as.Tuned), Base: base.with(as.BaseBOS).policy(as.Base)}, nil
}

// policy is the model as it reads items, "raw" or as a "chat", with errors in the words for a
// client.
func (m *Model) policy(as string) *implicit.Policy {
	p := implicit.Chat(m.LM, m.Chat)
	if as == "raw" {
		p = implicit.RawBOS(m.LM, m.bos())
	}
	read := p.Encode
	p.Encode = func(it implicit.Item) (tokenize.Encoded, error) {
		if messages := it.Conversation(); as == "raw" && len(messages[0].Extra) > 0 {
			return tokenize.Encoded{}, fmt.Errorf("the message's %.40q has no place in raw text: wanted rendering chat, or a message without it", messages[0].Extra[0].Name)
		}
		text, err := read(it)
		if err != nil {
			return text, withChoice(err)
		}
		return text, checkIDs(text.IDs, m)
	}
	return p
}

// encode makes the texts of an item, or says why there are none, in the words for a client.
func encode(pair implicit.Pair, it implicit.Item) (implicit.Reward, error) {
	r := pair.Encode(it)
	if bad, ok := errors.AsType[*implicit.ItemError](r.Err); ok {
		return r, bad.Cause()
	}
	return r, nil
}

// user is a chat of one message.
func user(prompt string) []tokenize.Message {
	return []tokenize.Message{{Role: "user", Content: prompt}}
}

// scorePairs fills in the results of both models, whose texts wait in the queue together.
func (s *Server) scorePairs(ctx context.Context, c *call, user string, pairs []*implicit.Reward) error {
	tuned := &work{client: c.client + " " + user, model: s.tuned, each: func(n int, a answer) { pairs[n].Tuned = a.Result }}
	base := &work{client: tuned.client, model: s.base, each: func(n int, a answer) { pairs[n].Base = a.Result }}
	for _, r := range pairs {
		tuned.queries = append(tuned.queries, logprob.RequestOf(r.TunedText))
		base.queries = append(base.queries, logprob.RequestOf(r.BaseText))
	}
	return s.run(ctx, c, tuned, base)
}

// dataOf writes the answer for one reply.
func dataOf(i int, p implicit.Reward, perToken bool) (rewardData, error) {
	d := rewardData{
		Index: i, Reward: number(p.Value()), LogRatio: number(p.LogRatio()), LogpTuned: number(p.Tuned.Sum()), LogpBase: number(p.Base.Sum()),
		MeanLogRatio: number(p.MeanLogRatio()), TokensTuned: len(p.Tuned.LogProbs), TokensBase: len(p.Base.LogProbs), Flags: append([]string{}, p.Flags()...),
	}
	if !perToken {
		return d, nil
	}
	spans, err := p.PerSpan()
	if err != nil {
		return d, err
	}
	d.PerToken = make([]spanValue, len(spans))
	for n, span := range spans {
		start := characters(p.Reply[:span.Start])
		d.PerToken[n] = spanValue{Text: span.Text, Start: start, End: start + characters(span.Text),
			LogpTuned: number(span.Tuned), LogpBase: number(span.Base), Reward: number(p.Beta * span.LogRatio())}
	}
	return d, nil
}
