package main

import (
	"context"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/implicit/lexicon"
	"github.com/implicitreward/implicitreward/implicit/train"
	"github.com/implicitreward/implicitreward/implicit/words"
	"github.com/implicitreward/implicitreward/internal/cli"
	"github.com/implicitreward/implicitreward/internal/output"
	"github.com/implicitreward/implicitreward/internal/table"
)

// values scores the words of -corpus at the checkpoints of a run.
type values struct {
	*flags
	corpus   *lexicon.Corpus
	hash     string // SHA-256 of the corpus file
	after    []lexicon.Prompt
	stderr   io.Writer
	loader   *cli.Loader
	base     *implicit.Policy // of policies: it scores every text once
	series   []*words.Series  // one a prompt
	meta     words.SeriesProvenance
	coverage words.Coverage // at the last checkpoint
}

// readWords reads -corpus and -prompts, before anything is trained; nil without them.
func (o *flags) readWords(ctx context.Context, stdin io.Reader, stderr io.Writer) (v *values, err error) {
	if o.corpus == "" {
		return nil, nil
	}
	v = &values{flags: o, stderr: stderr, meta: words.SeriesProvenance{Forms: lexicon.AllForms(), Measure: string(words.Pooled)}}
	if o.Task == train.Reward {
		v.meta.Forms, v.meta.Measure = []lexicon.Form{"{lower}"}, string(words.ExactForm)
	}
	if err := v.choose(o.measure); err != nil {
		return nil, err
	}
	if v.after, err = cli.Prompts(ctx, o.prompts, stdin); err != nil {
		return nil, err
	}
	for _, p := range v.after {
		if strings.ContainsAny(p.Name, `/\:`) || strings.HasPrefix(p.Name, ".") {
			return nil, cli.Usagef("prompt %q: its scores are a file of that name, wanted a name without / \\ : and a dot at the beginning", p.Name)
		}
		v.series = append(v.series, &words.Series{})
	}
	v.corpus, v.hash, err = cli.Corpus(o.corpus, stderr)
	v.meta.Corpus = v.hash
	return v, err
}

// score scores the words at every checkpoint and writes DIR/words, a file a prompt. What is
// there already is not computed again.
func (v *values) score(ctx context.Context, stderr io.Writer) (err error) {
	dirs, steps, err := checkpoints(v.Out)
	if err != nil {
		return err
	}
	v.meta.Steps = steps
	if v.complete() {
		fmt.Fprintf(stderr, "%s holds the words of all checkpoints\n", v.folder())
		return nil
	}
	if err := os.MkdirAll(v.folder(), 0o777); err != nil {
		return err
	}
	if v.loader, err = v.models.Loader(&once{w: stderr, said: map[string]bool{}}); err != nil {
		return err
	}
	defer v.loader.Close()
	if err := v.loader.Resume(v.folder()); err != nil {
		return err
	}
	for i, dir := range dirs {
		v.coverage = words.Coverage{}
		add := v.addPolicy
		if v.Task == train.Reward {
			add = v.addRM
		}
		if err := add(ctx, dir, steps[i]); err != nil {
			return err
		}
		if len(v.series[0].Texts) == 0 {
			return fmt.Errorf("no word of %s could be scored", v.flags.corpus)
		}
	}
	if err := v.write(); err != nil {
		return err
	}
	return v.loader.DiscardJournal()
}

// choose reads the flag -measure: of a reward model measures of all forms but exact, which is of
// one.
func (v *values) choose(name string) error {
	var err error
	switch {
	case name == "":
		return nil
	case strings.Contains(name, ","):
		return cli.Usagef("-measure %s, wanted one", name)
	case v.Task == train.Reward:
		if _, err = words.ParseScoreMeasures(name); err == nil && name != string(words.ExactForm) {
			v.meta.Forms = lexicon.AllForms()
		}
	default:
		_, err = words.ParseMeasures(name)
	}
	if err != nil {
		return cli.Usagef("-measure: %v", err)
	}
	v.meta.Measure = name
	return nil
}

// once is a writer of lines about checkpoints that writes what is said of one alone.
type once struct {
	w    io.Writer
	said map[string]bool
}

var checkpoint = regexp.MustCompile(`checkpoint-[0-9]+`)

func (o *once) Write(line []byte) (int, error) {
	key := checkpoint.ReplaceAllString(string(line), "")
	if o.said[key] {
		return len(line), nil
	}
	o.said[key] = true
	return o.w.Write(line)
}

// folder is where the series lie.
func (v *values) folder() string { return filepath.Join(v.Out, "words") }

// path is the file of a prompt.
func (v *values) path(p lexicon.Prompt) string { return filepath.Join(v.folder(), p.Name+".csv") }

// checkpoints are the folders of a run's checkpoints and their steps, in order.
func checkpoints(dir string) (dirs []string, steps []int, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, err
	}
	for _, e := range entries {
		number, ok := strings.CutPrefix(e.Name(), "checkpoint-")
		if step, err := strconv.Atoi(number); ok && err == nil && e.IsDir() {
			steps = append(steps, step)
		}
	}
	slices.Sort(steps)
	for _, step := range steps {
		dirs = append(dirs, filepath.Join(dir, "checkpoint-"+strconv.Itoa(step)))
	}
	return dirs, steps, nil
}

// complete reports whether an earlier run has scored the same words after the same prompts at
// the same checkpoints.
func (v *values) complete() bool {
	for _, p := range v.after {
		var there words.SeriesProvenance
		if _, err := os.Stat(v.path(p)); err != nil || table.ReadMeta(v.path(p), &there) != nil {
			return false
		}
		if there.Prompt != p || there.Measure != v.meta.Measure || there.Corpus != v.hash || !slices.Equal(there.Steps, v.meta.Steps) {
			return false
		}
	}
	return true
}

// named is a checkpoint as a model's name.
func (v *values) named(dir string) string {
	if v.LoRA == nil {
		return dir
	}
	return v.model + "+" + dir
}

// addRM adds the rewards of a reward model.
func (v *values) addRM(ctx context.Context, dir string, step int) error {
	rm, err := v.loader.RM(ctx, &cli.RMFlags{RM: v.named(dir), Pooling: "last", As: v.as, ModelFlags: v.models})
	if err != nil {
		return err
	}
	meta, err := rm.Meta(ctx)
	if err != nil {
		return err
	}
	v.meta.RM = append(v.meta.RM, meta)
	progress := v.progress(step, 1)
	defer progress.Done()
	scored := words.Scores(ctx, rm, v.corpus, v.after, &words.ScoreOptions{Forms: v.meta.Forms, Measures: []words.ScoreMeasure{words.ScoreMeasure(v.meta.Measure)}, Progress: progress.SetItems})
	byPrompt, err := split(scored, func(w words.ScoredWord) string { v.coverage.AddScored(w); return w.PromptName })
	if err != nil {
		return err
	}
	for i, p := range v.after {
		if err := v.series[i].AddScored(step, each(byPrompt[p.Name])); err != nil {
			return err
		}
	}
	return v.loader.ReleaseRM(rm)
}

// addPolicy adds the implicit rewards of a policy against the model that training began with.
func (v *values) addPolicy(ctx context.Context, dir string, step int) error {
	began := v.model
	if v.Init != "" {
		began = v.named(filepath.Join(v.Out, "checkpoint-0"))
	}
	flags := cli.PairFlags{Tuned: v.named(dir), Base: began, TunedAs: v.as, BaseAs: v.as, Beta: 1, ModelFlags: v.models}
	if v.Task == train.DPO {
		flags.Beta = v.Beta
	}
	pair, err := flags.Load(ctx, v.loader)
	if err != nil {
		return err
	}
	tuned, base, err := pair.Meta(ctx)
	if err != nil {
		return err
	}
	v.meta.Tuned, v.meta.Base, v.meta.Beta = append(v.meta.Tuned, tuned), &base, flags.Beta
	policies := pair.Policies()
	if v.base == nil {
		v.base = implicit.Cached(policies.Base, nil)
	}
	policies.Base = v.base
	progress := v.progress(step, 2)
	defer progress.Done()
	scored := words.Rewards(ctx, policies, v.corpus, v.after, &words.Options{Forms: v.meta.Forms, Measures: []words.Measure{words.Measure(v.meta.Measure)}, Progress: progress.SetItems})
	byPrompt, err := split(scored, func(w words.Word) string { v.coverage.Add(w); return w.PromptName })
	if err != nil {
		return err
	}
	for i, p := range v.after {
		if err := v.series[i].Add(step, each(byPrompt[p.Name]), flags.Beta); err != nil {
			return err
		}
	}
	if pair.Tuned.Model == pair.Base.Model {
		return nil
	}
	return v.loader.Release(pair.Tuned.Model)
}

// progress shows how far a checkpoint has come, in passes of models.
func (v *values) progress(step, passes int) *cli.Progress {
	p := cli.NewProgress(v.stderr, fmt.Sprintf("scoring words at step %d", step), false)
	v.loader.Track(p, 0, passes)
	return p
}

// split sorts what is scored by prompts.
func split[W any](scored iter.Seq2[W, error], prompt func(W) string) (map[string][]W, error) {
	all := map[string][]W{}
	for w, err := range scored {
		if err != nil {
			return nil, err
		}
		name := prompt(w)
		all[name] = append(all[name], w)
	}
	return all, nil
}

// each ranges over what has no errors.
func each[W any](all []W) iter.Seq2[W, error] {
	return func(yield func(W, error) bool) {
		for _, w := range all {
			if !yield(w, nil) {
				return
			}
		}
	}
}

// write writes a series a prompt, and what became of each word.
func (v *values) write() error {
	columns, writeCoverage := words.CoverageColumns, v.coverage.WriteCSV
	if v.Task == train.Reward {
		columns, writeCoverage = words.ScoreCoverageColumns, v.coverage.WriteScoresCSV
	}
	coverage := output.File{Path: filepath.Join(v.folder(), "words.coverage.csv"), Columns: columns}
	if err := coverage.Write(writeCoverage); err != nil {
		return err
	}
	for i, p := range v.after {
		v.meta.Prompt = p
		if err := (output.File{Path: v.path(p)}).WriteWithMeta(v.series[i].WriteCSV, v.meta.WriteJSON); err != nil {
			return err
		}
	}
	refused := 0
	for _, e := range v.coverage.Entries {
		if e.Refused() {
			refused++
			fmt.Fprintf(v.stderr, "  %q: %s\n", e.Term, e.Reason)
		}
	}
	fmt.Fprintf(v.stderr, "%s: %d words after %d prompts at %d checkpoints, entries refused: %d\n", v.folder(), len(v.series[0].Texts), len(v.after), len(v.meta.Steps), refused)
	return nil
}
