package train

import "context"

// Summary is what a run has come to.
type Summary struct {
	Steps       int   // all of them
	Tokens      int64 // that were trained on
	Rows        int   // to train on
	Dropped     int   // rows with a text that is too long
	Cut         int   // texts that are too long, and were cut
	Checkpoints []int // their steps
	// Warnings are doubts that did not stop the work.
	Warnings []error
}

// begin makes what follows from options and rows.
func (t *trainer) begin() (err error) {
	if t.order, err = newOrder(&t.o, len(t.samples)); err != nil {
		return err
	}
	t.steps = t.order.steps(t.o.Steps, t.o.Epochs)
	if t.schedule, err = newSchedule(&t.o, t.steps); err != nil {
		return err
	}
	t.adamw = newAdamW(&t.o, t.params())
	return nil
}

// run trains from a state, nil for the beginning, to the end.
func (t *trainer) run(ctx context.Context, s *state) (*Summary, error) {
	if s != nil {
		if err := t.resume(s); err != nil {
			return nil, err
		}
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
	return &Summary{
		Steps: t.steps, Tokens: t.tokens, Rows: len(t.samples), Dropped: m.Dropped, Cut: m.Cut, Checkpoints: t.saved, Warnings: m.warned(),
	}, nil
}

// complete ends a run: doubts go into train.json, and the moments, which nothing needs any more,
// go away.
func (t *trainer) complete() error {
	doubts, err := unlearnt(t.params(), t.initial)
	if err != nil {
		return err
	}
	for _, doubt := range doubts {
		t.manifest.Warnings = append(t.manifest.Warnings, doubt.Error())
	}
	t.manifest.Complete = true
	if err := t.describe(); err != nil {
		return err
	}
	return t.folder.saveState(t.state(t.steps), nil, nil)
}

// begun has the checkpoint of step 0 written, which the model is loaded from.
func (f *folder) begun(write func(dir string) error) error {
	dir := f.checkpoint(0)
	return f.writeFolder(dir, func() error { return write(dir) })
}
