package logprob

import (
	"context"
	"fmt"
	"iter"
	"math"
	"slices"

	"github.com/implicitreward/implicitreward/tokenize"
)

// LM is a language model that answers requests. *Model is one; package implicittest has one
// without weights for tests, and tests whether others keep this contract.
type LM interface {
	// Tokenizer turns text into token ids; nil if the model takes only token ids.
	Tokenizer() *tokenize.Tokenizer
	// VocabSize is the vocabulary size: the number of token ids with a probability.
	VocabSize() int
	// MaxTokens is the length of the longest token sequence.
	MaxTokens() int
	// Run yields a Result for every request, in input order. Requests are drawn as needed
	// and may be computed together. If a request cannot be computed, or ctx ends, the
	// results before it are followed by one error, which names its number, and the sequence
	// ends.
	Run(ctx context.Context, requests iter.Seq[Request]) iter.Seq2[Result, error]
}

// Request is a token sequence and what to compute of it: the log-probabilities of the reply
// IDs[From:], each token given all before it, and what the other fields request.
type Request struct {
	IDs []int32
	// From is where the reply begins: at least 1, since nothing predicts the first token, or
	// 0 for a sequence of no tokens with no other request.
	From int
	// TopK requests the TopK likeliest tokens at every position of the reply and after it.
	TopK int
	// Distribution requests ln p of the whole vocabulary after the last token.
	Distribution bool
	// Within, if not nil, requests the probability that the next token after the last is in
	// the set of tokens v with Within[v]. It has at most VocabSize values; missing ones are
	// false. Requests that share the slice are computed together.
	Within []bool
	// States requests the final hidden state after IDs[:i+1] for each of these i, what a reward
	// model's or a classifier's head reads. With From = len(IDs) nothing else is computed.
	States []int
}

// RequestOf requests the log-probabilities of the reply of a text, and nothing else.
func RequestOf(t tokenize.Encoded) Request { return Request{IDs: t.IDs, From: t.Reply} }

// Result is a model's answer to one Request.
type Result struct {
	// LogProbs[i] = ln p(reply[i] | prompt, reply[:i]), one for each reply token; -Inf for
	// probability 0.
	LogProbs []float32
	// Greedy reports whether every reply token was the likeliest at its position, so that
	// greedy decoding would produce this reply.
	Greedy bool
	// Top[i] are the likeliest tokens at position i of the reply, likeliest first, ties by
	// lower id; Top[len(LogProbs)] are those after the reply. It is nil without TopK. A
	// reply token has the same bits here as in LogProbs.
	Top [][]TokenLogProb
	// Distribution[v] = ln p(v | IDs), VocabSize values owned by the caller; nil unless
	// requested.
	Distribution []float32
	// Within = ln sum_v p(v | IDs) over the tokens of Request.Within; 0 unless requested.
	Within float32
	// States[k] is the final hidden state at Request.States[k], after the model's last norm:
	// hidden_states[-1] of transformers, as many values as the model is wide.
	States [][]float32
}

// TokenLogProb is a token and its log-probability at some position.
type TokenLogProb struct {
	ID      int32
	LogProb float32
}

// Sum returns ln p(reply | prompt) = sum_i LogProbs[i] in nats, summed in float64. It is 0 =
// ln 1 for a reply of no tokens.
func (r Result) Sum() float64 {
	sum := 0.0
	for _, v := range r.LogProbs {
		sum += float64(v)
	}
	return sum
}

// Mean returns Sum()/n in nats per token, for the n reply tokens of this model's tokenizer;
// means of two models are comparable only if both tokenize the reply alike. It is NaN for a
// reply of no tokens.
func (r Result) Mean() float64 {
	if len(r.LogProbs) == 0 {
		return math.NaN()
	}
	return r.Sum() / float64(len(r.LogProbs))
}

// Check holds an answer to its request: one log-probability for each reply token, finite or
// -Inf, a probability of a set of at most 1 (but for rounding), and as many likely tokens and
// values of a distribution as were asked for, of a vocabulary of vocabSize.
func (r Result) Check(q Request, vocabSize int) error {
	places := len(q.IDs) - q.From
	bad := func(v float32) bool { return v != v || math.IsInf(float64(v), 1) }
	switch i := slices.IndexFunc(r.LogProbs, bad); {
	case len(r.LogProbs) != places:
		return fmt.Errorf("%d log-probabilities, wanted %d", len(r.LogProbs), places)
	case i >= 0:
		return fmt.Errorf("token %d: log-probability %v, wanted a number or -Inf", i, r.LogProbs[i])
	case r.Within != r.Within || r.Within > 1e-3:
		return fmt.Errorf("ln of the probability of its end is %v, wanted at most 0", r.Within)
	case q.TopK > 0 && len(r.Top) != places+1:
		return fmt.Errorf("the likeliest at %d places, wanted %d", len(r.Top), places+1)
	case q.Distribution && len(r.Distribution) != vocabSize:
		return fmt.Errorf("a distribution of %d values, wanted %d", len(r.Distribution), vocabSize)
	case len(r.States) != len(q.States):
		return fmt.Errorf("%d states, wanted %d", len(r.States), len(q.States))
	}
	return nil
}

// Collect runs m over the requests and hands use each result with the index of its request,
// in order. It returns an error unless there is one result for each request, and the first
// error of use.
func Collect(ctx context.Context, m LM, requests []Request, use func(i int, r Result) error) error {
	if len(requests) == 0 {
		return ctx.Err()
	}
	n := 0
	for r, err := range m.Run(ctx, slices.Values(requests)) {
		if err != nil {
			return err
		}
		if n == len(requests) {
			return fmt.Errorf("more results than the %d texts", n)
		}
		if err := use(n, r); err != nil {
			return err
		}
		n++
	}
	if n < len(requests) {
		return fmt.Errorf("%d results for %d texts", n, len(requests))
	}
	return nil
}

// Score yields the log-probabilities of the texts' replies: m.Run on RequestOf each text.
func Score(ctx context.Context, m LM, texts iter.Seq[tokenize.Encoded]) iter.Seq2[Result, error] {
	return m.Run(ctx, requests(texts, RequestOf))
}

// Next yields ln p of every token of the vocabulary after each text, prompt and reply: the
// Distribution of a Request. An empty text is an error.
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
