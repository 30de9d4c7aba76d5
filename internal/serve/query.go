package serve

import (
	"context"
	"fmt"
	"iter"
	"math"
	"slices"

	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

// LM is what the server needs of a language model. *logprob.Model is one.
type LM interface {
	Tokenizer() *tokenize.Tokenizer // nil: the model takes token ids only
	MaxTokens() int                 // tokens of the longest text
	VocabSize() int                 // of the vocabulary
	Query(ctx context.Context, queries iter.Seq[logprob.Query]) iter.Seq2[logprob.Answer, error]
}

// about is a query for ln p of ids[from:].
func about(ids []int32, from int) logprob.Query {
	return logprob.Query{Text: tokenize.Encoded{IDs: ids, Reply: from}}
}

// ask computes a batch of queries and holds the model to its promise: an answer a query,
// with as many values as were asked for, none of them NaN.
func ask(ctx context.Context, m LM, queries []logprob.Query) ([]logprob.Answer, error) {
	answers := make([]logprob.Answer, 0, len(queries))
	for a, err := range m.Query(ctx, slices.Values(queries)) {
		if err != nil {
			return nil, err
		}
		n := len(answers)
		if n == len(queries) {
			return nil, fmt.Errorf("serve: more answers than the %d queries", n)
		}
		q := queries[n]
		places := len(q.Text.IDs) - q.Text.Reply
		switch {
		case len(a.LogProbs) != places:
			return nil, fmt.Errorf("serve: text %d: %d log-probabilities, wanted %d", n, len(a.LogProbs), places)
		case q.TopK > 0 && len(a.Top) != places+1:
			return nil, fmt.Errorf("serve: text %d: the likeliest at %d places, wanted %d", n, len(a.Top), places+1)
		case q.Distribution && len(a.Distribution) != m.VocabSize():
			return nil, fmt.Errorf("serve: text %d: a row of %d values, wanted %d", n, len(a.Distribution), m.VocabSize())
		}
		for i, v := range a.LogProbs {
			if v != v || math.IsInf(float64(v), 1) {
				return nil, fmt.Errorf("serve: text %d: token %d: log-probability %v, wanted a number or -Inf", n, i, v)
			}
		}
		answers = append(answers, a)
	}
	if len(answers) < len(queries) {
		return nil, fmt.Errorf("serve: %d answers to %d queries", len(answers), len(queries))
	}
	return answers, nil
}
