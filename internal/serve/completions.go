package serve

import (
	"context"
	"encoding/json"
	"math"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/implicitreward/implicitreward/internal/strictjson"
	"github.com/implicitreward/implicitreward/logprob"
)

// completionsRequest is OpenAI's, with some fields of vLLM's. Pointers and raw JSON tell a
// field that was sent from one that was not.
type completionsRequest struct {
	Model     string          `json:"model"`
	Prompt    json.RawMessage `json:"prompt"`
	Echo      bool            `json:"echo"`
	Logprobs  *int            `json:"logprobs"`
	MaxTokens *int            `json:"max_tokens"`

	AddSpecialTokens *bool `json:"add_special_tokens"` // vLLM: strings get the BOS; default true
	PromptLogprobs   *int  `json:"prompt_logprobs"`    // vLLM: see promptLogprobs

	BOS         *string `json:"bos"`                        // of strings: auto, add or none
	TokensAsIDs bool    `json:"return_tokens_as_token_ids"` // vLLM: "token_id:42" for tokens

	// These change nothing where nothing is sampled.
	Seed *int64   `json:"seed"`
	TopP *float64 `json:"top_p"`
	User string   `json:"user"` // who is to get a fair share, beside others of the same address

	// These are refused unless they ask for what is done anyway.
	Temperature      *float64           `json:"temperature"`
	N                *int               `json:"n"`
	BestOf           *int               `json:"best_of"`
	Stream           bool               `json:"stream"`
	StreamOptions    json.RawMessage    `json:"stream_options"`
	Suffix           string             `json:"suffix"`
	Stop             json.RawMessage    `json:"stop"`
	PresencePenalty  float64            `json:"presence_penalty"`
	FrequencyPenalty float64            `json:"frequency_penalty"`
	LogitBias        map[string]float64 `json:"logit_bias"`
}

// check refuses what is not done, rather than ignore it.
func (r *completionsRequest) check() error {
	switch {
	case r.Stream:
		return refuse("stream", "stream: true, wanted false: answers are not streamed")
	case !strictjson.Null(r.StreamOptions):
		return refuse("stream_options", "stream_options without stream, which is not done")
	case r.MaxTokens == nil:
		return refuse("max_tokens", "max_tokens is missing, which means 16: wanted 0, or 1 for the likeliest next token; this server scores and does not write")
	case *r.MaxTokens < 0 || *r.MaxTokens > 1:
		return refuse("max_tokens", "max_tokens: %d, wanted 0, or 1 for the likeliest next token: this server scores and does not write", *r.MaxTokens)
	case r.Logprobs != nil && (*r.Logprobs < 0 || *r.Logprobs > logprobsMost):
		return refuse("logprobs", "logprobs: %d, wanted 0 to %d", *r.Logprobs, logprobsMost)
	case r.PromptLogprobs != nil && (*r.PromptLogprobs < 0 || *r.PromptLogprobs > logprobsMost):
		return refuse("prompt_logprobs", "prompt_logprobs: %d, wanted 0 to %d", *r.PromptLogprobs, logprobsMost)
	}
	return r.checkWriting()
}

// checkWriting refuses what asks for more than the likeliest next token.
func (r *completionsRequest) checkWriting() error {
	one := func(n *int) bool { return n == nil || *n == 1 }
	switch {
	case !one(r.N):
		return refuse("n", "n: %d, wanted 1", *r.N)
	case !one(r.BestOf):
		return refuse("best_of", "best_of: %d, wanted 1", *r.BestOf)
	case r.Suffix != "":
		return refuse("suffix", "suffix: not done")
	case len(r.LogitBias) > 0:
		return refuse("logit_bias", "logit_bias: not done")
	case r.PresencePenalty != 0:
		return refuse("presence_penalty", "presence_penalty: %g, wanted 0", r.PresencePenalty)
	case r.FrequencyPenalty != 0:
		return refuse("frequency_penalty", "frequency_penalty: %g, wanted 0", r.FrequencyPenalty)
	case r.TopP != nil && !(0 <= *r.TopP && *r.TopP <= 1):
		return refuse("top_p", "top_p: %g, wanted a number from 0 to 1", *r.TopP)
	case *r.MaxTokens == 0: // nothing is written, so nothing can be sampled or stopped
	case r.Temperature != nil && *r.Temperature != 0:
		return refuse("temperature", "temperature: %g, wanted 0: nothing is sampled", *r.Temperature)
	case !strictjson.Null(r.Stop) && string(r.Stop) != `""` && string(r.Stop) != "[]":
		return refuse("stop", "stop with max_tokens 1: not done")
	}
	return nil
}

// The response is OpenAI's.
type completionsResponse struct {
	ID      string             `json:"id"`
	Object  string             `json:"object"`
	Created int64              `json:"created"`
	Model   string             `json:"model"`
	Choices []completionChoice `json:"choices"`
	Usage   usage              `json:"usage"`
}

type completionChoice struct {
	Text         string              `json:"text"`
	Index        int                 `json:"index"`
	Logprobs     *completionLogprobs `json:"logprobs"`
	FinishReason string              `json:"finish_reason"`

	PromptLogprobs promptLogprobs `json:"prompt_logprobs,omitempty"` // where asked for
}

// completionLogprobs has one value a token in each list. Nothing predicts the first token
// of a text: its log-probability, and what would have been likeliest there, are null.
type completionLogprobs struct {
	Tokens        []string    `json:"tokens"`
	TokenLogprobs []*float32  `json:"token_logprobs"`
	TopLogprobs   []topTokens `json:"top_logprobs"`
	TextOffset    []int       `json:"text_offset"` // characters (code points) of text before the token
}

type usage struct {
	PromptTokens     int `json:"prompt_tokens"`
	CompletionTokens int `json:"completion_tokens"`
	TotalTokens      int `json:"total_tokens"`
}

// topTokens is an object token -> log-probability in which the likeliest token comes first;
// nil is null. The text's own token is always there, so that there may be one more than was
// asked for. Of tokens with one text the likeliest is there: return_tokens_as_token_ids
// tells them apart.
type topTokens []topToken

type topToken struct {
	piece   string
	logProb float32
}

func (t topTokens) MarshalJSON() ([]byte, error) {
	if t == nil {
		return []byte("null"), nil
	}
	b := []byte{'{'}
	for i, token := range t {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(b, encodeJSON(token.piece)...), ':')
		b = strictjson.AppendFloat(b, float64(token.logProb), 32)
	}
	return append(b, '}'), nil
}

func (t topTokens) add(piece string, logProb float32) topTokens {
	for _, token := range t {
		if token.piece == piece {
			return t
		}
	}
	return append(t, topToken{piece, logProb})
}

// finite is v, and -9999 for -Inf, which JSON has not: vLLM's value for it.
func finite(v float32) float32 {
	if math.IsInf(float64(v), -1) {
		return -9999
	}
	return v
}

var answerNumber atomic.Int64

// newID is an id for an answer, unlike any other of this server and its earlier runs.
func (s *Server) newID(kind string) string {
	return kind + "-" + strconv.FormatInt(s.started.Unix(), 36) + "-" + strconv.FormatInt(answerNumber.Add(1), 36)
}

func (s *Server) completions(ctx context.Context, c *call) (any, error) {
	var r completionsRequest
	if err := decode(c.body, &r); err != nil {
		return nil, err
	}
	m, at, err := s.model(r.Model)
	if err != nil {
		return nil, err
	}
	if err := r.check(); err != nil {
		return nil, err
	}
	how := reading{BOS: r.BOS}
	bos, err := how.strings(r.AddSpecialTokens)
	if err != nil {
		return nil, err
	}
	as, err := how.of(m, false)
	if err != nil {
		return nil, err
	}
	list, err := s.read(r.Prompt, "prompt", as, bos)
	if err != nil {
		return nil, err
	}
	w := &work{client: c.client + " " + r.User, model: at, queries: make([]logprob.Request, len(list))}
	answers := make([]logprob.Result, len(list))
	w.each = func(i int, a answer) { answers[i] = a.Result }
	for i, p := range list {
		w.queries[i] = r.query(p)
	}
	if *r.MaxTokens == 0 && (!r.Echo || r.Logprobs == nil) && r.PromptLogprobs == nil {
		w.queries = nil // nothing of the model's is wanted
	}
	if err := s.run(ctx, c, w); err != nil {
		return nil, err
	}
	out := completionsResponse{ID: s.newID("cmpl"),
		Object: "text_completion", Created: time.Now().Unix(), Model: m.Name, Choices: make([]completionChoice, len(list))}
	for i, p := range list {
		out.Choices[i] = r.choice(i, p, answers[i], speller{m.Tokenizer(), r.TokensAsIDs}, m.eos())
		out.Usage.PromptTokens += len(p.ids)
		out.Usage.CompletionTokens += *r.MaxTokens
	}
	out.Usage.TotalTokens = out.Usage.PromptTokens + out.Usage.CompletionTokens
	return out, nil
}

// query is what the model is asked for one prompt.
func (r *completionsRequest) query(p prompt) logprob.Request {
	q := logprob.Request{IDs: p.ids, From: len(p.ids)}
	if r.Echo && r.Logprobs != nil {
		q.From = 1
		q.TopK = *r.Logprobs
	}
	if *r.MaxTokens == 1 {
		q.TopK = 1 // what is written
		if r.Logprobs != nil {
			q.TopK = max(1, *r.Logprobs)
		}
	}
	if r.PromptLogprobs != nil {
		q.From = 1
		q.TopK = max(q.TopK, *r.PromptLogprobs)
	}
	return q
}

// choice writes the answer for one prompt. eos is the id of the token that ends a text, -1
// for none.
func (r *completionsRequest) choice(i int, p prompt, a logprob.Result, spelling speller, eos int32) completionChoice {
	choice := completionChoice{Index: i, FinishReason: "length"}
	var logprobs *completionLogprobs
	k := 0
	if r.Logprobs != nil {
		k = *r.Logprobs
		logprobs = &completionLogprobs{Tokens: []string{}, TokenLogprobs: []*float32{}, TopLogprobs: []topTokens{}, TextOffset: []int{}}
	}
	add := func(id int32, offset int, logProb *float32, top []logprob.TokenLogProb) {
		piece := spelling.piece(id)
		var tops topTokens
		if logProb != nil {
			v := finite(*logProb)
			logProb = &v
			tops = topTokens{}
			for _, t := range top[:min(k, len(top))] {
				tops = tops.add(spelling.piece(t.ID), finite(t.LogProb))
			}
			tops = tops.add(piece, v)
		}
		logprobs.Tokens = append(logprobs.Tokens, piece)
		logprobs.TokenLogprobs = append(logprobs.TokenLogprobs, logProb)
		logprobs.TopLogprobs = append(logprobs.TopLogprobs, tops)
		logprobs.TextOffset = append(logprobs.TextOffset, offset)
	}
	at := func(n int) []logprob.TokenLogProb { // the likeliest at the n-th place that was asked for
		if n < len(a.Top) {
			return a.Top[n]
		}
		return nil
	}
	if r.PromptLogprobs != nil {
		choice.PromptLogprobs = promptLogprobsOf(p.ids, a, *r.PromptLogprobs, speller{tok: spelling.tok})
	}
	if r.Echo {
		choice.Text = p.text
		if logprobs != nil {
			add(p.ids[0], p.offsets[0], nil, nil)
			for n := range a.LogProbs {
				add(p.ids[n+1], p.offsets[n+1], &a.LogProbs[n], at(n))
			}
		}
	}
	if *r.MaxTokens == 1 {
		last := at(len(a.LogProbs))
		best := last[0]
		if logprobs != nil {
			add(best.ID, characters(choice.Text), &best.LogProb, last)
		}
		if best.ID == eos {
			choice.FinishReason = "stop"
		} else {
			choice.Text += spelling.text(best.ID)
		}
	}
	choice.Logprobs = logprobs
	return choice
}
