package train

import (
	"context"
	"errors"
	"fmt"

	"github.com/implicitreward/implicitreward/implicit/rewardmodel"
	"github.com/implicitreward/implicitreward/logprob"
)

// trainer is a run.
type trainer struct {
	o         Options // complete
	model     tuner
	objective objective
	samples   []*sample // to train on
	held      []*sample // to evaluate
	order     *order
	schedule  schedule
	adamw     *adamW
	folder    *folder
	// write writes a checkpoint into a new folder.
	write func(ctx context.Context, dir string, params []*logprob.Param) error
	// trained is how the texts of a reward model are rendered; nil for rows of token ids.
	trained *rewardmodel.Trained
	// initial is a parameter's value at step 0.
	initial func(name string) ([]float32, error)

	manifest *manifest
	doubts   []error        // before the first step
	closers  []func() error // what frees what is on the device

	steps     int    // of the whole run
	tokens    int64  // so far
	passes    uint64 // through the model, up to the last step or checkpoint that is complete
	saved     []int  // checkpoints so far
	evaluated int64  // bytes of eval.jsonl with the last of them
}

// stateEvery is the number of steps after which the state is kept even without a checkpoint.
const stateEvery = 50

// train goes on from where the run is to its end.
func (t *trainer) train(ctx context.Context) error {
	for step := t.adamw.step; ; step++ {
		if err := t.after(ctx, step); err != nil {
			if ctx.Err() != nil { // what was begun is done again
				err = errors.Join(err, t.keep(step))
			}
			return err
		}
		if step == t.steps {
			return nil
		}
		record, err := t.step(ctx, step+1)
		if err != nil {
			if ctx.Err() != nil { // the step was begun, and changed nothing
				err = errors.Join(err, t.keep(step))
			}
			return err
		}
		t.passes = t.model.Passes()
		if err := t.folder.appendLine(logFile, record); err != nil {
			return err
		}
		if t.o.Step != nil {
			t.o.Step(record)
		}
	}
}

// after does what is due after a step.
func (t *trainer) after(ctx context.Context, step int) error {
	switch n := len(t.saved); {
	case n > 0 && t.saved[n-1] == step:
		return nil
	case t.o.Checkpoints.saves(step, t.steps):
		return t.checkpoint(ctx, step)
	case step%stateEvery == 0:
		return t.keep(step)
	}
	return nil
}

// checkpoint saves the parameters after a step, evaluates them, tells of them and keeps the
// state, in this order: a run that is killed in between does it all again.
func (t *trainer) checkpoint(ctx context.Context, step int) error {
	dir := t.folder.checkpoint(step)
	if step > 0 { // that of step 0 is where the run began
		if err := t.folder.writeFolder(dir, func() error { return t.recorded(dir, t.write(ctx, dir, t.params())) }); err != nil {
			return fmt.Errorf("checkpoint %d: %w", step, err)
		}
	}
	if len(t.held) > 0 {
		e, err := t.evaluate(ctx, step)
		if err != nil {
			return err
		}
		if err := t.folder.appendLine(evalFile, e); err != nil {
			return err
		}
	}
	if t.o.Saved != nil {
		if err := t.o.Saved(step, dir); err != nil {
			return fmt.Errorf("checkpoint %d: %w", step, err)
		}
	}
	size, err := t.folder.size(evalFile)
	if err != nil {
		return err
	}
	t.saved, t.passes, t.evaluated = append(t.saved, step), t.model.Passes(), size
	if err := t.describe(); err != nil {
		return err
	}
	return t.keep(step)
}

// describe writes train.json.
func (t *trainer) describe() error {
	if n := len(t.saved); n > 0 {
		t.manifest.Checkpoint = t.saved[n-1]
	}
	return t.folder.writeJSON(t.folder.join(manifestFile), t.manifest)
}

// keep keeps the state after a step.
func (t *trainer) keep(step int) error {
	if len(t.saved) == 0 {
		return nil // not even step 0 is complete
	}
	if err := t.folder.saveState(t.state(step), t.params(), t.adamw); err != nil {
		return fmt.Errorf("state of step %d: %w", step, err)
	}
	return nil
}

// state is where the run is after a step.
func (t *trainer) state(step int) state {
	return state{Step: step, Checkpoint: t.saved[len(t.saved)-1], Tokens: t.tokens, Passes: t.passes, Eval: t.evaluated}
}

// resume goes back to a state that was kept.
func (t *trainer) resume(s *state) error {
	t.tokens, t.passes, t.evaluated = s.Tokens, s.Passes, s.Eval
	for step := 0; step <= s.Checkpoint; step++ {
		if t.o.Checkpoints.saves(step, t.steps) {
			t.saved = append(t.saved, step)
		}
	}
	if err := t.describe(); err != nil || s.complete(t.steps) {
		return err
	}
	t.adamw.step = s.Step
	if s.Tensors != "" {
		if err := t.folder.loadState(s, t.params(), t.adamw); err != nil {
			return fmt.Errorf("state of step %d: %w", s.Step, err)
		}
		t.model.Update()
	}
	return nil
}

// plan makes what follows from options and rows.
func (t *trainer) plan() (err error) {
	if t.order, err = newOrder(&t.o, t.samples); err != nil {
		return err
	}
	t.steps = t.order.steps(t.o.Steps, t.o.Epochs)
	t.schedule, err = newSchedule(&t.o, t.steps)
	return err
}

// run trains from a state, nil for the beginning, to the end.
func (t *trainer) run(ctx context.Context, s *state) (*Summary, error) {
	if s != nil {
		if err := t.resume(s); err != nil {
			return nil, err
		}
	} else {
		t.manifest.Warnings = inWords(t.doubts)
	}
	if !s.complete(t.steps) {
		if err := t.train(ctx); err != nil {
			return nil, err
		}
		if err := t.complete(); err != nil {
			return nil, err
		}
	}
	m := t.manifest
	return &Summary{Steps: t.steps, Tokens: t.tokens, Rows: m.Rows, Held: m.Held, Checkpoints: t.saved, Warnings: m.warned()}, nil
}

// complete ends a run: doubts go into train.json, and the moments, which nothing needs any more,
// go away.
func (t *trainer) complete() error {
	doubts, err := unlearnt(t.params(), t.initial)
	if err != nil {
		return err
	}
	t.manifest.AtEnd = inWords(doubts)
	t.manifest.Complete = true
	if err := t.describe(); err != nil {
		return err
	}
	return t.folder.saveState(t.state(t.steps), nil, nil)
}

func inWords(doubts []error) []string {
	words := []string{}
	for _, doubt := range doubts {
		words = append(words, doubt.Error())
	}
	return words
}
