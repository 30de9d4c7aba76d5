package serve

import (
	"encoding/json"
	"strconv"

	"github.com/implicitreward/implicitreward/logprob"
)

// promptLogprobs is vLLM's field of that name (vllm/entrypoints/openai, 0.8 and later): a
// value a token of the prompt, the first of them null, as nothing predicts the first token.
// The others are objects in which the prompt's token comes first and the likeliest tokens
// follow, as many as were asked for; the token itself is there once. Clients (inspect_ai's
// perplexity) read the first of each.
type promptLogprobs []rankedTokens

// rankedTokens is an object id -> {"logprob", "rank", "decoded_token"} in this order; nil is
// null.
type rankedTokens []rankedToken

// rankedToken is a token at a place. Rank is 1 for the likeliest there, and 0, null in JSON,
// for a token that is not among those that were asked for, whose rank was not counted.
type rankedToken struct {
	id      int32
	logProb float32
	rank    int
	text    string
}

func (t rankedTokens) MarshalJSON() ([]byte, error) {
	if t == nil {
		return []byte("null"), nil
	}
	b := []byte{'{'}
	for i, token := range t {
		if i > 0 {
			b = append(b, ',')
		}
		info := struct {
			LogProb float32         `json:"logprob"`
			Rank    json.RawMessage `json:"rank"`
			Text    string          `json:"decoded_token"`
		}{finite(token.logProb), json.RawMessage("null"), token.text}
		if token.rank > 0 {
			info.Rank = strconv.AppendInt(nil, int64(token.rank), 10)
		}
		b = append(strconv.AppendInt(append(b, '"'), int64(token.id), 10), `":`...)
		b = append(b, encodeJSON(info)...)
	}
	return append(b, '}'), nil
}

// promptLogprobsOf makes the field of one prompt. a has the log-probabilities of all its
// tokens but the first.
func promptLogprobsOf(ids []int32, a logprob.Result, k int, spelling speller) promptLogprobs {
	list := make(promptLogprobs, len(ids))
	for i, v := range a.LogProbs {
		own := rankedToken{id: ids[i+1], logProb: v, text: spelling.text(ids[i+1])}
		var others rankedTokens
		if k > 0 {
			for n, t := range a.Top[i][:min(k, len(a.Top[i]))] {
				if t.ID == own.id {
					own.rank = n + 1
				} else {
					others = append(others, rankedToken{t.ID, t.LogProb, n + 1, spelling.text(t.ID)})
				}
			}
		}
		list[i+1] = append(rankedTokens{own}, others...)
	}
	return list
}
