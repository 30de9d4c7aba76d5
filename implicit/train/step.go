package train

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/implicitreward/implicitreward/logprob"
)

// tuner is the model that is trained: see logprob.Tuning.
type tuner interface {
	Params() []*logprob.Param
	Split(groups [][]logprob.Request) [][]int
	// forward keeps what backward needs until it is done. Evaluation leaves dropout out.
	forward(ctx context.Context, groups [][]logprob.Request, evaluate bool) (pass, error)
	Update()
	Passes() uint64
	Close()
}

// pass is some groups of texts that have been through the model.
type pass interface {
	outputs() [][]logprob.Outputs
	Backward(ctx context.Context, adjoints [][]logprob.Outputs) error
	Close()
}

// total is what the samples of a step or of an evaluation come to.
type total struct {
	outcomes []outcome
	weight   float64
	tokens   int64
}

// compute takes samples through the model. With gradients it adds to those of the parameters
// that of the loss, a mean over all of them: those of the passes add up, whose number does not
// show but in rounding.
func (t *trainer) compute(ctx context.Context, step int, samples []*sample, gradients bool) (*total, error) {
	groups := make([][]logprob.Request, len(samples))
	out := &total{outcomes: make([]outcome, len(samples))}
	for i, e := range samples {
		groups[i] = t.objective.requests(e)
		out.weight += t.objective.weight(e)
		for _, text := range e.texts {
			out.tokens += int64(len(text.ids))
		}
	}
	if out.weight == 0 {
		return nil, errors.New("no token to train on")
	}
	scale := 0.0
	if gradients {
		scale = 1 / out.weight
	}
	for _, together := range t.model.Split(groups) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		var some []*sample
		var requests [][]logprob.Request
		for _, i := range together {
			some, requests = append(some, samples[i]), append(requests, groups[i])
		}
		outcomes, err := t.computeTogether(ctx, step, some, requests, scale)
		if err != nil {
			return nil, err
		}
		for k, i := range together {
			out.outcomes[i] = outcomes[k]
		}
	}
	return out, nil
}

// computeTogether is compute of one pass.
func (t *trainer) computeTogether(ctx context.Context, step int, samples []*sample, requests [][]logprob.Request, scale float64) ([]outcome, error) {
	p, err := t.model.forward(ctx, requests, scale == 0)
	if bad := (*logprob.NotFiniteError)(nil); errors.As(err, &bad) {
		return nil, notFinite(step, samples[bad.Group], "%w", err)
	}
	if err != nil {
		return nil, err
	}
	defer p.Close()
	outcomes := make([]outcome, len(samples))
	adjoints := make([][]logprob.Outputs, len(samples))
	for i, out := range p.outputs() {
		outcomes[i], adjoints[i] = t.objective.of(samples[i], out, scale)
		if !finite(outcomes[i].loss) {
			return nil, notFinite(step, samples[i], "the loss is %v", outcomes[i].loss)
		}
	}
	if scale == 0 {
		return outcomes, nil
	}
	return outcomes, p.Backward(ctx, adjoints)
}

func finite(x float64) bool { return x-x == 0 }

// notFinite is the error that ends a run.
func notFinite(step int, e *sample, format string, args ...any) error {
	return fmt.Errorf("step %d: row %d: "+format, append([]any{step, e.number}, args...)...)
}

// loss is the mean loss.
func (t *total) loss() float64 {
	sum := 0.0
	for _, o := range t.outcomes {
		sum += o.loss
	}
	return sum / t.weight
}

// pairs are the shares and means of what pairs have: nil without rewards.
func (t *total) pairs() (accuracy, margin, reward *float64) {
	if t.outcomes[0].rewards == nil {
		return nil, nil, nil
	}
	var won, apart, all float64
	for _, o := range t.outcomes {
		if o.rewards[0] > o.rewards[1] {
			won++
		}
		apart += o.rewards[0] - o.rewards[1]
		all += o.rewards[0] + o.rewards[1]
	}
	n := float64(len(t.outcomes))
	won, apart, all = won/n, apart/n, all/(2*n)
	return &won, &apart, &all
}

// step takes one step, from 1, and tells of it.
func (t *trainer) step(ctx context.Context, step int) (Record, error) {
	var samples []*sample
	for _, i := range t.order.step(step) {
		samples = append(samples, t.samples[i])
	}
	params := t.params()
	for _, p := range params {
		clear(p.Grad)
	}
	sums, err := t.compute(ctx, step, samples, true)
	if err != nil {
		return Record{}, err
	}
	t.objective.settle()
	size := norm(params)
	if !finite(size) {
		return Record{}, t.blame(ctx, step, samples)
	}
	rate := t.schedule.rate(step)
	t.adamw.update(params, rate, clipScale(size, t.o.Clip))
	t.model.Update()
	t.tokens += sums.tokens
	r := Record{Step: step, Loss: sums.loss(), GradNorm: size, LR: rate, Epoch: t.epoch(step), Tokens: t.tokens}
	r.Accuracy, r.Margin, r.Reward = sums.pairs()
	return r, nil
}

// epoch is how far the run is after a step, in epochs.
func (t *trainer) epoch(step int) float64 { return float64(step) / float64(t.order.perEpoch()) }

// params are all that is trained: the model's, and the objective's own.
func (t *trainer) params() []*logprob.Param {
	return append(append([]*logprob.Param(nil), t.model.Params()...), t.objective.params()...)
}

// blame says which row's gradient is not finite, or that all are and their sum is not.
func (t *trainer) blame(ctx context.Context, step int, samples []*sample) error {
	params := t.params()
	var numbers []string
	for _, e := range samples {
		for _, p := range params {
			clear(p.Grad)
		}
		if _, err := t.compute(ctx, step, []*sample{e}, true); err != nil {
			return err
		}
		t.objective.settle()
		if size := norm(params); !finite(size) {
			return notFinite(step, e, "the gradient is not finite, of norm %v", size)
		}
		numbers = append(numbers, fmt.Sprint(e.number))
	}
	return fmt.Errorf("step %d: rows %s: the gradient of their loss is not finite, though each row's is", step, strings.Join(numbers, ", "))
}

// Evaluation is a line of eval.jsonl: the held-out rows at a checkpoint.
type Evaluation struct {
	Step     int      `json:"step"`
	Loss     float64  `json:"loss"`               // as a Record's, over all rows
	Accuracy *float64 `json:"accuracy,omitempty"` // likewise
	Margin   *float64 `json:"margin,omitempty"`
	Reward   *float64 `json:"reward_mean,omitempty"`
	Epoch    float64  `json:"epoch"`
	Rows     int      `json:"rows"`
}

// evaluate computes the held-out rows.
func (t *trainer) evaluate(ctx context.Context, step int) (Evaluation, error) {
	sums, err := t.compute(ctx, step, t.held, false)
	if err != nil {
		return Evaluation{}, fmt.Errorf("evaluation: %w", err)
	}
	e := Evaluation{Step: step, Loss: sums.loss(), Epoch: t.epoch(step), Rows: len(t.held)}
	e.Accuracy, e.Margin, e.Reward = sums.pairs()
	return e, nil
}
