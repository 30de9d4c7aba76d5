package main

import (
	"context"
	"io"

	"github.com/implicitreward/implicitreward/implicit/lexicon"
	"github.com/implicitreward/implicitreward/implicit/words"
	"github.com/implicitreward/implicitreward/internal/cli"
)

// paper is the format of the paper's files: a row a word, a column a prompt.
const paper = "paper"

// checkRM reads the flags of a run with -rm, in which some have other defaults and others no
// meaning.
func (o *flags) checkRM(f *cli.Flags, forms, measures string) error {
	if name := f.Given("tuned", "base", "beta", "vary", "tuned-as", "base-as", "base-bos"); name != "" {
		return cli.Usagef("-%s with -rm, wanted it with -tuned and -base alone: a reward model is no pair", name)
	}
	err := f.Need("out")
	if err == nil {
		err = o.rm.Check(f)
	}
	if err == nil {
		err = o.CheckChat(f, o.rm.As)
	}
	if err != nil {
		return err
	}
	o.forms, o.scoreMeasures = []lexicon.Form{"{lower}"}, []words.ScoreMeasure{words.ExactForm}
	if f.Given("forms") != "" {
		if o.forms, err = lexicon.ParseForms(forms); err != nil {
			return cli.Usagef("-forms: %v", err)
		}
	}
	if f.Given("measure") != "" {
		if o.scoreMeasures, err = words.ParseScoreMeasures(measures); err != nil {
			return cli.Usagef("-measure: %v", err)
		}
	}
	if err := o.checkSeries("rm", o.rm.RMAll, len(o.scoreMeasures)); err != nil {
		return err
	}
	switch m := o.scoreMeasures[0]; {
	case o.format != paper || o.corpus == "":
	case len(o.scoreMeasures) > 1:
		return cli.Usagef("-format paper with %d measures, wanted one: the file has one number a word and prompt", len(o.scoreMeasures))
	case m == words.ExactForm && len(o.forms) > 1:
		return cli.Usagef("-format paper with -measure exact and %d forms, wanted one form, or -measure best or mean: the file has one number a word and prompt", len(o.forms))
	}
	return nil
}

// openRM loads the reward model.
func (o *flags) openRM(ctx context.Context, stderr io.Writer) (*cli.Loader, *cli.RM, words.ScoreProvenance, error) {
	var meta words.ScoreProvenance
	loader, err := o.Loader(stderr)
	if err != nil {
		return nil, nil, meta, err
	}
	if err = loader.Resume(o.out); err == nil {
		var rm *cli.RM
		if rm, err = loader.RM(ctx, &o.rm); err == nil {
			if meta.RM, err = rm.Meta(ctx); err == nil {
				return loader, rm, meta, nil
			}
		}
	}
	loader.Close()
	return nil, nil, meta, err
}
