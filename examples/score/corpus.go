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

// corpusFiles are what a run with -corpus reads, and where it writes.
type corpusFiles struct {
	*flags
	format         string
	file, coverage output.File // the rewards, and what became of each word
	corpus         *lexicon.Corpus
	hash, listHash string // SHA-256 of the corpus and of the list of words
	after          []lexicon.Prompt
	stdout, stderr io.Writer
}

// check refuses outputs that cannot be written, before any work. formats are those of the
// output with their endings, more are files beside it.
func (c *corpusFiles) check(formats [][2]string, columns string, more ...output.File) (err error) {
	if c.format, err = cli.OutputFormat(c.out, c.flags.format, formats...); err != nil {
		return err
	}
	c.file = output.File{Path: c.out, Force: c.force}
	c.coverage = output.File{Path: beside(c.out, "coverage"), Force: c.force, Columns: columns}
	files := append([]output.File{c.file, c.coverage}, more...)
	for _, file := range files {
		if err := cli.RefuseOverwrite(file.Path, c.flags.corpus, c.prompts, c.wordlist); err != nil {
			return err
		}
	}
	if c.out == "-" {
		return nil
	}
	return output.Check(files...)
}

// beside is the path of a further file of an output: R.coverage.csv for R.csv.
func beside(out, name string) string {
	return strings.TrimSuffix(strings.TrimSuffix(out, ".csv"), ".parquet") + "." + name + ".csv"
}

// read reads the prompts, the corpus and the word list.
func (c *corpusFiles) read(ctx context.Context, stdin io.Reader) (err error) {
	if c.after, err = cli.Prompts(ctx, c.prompts, stdin); err != nil {
		return err
	}
	if c.corpus, c.hash, err = cli.Corpus(c.flags.corpus, c.stderr); err != nil || c.wordlist == "" {
		return err
	}
	c.corpus, c.listHash, err = cli.Expand(c.corpus, c.wordlist, c.stderr)
	return err
}

// create makes the output, with its provenance beside it where the format holds none.
func (c *corpusFiles) create(write, provenance func(io.Writer) error) error {
	switch {
	case c.out == "-":
		return write(c.stdout)
	case c.format == "parquet":
		return c.file.Write(write)
	}
	return c.file.WriteWithMeta(write, provenance)
}

// corpusRun scores every word of a corpus after every prompt by a pair of models.
type corpusRun struct {
	corpusFiles
	ranks       output.File // with -vary
	loader      *cli.Loader
	pair        implicit.Pair
	meta        words.Provenance
	sensitivity *words.Sensitivity // nil without -vary
	summary     summary
}

func scoreCorpus(ctx context.Context, o *flags, stdin io.Reader, stdout, stderr io.Writer) error {
	r := &corpusRun{corpusFiles: corpusFiles{flags: o, stdout: stdout, stderr: stderr}}
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
	r.meta = words.Provenance{Beta: r.Beta, Forms: r.forms, Corpus: r.hash, WordList: r.listHash}
	if r.meta.Tuned, r.meta.Base, err = pair.Meta(ctx); err != nil {
		return err
	}
	if o.vary != nil {
		if err := r.vary(ctx); err != nil {
			return err
		}
	}
	if err := r.create(func(w io.Writer) error { return r.write(ctx, w) }, r.meta.WriteJSON); err != nil || o.out == "-" {
		return err
	}
	return loader.DiscardJournal()
}

func (r *corpusRun) checkFiles() error {
	if r.out == "-" && r.flags.vary != nil {
		return cli.Usagef("-vary with -out -, wanted a file, beside which it writes")
	}
	var more []output.File
	r.ranks = output.File{Path: beside(r.out, "vary"), Force: r.force}
	if r.flags.vary != nil {
		more = append(more, r.ranks)
	}
	return r.check([][2]string{{"csv", ".csv"}, {"parquet", ".parquet"}}, words.CoverageColumns, more...)
}

// write scores the words, writes the rewards to w, and the further files.
func (r *corpusRun) write(ctx context.Context, w io.Writer) error {
	progress := cli.NewProgress(r.stderr, "scoring", false)
	defer progress.Done()
	r.loader.Track(progress, 0, 2)
	scored := words.Rewards(ctx, r.pair, r.corpus, r.after, &words.Options{Forms: r.forms, Measures: r.measures, Progress: progress.SetItems})
	records := lines(scored, r.summary.add, func(w words.Word) []words.Record { return w.Records(r.Beta) }, &r.summary.rows)
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

// lines turns words into the lines of the output that of makes, calls add with each word, and
// counts the lines.
func lines[W, L any](scored iter.Seq2[W, error], add func(W), of func(W) []L, count *int) iter.Seq2[L, error] {
	return func(yield func(L, error) bool) {
		for w, err := range counted(scored, add) {
			if err != nil {
				yield(*new(L), err)
				return
			}
			for _, line := range of(w) {
				*count++
				if !yield(line, nil) {
					return
				}
			}
		}
	}
}
