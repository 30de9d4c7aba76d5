package study

import (
	"fmt"

	"github.com/implicitreward/implicitreward/stats"
)

// LevelRow compares two families in one cell with one value a model, the mean of its
// medians: whether models of one family differ from those of the other, as far as so
// few models can tell.
type LevelRow struct {
	Category     string  `parquet:"Category"`
	Framing      string  `parquet:"prompt_framing"`
	Family1      string  `parquet:"family1"`
	Family2      string  `parquet:"family2"`
	N1           int64   `parquet:"n1"`
	N2           int64   `parquet:"n2"`
	Diff         float64 `parquet:"diff"`
	Arrangements int64   `parquet:"n_perm"`
	ExactP       float64 `parquet:"exact_p"`
	HolmP        float64 `parquet:"exact_p_holm"`
	WelchT       float64 `parquet:"welch_t"`
	WelchDF      float64 `parquet:"welch_df"`
	WelchP       float64 `parquet:"welch_p"`
	HedgesG      float64 `parquet:"hedges_g"`
	Stars        string  `parquet:"stars"`
	Warnings     string  `parquet:"warnings"`
}

// modelLevel compares each two families in each cell, and then, where there are two
// categories, in the contrasts of these within a framing.
func (f *fig1) modelLevel() ([]LevelRow, error) {
	r := f.r
	var rows []LevelRow
	compare := func(category, framing string, of func(family string) []float64) error {
		for a := range r.families {
			for b := a + 1; b < len(r.families); b++ {
				row, err := level(of(r.families[a]), of(r.families[b]))
				if untestable(err) {
					f.warnings = append(f.warnings, fmt.Sprintf("%s, %s, %s against %s: not tested with one value a model: %s.", category, framing, r.families[a], r.families[b], plainly(err)))
					continue
				}
				if err != nil {
					return fmt.Errorf("study: model level, %s, %s: %w", category, framing, err)
				}
				row.Category, row.Framing, row.Family1, row.Family2 = category, framing, r.families[a], r.families[b]
				rows = append(rows, row)
			}
		}
		return nil
	}
	for k, c := range r.dict.Categories {
		for _, framing := range r.framings {
			if err := compare(c, framing, func(family string) []float64 { return r.modelMeans(family, k, framing) }); err != nil {
				return nil, err
			}
		}
	}
	if err := holm(rows); err != nil {
		return nil, err
	}
	if len(r.dict.Categories) != 2 {
		return rows, nil
	}
	name := r.dict.Categories[1] + " - " + r.dict.Categories[0]
	gap := func(family, framing string) []float64 {
		return minus(r.modelMeans(family, 1, framing), r.modelMeans(family, 0, framing))
	}
	cells := len(rows)
	for _, framing := range r.framings {
		if err := compare(name, framing, func(family string) []float64 { return gap(family, framing) }); err != nil {
			return nil, err
		}
	}
	if len(r.framings) > 1 {
		err := compare(name, r.framings[0]+" - "+r.framings[1], func(family string) []float64 {
			return minus(gap(family, r.framings[0]), gap(family, r.framings[1]))
		})
		if err != nil {
			return nil, err
		}
	}
	return rows, holm(rows[cells:])
}

// holm fills in the adjusted p-values of rows that belong together.
func holm(rows []LevelRow) error {
	if len(rows) == 0 {
		return nil
	}
	p := make([]float64, len(rows))
	for i := range rows {
		p[i] = rows[i].ExactP
	}
	adjusted, err := stats.Holm(p)
	for i := range rows {
		if err == nil {
			rows[i].HolmP, rows[i].Stars = adjusted[i], stars(adjusted[i])
		}
	}
	return err
}

func level(x, y []float64) (LevelRow, error) {
	row := LevelRow{WelchT: nan, WelchDF: nan, WelchP: nan, HedgesG: nan}
	exact, err := stats.Permutation(x, y, nil)
	if err != nil {
		return row, err
	}
	row.N1, row.N2, row.Diff = int64(exact.N1), int64(exact.N2), exact.Estimate
	row.Arrangements, row.ExactP, row.Warnings = int64(exact.Arrangements), exact.P, joinErrors(exact.Warnings)
	if len(x) > 1 && len(y) > 1 {
		w, err := stats.Welch(x, y, nil)
		if untestable(err) {
			return row, nil // the models of each family are alike
		}
		if err != nil {
			return row, err
		}
		row.WelchT, row.WelchDF, row.WelchP = w.T, w.DF, w.P
		if g, err := stats.HedgesG(x, y, nil); err == nil {
			row.HedgesG = g.Estimate
		}
	}
	return row, nil
}

// leastP is the smallest two-sided p of the exact test of n1 against n2 models.
func leastP(n1, n2 int) float64 {
	if n1 == n2 {
		return 2 / choose(n1+n2, n1)
	}
	return 1 / choose(n1+n2, n1)
}

func (l LevelRow) test() Test {
	t := newTest(fmt.Sprintf("%s, %s: %s - %s", l.Category, l.Framing, l.Family1, l.Family2),
		fmt.Sprintf("one value a model, all %d relabelings", l.Arrangements), "difference")
	t.Value, t.Estimate, t.P, t.PAdjusted, t.Adjustment = l.Diff, l.Diff, l.ExactP, l.HolmP, "Holm"
	t.Effect, t.EffectSize, t.N, t.Warnings = "Hedges g", l.HedgesG, fmt.Sprintf("%d / %d", l.N1, l.N2), l.Warnings
	return t
}

func minus(x, y []float64) []float64 {
	d := make([]float64, len(x))
	for i := range x {
		d[i] = x[i] - y[i]
	}
	return d
}
