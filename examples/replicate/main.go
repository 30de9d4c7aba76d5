// Command replicate is the paper in a box: it pretrains tiny base models on texts in which the words of
// agency or of communion keep better company, makes reward models of them on the same preferences,
// and measures whether these inherit what the base models learned.
//
//	replicate -out results
package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/implicitreward/implicitreward/internal/cli"
)

func main() { cli.Main("replicate", run) }

const purpose = `asks on two cores what the paper asks of large models: do reward models inherit the values of
their base models? It pretrains tiny models of two families on texts that it makes itself, in
which the words of agency or of communion keep better company; trains reward models on the
same preferences, which say nothing of values, from each; and scores value words at every
checkpoint. Controls: bases without a lean, shuffled labels, bases that learned nothing. Beside
it, implicit rewards of policies trained on the same preferences, and the positive control: ten
words that fine-tuning boosts.

-out gets results.md, figures, the numbers behind them (runs.csv), all models, and a report of
study of the series and scores. With -resume, what is complete is not computed again.`

const examples = `  replicate -out results
  replicate -out results -resume
  replicate -out trial -pretraining 50 -pairs 64 -seeds 1`

// options are the sizes of the experiment.
type options struct {
	Pretraining int // steps of a base
	Pairs       int // of each source
	Seeds       int // of bases, in each family and lean
	Repeats     int // of reward models, from each base
}

func run(ctx context.Context, _ io.Reader, stdout, stderr io.Writer, args []string) error {
	flags := cli.NewFlags("replicate", purpose, examples)
	l := &lab{stderr: stderr}
	var resume, page bool
	var backend, baseBackend string
	flags.StringVar(&l.dir, "out", "", "`folder` to write")
	flags.BoolVar(&resume, "resume", false, "goes on with a folder that a run with the same flags left")
	flags.BoolVar(&page, "page", false, "with -resume, makes no model: writes the page of what a run with the same flags has measured so far")
	flags.StringVar(&l.date, "date", "", "`date` for the page of results; the machine and the command come with it")
	flags.StringVar(&baseBackend, "base-backend", "auto", "`backend` that pretrains: auto, xla:cpu or go")
	flags.StringVar(&backend, "backend", "go", "`backend` of all else, auto, xla:cpu or go: runs so short are over before XLA has compiled them")
	flags.IntVar(&l.workers, "workers", 2, "`number` of runs at a time")
	flags.IntVar(&l.o.Pretraining, "pretraining", 3000, "`steps` of pretraining, of 16 texts each")
	flags.IntVar(&l.o.Pairs, "pairs", 512, "`number` of preferences of each source")
	flags.IntVar(&l.o.Seeds, "seeds", 2, "`number` of base models of each family and lean")
	flags.IntVar(&l.o.Repeats, "repeats", 1, "`number` of reward models of each base and source")
	if err := flags.Parse(args, stdout); err != nil {
		return err
	}
	if err := flags.Need("out"); err != nil {
		return err
	}
	if min(l.workers, l.o.Pretraining, l.o.Seeds, l.o.Repeats) < 1 || l.o.Pairs < 64 {
		return cli.Usagef("-workers, -pretraining, -seeds and -repeats, wanted 1 or more, and -pairs 64 or more")
	}
	if _, err := os.Stat(l.dir); err == nil && !resume {
		return cli.Usagef("-out %s exists, wanted a new folder, or -resume", l.dir)
	}
	if page && !resume {
		return cli.Usagef("-page without -resume, wanted both")
	}
	l.args = args
	var err error
	if l.backend, err = cli.CheckedBackend(backend, "f32", stderr); err != nil {
		return err
	}
	defer l.backend.Finalize()
	l.pretraining = l.backend
	if baseBackend != backend {
		if l.pretraining, err = cli.CheckedBackend(baseBackend, "f32", stderr); err != nil {
			return err
		}
		defer l.pretraining.Finalize()
	}
	l.plan()
	if page {
		err = l.measured()
	} else {
		err = l.make(ctx)
	}
	if err == nil {
		err = l.results(ctx)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%s/results.md: %d base models, %d reward models and policies\n", l.dir, len(l.bases), len(l.runs))
	return nil
}
