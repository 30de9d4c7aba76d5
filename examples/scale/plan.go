package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"

	"github.com/implicitreward/implicitreward/implicit/shard"
	"github.com/implicitreward/implicitreward/internal/cli"
	"github.com/implicitreward/implicitreward/internal/output"
	"github.com/implicitreward/implicitreward/internal/regular"
	"github.com/implicitreward/implicitreward/internal/worker"
)

// entriesFile is the corpus in the folder, as lines of replies.
const entriesFile = "entries.jsonl"

// makePlan plans into the folder.
func (o *flags) makePlan(ctx context.Context, f *cli.Flags, stdin io.Reader, stderr io.Writer) error {
	named, err := o.named(ctx)
	if err != nil {
		return err
	}
	if len(named) == 0 {
		return cli.Usagef("no models, wanted -tuned and -base, -rm or -models")
	}
	if named[0].RM != "" {
		o.RM.RM = named[0].RM
	}
	spec := shard.Spec{Items: o.items, AnyProcessor: o.anyProcessor}
	if spec.Forms, spec.Measures, err = o.check(f); err != nil {
		return err
	}
	spec.Args = o.loading(f)
	if o.RM.RM == "" {
		spec.Beta = o.Beta
	}
	if spec.Bytes, err = cli.ParseSize(o.bytes); err != nil {
		return cli.Usagef("-bytes: %v", err)
	}
	if spec.Preferences = o.data != ""; !spec.Preferences {
		if spec.Prompts, err = cli.Prompts(ctx, o.prompts, stdin); err != nil {
			return err
		}
	}
	folder := shard.Folder{Path: o.out}
	if err := os.MkdirAll(o.out, 0o777); err != nil {
		return fmt.Errorf("output %s: %w", o.out, err)
	}
	if err := o.input(&spec, stderr); err != nil {
		return err
	}
	w := worker.New(&o.Flags, stderr)
	defer w.Close()
	for _, m := range named {
		loaded, err := w.Open(ctx, m)
		if err != nil {
			return err
		}
		spec.Models = append(spec.Models, loaded.Made)
	}
	plan, err := shard.New(ctx, folder, spec)
	if err != nil {
		return err
	}
	if err := o.replaceable(ctx, folder, plan); err != nil {
		return err
	}
	if err := plan.Write(ctx, folder); err != nil {
		return err
	}
	fmt.Fprintf(stderr, "%s: %d shards: %d models, %d prompts, %d replies\n", o.out, len(plan.Shards), len(plan.Models), len(plan.Prompts), plan.Lines)
	return nil
}

// replaceable refuses to replace another plan, unless -force says so; parts of it that are still
// right are kept.
func (o *flags) replaceable(ctx context.Context, folder shard.Folder, plan *shard.Plan) error {
	before, err := shard.ReadPlan(ctx, folder)
	switch {
	case o.force, errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("%w (-force replaces it)", err)
	case !slices.Equal(before.Shards, plan.Shards) || !reflect.DeepEqual(before.Args, plan.Args):
		return fmt.Errorf("output %s: another plan is there: choose another folder, or replace it with -force, which keeps the parts that both have", o.out)
	}
	return nil
}

// input makes the corpus lines of replies in the folder, or names the replies.
func (o *flags) input(spec *shard.Spec, stderr io.Writer) (err error) {
	if o.corpus == "" {
		spec.Input, err = filepath.Abs(o.replies + o.data) // one of them
		return err
	}
	corpus, hash, err := cli.Corpus(o.corpus, stderr)
	if err != nil {
		return err
	}
	spec.Input, spec.Corpus = entriesFile, hash
	if o.wordlist != "" {
		if corpus, spec.WordList, err = cli.Expand(corpus, o.wordlist, stderr); err != nil {
			return err
		}
	}
	var lines []byte
	for _, e := range corpus.Entries {
		if lines, err = shard.AppendEntry(lines, e); err != nil {
			return err
		}
	}
	path := filepath.Join(o.out, entriesFile)
	if before, err := regular.Read(path, 0); err == nil && !bytes.Equal(before, lines) && !o.force {
		return fmt.Errorf("output %s: another plan is there: choose another folder, or replace it with -force, which keeps the parts that both have", o.out)
	}
	return output.WriteFile(path, func(w io.Writer) error { _, err := w.Write(lines); return err })
}

// loading are the flags by which the models are loaded, as the plan keeps them; the devices are each
// worker's own.
func (o *flags) loading(f *cli.Flags) []string {
	other := append(slices.Clone(ownFlags), "plan", "shard", "merge", "out", "one", "devices", "beta", "base-as", "var", "version", "man", "completion")
	var args []string
	f.Visit(func(g *flag.Flag) {
		if !slices.Contains(other, g.Name) {
			args = append(args, "-"+g.Name+"="+g.Value.String())
		}
	})
	if o.RM.RM == "" {
		args = append(args, "-base-as="+o.BaseAs)
	}
	for _, name := range slices.Sorted(maps.Keys(o.Vars)) {
		args = append(args, fmt.Sprintf("-var=%s=%s", name, o.Vars[name]))
	}
	return args
}
