package train

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/implicitreward/implicitreward/implicit/rewardmodel"
	"github.com/implicitreward/implicitreward/internal/checkpoint"
	"github.com/implicitreward/implicitreward/logprob"
)

// Summary is what a run has come to.
type Summary struct {
	Steps       int    // all of them
	Tokens      int64  // that were trained on, those of a row in each epoch
	Rows, Held  Counts // of the rows to train on, and of those held out
	Checkpoints []int  // their steps
	// Warnings are doubts that did not stop the work.
	Warnings []error
}

// Run trains, and writes into the folder o.Out
//
//	checkpoint-N/  after step N, which peft and transformers load too: with LoRA an adapter beside
//	               Model, of reward with its score row, else a checkpoint. Training begins with
//	               what checkpoint-0 holds
//	log.jsonl      a Record a step
//	eval.jsonl     an Evaluation a checkpoint, with Eval
//	train.json     what was done with what, the last checkpoint, and at the end the warnings
//	state/         where a run goes on, with Resume, after it was stopped at any moment: it ends
//	               with the same bytes in all files. At most 50 steps are done again, and
//	               Options.Step and Saved told of them once more
//
// Each of data's rows is trained on once an epoch. A step's loss is the mean over its rows, of sft
// and lm over all their trained tokens, whatever is computed at a time. The first update's
// learning rate is 0 if there is warm-up, as in transformers.
//
// A loss or gradient that is not finite ends the run, with an error that names step and row. ctx
// is checked between layers.
func Run(ctx context.Context, data *Data, o Options) (*Summary, error) {
	summary, err := run(ctx, data, o)
	if err != nil {
		return nil, fmt.Errorf("train: %s: %w", o.Out, err)
	}
	return summary, nil
}

func run(ctx context.Context, data *Data, o Options) (*Summary, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	o.rows = data.Len()
	t := &trainer{o: o, folder: &folder{path: o.Out, event: o.event}, manifest: &manifest{Model: o.Model, Init: o.Init}}
	t.write, t.initial = t.save, t.first
	if o.Task == Reward {
		if t.trained, err = data.trained(o); err != nil {
			return nil, err
		}
	}
	if err := t.read(ctx, data); err != nil {
		return nil, err
	}
	if err := t.plan(); err != nil {
		return nil, err
	}
	if t.manifest.Settings, err = t.settings(ctx); err != nil {
		return nil, err
	}
	defer t.folder.close()
	s, err := t.folder.open(t.manifest, o.Resume)
	if err != nil {
		return nil, err
	}
	if s == nil {
		dir := t.folder.checkpoint(0)
		if err := t.folder.writeFolder(dir, func() error { return t.recorded(dir, t.start(ctx, dir)) }); err != nil {
			return nil, errors.Join(fmt.Errorf("checkpoint 0: %w", err), t.folder.leave())
		}
	}
	if s.complete(t.steps) {
		return t.run(ctx, s)
	}
	if err := t.load(ctx, s); err != nil {
		err = errors.Join(err, t.close())
		if s == nil {
			err = errors.Join(err, t.folder.leave())
		}
		return nil, err
	}
	summary, err := t.run(ctx, s)
	return summary, errors.Join(err, t.close())
}

// read makes data tokens.
func (t *trainer) read(ctx context.Context, data *Data) error {
	tok, err := logprob.LoadTokenizer(t.o.Model)
	if err != nil {
		return err
	}
	if tok != nil {
		defer tok.Close()
	}
	encode := func(d *Data) ([]*sample, Counts, error) {
		rows, counts, err := d.encode(ctx, tok, t.o)
		var samples []*sample
		for _, r := range rows {
			samples = append(samples, &sample{row: r})
		}
		return samples, counts, err
	}
	m := t.manifest
	if t.samples, m.Rows, err = encode(data); err != nil {
		return err
	}
	m.Data, t.doubts = data.SHA256(), m.Rows.Warnings()
	if t.o.Eval == nil {
		return nil
	}
	if t.held, m.Held, err = encode(t.o.Eval); err != nil {
		return fmt.Errorf("held-out rows: %w", err)
	}
	m.Eval = t.o.Eval.SHA256()
	for _, doubt := range m.Held.Warnings() {
		t.doubts = append(t.doubts, fmt.Errorf("held-out rows: %w", doubt))
	}
	return nil
}

// start writes checkpoint-0, what training begins with.
func (t *trainer) start(ctx context.Context, dir string) error {
	o := &t.o
	switch {
	case o.LoRA != nil && o.Init != "":
		return logprob.WriteAdapter(ctx, o.Init, dir, nil)
	case o.LoRA != nil:
		return t.newAdapter(ctx, dir, o.Task == Reward)
	case o.Task == LM:
		return logprob.NewCheckpoint(ctx, o.Model, dir, o.Seed)
	}
	warnings, err := logprob.WriteCheckpoint(ctx, cmp.Or(o.Init, o.Model), dir, nil, &logprob.CheckpointOptions{Classifier: o.Task == Reward, Seed: o.Seed})
	t.doubts = append(t.doubts, warnings...)
	return err
}

// newAdapter writes an adapter whose B is zero. It draws the same A for a classifier and for none.
func (t *trainer) newAdapter(ctx context.Context, dir string, classifier bool) error {
	l := t.o.LoRA
	return logprob.NewAdapter(ctx, t.o.Model, dir, &logprob.AdapterOptions{
		R: l.R, Alpha: l.Alpha, Targets: l.Targets, Dropout: l.Dropout, RSLoRA: l.RSLoRA,
		Classifier: classifier, Seed: t.o.Seed, Base: t.o.Model,
	})
}

// load puts the model on the device, with the values of checkpoint-0.
func (t *trainer) load(ctx context.Context, s *state) error {
	o, dir := &t.o, t.folder.checkpoint(0)
	options := &logprob.Options{Backend: o.Backend, DType: o.DType, MemoryLimit: o.MemoryLimit, Trunk: o.Task == Reward && o.SFT == 0}
	base := dir
	if o.LoRA != nil {
		base, options.Adapter = o.Model, dir
	}
	if o.SFT > 0 { // a classifier's adapter has no vocabulary head beside it
		temp, err := os.MkdirTemp("", "train-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(temp)
		options.Adapter = filepath.Join(temp, "adapter")
		if err := t.newAdapter(ctx, options.Adapter, false); err != nil {
			return err
		}
	}
	m, err := logprob.Load(ctx, base, options)
	if err != nil {
		return err
	}
	t.closers = append(t.closers, m.Close)
	t.doubts = append(t.doubts, m.Warnings()...)
	if err := t.check(m); err != nil {
		return err
	}
	tune := &logprob.TuneOptions{Tokens: o.MicroBatch, Seed: o.Seed}
	if s != nil {
		tune.Passes = s.Passes
	}
	if o.LoRA != nil {
		tune.Dropout = o.LoRA.Dropout
	}
	tuned, err := m.Tune(ctx, tune)
	if err != nil {
		return err
	}
	t.closers = append(t.closers, func() error { tuned.Close(); return nil })
	t.model = tuning{tuned}
	if t.objective, err = t.aim(ctx, m); err != nil {
		return err
	}
	t.adamw = newAdamW(o, t.params())
	return nil
}

// close frees what load has made, the last first.
func (t *trainer) close() (err error) {
	for _, c := range slices.Backward(t.closers) {
		err = errors.Join(err, c())
	}
	return err
}

// check holds rows to the model.
func (t *trainer) check(m *logprob.Model) error {
	for _, s := range slices.Concat(t.samples, t.held) {
		for _, text := range s.texts {
			if n, most := len(text.ids), m.MaxTokens(); n > most {
				return fmt.Errorf("row %d: a text of %d tokens, and the model reads %d: wanted MaxTokens to be at most that", s.number, n, most)
			}
			for _, id := range text.ids {
				if id < 0 || int(id) >= m.VocabSize() {
					return fmt.Errorf("row %d: token id %d, wanted 0 to %d, of the model's vocabulary", s.number, id, m.VocabSize()-1)
				}
			}
		}
	}
	return nil
}

// aim makes the objective.
func (t *trainer) aim(ctx context.Context, m *logprob.Model) (objective, error) {
	switch t.o.Task {
	case Reward:
		name := "score.weight"
		if t.o.LoRA != nil {
			name = "base_model.model." + name
		}
		row, err := t.first(name)
		if err != nil {
			return nil, err
		}
		if len(row) != m.Width() {
			return nil, fmt.Errorf("%s of %d numbers, wanted %d, a reward model's", name, len(row), m.Width())
		}
		score := &logprob.Param{Name: name, Shape: []int{1, len(row)}, Value: row, Grad: make([]float32, len(row))}
		return newBradleyTerry(&t.o, score), nil
	case DPO:
		var used []*sample
		for i, yes := range t.order.uses(t.steps) {
			if yes {
				used = append(used, t.samples[i])
			}
		}
		return preferred{t.o.Beta}, refer(ctx, m, append(used, t.held...))
	}
	return likelihood{}, nil
}

// first is a parameter's value in checkpoint-0.
func (t *trainer) first(name string) ([]float32, error) {
	dir := t.folder.checkpoint(0)
	open := checkpoint.OpenWeights
	if t.o.LoRA != nil {
		open = func(dir string) (*checkpoint.Weights, error) {
			return checkpoint.OpenFile(filepath.Join(dir, "adapter_model.safetensors"))
		}
	}
	w, err := open(dir)
	if err != nil {
		return nil, err
	}
	defer w.Close()
	tensor, ok := w.Get(name)
	if !ok {
		return nil, fmt.Errorf("%s has no tensor %s", dir, name)
	}
	values, err := tensor.Float32s()
	return slices.Clone(values), err
}

// recorded records a checkpoint's rendering beside it, if writing it has come to no error.
func (t *trainer) recorded(dir string, err error) error {
	if err != nil {
		return err
	}
	return t.record(dir)
}

// record writes how a reward model's texts were rendered beside its weights, for package
// rewardmodel to read texts so.
func (t *trainer) record(dir string) error {
	if t.trained == nil {
		return nil
	}
	return t.folder.writeJSON(filepath.Join(dir, rewardmodel.TrainedFile), t.trained)
}

// save writes a checkpoint into a new folder.
func (t *trainer) save(ctx context.Context, dir string, params []*logprob.Param) error {
	if t.o.LoRA != nil {
		return logprob.WriteAdapter(ctx, t.folder.checkpoint(0), dir, params)
	}
	_, err := logprob.WriteCheckpoint(ctx, t.folder.checkpoint(0), dir, params, &logprob.CheckpointOptions{Classifier: t.o.Task == Reward})
	return err // start has told the warnings
}
