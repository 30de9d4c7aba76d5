package analysis

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/implicitreward/implicitreward/internal/plot"
	"github.com/implicitreward/implicitreward/internal/study/cube"
)

// CheckpointRow is the median rank of a category's words at a checkpoint.
type CheckpointRow struct {
	Model                      string `parquet:"model_id"`
	Category                   string `parquet:"Category"`
	Checkpoint                 int64
	Family                     string `parquet:"base_model"`
	NRows                      int64
	SumValue                   float64 // the median
	NRankedRows, NUniqueTokens int64
}

// plainWord is the word that a token is a form of: without spaces at its ends, in lower
// case. compat deletes what is not ASCII, as the paper's code does before it compares
// tokens with words, so that "love" also has the form "love\u2019".
func plainWord(token string, compat bool) string {
	if compat {
		token = strings.Map(func(r rune) rune {
			if r >= ' ' && r <= '~' || r == '\t' || r == '\n' || r == '\r' {
				return r
			}
			return -1
		}, token)
	}
	return strings.ToLower(strings.TrimSpace(token))
}

// forms is the cube of the tokens of a series that are forms of dictionary words, among
// those of keep (nil: all), under the words; rows are their places in the series, and
// unique is how many tokens differ. compat lets a word that the dictionary has twice
// count twice.
func forms(s *cube.Series, dict *cube.Dictionary, keep map[string]bool,
	compat bool) (m *cube.Scores, rows []int, unique int) {
	times := map[string]int{}
	for _, w := range dict.Words {
		if compat || times[w.Text] == 0 {
			times[w.Text]++
		}
	}
	var words, category []string
	tokens := map[string]bool{}
	for i, token := range s.Words {
		if keep != nil && !keep[token] {
			continue
		}
		word := plainWord(token, compat)
		for range times[word] {
			rows, words, category = append(rows, i), append(words, word), append(category, dict.Exact(word))
			tokens[token] = true
		}
	}
	m = s.Only(rows)
	m.Words, m.Category = words, category
	return m, rows, len(tokens)
}

// Fig4 draws the median ranks of a dictionary's words over the checkpoints of training
// runs, among the tokens of keep (nil: all).
func Fig4(dict *cube.Dictionary, keep map[string]bool, all []*cube.Series, o *Options) (*Result, error) {
	res := &Result{Analysis: "fig4", Name: "fig4", Title: say("fig4.title", dict.Name), Inputs: []string{dict.File}}
	if o.Paper() {
		res.Differs = append(res.Differs, say("fig4.paper", dict.Repeated, dict.Name))
	} else {
		res.Differs = append(res.Differs, say("fig4.differs", dict.Name, dict.Repeated))
	}
	var rows []CheckpointRow
	for _, s := range all {
		res.Inputs = append(res.Inputs, s.Files[0])
		m, _, unique := forms(s, dict, keep, o.Paper())
		more, err := checkpoints(dict, s.Steps, m, int64(unique))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.Files[0], err)
		}
		rows = append(rows, more...)
		res.About = append(res.About, say("fig4.series", s.Models[0].ID, len(s.Steps), len(m.Words), unique))
	}
	slices.SortStableFunc(rows, func(a, b CheckpointRow) int {
		place := func(r CheckpointRow) int { return slices.Index(dict.Categories, r.Category) }
		return cmp.Or(cmp.Compare(a.Family, b.Family), cmp.Compare(place(a), place(b)),
			cmp.Compare(a.Checkpoint, b.Checkpoint))
	})
	res.Tables = []Table{{"checkpoints", "Median rank at each checkpoint", rows, 0}}
	two := slices.DeleteFunc(slices.Clone(rows), func(r CheckpointRow) bool { return r.Family == "Qwen" })
	if len(two) > 0 && len(two) < len(rows) { // otherwise the two figures are the same
		res.Figures = append(res.Figures, curves("fig4a", dict, two, rows))
	}
	res.Figures = append(res.Figures, curves("a5a", dict, rows, rows))
	return res, nil
}

// checkpoints are the medians of a series.
func checkpoints(dict *cube.Dictionary, steps []int, m *cube.Scores, unique int64) ([]CheckpointRow, error) {
	var rows []CheckpointRow
	for k, step := range steps {
		values := m.Values[0][k]
		if len(values) == 0 || slices.Min(values) == slices.Max(values) {
			return nil, fmt.Errorf("step-%d: no scores of dictionary words that differ, wanted some", step)
		}
		for _, c := range dict.Categories {
			if n := len(m.Places(c)); n < 2 {
				return nil, fmt.Errorf("%d tokens of category %s, wanted two or more", n, c)
			}
		}
		_, middles, err := rank(values, m.Category, dict.Categories)
		if err != nil {
			return nil, fmt.Errorf("step-%d: %w", step, err)
		}
		for i, c := range dict.Categories {
			rows = append(rows, CheckpointRow{m.Models[0].ID, c, int64(step), m.Models[0].Family, int64(middles[i].words),
				middles[i].rank, int64(len(values)), unique})
		}
	}
	return rows, nil
}

// curves draws some rows; the caption counts the tokens of all.
func curves(name string, dict *cube.Dictionary, rows, all []CheckpointRow) Figure {
	c := &plot.Lines{XLabel: "checkpoint (steps)", YLabel: "median rank (1 = best)",
		Reverse: true, SharedY: true, Markers: true}
	groups := map[string]int{}
	for _, r := range rows {
		if _, ok := groups[r.Family]; !ok {
			groups[r.Family] = len(c.Groups)
			c.Groups = append(c.Groups, plot.Group{Name: r.Family})
		}
	}
	for _, category := range dict.Categories {
		facet := plot.LineFacet{Name: category}
		models := map[string]int{}
		for _, r := range rows {
			if r.Category != category {
				continue
			}
			k, ok := models[r.Model]
			if !ok {
				k = len(facet.Lines)
				models[r.Model] = k
				facet.Lines = append(facet.Lines, plot.Line{Group: groups[r.Family], Label: r.Family})
			}
			line := &facet.Lines[k]
			line.X, line.Y = append(line.X, float64(r.Checkpoint)), append(line.Y, r.SumValue)
			line.LabelAt = math.Min(7500, float64(r.Checkpoint))
		}
		c.Facets = append(c.Facets, facet)
	}
	unique := int64(0)
	for _, r := range all {
		unique = max(unique, r.NUniqueTokens)
	}
	return Figure{name, &plot.Figure{Title: "Ranks of " + dict.Name + " words during training", Chart: c,
		Caption: say("fig4.caption", unique)}}
}
