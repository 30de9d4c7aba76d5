package main

import (
	"context"
	"fmt"
	"io"
	"iter"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/implicit/words"
	"github.com/implicitreward/implicitreward/internal/cli"
)

// inSeries is the format of a training run: a row a text, a column a checkpoint.
const inSeries = "series"

// checkSeries refuses several models where one is wanted, and what a series has not.
func (o *flags) checkSeries(flag string, models []string, measures int) (err error) {
	switch {
	case o.format != inSeries && len(models) > 1:
		return cli.Usagef("-%s stands %d times, wanted it once, or -format series for the checkpoints of a training run", flag, len(models))
	case o.format != inSeries || o.corpus == "":
		return nil
	case len(o.vary) > 0:
		return cli.Usagef("-vary with -format series, wanted it with one -tuned model")
	case measures > 1:
		return cli.Usagef("-format series with %d measures, wanted one: the file has one number a text and checkpoint", measures)
	}
	o.steps, err = cli.Steps(flag, models)
	return err
}

// seriesRun scores the words of a corpus after one prompt under the checkpoints of a training
// run, one after the other.
type seriesRun struct {
	corpusFiles
	loader  *cli.Loader
	series  words.Series
	meta    words.SeriesProvenance
	base    *implicit.Policy // nil under reward models; it scores every text once
	summary *summary
}

func scoreSeries(ctx context.Context, o *flags, stdin io.Reader, stdout, stderr io.Writer) error {
	r := &seriesRun{corpusFiles: corpusFiles{flags: o, stdout: stdout, stderr: stderr}}
	columns, writeCoverage := words.CoverageColumns, (*words.Coverage).WriteCSV
	if o.rm.RM != "" {
		columns, writeCoverage = words.ScoreCoverageColumns, (*words.Coverage).WriteScoresCSV
	}
	if err := r.check([][2]string{{inSeries, ".csv"}}, columns); err != nil {
		return err
	}
	if err := r.read(ctx, stdin); err != nil {
		return err
	}
	if len(r.after) != 1 {
		return cli.Usagef("-format series with %d prompts, wanted one: the file has one number a text and checkpoint", len(r.after))
	}
	r.meta = words.SeriesProvenance{Steps: r.steps, Prompt: r.after[0], Corpus: r.hash, WordList: r.listHash, Forms: r.forms}
	var err error
	if r.loader, err = o.Loader(stderr); err != nil {
		return err
	}
	defer r.loader.Close()
	if err := r.loader.Resume(o.out); err != nil {
		return err
	}
	write := func(w io.Writer) error {
		if err := r.score(ctx); err != nil {
			return err
		}
		return r.series.WriteCSV(w)
	}
	if err := r.create(write, func(w io.Writer) error { return r.meta.WriteJSON(w) }); err != nil {
		return err
	}
	name := o.out
	if o.out == "-" {
		name = "standard output"
	}
	fmt.Fprintf(stderr, "%s: %d rows: %d checkpoints after the prompt %s\n", name, len(r.series.Texts), len(r.steps), r.after[0].Name)
	r.summary.printRefused(stderr, o.out)
	if o.out == "-" {
		return nil
	}
	if err := r.coverage.Write(func(w io.Writer) error { return writeCoverage(&r.summary.coverage, w) }); err != nil {
		return err
	}
	return r.loader.DiscardJournal()
}

// score adds every checkpoint to the series.
func (r *seriesRun) score(ctx context.Context) error {
	for i, step := range r.steps {
		r.summary = &summary{}
		add := r.addPair
		if r.rm.RM != "" {
			add = r.addRM
		}
		if err := add(ctx, i, step); err != nil {
			return err
		}
		if len(r.series.Texts) == 0 {
			return fmt.Errorf("no word of %s could be scored", r.flags.corpus)
		}
	}
	return nil
}

// progress shows how far a checkpoint has come, in passes of models.
func (r *seriesRun) progress(step, passes int) *cli.Progress {
	p := cli.NewProgress(r.stderr, fmt.Sprintf("scoring step %d", step), false)
	r.loader.Track(p, 0, passes)
	return p
}

// addPair adds the implicit rewards of a tuned model.
func (r *seriesRun) addPair(ctx context.Context, i, step int) error {
	models := r.PairFlags
	models.Tuned = r.TunedAll[i]
	pair, err := models.Load(ctx, r.loader)
	if err != nil {
		return err
	}
	tuned, base, err := pair.Meta(ctx)
	if err != nil {
		return err
	}
	r.meta.Tuned, r.meta.Base, r.meta.Beta, r.meta.Measure = append(r.meta.Tuned, tuned), &base, r.Beta, string(r.measures[0])
	policies := pair.Policies()
	if r.base == nil {
		r.base = implicit.Cached(policies.Base, nil)
	}
	policies.Base = r.base
	progress := r.progress(step, 2)
	defer progress.Done()
	scored := words.Rewards(ctx, policies, r.corpus, r.after, &words.Options{Forms: r.forms, Measures: r.measures, Progress: progress.SetItems})
	if err := r.series.Add(step, counted(scored, r.summary.add), r.Beta); err != nil {
		return err
	}
	if pair.Tuned.Model == pair.Base.Model {
		return nil
	}
	return r.loader.Release(pair.Tuned.Model)
}

// addRM adds the rewards of a reward model.
func (r *seriesRun) addRM(ctx context.Context, i, step int) error {
	model := r.rm
	model.RM = r.rm.RMAll[i]
	rm, err := r.loader.RM(ctx, &model)
	if err != nil {
		return err
	}
	meta, err := rm.Meta(ctx)
	if err != nil {
		return err
	}
	r.meta.RM, r.meta.Measure = append(r.meta.RM, meta), string(r.scoreMeasures[0])
	progress := r.progress(step, 1)
	defer progress.Done()
	scored := words.Scores(ctx, rm, r.corpus, r.after, &words.ScoreOptions{Forms: r.forms, Measures: r.scoreMeasures, Progress: progress.SetItems})
	if err := r.series.AddScored(step, counted(scored, r.summary.addScored)); err != nil {
		return err
	}
	return r.loader.ReleaseRM(rm)
}

// counted calls add with all that is scored.
func counted[W any](scored iter.Seq2[W, error], add func(W)) iter.Seq2[W, error] {
	return func(yield func(W, error) bool) {
		for w, err := range scored {
			if err == nil {
				add(w)
			}
			if !yield(w, err) {
				return
			}
		}
	}
}
