package serve

import (
	"context"
	"fmt"

	"github.com/implicitreward/implicitreward/logprob"
)

// ask computes a batch of queries and holds the model to its promise: an answer a query,
// with as many values as were asked for, none of them NaN.
func ask(ctx context.Context, m logprob.LM, queries []logprob.Request) ([]logprob.Result, error) {
	answers := make([]logprob.Result, len(queries))
	err := logprob.Collect(ctx, m, queries, func(i int, a logprob.Result) error {
		answers[i] = a
		if err := a.Check(queries[i], m.VocabSize()); err != nil {
			return fmt.Errorf("serve: text %d: %w", i, err)
		}
		return nil
	})
	return answers, err
}
