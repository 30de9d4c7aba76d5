package serve

import (
	"context"
	"fmt"
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
		if err := a.Check(queries[n], m.VocabSize()); err != nil {
			return nil, fmt.Errorf("serve: text %d: %w", n, err)
		}
		answers = append(answers, a)
	}
	if len(answers) < len(queries) {
		return nil, fmt.Errorf("serve: %d answers to %d queries", len(answers), len(queries))
	}
	return answers, nil
}
