package study

import (
	"fmt"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/internal/plot"
	"github.com/implicitreward/implicitreward/stats"
)

// Pair is two models between which there is an implicit reward.
type Pair struct {
	Name        string
	Base, Tuned *Language
}

// ImplicitRow is the median rank of a category's words by one score of a pair, after
// one prompt.
type ImplicitRow struct {
	Pair     string  `parquet:"pair,dict"`
	Prompt   string  `parquet:"prompt,dict"`
	Valence  string  `parquet:"valence,dict"`
	Score    string  `parquet:"score,dict"` // "log_ratio" or "mwlr"
	Category string  `parquet:"Category,dict"`
	Words    int64   `parquet:"n_words"`
	Median   float64 `parquet:"median_rank"`
	Mean     float64 `parquet:"mean_score"`
}

// GapRow tests, over the prompts of a framing, whether a pair's reward ranks the words
// of two categories apart.
type GapRow struct {
	Pair    string  `parquet:"pair"`
	Valence string  `parquet:"valence"`
	Score   string  `parquet:"score"`
	N       int64   `parquet:"n"`
	Mean1   float64 `parquet:"mean1"` // of the first category
	Mean2   float64 `parquet:"mean2"`
	Diff    float64 `parquet:"mean_diff"`
	Lower   float64 `parquet:"ci_lo"`
	Upper   float64 `parquet:"ci_hi"`
	T       float64 `parquet:"paired_t"`
	DF      float64 `parquet:"paired_df"`
	P       float64 `parquet:"paired_p"`
	Dz      float64 `parquet:"cohen_dz"`
}

// Implicit ranks the words of a dictionary by the implicit rewards of pairs: by the
// log-ratio, which is the reward but for a constant of the prompt, and by MWLR.
func Implicit(dict *Dictionary, pairs []Pair, o *Options) (*Result, error) {
	res := &Result{Analysis: "implicit", Name: "implicit-" + dict.Name, Title: "Implicit rewards of " + dict.Name + " words"}
	res.About = []string{"The implicit reward of a one-token reply is ln p(tuned) - ln p(base), but for a constant of the prompt, which ranks within the prompt do not see. " +
		"Words of the dictionary that are single tokens of both models are ranked by it, and by MWLR, which does not let words lead that no model would say. A lower rank means a greater reward."}
	var rows []ImplicitRow
	for _, pair := range pairs {
		res.Inputs = append(res.Inputs, pair.Tuned.File, pair.Base.File)
		w, err := sharedWords(dict, pair.Base, pair.Tuned, o.Compat)
		if err != nil {
			return nil, err
		}
		res.About = append(res.About, fmt.Sprintf("%s: %d of %d words are tokens of both.", pair.Name, len(w.words), dict.Size("")))
		more, err := implicitMedians(pair, w, dict.Categories, o.Groups)
		if err != nil {
			return nil, err
		}
		rows = append(rows, more...)
		res.doubt(o.Groups.lone(w.prompts)...)
	}
	var gaps []GapRow
	var a, b string
	if len(dict.Categories) > 1 {
		var err error
		if a, b, err = o.contrast(dict); err != nil {
			return nil, err
		}
		if gaps, err = implicitGaps(res, rows, []string{a, b}); err != nil {
			return nil, err
		}
	}
	res.Differs = append(res.Differs, o.between(dict)...)
	for _, g := range gaps {
		t := newTest(fmt.Sprintf("%s, %s, %s: %s - %s", g.Pair, g.Valence, g.Score, a, b), "paired over prompts", "t")
		t.Value, t.DF1, t.P, t.Estimate, t.Lower, t.Upper, t.Effect, t.EffectSize, t.N = g.T, g.DF, g.P, g.Diff, g.Lower, g.Upper, "Cohen dz", g.Dz, fmt.Sprint(g.N)
		res.Tests = append(res.Tests, t)
	}
	if len(gaps) > 0 {
		if err := adjust(res.Tests, "Benjamini-Hochberg", stats.BenjaminiHochberg); err != nil {
			return nil, err
		}
		res.Figures = []Figure{gapFigure(res.Name, a, b, o.Groups, gaps)}
		res.Tables = append(res.Tables, Table{"gaps", fmt.Sprintf("Median rank of %s less that of %s, paired over prompts", a, b), gaps, 0})
	}
	res.Tables = append(res.Tables, Table{"medians", "Median ranks by pair, prompt and category", rows, -1})
	return res, nil
}

func implicitMedians(pair Pair, w *pairWords, categories []string, g *Groups) ([]ImplicitRow, error) {
	var rows []ImplicitRow
	for p, prompt := range w.prompts {
		ratio, mwlr := make([]float64, len(w.words)), make([]float64, len(w.words))
		for i := range w.words {
			ratio[i] = w.lp[1][p][i] - w.lp[0][p][i]
			mwlr[i] = implicit.MWLR(w.lp[1][p][i], w.lp[0][p][i])
		}
		for _, s := range []struct {
			name   string
			values []float64
		}{{"log_ratio", ratio}, {"mwlr", mwlr}} {
			ranks, _, mean, err := medianBy(s.values, w.category, categories)
			if err != nil {
				return nil, fmt.Errorf("%s: prompt %s: %s: %w", pair.Name, prompt, s.name, err)
			}
			for k, c := range categories {
				n := 0
				for _, own := range w.category {
					if own == c {
						n++
					}
				}
				rows = append(rows, ImplicitRow{pair.Name, prompt, g.valence(g.group(prompt)), s.name, c, int64(n), ranks[k], mean[k]})
			}
		}
	}
	return rows, nil
}

// implicitGaps pairs the medians of two categories over prompts; where there is one
// prompt, or no variance, there is no test.
func implicitGaps(res *Result, rows []ImplicitRow, categories []string) ([]GapRow, error) {
	type key struct{ pair, valence, score string }
	var order []key
	values := map[key][2][]float64{}
	for _, r := range rows {
		k := key{r.Pair, r.Valence, r.Score}
		v, ok := values[k]
		if !ok {
			order = append(order, k)
		}
		for i, c := range categories {
			if c == r.Category {
				v[i] = append(v[i], r.Median)
			}
		}
		values[k] = v
	}
	var gaps []GapRow
	for _, k := range order {
		x, y := values[k][0], values[k][1]
		if len(x) < 2 {
			continue
		}
		t, err := stats.Paired(x, y, nil)
		if untestable(err) {
			res.untested(fmt.Sprintf("%s, %s, %s", k.pair, k.valence, k.score), err)
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("study: implicit: %s, %s: %w", k.pair, k.valence, err)
		}
		gaps = append(gaps, GapRow{k.pair, k.valence, k.score, int64(t.N1), t.Mean1, t.Mean2, t.Estimate, t.Interval.Lower, t.Interval.Upper, t.T, t.DF, t.P, t.Estimate / t.SD1})
	}
	return gaps, nil
}

func gapFigure(name, a, b string, groups *Groups, gaps []GapRow) Figure {
	chart := &plot.Intervals{XLabel: fmt.Sprintf("median rank of %s less that of %s", a, b), Groups: []plot.Group{{Name: "log-ratio"}, {Name: "MWLR"}}}
	for _, g := range gaps {
		n := len(chart.Sections)
		if n == 0 || chart.Sections[n-1].Name != g.Pair {
			chart.Sections = append(chart.Sections, plot.IntervalSection{Name: g.Pair})
			n++
		}
		s := &chart.Sections[n-1]
		if len(s.Rows) == 0 || s.Rows[len(s.Rows)-1].Label != groups.valenceLabel(g.Valence) {
			s.Rows = append(s.Rows, plot.IntervalRow{Label: groups.valenceLabel(g.Valence)})
		}
		row := &s.Rows[len(s.Rows)-1]
		group := 0
		if g.Score == "mwlr" {
			group = 1
		}
		row.Estimates = append(row.Estimates, plot.Estimate{Group: group, Value: g.Diff, Lower: g.Lower, Upper: g.Upper})
	}
	return Figure{name, &plot.Figure{Title: "Implicit rewards: " + a + " against " + b, Chart: chart,
		Caption: "Mean over prompts with the 95 % interval of the paired t-test. Left of 0: the reward ranks " + a + " higher."}}
}
