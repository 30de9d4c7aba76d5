package study

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/implicitreward/implicitreward/internal/plot"
	"github.com/implicitreward/implicitreward/stats"
)

// Series is the scores of tokens at the checkpoints of a training run.
type Series struct {
	Model  Model
	File   string
	Tokens []string
	Steps  []int       // ascending
	Values [][]float64 // Values[step][token]
}

// ReadSeries reads a series: a column token_decoded and one a checkpoint, named
// step-<number>, in any order.
func ReadSeries(path string, models []Model) (*Series, error) {
	m, err := readMatrix(path, matrixOptions{text: []string{"token_decoded"}, ignore: []string{"token_id", "token_name"}, what: "checkpoint (step-<number>)"})
	if err != nil {
		return nil, err
	}
	s := &Series{File: path, Tokens: m.Texts}
	var ok bool
	if s.Model, ok = findModel(models, stem(path)); !ok || s.Model.Family == "" {
		return nil, fmt.Errorf("%s: series %q without a family, wanted it in the file of models (name, family)", path, stem(path))
	}
	at := map[int]int{}
	for i, name := range m.Columns {
		number, isStep := strings.CutPrefix(name, "step-")
		step, err := strconv.Atoi(number)
		if !isStep || err != nil {
			return nil, fmt.Errorf("%s: line 1: column %q, wanted step-<number>", path, name)
		}
		if _, ok := at[step]; ok {
			return nil, fmt.Errorf("%s: line 1: column %q: a second column of step %d", path, name, step)
		}
		at[step] = i
		s.Steps = append(s.Steps, step)
	}
	slices.Sort(s.Steps)
	for _, step := range s.Steps {
		s.Values = append(s.Values, m.Values[at[step]])
	}
	return s, nil
}

// CheckpointRow is the median rank of a category's words at a checkpoint.
type CheckpointRow struct {
	Model      string  `parquet:"model_id"`
	Category   string  `parquet:"Category"`
	Checkpoint int64   `parquet:"checkpoint"`
	Family     string  `parquet:"base_model"`
	Rows       int64   `parquet:"n_rows"`
	Median     float64 `parquet:"sum_value"`
	Ranked     int64   `parquet:"n_ranked_rows"`
	Unique     int64   `parquet:"n_unique_tokens"`
}

// asciiOnly deletes every character outside printable ASCII, tab and line ends, as the
// paper's code does before it compares tokens with words.
func asciiOnly(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= ' ' && r <= '~' || r == '\t' || r == '\n' || r == '\r' {
			return r
		}
		return -1
	}, s)
}

// plainWord is the word that a token is a form of: without spaces at its ends, in lower
// case. compat deletes what is not ASCII, so that "love" also has the form "love\u2019".
func plainWord(token string, compat bool) string {
	if compat {
		token = asciiOnly(token)
	}
	return strings.ToLower(strings.TrimSpace(token))
}

// seriesWords are the rows of a series whose tokens are forms of dictionary words.
type seriesWords struct {
	row      []int
	word     []string
	category []string
	unique   int // different tokens
}

// match finds them among the tokens of keep (nil: all). compat lets a word that the
// dictionary has twice count twice.
func (s *Series) match(dict *Dictionary, keep map[string]bool, compat bool) *seriesWords {
	times := map[string]int{}
	for _, w := range dict.Words {
		if compat || times[w.Text] == 0 {
			times[w.Text]++
		}
	}
	m, tokens := &seriesWords{}, map[string]bool{}
	for i, token := range s.Tokens {
		if keep != nil && !keep[token] {
			continue
		}
		word := plainWord(token, compat)
		for range times[word] {
			m.row, m.word, m.category = append(m.row, i), append(m.word, word), append(m.category, dict.category[word])
			tokens[token] = true
		}
	}
	m.unique = len(tokens)
	return m
}

// Fig4 draws the median ranks of a dictionary's words over the checkpoints of training
// runs, among the tokens of keep (nil: all).
func Fig4(dict *Dictionary, keep map[string]bool, all []*Series, o *Options) (*Result, error) {
	res := &Result{Analysis: "fig4", Name: "fig4", Title: "Training: ranks of " + dict.Name + " words over checkpoints (Figures 4a and A5a)", Inputs: []string{dict.File}}
	if o.Compat {
		res.Differs = append(res.Differs, fmt.Sprintf("%d repeated entries of %s count and take rank places once more, and characters outside ASCII are deleted from tokens, as in the paper's code.", dict.Repeated, dict.Name))
	} else {
		res.Differs = append(res.Differs, fmt.Sprintf("Each word of %s counts once (the paper's code counts its %d repeated entries again), and tokens are compared as they are, without deleting characters.", dict.Name, dict.Repeated))
	}
	var rows []CheckpointRow
	for _, s := range all {
		res.Inputs = append(res.Inputs, s.File)
		m := s.match(dict, keep, o.Compat)
		for k, step := range s.Steps {
			values := make([]float64, len(m.row))
			for i, row := range m.row {
				values[i] = s.Values[k][row]
			}
			if len(values) == 0 || slices.Min(values) == slices.Max(values) {
				return nil, fmt.Errorf("%s: step-%d: no scores of dictionary words that differ, wanted some", s.File, step)
			}
			ranks, err := stats.RanksDescending(values)
			if err != nil {
				return nil, fmt.Errorf("%s: step-%d: %w", s.File, step, err)
			}
			for _, c := range dict.Categories {
				var own []float64
				for i, r := range ranks {
					if m.category[i] == c {
						own = append(own, r)
					}
				}
				if len(own) < 2 {
					return nil, fmt.Errorf("%s: %d tokens of category %s, wanted two or more", s.File, len(own), c)
				}
				rows = append(rows, CheckpointRow{s.Model.ID, c, int64(step), s.Model.Family, int64(len(own)), median(own), int64(len(ranks)), int64(m.unique)})
			}
		}
		res.About = append(res.About, fmt.Sprintf("%s: %d checkpoints, %d ranked rows of %d tokens.", s.Model.ID, len(s.Steps), len(m.row), m.unique))
	}
	slices.SortStableFunc(rows, func(a, b CheckpointRow) int {
		return cmp.Or(cmp.Compare(a.Family, b.Family), cmp.Compare(slices.Index(dict.Categories, a.Category), slices.Index(dict.Categories, b.Category)), cmp.Compare(a.Checkpoint, b.Checkpoint))
	})
	res.Tables = []Table{{"checkpoints", "Median rank at each checkpoint", rows, 0}}
	two := func(f string) bool { return f != "Qwen" }
	res.Figures = append(res.Figures, curves("fig4a", dict, rows, two), curves("a5a", dict, rows, func(string) bool { return true }))
	if !slices.ContainsFunc(rows, func(r CheckpointRow) bool { return two(r.Family) }) || !slices.ContainsFunc(rows, func(r CheckpointRow) bool { return !two(r.Family) }) {
		res.Figures = res.Figures[1:] // the two are the same
	}
	return res, nil
}

func curves(name string, dict *Dictionary, rows []CheckpointRow, family func(string) bool) Figure {
	c := &plot.Lines{XLabel: "checkpoint (steps)", YLabel: "median rank (1 = best)", Reverse: true, SharedY: true, Markers: true}
	groups := map[string]int{}
	n := int64(0)
	for _, r := range rows {
		if _, ok := groups[r.Family]; !ok && family(r.Family) {
			groups[r.Family] = len(c.Groups)
			c.Groups = append(c.Groups, plot.Group{Name: r.Family})
		}
		n = max(n, r.Unique)
	}
	for _, category := range dict.Categories {
		facet := plot.LineFacet{Name: category}
		models := map[string]int{}
		for _, r := range rows {
			if r.Category != category || !family(r.Family) {
				continue
			}
			k, ok := models[r.Model]
			if !ok {
				k = len(facet.Lines)
				models[r.Model] = k
				facet.Lines = append(facet.Lines, plot.Line{Group: groups[r.Family], Label: r.Family, LabelAt: 7500})
			}
			facet.Lines[k].X, facet.Lines[k].Y = append(facet.Lines[k].X, float64(r.Checkpoint)), append(facet.Lines[k].Y, r.Median)
		}
		for i := range facet.Lines {
			x := facet.Lines[i].X
			facet.Lines[i].LabelAt = math.Min(7500, x[len(x)-1])
		}
		c.Facets = append(c.Facets, facet)
	}
	return Figure{name, &plot.Figure{Title: "Ranks of " + dict.Name + " words during training", Chart: c, Caption: fmt.Sprintf("Median rank among %d tokens that are forms of dictionary words.", n)}}
}
