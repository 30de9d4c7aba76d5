package main

import (
	"context"
	"fmt"
	"io"
	"iter"
	"strings"

	"github.com/implicitreward/implicitreward/implicit/words"
	"github.com/implicitreward/implicitreward/internal/cli"
	"github.com/implicitreward/implicitreward/internal/output"
)

// scoreCorpus scores every word after every prompt.
func scoreCorpus(ctx context.Context, o *flags, stdin io.Reader, stdout, stderr io.Writer) error {
	format, err := cli.OutputFormat(o.out, o.format, [2]string{"csv", ".csv"}, [2]string{"parquet", ".parquet"})
	if err != nil {
		return err
	}
	if o.out == "-" && o.vary != nil {
		return cli.Usagef("-vary with -out -, wanted a file, beside which it writes")
	}
	for _, out := range []string{o.out, coveragePath(o.out), varyPath(o.out)} {
		if err := cli.CheckApart(out, o.corpus, o.prompts, o.wordlist); err != nil {
			return err
		}
	}
	file := output.File{Path: o.out, Force: o.force}
	coverage := output.File{Path: coveragePath(o.out), Force: o.force, Columns: words.CoverageColumns}
	files := []output.File{file, coverage}
	if o.vary != nil {
		files = append(files, o.varyFile())
	}
	if o.out != "-" {
		if err := output.Check(files...); err != nil {
			return err
		}
	}
	prompts, err := cli.Prompts(ctx, o.prompts, stdin)
	if err != nil {
		return err
	}
	corpus, hash, err := cli.Corpus(o.corpus, stderr)
	if err != nil {
		return err
	}
	listHash := ""
	if o.wordlist != "" {
		if corpus, listHash, err = cli.Expand(corpus, o.wordlist, stderr); err != nil {
			return err
		}
	}
	pair, models, loader, err := o.load(ctx, stderr)
	if err != nil {
		return err
	}
	defer loader.Close()
	meta, err := o.meta(ctx, loader, models)
	if err != nil {
		return err
	}
	meta.Corpus, meta.WordList, meta.Forms = hash, listHash, o.forms
	var vary *varying
	if o.vary != nil {
		if vary, err = o.startVary(ctx, loader, meta, &pair); err != nil {
			return err
		}
	}

	progress := cli.NewProgress(stderr, "scoring", false)
	defer progress.Done()
	loader.Watch(progress, 0, 2)
	sum := &summary{prompts: len(prompts), flags: map[string]int{}}
	scored := words.Rewards(ctx, pair, corpus, prompts, &words.Options{
		Forms:    o.forms,
		Measures: o.measures,
		Progress: func(done, total int) { progress.Set(int64(done), int64(total)) },
	})
	records := records(scored, o.beta, sum)
	write := func(w io.Writer) error {
		var err error
		if format == "parquet" {
			err = words.WriteParquet(w, records, meta)
		} else {
			err = words.WriteCSV(w, records)
		}
		if progress.Done(); err != nil {
			return err
		}
		sum.print(stderr, o.out)
		if sum.rows == 0 {
			return fmt.Errorf("no word of %s could be scored", o.corpus)
		}
		if o.out == "-" {
			return nil
		}
		if err := coverage.Write(sum.coverage.WriteCSV); err != nil || vary == nil {
			return err
		}
		return vary.finish(ctx, o, corpus, prompts, stdout, stderr)
	}
	if o.out == "-" {
		return write(stdout)
	}
	if format == "parquet" {
		err = file.Write(write)
	} else {
		err = file.WriteWithMeta(write, meta.WriteJSON)
	}
	if err != nil {
		return err
	}
	return loader.Complete()
}

// coveragePath is where the coverage of an output goes: R.coverage.csv for R.csv.
func coveragePath(out string) string {
	return strings.TrimSuffix(strings.TrimSuffix(out, ".csv"), ".parquet") + ".coverage.csv"
}

// records turns words into lines of the output, and counts them.
func records(scored iter.Seq2[words.Word, error], beta float64, sum *summary) iter.Seq2[words.Record, error] {
	return func(yield func(words.Record, error) bool) {
		for w, err := range scored {
			if err != nil {
				yield(words.Record{}, err)
				return
			}
			sum.add(w)
			for _, r := range w.Records(beta) {
				sum.rows++
				if !yield(r, nil) {
					return
				}
			}
		}
	}
}

// summary is what is printed of a run.
type summary struct {
	coverage      words.Coverage
	prompts, rows int
	flags         map[string]int // replies that have them
}

func (s *summary) add(w words.Word) {
	s.coverage.Add(w)
	for _, f := range w.Forms {
		for _, flag := range f.Flags {
			s.flags[flag]++
		}
	}
}

func (s *summary) print(w io.Writer, out string) {
	entries := s.coverage.Entries
	var refused []words.EntryCoverage
	var forms, few, tuned, base, both, pooled int // few: not after every prompt
	var words [3]int                              // with a form of one token: tuned, base, both
	for _, e := range entries {
		if e.Refused() {
			refused = append(refused, e)
			continue
		}
		if e.Scored < e.Asked {
			few++
		}
		forms, tuned, base, both, pooled = forms+e.Forms, tuned+e.OneTuned, base+e.OneBase, both+e.OneBoth, pooled+e.Pooled
		for i, n := range []int{e.OneTuned, e.OneBase, e.OneBoth} {
			if n > 0 {
				words[i]++
			}
		}
	}
	name := out
	if out == "-" {
		name = "standard output"
	}
	fmt.Fprintf(w, "%s: %d rows: %d entries after %d prompts\n", name, s.rows, len(entries), s.prompts)
	fmt.Fprintf(w, "entries scored: %d, with a form of one token: %d in the tuned model, %d in the base model, %d in both\n", len(entries)-len(refused), words[0], words[1], words[2])
	fmt.Fprintf(w, "forms scored: %d, of one token: %d in the tuned model, %d in the base model, %d in both; pooled: %d\n", forms, tuned, base, both, pooled)
	if few > 0 {
		fmt.Fprintf(w, "entries scored after some of the prompts only: %d\n", few)
	}
	fmt.Fprintf(w, "entries refused: %d\n", len(refused))
	for i, e := range refused {
		if i == 10 {
			fmt.Fprintf(w, "  and %d more", len(refused)-i)
			if out != "-" {
				fmt.Fprintf(w, ": see %s", coveragePath(out))
			}
			fmt.Fprintln(w)
			break
		}
		fmt.Fprintf(w, "  %q: %s\n", e.Term, e.Reason)
	}
	for _, flag := range sortedKeys(s.flags) {
		fmt.Fprintf(w, "replies flagged %s: %d\n", flag, s.flags[flag])
	}
}
