package logprob

import (
	"context"
	"iter"
	"math"

	"github.com/implicitreward/implicitreward/tokenize"
)

// LM is a language model that answers requests. *Model is one; package implicittest has
// one without weights, for tests, and holds others to what is asked here.
type LM interface {
	// Tokenizer makes token ids of text; nil where the model takes token ids alone.
	Tokenizer() *tokenize.Tokenizer
	// VocabSize is the number of token ids that the model gives a probability.
	VocabSize() int
	// MaxTokens is the length of the longest token sequence.
	MaxTokens() int
	// Run yields a Result for every request, in their order. Requests are drawn as they
	// are needed and may be computed together. The first that cannot be computed yields an
	// error that names its number, after the results before it, and ends the sequence; so
	// does the end of ctx.
	Run(ctx context.Context, requests iter.Seq[Request]) iter.Seq2[Result, error]
}

// Request is a token sequence and what is asked about it: the log-probabilities of the
// reply IDs[From:], each token's after those before it, and more where a field says so.
type Request struct {
	IDs []int32
	// From is where the reply begins: at least 1, as nothing predicts the first token,
	// unless there are no tokens and nothing else is asked.
	From int
	// TopK asks for that many of the likeliest tokens at every place of the reply and
	// after it.
	TopK int
	// Distribution asks for ln p of the whole vocabulary after the last token.
	Distribution bool
	// Within, where it is not nil, asks for the probability that the token after the last
	// is one of the set of tokens v with Within[v]. It has VocabSize values, or fewer, the
	// rest being false. Requests that share the slice are computed together.
	Within []bool
}

// RequestOf asks for the log-probabilities of the reply of a text, and nothing more.
func RequestOf(t tokenize.Encoded) Request { return Request{IDs: t.IDs, From: t.Reply} }

// Result is a model's answer to one Request.
type Result struct {
	// LogProbs[i] = ln p(reply[i] | prompt, reply[:i]), one for each reply token; -Inf where
	// the model gives the token probability 0.
	LogProbs []float32
	// Greedy says that every reply token was the likeliest at its place, so that
	// greedy decoding would have written this reply.
	Greedy bool
	// Top[i] are the likeliest tokens at place i of the reply, the likeliest first, of
	// equals the one with the lower id; Top[len(LogProbs)] are those after it. nil without
	// TopK. A token of the reply has the same bits here as in LogProbs.
	Top [][]TokenLogProb
	// Distribution[v] = ln p(v | IDs), VocabSize values, the caller's to keep; nil without
	// Request.Distribution.
	Distribution []float32
	// Within = ln sum_v p(v | IDs) over the tokens of Request.Within; 0 without.
	Within float32
}

// TokenLogProb is a token and its log-probability at some place.
type TokenLogProb struct {
	ID      int32
	LogProb float32
}

// Sum returns ln p(reply | prompt) = sum_i LogProbs[i], added in float64. It is 0, ln
// 1, for a reply of no tokens.
func (r Result) Sum() float64 {
	sum := 0.0
	for _, v := range r.LogProbs {
		sum += float64(v)
	}
	return sum
}

// Mean returns Sum()/n, nats per token of the reply as this model's tokenizer cuts
// it, so two models' means are comparable only where both cut alike; NaN for a reply
// of no tokens.
func (r Result) Mean() float64 {
	if len(r.LogProbs) == 0 {
		return math.NaN()
	}
	return r.Sum() / float64(len(r.LogProbs))
}

// Score yields the log-probabilities of the texts' replies: m.Run with RequestOf each.
func Score(ctx context.Context, m LM, texts iter.Seq[tokenize.Encoded]) iter.Seq2[Result, error] {
	return m.Run(ctx, requests(texts, RequestOf))
}

// Next yields ln p of every token of the vocabulary after each text, prompt and reply
// together: the Distribution of a Request. An empty text is an error.
func Next(ctx context.Context, m LM, texts iter.Seq[tokenize.Encoded]) iter.Seq2[[]float32, error] {
	return func(yield func([]float32, error) bool) {
		after := func(t tokenize.Encoded) Request {
			return Request{IDs: t.IDs, From: len(t.IDs), Distribution: true}
		}
		for r, err := range m.Run(ctx, requests(texts, after)) {
			if !yield(r.Distribution, err) {
				return
			}
		}
	}
}

func requests(texts iter.Seq[tokenize.Encoded], of func(tokenize.Encoded) Request) iter.Seq[Request] {
	return func(yield func(Request) bool) {
		for t := range texts {
			if !yield(of(t)) {
				return
			}
		}
	}
}
