// Prefer measures how often a pair of models, by its implicit reward, or an explicit reward
// model prefers the reply that people preferred: the accuracy on a file of preferences, as
// RewardBench has them.
//
//	prefer -rm Skywork/Skywork-Reward-Llama-3.1-8B-v0.2 -data rewardbench.parquet
//	prefer -tuned HuggingFaceTB/SmolLM2-135M-Instruct -base HuggingFaceTB/SmolLM2-135M -data rewardbench.parquet -out margins.csv
package main

import (
	"context"
	"fmt"
	"io"
	"iter"

	"github.com/implicitreward/implicitreward/implicit/preference"
	"github.com/implicitreward/implicitreward/internal/cli"
	"github.com/implicitreward/implicitreward/internal/output"
)

func main() { cli.Main("prefer", run) }

// flags are the program's own.
type flags struct {
	cli.PairFlags
	rm        cli.RMFlags
	data, out string
	scored    string // manifest instead of models
	of        string // its model
	file      output.File
	json      bool
}

func run(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer, args []string) error {
	f := cli.NewFlags("prefer", purpose, examples)
	o := flags{PairFlags: cli.PairFlags{Same: true}}
	f.StringVar(&o.data, "data", "", "`file` of preferences, JSON or Parquet; - for standard input")
	f.StringVar(&o.out, "out", "", "`file` for the margins of each pair, .csv or .jsonl")
	f.StringVar(&o.scored, "scored", "", "`file` manifest.json of scale -plan -data, whose scores are read: no model is loaded")
	f.StringVar(&o.of, "of", "", "`name` of the model of -scored, where there are several")
	f.BoolVar(&o.json, "json", false, "print JSON instead of a table")
	force := f.Force()
	o.Register(f)
	o.RegisterDevices(f)
	o.rm.RegisterRM(f)
	f.Lookup("base").Usage = "base `model`, likewise, as the reference; without it the tuned model is measured alone"
	f.Lookup("tuned-as").Usage = "`rendering` of a conversation for the tuned model: chat, by its template, or raw, the user's only message as it stands"
	f.Lookup("base-as").Usage = "`rendering` for the base model: same, as the tuned model's; chat, by a template of its own; or raw"
	if err := f.Parse(args, stdout); err != nil {
		return err
	}
	if err := o.check(f); err != nil {
		return err
	}
	if o.out != "" {
		if err := cli.CheckOutput(o.out, ".csv", ".jsonl"); err != nil {
			return err
		}
		if err := cli.RefuseOverwrite(o.out, o.data); err != nil {
			return err
		}
		o.file = output.File{Path: o.out, Force: *force}
		if err := output.Check(o.file); err != nil {
			return err
		}
	}
	rows, hash, err := o.read(ctx, stdin)
	if err != nil {
		return err
	}
	if o.scored != "" {
		return o.preferScored(ctx, rows, hash, stdout, stderr)
	}
	return o.prefer(ctx, rows, hash, stdout, stderr)
}

// check is a UsageError if the flags of the models do not fit together.
func (o *flags) check(f *cli.Flags) error {
	if err := f.Need("data"); err != nil {
		return err
	}
	if o.scored != "" {
		return o.checkScored(f)
	}
	if err := o.rm.Check(f); err != nil {
		return err
	}
	switch {
	case o.of != "":
		return cli.Usagef("-of without -scored, wanted both")
	case o.Tuned == "" && o.rm.RM == "":
		return cli.Usagef("no model, wanted -tuned, -rm or both, or -scored")
	case o.Tuned == "" && o.Base != "":
		return cli.Usagef("-base without -tuned, wanted both")
	case o.Tuned == "" && f.Given("tuned-as") != "":
		return cli.Usagef("-tuned-as without -tuned, wanted both")
	case o.Base == "" && f.Given("base-as", "base-bos") != "":
		return cli.Usagef("-%s without -base, wanted both", f.Given("base-as", "base-bos"))
	case o.Tuned == "":
		return o.CheckChat(f, o.rm.As)
	case o.rm.RM == "":
		return o.Check(f)
	}
	return o.Check(f, o.rm.As)
}

// prefer scores the rows and writes what there is to say of them.
func (o *flags) prefer(ctx context.Context, rows []preference.Row, hash string, stdout, stderr io.Writer) error {
	out := o.out
	if out == "" {
		out = "-" // nothing to resume
	}
	loader, err := o.Loader(stderr)
	if err != nil {
		return err
	}
	defer loader.Close()
	if err := loader.Resume(out); err != nil {
		return err
	}
	r := report{Meta: meta{Data: hash}}
	if err := r.load(ctx, loader, o); err != nil {
		return err
	}
	if err := r.score(ctx, loader, rows, stderr); err != nil {
		return err
	}
	if r.All.Pairs == 0 {
		if err := loader.DiscardJournal(); err != nil { // no other run would come further
			return err
		}
		return o.none(&r)
	}
	if o.out != "" {
		if err := o.file.WriteWithMeta(r.rowsTo(o.out), r.Meta.writeJSON); err != nil {
			return err
		}
		if err := loader.DiscardJournal(); err != nil {
			return err
		}
	}
	return o.print(&r, stdout, stderr)
}

// none says that no pair could be scored.
func (o *flags) none(r *report) error {
	return fmt.Errorf("%s: none of the %d pairs could be scored; the first: %d: %v", o.name(), len(r.rows), r.rows[0].Number, r.rows[0].Err)
}

// print prints the accuracies, and what was refused.
func (o *flags) print(r *report, stdout, stderr io.Writer) error {
	r.printRefused(stderr)
	write := r.writeTable
	if o.json {
		write = r.writeJSON
	}
	if err := write(stdout); err != nil {
		return err
	}
	if r.All.Refused > 0 {
		return cli.Incompletef("%s: %d of %d pairs refused", o.name(), r.All.Refused, len(r.rows))
	}
	return nil
}

// load loads the models.
func (r *report) load(ctx context.Context, loader *cli.Loader, o *flags) error {
	if o.Tuned != "" {
		pair, err := o.Load(ctx, loader)
		if err != nil {
			return err
		}
		tuned, base, err := pair.Meta(ctx)
		if err != nil {
			return err
		}
		if r.Meta.Tuned = &tuned; pair.Base != nil {
			r.Meta.Base = &base
		}
		r.models.Pair = pair.Policies()
	}
	if o.rm.RM != "" {
		rm, err := loader.RM(ctx, &o.rm)
		if err != nil {
			return err
		}
		made, err := rm.Meta(ctx)
		if err != nil {
			return err
		}
		r.models.RM, r.Meta.RM = rm, &made
	}
	return nil
}

// score scores the rows and computes the accuracies.
func (r *report) score(ctx context.Context, loader *cli.Loader, rows []preference.Row, stderr io.Writer) error {
	progress := cli.NewProgress(stderr, "scoring", false)
	defer progress.Done()
	replies, passes := 0, 0
	for _, model := range []bool{r.Meta.Tuned != nil, r.Meta.Base != nil, r.Meta.RM != nil} {
		if model {
			passes++
		}
	}
	for _, row := range rows {
		replies += len(row.Chosen) + len(row.Rejected)
	}
	loader.Track(progress, replies, passes)
	for s, err := range preference.Score(ctx, r.models, each(rows)) {
		if err != nil {
			return err
		}
		r.rows = append(r.rows, s)
	}
	r.Summary = preference.Summarize(r.rows, r.models)
	return nil
}

func each(rows []preference.Row) iter.Seq2[preference.Row, error] {
	return func(yield func(preference.Row, error) bool) {
		for _, row := range rows {
			if !yield(row, nil) {
				return
			}
		}
	}
}
