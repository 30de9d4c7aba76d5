package input

import (
	"bytes"
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
	rows, meta, err := words.ReadRecords(bytes.NewReader(data), int64(len(data)))
	if err == nil && !strings.HasSuffix(path, ".parquet") {
		err = table.ReadMeta(path, &meta)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return rewardsOf(path, rows, meta, models)
}

// rewardsOf are the rewards of a pair that stand in a file, or in the parts of a manifest.
func rewardsOf(path string, rows []words.Record, meta words.Provenance, models []cube.Model) (*cube.RewardFile, error) {
	r := &cube.RewardFile{Name: stem(path), Scores: cube.Scores{Files: []string{path}}, Meta: meta}
	if len(rows) == 0 {
		return nil, fmt.Errorf("%s: no rows", path)
	}
	rows, measure := oneMeasure(rows, measures, func(r words.Record) string { return r.Measure })
	values := make([]row, len(rows))
	for i, r := range rows {
		values[i] = row{r.Prompt, r.Word, r.Form, int(r.NTokens), []float64{r.Base, r.Tuned}}
	}
	if err := fill(&r.Scores, values, "score -measure pooled"); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	name := stem(path)
	if r.Meta.Tuned.Model != "" {
		r.Name = r.Meta.Base.Model + " \u2192 " + r.Meta.Tuned.Model
		name = r.Meta.Tuned.Model
	}
	r.Models = []cube.Model{{Name: r.Meta.Base.Model}, identify(models, name, "", r.Meta.Tuned)}
	if measure != "" {
		r.Name += " (" + measure + ")"
	}
	return r, nil
}

// measures are those of a rewards file, best first.
var measures = []words.Measure{words.Pooled, words.WholeWord, words.Paper, words.Exact}

// oneMeasure returns the rows of one measure, the first of best that there is, and its name if
// there are others.
func oneMeasure[R any, M ~string](rows []R, best []M, measure func(R) string) ([]R, string) {
	for _, m := range best {
		of := slices.DeleteFunc(slices.Clone(rows), func(r R) bool { return measure(r) != string(m) })
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

// row is a line of a file of long rows.
type row struct {
	prompt, word, form string
	tokens             int
	values             []float64 // under each model, NaN for none
}

// fill enters the values of rows, one or more for each: of a pair, ln p of the base model and
// of the tuned one. advice is how one row a word is made of several.
func fill(s *cube.Scores, rows []row, advice string) error {
	word, prompt := map[string]int{}, map[string]int{}
	forms := map[string]string{} // of a word, the first
	for _, row := range rows {
		if _, ok := word[row.word]; !ok {
			word[row.word] = len(s.Words)
			s.Words, s.Tokens = append(s.Words, row.word), append(s.Tokens, row.tokens)
			forms[row.word] = row.form
		}
		if _, ok := prompt[row.prompt]; !ok {
			prompt[row.prompt] = len(s.Prompts)
			s.Prompts = append(s.Prompts, row.prompt)
		}
	}
	s.Values = make([][][]float64, len(rows[0].values))
	for m := range s.Values {
		for range s.Prompts {
			s.Values[m] = append(s.Values[m], slices.Repeat([]float64{math.NaN()}, len(s.Words)))
		}
	}
	for _, row := range rows {
		p, w := prompt[row.prompt], word[row.word]
		switch before := s.Values[0][p][w]; {
		case !math.IsNaN(before) && row.form != forms[row.word]:
			return fmt.Errorf("%q stands twice after prompt %s, as %q and %q, wanted one row a word: "+
				"%s, or one of -forms", row.word, row.prompt, forms[row.word], row.form, advice)
		case !math.IsNaN(before):
			return fmt.Errorf("%q stands twice after prompt %s", row.word, row.prompt)
		case slices.ContainsFunc(row.values, func(x float64) bool { return math.IsInf(x, 0) }):
			return fmt.Errorf("%q after prompt %s: infinite log-probability, wanted a finite one", row.word, row.prompt)
		}
		for m, x := range row.values {
			s.Values[m][p][w] = x
		}
	}
	for p, name := range s.Prompts {
		if w := slices.IndexFunc(s.Values[0][p], math.IsNaN); w >= 0 {
			return fmt.Errorf("no row of %q after prompt %s, wanted every word after every prompt", s.Words[w], name)
		}
	}
	return nil
}
