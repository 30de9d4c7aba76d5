package study

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/implicitreward/implicitreward/internal/plot"
	"github.com/implicitreward/implicitreward/stats"
)

// ChangeRow is a word's rank at the first and at the last checkpoint.
type ChangeRow struct {
	Model    string  `parquet:"model,dict"`
	Word     string  `parquet:"token_norm"`
	Category string  `parquet:"category,dict"`
	Change   float64 `parquet:"rank_change"` // first - last: above 0, preferred late
	First    float64 `parquet:"rank_first"`
	Last     float64 `parquet:"rank_last"`
	Score1   float64 `parquet:"mean_score_first"`
	Score2   float64 `parquet:"mean_score_last"`
}

// moved is how many words of each end Figure 5 shows.
const moved = 10

// Fig5 lists the words of a dictionary by how far training moved their rank, from the
// first to the last checkpoint of each series, over the whole vocabulary. The score of
// a word is the mean over its forms.
func Fig5(dict *Dictionary, all []*Series, o *Options) (*Result, error) {
	res := &Result{Analysis: "fig5", Name: "fig5", Title: "Training: words of " + dict.Name + " whose rank changed most (Figures 5 and A6)", Inputs: []string{dict.File}}
	if !o.Compat {
		res.Differs = append(res.Differs, "Tokens are compared with words as they are; the paper's code deletes characters outside ASCII first.")
	}
	var table []ChangeRow
	chart := plot.Bars{XLabel: "change of rank (right: preferred late)"}
	for i, c := range dict.Categories {
		g := plot.Group{Name: c}
		if len(dict.Categories) == 2 {
			g.Color = []plot.Color{plot.PaperAgency, plot.PaperCommunion}[i]
		}
		chart.Groups = append(chart.Groups, g)
	}
	for _, s := range all {
		res.Inputs = append(res.Inputs, s.File)
		if len(s.Steps) < 2 {
			return nil, fmt.Errorf("%s: one checkpoint, wanted two or more", s.File)
		}
		rows, err := s.changes(dict, o)
		if err != nil {
			return nil, err
		}
		table = append(table, rows...)
		res.About = append(res.About, fmt.Sprintf("%s: %d words, from step %d to step %d.", s.Model.ID, len(rows), s.Steps[0], s.Steps[len(s.Steps)-1]))
		facet := plot.BarFacet{Name: s.Model.Family}
		for i, r := range rows {
			if len(rows) > 2*moved && i >= moved && i < len(rows)-moved {
				continue
			}
			facet.Bars = append(facet.Bars, plot.Bar{Label: r.Word, Value: r.Change, Group: slices.Index(dict.Categories, r.Category), Gap: len(rows) > 2*moved && i == len(rows)-moved})
		}
		chart.Facets = append(chart.Facets, facet)
	}
	res.Tables = []Table{{"changes", "Ranks at the first and last checkpoint", table, -1}}
	figure := func(name string, facets []plot.BarFacet) {
		c := chart
		c.Facets = facets
		res.Figures = append(res.Figures, Figure{name, &plot.Figure{Title: "Words that training moved most", Chart: &c,
			Caption: fmt.Sprintf("Rank at the first less rank at the last checkpoint, among the words of %s; the %d largest and %d smallest changes.", dict.Name, moved, moved)}})
	}
	two := slices.DeleteFunc(slices.Clone(chart.Facets), func(f plot.BarFacet) bool { return f.Name == "Qwen" })
	if len(two) > 0 && len(two) < len(chart.Facets) { // A6 has what Figure 5 leaves out
		figure("fig5", two)
		figure("a6", chart.Facets)
	} else {
		figure("fig5", chart.Facets)
	}
	return res, nil
}

func (s *Series) changes(dict *Dictionary, o *Options) ([]ChangeRow, error) {
	m := s.match(dict, nil, o.Compat)
	var words []string
	sum := map[string][2]float64{}
	count := map[string]float64{}
	last := len(s.Steps) - 1
	seen := map[int]bool{} // a row counts once, however often the dictionary has its word
	for i, row := range m.row {
		if seen[row] {
			continue
		}
		seen[row] = true
		w := m.word[i]
		if count[w] == 0 {
			words = append(words, w)
		}
		count[w]++
		v := sum[w]
		sum[w] = [2]float64{v[0] + s.Values[0][row], v[1] + s.Values[last][row]}
	}
	if len(words) < 2 {
		return nil, fmt.Errorf("%s: %d words of %s are tokens, wanted two or more", s.File, len(words), dict.File)
	}
	slices.Sort(words)
	var mean, ranks [2][]float64
	for k := range mean {
		for _, w := range words {
			mean[k] = append(mean[k], sum[w][k]/count[w])
		}
		var err error
		if ranks[k], err = stats.RanksDescending(mean[k]); err != nil {
			return nil, fmt.Errorf("%s: %w", s.File, err)
		}
	}
	var rows []ChangeRow
	for i, w := range words {
		rows = append(rows, ChangeRow{s.Model.ID, w, dict.category[w], ranks[0][i] - ranks[1][i], ranks[0][i], ranks[1][i], mean[0][i], mean[1][i]})
	}
	slices.SortStableFunc(rows, func(a, b ChangeRow) int { return cmp.Or(cmp.Compare(b.Change, a.Change), cmp.Compare(a.Word, b.Word)) })
	return rows, nil
}
