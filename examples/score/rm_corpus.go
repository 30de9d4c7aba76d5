package main

import (
	"context"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"

	"github.com/implicitreward/implicitreward/implicit/lexicon"
	"github.com/implicitreward/implicitreward/implicit/rewardmodel"
	"github.com/implicitreward/implicitreward/implicit/words"
	"github.com/implicitreward/implicitreward/internal/cli"
)

// rmCorpus scores every word of a corpus after every prompt by a reward model.
type rmCorpus struct {
	corpusFiles
	loader  *cli.Loader
	rm      rewardmodel.RM
	meta    words.ScoreProvenance
	summary rmSummary
}

func scoreCorpusRM(ctx context.Context, o *flags, stdin io.Reader, stdout, stderr io.Writer) error {
	r := &rmCorpus{corpusFiles: corpusFiles{flags: o, stdout: stdout, stderr: stderr}}
	if err := r.check([][2]string{{"csv", ".csv"}, {"parquet", ".parquet"}, {paper, ".csv"}, {inSeries, ".csv"}}, words.ScoreCoverageColumns); err != nil {
		return err
	}
	if err := r.read(ctx, stdin); err != nil {
		return err
	}
	loader, rm, meta, err := o.openRM(ctx, stderr)
	if err != nil {
		return err
	}
	defer loader.Close()
	r.loader, r.rm, r.meta = loader, rm, meta
	r.meta.Corpus, r.meta.WordList, r.meta.Forms, r.meta.Measures = r.hash, r.listHash, r.forms, r.scoreMeasures
	if err := r.create(func(w io.Writer) error { return r.write(ctx, w) }, r.meta.WriteJSON); err != nil || o.out == "-" {
		return err
	}
	return loader.DiscardJournal()
}

// write scores the words, writes the scores to w, and the coverage.
func (r *rmCorpus) write(ctx context.Context, w io.Writer) error {
	progress := cli.NewProgress(r.stderr, "scoring", false)
	defer progress.Done()
	r.loader.Track(progress, 0, 1)
	scored := words.Scores(ctx, r.rm, r.corpus, r.after, &words.ScoreOptions{Forms: r.forms, Measures: r.scoreMeasures, Progress: progress.SetItems})
	records := lines(scored, r.summary.addScored, words.ScoredWord.Records, &r.summary.rows)
	var err error
	switch r.format {
	case "parquet":
		err = words.WriteScoresParquet(w, records, r.meta)
	case paper:
		err = r.writeTable(w, scored)
	default:
		err = words.WriteScoresCSV(w, records)
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
	return r.coverage.Write(r.summary.coverage.WriteScoresCSV)
}

// writeTable writes the paper's file.
func (r *rmCorpus) writeTable(w io.Writer, scored iter.Seq2[words.ScoredWord, error]) error {
	table, err := words.NewScoreTable(counted(scored, r.summary.addScored), r.after)
	if err != nil {
		return err
	}
	r.summary.rows, r.summary.partly = len(table.Responses), table.Partly
	for _, e := range r.corpus.Entries {
		if !e.Wildcard && !slices.Contains(table.Responses, e.Term) && slices.Contains(table.Responses, lexicon.Form("{lower}").Of(e.Term)) {
			r.summary.capitals++
		}
	}
	return table.WriteCSV(w)
}

// rmSummary counts what a run scored, to print it.
type rmSummary struct {
	summary
	partly   []string // words without a row of the paper's file
	capitals int      // words that the corpus writes otherwise than the paper's file
}

func (s *rmSummary) print(w io.Writer, out string, prompts int) {
	scored, forms, same := 0, 0, 0
	for _, e := range s.coverage.Entries {
		if !e.Refused() {
			scored, forms, same = scored+1, forms+e.Forms, same+e.SameText
		}
	}
	s.printRows(w, out, prompts)
	fmt.Fprintf(w, "entries scored: %d, in %d forms, of which %d are the same text to the model as another of the word\n", scored, forms, same)
	if len(s.partly) > 0 {
		fmt.Fprintf(w, "words without a row, as they were scored after some of the prompts only: %s\n", listed(s.partly))
	}
	if s.capitals > 0 {
		fmt.Fprintf(w, "words that stand in lower case, and in other letters in the corpus: %d (study looks them up by their letters)\n", s.capitals)
	}
	s.printRefused(w, out)
}

// listed lists the first of some words.
func listed(all []string) string {
	if len(all) > 10 {
		return strings.Join(all[:10], ", ") + fmt.Sprintf(" and %d more", len(all)-10)
	}
	return strings.Join(all, ", ")
}
