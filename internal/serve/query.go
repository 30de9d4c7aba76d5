package serve

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/implicitreward/implicitreward/logprob"
)

// ask computes a batch of queries and holds the model to its promise: an answer a query,
// with as many values as were asked for, none of them NaN.
func ask(ctx context.Context, m logprob.LM, queries []logprob.Request) ([]logprob.Result, error) {
	answers := make([]logprob.Result, 0, len(queries))
	for a, err := range m.Run(ctx, slices.Values(queries)) {
		if err != nil {
			return nil, err
		}
		n := len(answers)
		if n == len(queries) {
			return nil, fmt.Errorf("serve: more answers than the %d queries", n)
		}
		q := queries[n]
		places := len(q.IDs) - q.From
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
