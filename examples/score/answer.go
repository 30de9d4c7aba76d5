package main

import (
	"math"
	"strconv"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/internal/strictjson"
	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

// side is the result of one model.
type side struct {
	IDs      []int32              `json:"ids"`
	Pieces   []string             `json:"pieces"`
	LogProbs []strictjson.Float32 `json:"logprobs"`
	Sum      strictjson.Float64   `json:"sum"`
}

// piece is an element of "per_span": a part of the reply that is whole tokens in both models.
// The texts of all pieces make the reply, and their rewards add up to its reward.
type piece struct {
	Text        string             `json:"text"`
	Start       int                `json:"start"` // bytes of the reply, as UTF-8
	End         int                `json:"end"`
	Tuned       strictjson.Float64 `json:"tuned"` // ln p of its tokens, summed
	Base        strictjson.Float64 `json:"base"`
	Reward      strictjson.Float64 `json:"reward"`       // beta * (tuned - base)
	TunedTokens [2]int             `json:"tuned_tokens"` // its ids are tuned.ids[from:to]
	BaseTokens  [2]int             `json:"base_tokens"`
}

// answer adds the results to an object: "per_token" if both models tokenize the reply alike,
// otherwise "per_span".
func answer(object []byte, r implicit.Reward, pair implicit.Pair) ([]byte, error) {
	flags := r.Flags()
	for _, m := range []struct {
		name  string
		lm    logprob.LM
		text  tokenize.Encoded
		score logprob.Result
	}{{"tuned", pair.Tuned.LM, r.TunedText, r.Tuned}, {"base", pair.Base.LM, r.BaseText, r.Base}} {
		s := side{IDs: m.text.IDs[m.text.Reply:], Sum: strictjson.Float64(m.score.Sum())}
		for j, id := range s.IDs {
			s.Pieces = append(s.Pieces, m.lm.Tokenizer().Decode(id))
			s.LogProbs = append(s.LogProbs, strictjson.Float32(m.score.LogProbs[j]))
		}
		if math.IsInf(m.score.Sum(), -1) {
			flags = append(flags, m.name+"-zero") // a null stands for -Inf
		}
		object = appendField(object, m.name, s)
	}
	object = appendField(object, "reward", strictjson.Float64(r.Value()))
	if values, ok := r.PerToken(); ok {
		scaled := make([]strictjson.Float64, len(values))
		for i, v := range values {
			scaled[i] = strictjson.Float64(r.Beta * v)
		}
		object = appendField(object, "per_token", scaled)
	} else {
		spans, err := r.PerSpan()
		if err != nil {
			return nil, err // not with these policies: both models were given this reply
		}
		pieces := make([]piece, len(spans))
		for i, s := range spans {
			pieces[i] = piece{s.Text, s.Start, s.End, strictjson.Float64(s.Tuned), strictjson.Float64(s.Base), strictjson.Float64(r.Beta * s.LogRatio()), s.TunedTokens, s.BaseTokens}
		}
		object = appendField(object, "per_span", pieces)
	}
	if flags == nil {
		flags = []string{}
	}
	object = appendField(object, "flags", flags)
	return append(object, '}'), nil
}

// appendField adds a member to an object whose closing brace is still to come.
func appendField(object []byte, key string, value any) []byte {
	if object[len(object)-1] != '{' {
		object = append(object, ", "...)
	}
	object = append(object, strconv.Quote(key)+": "...)
	return appendJSON(object, value)
}

// appendJSON adds a value, with <, > and & as they are.
func appendJSON(to []byte, value any) []byte {
	b, err := strictjson.Marshal(value)
	if err != nil {
		panic(err) // no type here fails
	}
	return append(to, b...)
}
