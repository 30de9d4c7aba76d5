// Scale scores many models x many prompts x many replies on as many machines as there are:
// it plans the work, does a part of it under any launcher, and says when all is there.
//
//	scale -plan -tuned run/checkpoint-100 -tuned run/checkpoint-200 -base org/base -corpus words.csv -out work
//	scale -shard 0/2 -out work
//	scale -shard 1/2 -out work
//	scale -merge -out work
package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/implicitreward/implicitreward/implicit/lexicon"
	"github.com/implicitreward/implicitreward/implicit/shard"
	"github.com/implicitreward/implicitreward/implicit/words"
	"github.com/implicitreward/implicitreward/internal/cli"
	"github.com/implicitreward/implicitreward/internal/worker"
)

func main() { cli.Main("scale", run) }

// flags are the program's own, and those of the models.
type flags struct {
	worker.Flags
	plan, merge               bool
	shard                     string
	out, one                  string
	models                    string
	corpus, wordlist, replies string
	data                      string
	prompts                   string
	forms, measures           string
	items                     int
	bytes                     string
	anyProcessor, force       bool
}

func run(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer, args []string) error {
	o, f, err := parse(args, stdout)
	if err != nil {
		return err
	}
	switch {
	case o.plan:
		return o.makePlan(ctx, f, stdin, stderr)
	case o.merge:
		return o.mergeParts(ctx, stderr)
	}
	return o.scoreShards(ctx, args, stderr)
}

// register makes the flags.
func (o *flags) register() *cli.Flags {
	f := cli.NewFlags("scale", purpose, examples)
	f.BoolVar(&o.plan, "plan", false, "cut the work, and hash the models and the input")
	f.StringVar(&o.shard, "shard", "", "do `i/n` of the work: part i, from 0, of n; /n takes i from SLURM_ARRAY_TASK_ID or JOB_COMPLETION_INDEX")
	f.BoolVar(&o.merge, "merge", false, "check that all is there, and write manifest.json")
	f.StringVar(&o.out, "out", "", "`folder` of the plan, its parts and the manifest, which all machines share")
	f.StringVar(&o.one, "one", "", "with -merge: `file`, .parquet, of all rows, with a column model")
	f.StringVar(&o.models, "models", "", "`file` of further models, JSON Lines {\"tuned\": ..., \"base\": ...} or {\"rm\": ...}")
	f.StringVar(&o.corpus, "corpus", "", "`file` of words, as of score")
	f.StringVar(&o.wordlist, "wordlist", "", "`file` of words, one a line, by which wildcards of the corpus (free*) are replaced")
	f.StringVar(&o.replies, "replies", "", "`file` of replies instead of a corpus, JSON Lines {\"reply\": ...}, which workers read where it lies")
	f.StringVar(&o.data, "data", "", "`file` of preferences instead, JSON Lines as prefer reads them, each with its own conversation and no -prompts")
	f.StringVar(&o.prompts, "prompts", "paper", "`prompts`, as of score: paper (54 built in), or a file")
	f.StringVar(&o.forms, "forms", "", "`forms` in which a reply is scored, as of score; default: all of a corpus, {} of replies; with -rm {lower} of a corpus")
	f.StringVar(&o.measures, "measure", "", "`measures`, as of score; default: pooled of a corpus, exact of replies and with -rm")
	f.IntVar(&o.items, "items", shard.DefaultItems, "replies times prompts in a shard, at most, `number`")
	f.StringVar(&o.bytes, "bytes", "16MiB", "`size` of the replies in a shard, at most")
	f.BoolVar(&o.anyProcessor, "any-processor", false, "let processors of several kinds do parts, which may then differ in their last bits")
	f.BoolVar(&o.force, "force", false, "replace another plan in the folder")
	o.RegisterBeta(f)
	o.Flags.Register(f)
	return f
}

// parse reads the flags and refuses those that do not go together.
func parse(args []string, stdout io.Writer) (*flags, *cli.Flags, error) {
	o := &flags{}
	f := o.register()
	if err := f.Parse(args, stdout); err != nil {
		return nil, nil, err
	}
	modes := 0
	for _, on := range []bool{o.plan, o.merge, o.shard != ""} {
		if on {
			modes++
		}
	}
	if modes != 1 {
		return nil, nil, cli.Usagef("wanted -plan, -shard i/n or -merge, one of them")
	}
	if err := f.Need("out"); err != nil {
		return nil, nil, err
	}
	if name := f.Given(ownFlags...); name != "" && !o.plan {
		return nil, nil, cli.Usagef("-%s without -plan, wanted it there: the plan holds it", name)
	}
	if o.one != "" {
		if !o.merge {
			return nil, nil, cli.Usagef("-one without -merge, wanted it there")
		}
		if err := cli.CheckOutput(o.one, ".parquet"); err != nil {
			return nil, nil, err
		}
	}
	return o, f, nil
}

// ownFlags are about what is planned.
var ownFlags = []string{"models", "tuned", "base", "rm", "corpus", "wordlist", "replies", "data", "prompts", "forms", "measure", "items", "bytes", "any-processor", "force"}

// share reads the flag -shard: part i of n, from 0.
func share(flag string, env func(string) (string, bool)) (i, n int, err error) {
	index, of, ok := strings.Cut(flag, "/")
	if n, err = strconv.Atoi(of); !ok || err != nil || n < 1 {
		return 0, 0, cli.Usagef("-shard %q, wanted i/n, such as 0/4, or /4 under Slurm or Kubernetes", flag)
	}
	if index == "" {
		var from []string
		for _, name := range []string{"SLURM_ARRAY_TASK_ID", "JOB_COMPLETION_INDEX"} {
			if value, ok := env(name); ok {
				index = value
				from = append(from, name)
			}
		}
		if len(from) != 1 {
			return 0, 0, cli.Usagef("-shard %s with %d of SLURM_ARRAY_TASK_ID and JOB_COMPLETION_INDEX set, wanted one, or i/n", flag, len(from))
		}
	}
	if i, err = strconv.Atoi(index); err != nil || i < 0 || i >= n {
		return 0, 0, cli.Usagef("-shard: part %q of %d, wanted 0 to %d", index, n, n-1)
	}
	return i, n, nil
}

// scoreShards scores the worker's share of the plan.
func (o *flags) scoreShards(ctx context.Context, args []string, stderr io.Writer) error {
	i, n, err := share(o.shard, os.LookupEnv)
	if err != nil {
		return err
	}
	folder := shard.Folder{Path: o.out}
	plan, err := shard.ReadPlan(ctx, folder)
	if err != nil {
		return err
	}
	all := &flags{} // the plan's, and over them this machine's
	f := all.register()
	if err := f.Parse(append(plan.Args, args...), io.Discard); err != nil {
		return err
	}
	w := worker.New(&all.Flags, stderr)
	defer w.Close()
	scored, reused, refused := 0, 0, 0
	shards := plan.Of(i, n)
	for _, s := range shards {
		part, err := shard.Score(ctx, folder, plan, s, w.Load)
		if err != nil {
			return err
		}
		refused += part.Refused
		if part.Reused {
			reused++
			continue
		}
		scored++
		fmt.Fprintf(stderr, "%s: %d rows\n", part.File, part.Rows)
	}
	fmt.Fprintf(stderr, "%s: part %d of %d: shards scored: %d, there already: %d, models loaded: %d", o.out, i, n, scored, reused, w.Loads)
	if refused > 0 {
		fmt.Fprintf(stderr, ", replies refused: %d", refused)
	}
	fmt.Fprintln(stderr)
	return nil
}

// inputs is how many of the flags of what is scored are given.
func (o *flags) inputs() (n int) {
	for _, file := range []string{o.corpus, o.replies, o.data} {
		if file != "" {
			n++
		}
	}
	return n
}

// defaults are the forms and measures that flags do not give.
func (o *flags) defaults() (forms, measures string) {
	switch {
	case o.corpus == "":
		return "{}", string(words.Exact) // words.ExactForm too
	case o.RM.RM != "":
		return "{lower}", string(words.ExactForm)
	}
	return "all", string(words.Pooled)
}

// check reads the flags of what is planned, and gives forms and measures their defaults.
func (o *flags) check(f *cli.Flags) (forms []lexicon.Form, measures []string, err error) {
	switch {
	case o.inputs() != 1:
		return nil, nil, cli.Usagef("wanted -corpus, -replies or -data, one of them")
	case o.data != "" && f.Given("prompts", "forms", "measure") != "":
		return nil, nil, cli.Usagef("-%s with -data, wanted it with replies: a preference has its own conversation", f.Given("prompts", "forms", "measure"))
	case o.wordlist != "" && o.corpus == "":
		return nil, nil, cli.Usagef("-wordlist without -corpus, wanted both")
	case o.items < 1:
		return nil, nil, cli.Usagef("-items %d, wanted 1 or more", o.items)
	}
	if err := o.RM.Check(f); err != nil {
		return nil, nil, err
	}
	if o.data == "" && f.Given("base-as") == "" {
		o.BaseAs = "raw"
	}
	byRM := o.RM.RM != ""
	if byRM {
		err = o.CheckChat(f, o.RM.As)
	} else {
		err = o.Check(f)
	}
	if err != nil {
		return nil, nil, err
	}
	if o.data != "" {
		return nil, nil, nil
	}
	text, list := o.defaults()
	text, list = cmp.Or(o.forms, text), cmp.Or(o.measures, list)
	if forms, err = lexicon.ParseForms(text); err != nil {
		return nil, nil, cli.Usagef("-forms: %v", err)
	}
	if byRM {
		_, err = words.ParseScoreMeasures(list)
	} else {
		_, err = words.ParseMeasures(list)
	}
	if err != nil {
		return nil, nil, cli.Usagef("-measure: %v", err)
	}
	return forms, strings.Split(list, ","), nil
}
