package serve

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/implicitreward/implicitreward/implicit/rewardmodel"
	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

// scorer is a model that the queue asks.
type scorer struct {
	name string
	// ask computes a batch and holds the model to its promises: an answer a query.
	ask func(ctx context.Context, queries []logprob.Request) ([]answer, error)
}

// answer is what a model answers to a query: the Result of a language model, or what a reward
// model makes of the query's ids.
type answer struct {
	logprob.Result
	reward rewardmodel.Result
}

// scorer is the language model as the queue asks it: for as many values as a query wants,
// none of them NaN.
func (m *Model) scorer() scorer {
	return scorer{m.Name, func(ctx context.Context, queries []logprob.Request) ([]answer, error) {
		answers := make([]answer, len(queries))
		err := logprob.Collect(ctx, m, queries, func(i int, a logprob.Result) error {
			answers[i].Result = a
			if err := a.Check(queries[i], m.VocabSize()); err != nil {
				return fmt.Errorf("serve: text %d: %w", i, err)
			}
			return nil
		})
		return answers, err
	}}
}

// scorer is the reward model as the queue asks it: for the reward of a query's ids, finite as
// the outputs are.
func (m *RM) scorer() scorer {
	outputs := len(m.Outputs())
	return scorer{m.Name, func(ctx context.Context, queries []logprob.Request) ([]answer, error) {
		texts := func(yield func(tokenize.Encoded) bool) {
			for _, q := range queries {
				if !yield(tokenize.Encoded{IDs: q.IDs, Reply: q.From}) {
					return
				}
			}
		}
		answers := make([]answer, len(queries))
		n := 0
		for r, err := range m.Run(ctx, texts) {
			switch {
			case err != nil:
				return nil, err
			case n == len(queries):
				return nil, fmt.Errorf("serve: more results than the %d texts", n)
			case len(r.Outputs) != outputs || r.Weights != nil && len(r.Weights) != outputs || r.Quantiles != nil && len(r.Quantiles) != outputs:
				return nil, fmt.Errorf("serve: text %d: %d outputs, %d weights and quantiles of %d, wanted those of %d outputs", n, len(r.Outputs), len(r.Weights), len(r.Quantiles), outputs)
			case !isFinite(r.Reward) || !all(r.Outputs) || !all(r.Weights) || slices.ContainsFunc(r.Quantiles, func(q []float64) bool { return !all(q) }):
				return nil, fmt.Errorf("serve: text %d: reward %v of outputs %v, wanted finite numbers", n, r.Reward, r.Outputs)
			}
			answers[n].reward = r
			n++
		}
		if n < len(queries) {
			return nil, fmt.Errorf("serve: %d results for %d texts", n, len(queries))
		}
		return answers, nil
	}}
}

func isFinite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

func all(values []float64) bool {
	return !slices.ContainsFunc(values, func(v float64) bool { return !isFinite(v) })
}
