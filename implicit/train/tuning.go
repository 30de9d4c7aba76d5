package train

import (
	"context"

	"github.com/implicitreward/implicitreward/logprob"
)

// tuning is a logprob.Tuning as the loop sees it.
type tuning struct{ *logprob.Tuning }

func (t tuning) forward(ctx context.Context, groups [][]logprob.Request, evaluate bool) (pass, error) {
	compute := t.Forward
	if evaluate {
		compute = t.Evaluate
	}
	p, err := compute(ctx, groups)
	if err != nil {
		return nil, err // and no pass that is not nil
	}
	return computed{p}, nil
}

type computed struct{ *logprob.Pass }

func (c computed) outputs() [][]logprob.Outputs { return c.Outputs }
