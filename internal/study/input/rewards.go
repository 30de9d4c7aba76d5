package input

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/implicitreward/implicitreward/implicit/words"
	"github.com/implicitreward/implicitreward/internal/regular"
	"github.com/implicitreward/implicitreward/internal/study/cube"
	"github.com/implicitreward/implicitreward/internal/table"
)

// ReadRewards reads a rewards file of score, CSV (with file.csv.meta.json, if it is
// there) or Parquet. Of a file with several measures one is taken, pooled before ended,
// paper and exact, and the name says which. A word that is missing or repeated after a
// prompt, or has an infinite log-probability is an error.
func ReadRewards(path string, models []cube.Model) (*cube.RewardFile, error) {
	data, err := regular.Read(path, regular.Scores)
	if err != nil {
		return nil, err
	}
	r := &cube.RewardFile{Name: stem(path), Scores: cube.Scores{Files: []string{path}}}
	rows, meta, err := words.ReadRecords(bytes.NewReader(data), int64(len(data)))
	if r.Meta = meta; err == nil && !strings.HasSuffix(path, ".parquet") {
		err = table.ReadMeta(path, &r.Meta)
	}
	if err == nil && len(rows) == 0 {
		err = errors.New("no rows")
	}
	measure := ""
	if err == nil {
		rows, measure = oneMeasure(rows)
		err = fill(&r.Scores, rows)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	name := stem(path)
	if r.Meta.Tuned.Model != "" {
		r.Name = r.Meta.Base.Model + " \u2192 " + r.Meta.Tuned.Model
		name = r.Meta.Tuned.Model
	}
	tuned, _ := findModel(models, name)
	r.Models = []cube.Model{{Name: r.Meta.Base.Model}, tuned}
	if measure != "" {
		r.Name += " (" + measure + ")"
	}
	return r, nil
}

// measures are those of a rewards file, best first.
var measures = []words.Measure{words.Pooled, words.WholeWord, words.Paper, words.Exact}

// oneMeasure returns the rows of one measure, and its name if there are others.
func oneMeasure(rows []words.Record) ([]words.Record, string) {
	for _, m := range measures {
		of := slices.DeleteFunc(slices.Clone(rows), func(r words.Record) bool { return r.Measure != string(m) })
		switch len(of) {
		case 0:
		case len(rows):
			return rows, ""
		default:
			return of, string(m)
		}
	}
	return rows, ""
}

// fill enters ln p of the base model and of the tuned one.
func fill(s *cube.Scores, rows []words.Record) error {
	word, prompt := map[string]int{}, map[string]int{}
	forms := map[string]string{} // of a word, the first
	for _, row := range rows {
		if _, ok := word[row.Word]; !ok {
			word[row.Word] = len(s.Words)
			s.Words, s.Tokens = append(s.Words, row.Word), append(s.Tokens, int(row.NTokens))
			forms[row.Word] = row.Form
		}
		if _, ok := prompt[row.Prompt]; !ok {
			prompt[row.Prompt] = len(s.Prompts)
			s.Prompts = append(s.Prompts, row.Prompt)
		}
	}
	s.Values = make([][][]float64, 2)
	for m := range s.Values {
		for range s.Prompts {
			s.Values[m] = append(s.Values[m], slices.Repeat([]float64{math.NaN()}, len(s.Words)))
		}
	}
	for _, row := range rows {
		p, w := prompt[row.Prompt], word[row.Word]
		base, tuned := &s.Values[0][p][w], &s.Values[1][p][w]
		switch {
		case !math.IsNaN(*base) && row.Form != forms[row.Word]:
			return fmt.Errorf("%q stands twice after prompt %s, as %q and %q, wanted one row a word: "+
				"score -measure pooled, or one of -forms", row.Word, row.Prompt, forms[row.Word], row.Form)
		case !math.IsNaN(*base):
			return fmt.Errorf("%q stands twice after prompt %s", row.Word, row.Prompt)
		case math.IsInf(row.Base, 0) || math.IsInf(row.Tuned, 0):
			return fmt.Errorf("%q after prompt %s: infinite log-probability, wanted a finite one", row.Word, row.Prompt)
		}
		*base, *tuned = row.Base, row.Tuned
	}
	for p, name := range s.Prompts {
		if w := slices.IndexFunc(s.Values[0][p], math.IsNaN); w >= 0 {
			return fmt.Errorf("no row of %q after prompt %s, wanted every word after every prompt", s.Words[w], name)
		}
	}
	return nil
}
