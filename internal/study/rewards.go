package study

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/implicitreward/implicitreward/implicit/words"
	"github.com/implicitreward/implicitreward/internal/regular"
	"github.com/implicitreward/implicitreward/internal/table"
)

// Reward is a file of implicit rewards: of a corpus' words after prompts, of one or of
// several tokens.
type Reward struct {
	Name    string // the pair
	Model   Model  // the tuned model
	File    string
	Meta    words.Provenance
	Words   []string
	Prompts []string
	NTokens []int       // of each word
	Base    [][]float64 // Base[prompt][word] = ln p_base
	Tuned   [][]float64
}

// ReadReward reads a rewards file of score, CSV (with file.csv.meta.json, if it is
// there) or Parquet. Of a file with several measures one is taken, pooled before ended,
// paper and exact, and the name says which. A word that is missing after a prompt, stands
// twice after it, or has an infinite log-probability is an error.
func ReadReward(path string, models []Model) (*Reward, error) {
	data, err := regular.Read(path, regular.Scores)
	if err != nil {
		return nil, err
	}
	r := &Reward{File: path}
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
		err = r.fill(rows)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if r.Name = stem(path); r.Meta.Tuned.Model != "" {
		r.Name = r.Meta.Base.Model + " \u2192 " + r.Meta.Tuned.Model
		r.Model, _ = findModel(models, r.Meta.Tuned.Model)
	} else {
		r.Model, _ = findModel(models, stem(path))
	}
	if measure != "" {
		r.Name += " (" + measure + ")"
	}
	return r, nil
}

// oneMeasure returns the rows of one measure, and its name if there are others.
func oneMeasure(rows []words.Record) ([]words.Record, string) {
	for _, m := range []words.Measure{words.Pooled, words.WholeWord, words.Paper, words.Exact} {
		var of []words.Record
		for _, row := range rows {
			if row.Measure == string(m) {
				of = append(of, row)
			}
		}
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

func (r *Reward) fill(rows []words.Record) error {
	word, prompt := map[string]int{}, map[string]int{}
	forms := map[string]string{} // of a word, the first
	for _, row := range rows {
		if _, ok := word[row.Word]; !ok {
			word[row.Word] = len(r.Words)
			r.Words, r.NTokens = append(r.Words, row.Word), append(r.NTokens, int(row.NTokens))
			forms[row.Word] = row.Form
		}
		if _, ok := prompt[row.Prompt]; !ok {
			prompt[row.Prompt] = len(r.Prompts)
			r.Prompts = append(r.Prompts, row.Prompt)
		}
	}
	for range r.Prompts {
		r.Base = append(r.Base, slices.Repeat([]float64{nan}, len(r.Words)))
		r.Tuned = append(r.Tuned, slices.Repeat([]float64{nan}, len(r.Words)))
	}
	for _, row := range rows {
		p, w := prompt[row.Prompt], word[row.Word]
		switch {
		case !math.IsNaN(r.Base[p][w]) && row.Form != forms[row.Word]:
			return fmt.Errorf("%q stands twice after prompt %s, as %q and %q, wanted one row a word: score -measure pooled, or one of -forms", row.Word, row.Prompt, forms[row.Word], row.Form)
		case !math.IsNaN(r.Base[p][w]):
			return fmt.Errorf("%q stands twice after prompt %s", row.Word, row.Prompt)
		case math.IsInf(row.Base, 0) || math.IsInf(row.Tuned, 0):
			return fmt.Errorf("%q after prompt %s: infinite log-probability, wanted a finite one", row.Word, row.Prompt)
		}
		r.Base[p][w], r.Tuned[p][w] = row.Base, row.Tuned
	}
	for p, name := range r.Prompts {
		if w := slices.IndexFunc(r.Base[p], math.IsNaN); w >= 0 {
			return fmt.Errorf("no row of %q after prompt %s, wanted every word after every prompt", r.Words[w], name)
		}
	}
	return nil
}

// values returns the log-ratio of every word after prompt p.
func (r *Reward) values(p int) []float64 { return minus(r.Tuned[p], r.Base[p]) }

// isReward says whether a file begins as a rewards file does: CSV with its columns, or
// Parquet with a column logp_tuned.
func isReward(path string) bool {
	data, err := regular.Read(path, regular.Scores)
	if err != nil {
		return false // the reader says why
	}
	if strings.HasSuffix(path, ".parquet") {
		file, err := table.OpenParquet(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return false
		}
		_, ok := file.Schema().Lookup("logp_tuned")
		return ok
	}
	header, err := table.NewCSVReader(bytes.NewReader(data)).Header()
	return err == nil && slices.Contains(header, "logp_tuned") && slices.Contains(header, "word")
}
