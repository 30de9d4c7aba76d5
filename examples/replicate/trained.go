package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"

	"github.com/implicitreward/implicitreward/implicit/lexicon"
	"github.com/implicitreward/implicitreward/implicit/rewardmodel"
	"github.com/implicitreward/implicitreward/implicit/train"
	"github.com/implicitreward/implicitreward/implicit/words"
	"github.com/implicitreward/implicitreward/internal/output"
	"github.com/implicitreward/implicitreward/logprob"
)

// rank is that of adapters, and rate their learning rate, in one pass through the pairs.
const (
	rank = 8
	rate = 1e-3
)

// train trains a reward model or a policy on preferences and measures it at each checkpoint.
func (l *lab) train(ctx context.Context, t *trained) error {
	return l.once(t.name(), t, func() error {
		task := train.Reward
		if t.Kind == dpo {
			task = train.DPO
		}
		file := "preferences.jsonl"
		if t.Shuffled {
			file = "shuffled.jsonl"
		}
		from := []string{"source=" + string(t.Source)}
		data, err := l.read(ctx, file, task, train.Select{Where: from, Limit: t.Pairs})
		if err != nil {
			return err
		}
		held, err := l.read(ctx, "held-out.jsonl", task, train.Select{Where: from})
		if err != nil {
			return err
		}
		base, err := l.load(ctx, t.base, logprob.Options{Trunk: t.Kind == reward})
		if err != nil {
			return err
		}
		defer base.Close()
		out := l.path("runs", t.name())
		init := ""
		if t.Kind == reward {
			if init, err = l.begin(ctx, t, base.Width()); err != nil {
				return err
			}
		}
		if err := os.RemoveAll(out); err != nil { // its checkpoints are to be measured from the first
			return err
		}
		var series words.Series
		last := ""
		t.Steps, t.Series = nil, nil
		_, err = train.Run(ctx, data, train.Options{
			Task: task, Model: l.folder(t.base), Out: out, Init: init, LoRA: &train.LoRA{R: rank}, LR: rate, Warmup: 0.03,
			Seed: l.seed(t), Checkpoints: train.Cadence{Pow2: true}, Eval: held, Backend: l.backend,
			Saved: func(step int, dir string) error {
				t.Steps, last = append(t.Steps, step), dir
				return l.checkpoint(ctx, t, base, step, dir, &series)
			},
		})
		if err != nil {
			return err
		}
		if t.Words, err = l.measure(ctx, t, base, last, l.prompts, nil); err != nil {
			return err
		}
		if t.Accuracy, err = accuracy(filepath.Join(out, "eval.jsonl")); err != nil {
			return err
		}
		return output.WriteFile(l.path("series", t.name()+".csv"), series.WriteCSV)
	})
}

// seed is that of a run's order and first weights, another for each base: what one order teaches by its
// accidents must not look like what all bases have in common.
func (l *lab) seed(t *trained) uint64 {
	return uint64(1000*t.Seed + slices.Index(l.bases, t.base))
}

// begin writes the adapter that a reward model begins with: its score row is zero. A random one
// ranks the words by itself, by whichever way it happens to lie to what the base has learned of their
// company, and so few pairs do not turn it: what was measured would be an accident of the row.
func (l *lab) begin(ctx context.Context, t *trained, width int) (string, error) {
	const score = "base_model.model.score.weight"
	dir := l.path("initial", t.name())
	for _, d := range []string{dir, dir + "-drawn"} {
		if err := os.RemoveAll(d); err != nil {
			return "", err
		}
	}
	if err := logprob.NewAdapter(ctx, l.folder(t.base), dir+"-drawn", &logprob.AdapterOptions{R: rank, Classifier: true, Seed: l.seed(t)}); err != nil {
		return "", err
	}
	row := &logprob.Param{Name: score, Shape: []int{1, width}, Value: make([]float32, width)}
	err := logprob.WriteAdapter(ctx, dir+"-drawn", dir, []*logprob.Param{row})
	return dir, errors.Join(err, os.RemoveAll(dir+"-drawn"))
}

// checkpoint measures one of the training's, after the prompt of figure 4.
func (l *lab) checkpoint(ctx context.Context, t *trained, base *logprob.Model, step int, dir string, series *words.Series) (err error) {
	if step == 0 && t.Kind == dpo { // a policy is its base, whose ratios are all 0
		t.Series = append(t.Series, lean{Agency: 16.5, Communion: 16.5})
		return nil
	}
	at, err := l.measure(ctx, t, base, dir, l.greatest(), func(scored iter.Seq2[words.ScoredWord, error], rewards iter.Seq2[words.Word, error]) error {
		if t.Kind == reward && step < 2 {
			return nil // all scores are 0: the first step of a warm-up has the rate 0, too
		}
		if t.Kind == reward {
			return series.AddScored(step, scored)
		}
		return series.Add(step, rewards, 1)
	})
	t.Series = append(t.Series, at)
	return err
}

// measure ranks the words by the rewards of a checkpoint: explicit ones of a reward model, a policy's
// implicit ones. also, if not nil, is given all that was scored.
func (l *lab) measure(ctx context.Context, t *trained, base *logprob.Model, dir string, prompts []lexicon.Prompt,
	also func(iter.Seq2[words.ScoredWord, error], iter.Seq2[words.Word, error]) error) (of lean, err error) {
	var ranks []ranked
	var scored []words.ScoredWord
	var rewards []words.Word
	if t.Kind == dpo {
		tuned, err := base.WithAdapter(ctx, dir, &logprob.Options{Backend: l.backend})
		if err != nil {
			return of, err
		}
		defer tuned.Close()
		if rewards, err = collect(implicitRewards(ctx, tuned, base, l.words, prompts)); err != nil {
			return of, err
		}
		if ranks, err = ranksOf(rewards, words.Score.LogRatio); err != nil {
			return of, err
		}
	} else {
		rm, err := rewardmodel.Load(ctx, l.folder(t.base), &rewardmodel.Options{Base: base, Model: logprob.Options{Backend: l.backend, Adapter: dir}})
		if err != nil {
			return of, err
		}
		defer rm.Close()
		for w, err := range words.Scores(ctx, rm, l.words, prompts, nil) {
			if err == nil {
				err = w.Err
			}
			if err != nil {
				return of, err
			}
			scored = append(scored, w)
			ranks = append(ranks, ranked{w.PromptName, w.Categories[0], w.Scores[0].Rank})
		}
		if len(prompts) > 1 && t.Seed == 1 {
			if err := l.table(t, scored, prompts); err != nil {
				return of, err
			}
		}
	}
	if also != nil {
		if err := also(seq(scored), seq(rewards)); err != nil {
			return of, err
		}
	}
	return leanOf(ranks), nil
}

// seq yields what was collected.
func seq[T any](all []T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for _, v := range all {
			if !yield(v, nil) {
				return
			}
		}
	}
}

// table writes the scores after all prompts as the paper publishes them.
func (l *lab) table(t *trained, scored []words.ScoredWord, prompts []lexicon.Prompt) error {
	table, err := words.NewScoreTable(seq(scored), prompts)
	if err != nil {
		return err
	}
	return output.WriteFile(l.path("scores", t.name()+".csv"), table.WriteCSV)
}

// accuracy is that of the last line of eval.jsonl.
func accuracy(path string) (float64, error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	var last train.Evaluation
	for d := json.NewDecoder(file); ; {
		err := d.Decode(&last)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return 0, err
		}
	}
	if last.Accuracy == nil {
		return 0, errors.New("eval.jsonl: no accuracy")
	}
	return *last.Accuracy, nil
}
