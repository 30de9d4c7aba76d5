// Train trains a reward model or a policy from a base model, and scores value words at every
// checkpoint of it.
//
//	train -task reward -model google/gemma-2-2b-it -data pairs.jsonl -out rm -corpus words.csv
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/implicitreward/implicitreward/implicit/train"
	"github.com/implicitreward/implicitreward/internal/cli"
	"github.com/implicitreward/implicitreward/logprob"
)

func main() { cli.Main("train", run) }

func run(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer, args []string) error {
	o, err := parse(args, stdout)
	if err != nil {
		return err
	}
	values, err := o.readWords(ctx, stdin, stderr)
	if err != nil {
		return err
	}
	if err := o.find(ctx, stderr); err != nil {
		return err
	}
	if err := o.read(ctx, stderr); err != nil {
		return err
	}
	summary, err := o.train(ctx, stderr)
	if err != nil {
		return err
	}
	for _, w := range summary.Warnings {
		fmt.Fprintln(stderr, w)
	}
	log, held, err := writeCurves(o.Out, o.Task)
	if err != nil {
		return err
	}
	if values != nil {
		if err := values.score(ctx, stderr); err != nil {
			o.goesOn(ctx, err, stderr)
			return err
		}
	}
	return report(stdout, o, summary, log, held)
}

// find replaces the names of models by their folders, downloading them if need be.
func (o *flags) find(ctx context.Context, stderr io.Writer) (err error) {
	if o.Model, err = cli.Folder(ctx, stderr, o.model, logprob.Find); err != nil || o.init == "" {
		return err
	}
	find := logprob.FindAdapter
	if o.LoRA == nil {
		find = logprob.Find
	}
	o.Init, err = cli.Folder(ctx, stderr, o.init, find)
	return err
}

// train trains, and tells of every step.
func (o *flags) train(ctx context.Context, stderr io.Writer) (*train.Summary, error) {
	var err error
	if o.Backend, err = cli.CheckedBackend(o.models.Backend, o.models.DType, stderr); err != nil {
		return nil, err
	}
	defer o.Backend.Finalize()
	told := &steps{w: stderr, now: time.Now}
	o.Step, o.Saved = told.step, told.saved
	summary, err := train.Run(ctx, o.data, o.Options)
	o.goesOn(ctx, err, stderr)
	return summary, err
}

// goesOn says how a run that was stopped goes on.
func (o *flags) goesOn(ctx context.Context, err error, stderr io.Writer) {
	if _, failed := os.Stat(o.Out); err != nil && ctx.Err() != nil && failed == nil {
		fmt.Fprintf(stderr, "%s keeps what was done: the same command with -resume goes on from there\n", o.Out)
	}
}
