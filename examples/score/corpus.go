package main

import (
	"context"
	"fmt"
	"io"
	"iter"
	"strings"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/implicit/lexicon"
	"github.com/implicitreward/implicitreward/implicit/words"
	"github.com/implicitreward/implicitreward/internal/cli"
	"github.com/implicitreward/implicitreward/internal/output"
)

// corpusRun scores every word of a corpus after every prompt.
type corpusRun struct {
	*flags
	format                string
	file, coverage, ranks output.File // the rewards; beside them, ranks with -vary
	corpus                *lexicon.Corpus
	after                 []lexicon.Prompt
	loader                *cli.Loader
	pair                  implicit.Pair
	meta                  words.Provenance
	sensitivity           *words.Sensitivity // nil without -vary
	summary               summary
	stdout, stderr        io.Writer
}

func scoreCorpus(ctx context.Context, o *flags, stdin io.Reader, stdout, stderr io.Writer) error {
	r := &corpusRun{flags: o, stdout: stdout, stderr: stderr}
	if err := r.checkFiles(); err != nil {
		return err
	}
	if err := r.read(ctx, stdin); err != nil {
		return err
	}
	loader, pair, err := o.Open(ctx, o.out, stderr)
	if err != nil {
		return err
	}
	defer loader.Close()
	r.loader, r.pair = loader, pair.Policies()
	if r.meta.Tuned, r.meta.Base, err = pair.Meta(ctx); err != nil {
		return err
	}
	if o.vary != nil {
		if err := r.vary(ctx); err != nil {
			return err
		}
	}
	write := func(w io.Writer) error { return r.write(ctx, w) }
	switch {
	case o.out == "-":
		return write(stdout)
	case r.format == "parquet":
		err = r.file.Write(write)
	default:
		err = r.file.WriteWithMeta(write, r.meta.WriteJSON)
	}
	if err != nil {
		return err
	}
	return loader.DiscardJournal()
}

// checkFiles refuses outputs that cannot be written, before any work.
func (r *corpusRun) checkFiles() (err error) {
	if r.format, err = cli.OutputFormat(r.out, r.flags.format, [2]string{"csv", ".csv"}, [2]string{"parquet", ".parquet"}); err != nil {
		return err
	}
	if r.out == "-" && r.flags.vary != nil {
		return cli.Usagef("-vary with -out -, wanted a file, beside which it writes")
	}
	r.file = output.File{Path: r.out, Force: r.force}
	r.coverage = output.File{Path: beside(r.out, "coverage"), Force: r.force, Columns: words.CoverageColumns}
	r.ranks = output.File{Path: beside(r.out, "vary"), Force: r.force}
	for _, file := range []output.File{r.file, r.coverage, r.ranks} {
		if err := cli.RefuseOverwrite(file.Path, r.flags.corpus, r.prompts, r.wordlist); err != nil {
			return err
		}
	}
	switch {
	case r.out == "-":
		return nil
	case r.flags.vary == nil:
		return output.Check(r.file, r.coverage)
	}
	return output.Check(r.file, r.coverage, r.ranks)
}

// beside is the path of a further file of an output: R.coverage.csv for R.csv.
func beside(out, name string) string {
	return strings.TrimSuffix(strings.TrimSuffix(out, ".csv"), ".parquet") + "." + name + ".csv"
}

// read reads the prompts, the corpus and the word list.
func (r *corpusRun) read(ctx context.Context, stdin io.Reader) (err error) {
	r.meta = words.Provenance{Beta: r.Beta, Forms: r.forms}
	if r.after, err = cli.Prompts(ctx, r.prompts, stdin); err != nil {
		return err
	}
	if r.corpus, r.meta.Corpus, err = cli.Corpus(r.flags.corpus, r.stderr); err != nil || r.wordlist == "" {
		return err
	}
	r.corpus, r.meta.WordList, err = cli.Expand(r.corpus, r.wordlist, r.stderr)
	return err
}

// write scores the words, writes the rewards to w, and the further files.
func (r *corpusRun) write(ctx context.Context, w io.Writer) error {
	progress := cli.NewProgress(r.stderr, "scoring", false)
	defer progress.Done()
	r.loader.Track(progress, 0, 2)
	records := r.records(words.Rewards(ctx, r.pair, r.corpus, r.after, &words.Options{
		Forms: r.forms, Measures: r.measures, Progress: progress.SetItems,
	}))
	var err error
	if r.format == "parquet" {
		err = words.WriteParquet(w, records, r.meta)
	} else {
		err = words.WriteCSV(w, records)
	}
	if progress.Done(); err != nil {
		return err
	}
	r.summary.print(r.stderr, r.out, len(r.after))
	switch {
	case r.summary.rows == 0:
		return fmt.Errorf("no word of %s could be scored", r.flags.corpus)
	case r.out == "-":
		return nil
	}
	if err := r.coverage.Write(r.summary.coverage.WriteCSV); err != nil || r.sensitivity == nil {
		return err
	}
	return r.writeRanks(ctx)
}

// records turns words into lines of the output, and counts them.
func (r *corpusRun) records(scored iter.Seq2[words.Word, error]) iter.Seq2[words.Record, error] {
	return func(yield func(words.Record, error) bool) {
		for w, err := range scored {
			if err != nil {
				yield(words.Record{}, err)
				return
			}
			r.summary.add(w)
			for _, record := range w.Records(r.Beta) {
				r.summary.rows++
				if !yield(record, nil) {
					return
				}
			}
		}
	}
}
