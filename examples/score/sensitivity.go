package main

import (
	"context"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/implicit/words"
	"github.com/implicitreward/implicitreward/internal/cli"
)

// vary prepares the analysis of -vary, which scores the rewards' pair too.
func (r *corpusRun) vary(ctx context.Context) (err error) {
	def := words.Variant{TunedAs: r.TunedAs, BaseAs: r.BaseAs, Measure: r.measures[0], Forms: r.forms}
	if r.sensitivity, err = words.NewSensitivity(r.variant, def, r.flags.vary, [2]string{r.meta.Tuned.DType, r.meta.Base.DType}); err != nil {
		return err
	}
	r.pair, err = r.sensitivity.Pair(ctx, r.measures...)
	return err
}

// variant loads the pair of a variant; another dtype takes the place of the one before.
func (r *corpusRun) variant(ctx context.Context, v words.Variant) (implicit.Pair, error) {
	if v.DType != "" {
		if err := r.loader.SetDType(v.DType); err != nil {
			return implicit.Pair{}, err
		}
	}
	models := r.PairFlags
	models.TunedAs, models.BaseAs = v.TunedAs, v.BaseAs
	pair, err := models.Load(ctx, r.loader)
	if err != nil {
		return implicit.Pair{}, err
	}
	return pair.Policies(), nil
}

// writeRanks scores the variants, and writes and prints their ranks.
func (r *corpusRun) writeRanks(ctx context.Context) error {
	var progress *cli.Progress
	done := func() {
		if progress != nil {
			progress.Done()
		}
	}
	defer done()
	report, err := r.sensitivity.Run(ctx, r.corpus, r.after, func(v words.Variant) func(n, total int) {
		done()
		progress = cli.NewProgress(r.stderr, "scoring "+v.Name, false)
		r.loader.Track(progress, 0, 2)
		return progress.SetItems
	})
	if err != nil {
		return err
	}
	done()
	if err := r.ranks.WriteWithMeta(report.WriteCSV, r.meta.WriteJSON); err != nil {
		return err
	}
	return report.WriteText(r.stdout, r.ranks.Path)
}
