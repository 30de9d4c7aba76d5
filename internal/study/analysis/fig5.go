package analysis

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/implicitreward/implicitreward/internal/plot"
	"github.com/implicitreward/implicitreward/internal/study/cube"
	"github.com/implicitreward/implicitreward/stats"
)

// ChangeRow is a word's rank at the first and at the last checkpoint.
type ChangeRow struct {
	Model                         string `parquet:",dict"`
	TokenNorm                     string
	Category                      string  `parquet:",dict"`
	RankChange                    float64 // first - last: above 0, preferred late
	RankFirst, RankLast           float64
	MeanScoreFirst, MeanScoreLast float64
}

// moved is how many words of each end Figure 5 shows.
const moved = 10

// Fig5 lists the words of a dictionary by how far training moved their rank, from the
// first to the last checkpoint of each series, over the whole vocabulary. The score of
// a word is the mean over its forms.
func Fig5(dict *cube.Dictionary, all []*cube.Series, o *Options) (*Result, error) {
	res := &Result{Analysis: "fig5", Name: "fig5", Title: say("fig5.title", dict.Name), Inputs: []string{dict.File}}
	if !o.Paper() {
		res.Differs = append(res.Differs, say("fig5.differs"))
	}
	var table []ChangeRow
	var facets []plot.BarFacet
	for _, s := range all {
		res.Inputs = append(res.Inputs, s.Files[0])
		if len(s.Steps) < 2 {
			return nil, fmt.Errorf("%s: one checkpoint, wanted two or more", s.Files[0])
		}
		rows, err := changes(s, dict, o)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.Files[0], err)
		}
		table = append(table, rows...)
		res.About = append(res.About, say("fig5.series", s.Models[0].ID, len(rows), s.Steps[0], s.Steps[len(s.Steps)-1]))
		facets = append(facets, endBars(s.Models[0].Family, dict, rows))
	}
	res.Tables = []Table{{"changes", "Ranks at the first and last checkpoint", table, -1}}
	groups := named(dict.Categories...)
	if len(groups) == 2 {
		groups[0].Color, groups[1].Color = plot.PaperAgency, plot.PaperCommunion
	}
	figure := func(name string, facets []plot.BarFacet) Figure {
		chart := &plot.Bars{XLabel: "change of rank (right: preferred late)", Groups: groups, Facets: facets}
		return Figure{name, &plot.Figure{Title: "Words that training moved most", Chart: chart,
			Caption: say("fig5.caption", dict.Name, moved, moved)}}
	}
	two := slices.DeleteFunc(slices.Clone(facets), func(f plot.BarFacet) bool { return f.Name == "Qwen" })
	if len(two) > 0 && len(two) < len(facets) { // A6 has what Figure 5 leaves out
		res.Figures = []Figure{figure("fig5", two), figure("a6", facets)}
	} else {
		res.Figures = []Figure{figure("fig5", facets)}
	}
	return res, nil
}

// endBars are the words at both ends.
func endBars(family string, dict *cube.Dictionary, rows []ChangeRow) plot.BarFacet {
	facet := plot.BarFacet{Name: family}
	for i, r := range rows {
		cut := len(rows) > 2*moved
		if cut && i >= moved && i < len(rows)-moved {
			continue
		}
		facet.Bars = append(facet.Bars, plot.Bar{Label: r.TokenNorm, Value: r.RankChange,
			Group: slices.Index(dict.Categories, r.Category), Gap: cut && i == len(rows)-moved})
	}
	return facet
}

func changes(s *cube.Series, dict *cube.Dictionary, o *Options) ([]ChangeRow, error) {
	m, at, _ := forms(s, dict, nil, o.Paper())
	ends := [2][]float64{m.Values[0][0], m.Values[0][len(s.Steps)-1]}
	sum, count := map[string][2]float64{}, map[string]float64{}
	for i, w := range m.Words {
		if i > 0 && at[i] == at[i-1] {
			continue // a token counts once, however often the dictionary has its word
		}
		count[w]++
		v := sum[w]
		sum[w] = [2]float64{v[0] + ends[0][i], v[1] + ends[1][i]}
	}
	words := sortedKeys(sum)
	if len(words) < 2 {
		return nil, fmt.Errorf("%d words of %s are tokens, wanted two or more", len(words), dict.File)
	}
	var mean, ranks [2][]float64
	for k := range mean {
		for _, w := range words {
			mean[k] = append(mean[k], sum[w][k]/count[w])
		}
		var err error
		if ranks[k], err = stats.RanksDescending(mean[k]); err != nil {
			return nil, err
		}
	}
	var rows []ChangeRow
	for i, w := range words {
		rows = append(rows, ChangeRow{s.Models[0].ID, w, dict.Exact(w), ranks[0][i] - ranks[1][i],
			ranks[0][i], ranks[1][i], mean[0][i], mean[1][i]})
	}
	slices.SortStableFunc(rows, func(a, b ChangeRow) int {
		return cmp.Or(cmp.Compare(b.RankChange, a.RankChange), cmp.Compare(a.TokenNorm, b.TokenNorm))
	})
	return rows, nil
}
