package analysis

import (
	"fmt"

	"github.com/implicitreward/implicitreward/internal/study/cube"
	"github.com/implicitreward/implicitreward/stats"
)

// LevelRow compares two families in one cell with one value a model, the mean of its
// medians: whether models of one family differ from those of the other, as far as so
// few models can tell.
type LevelRow struct {
	Cell
	N1, N2                           int64
	Diff                             float64
	NPerm                            int64 // arrangements
	ExactP, ExactPHolm               float64
	WelchT, WelchDF, WelchP, HedgesG float64
	Stars, Warnings                  string
}

// modelLevel compares each two families in each cell, and then, where there are two
// categories, in the contrasts of these within a framing.
func (f *fig1) modelLevel() ([]LevelRow, error) {
	var rows []LevelRow
	compare := func(category, framing string, of func(family string) []float64) error {
		return f.eachPair(func(a, b string) error {
			row, err := level(of(a), of(b))
			if untestable(err) {
				what := fmt.Sprintf("%s, %s, %s against %s", category, framing, a, b)
				f.res.Warnings = append(f.res.Warnings, what+": not tested with one value a model: "+plainly(err)+".")
				return nil
			}
			if err != nil {
				return fmt.Errorf("study: model level, %s, %s: %w", category, framing, err)
			}
			row.Cell = Cell{category, framing, a, b}
			rows = append(rows, row)
			return nil
		})
	}
	for k, c := range f.dict.Categories {
		for _, framing := range f.framings {
			means := func(family string) []float64 { return f.modelMeans(family, k, framing) }
			if err := compare(c, framing, means); err != nil {
				return nil, err
			}
		}
	}
	if err := holm(rows); err != nil {
		return nil, err
	}
	if len(f.dict.Categories) != 2 {
		return rows, nil
	}
	name := f.dict.Categories[1] + " - " + f.dict.Categories[0]
	gap := func(family, framing string) []float64 {
		return cube.Minus(f.modelMeans(family, 1, framing), f.modelMeans(family, 0, framing))
	}
	cells := len(rows)
	for _, framing := range f.framings {
		if err := compare(name, framing, func(family string) []float64 { return gap(family, framing) }); err != nil {
			return nil, err
		}
	}
	if len(f.framings) > 1 {
		err := compare(name, f.framings[0]+" - "+f.framings[1], func(family string) []float64 {
			return cube.Minus(gap(family, f.framings[0]), gap(family, f.framings[1]))
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
	for i := range adjusted {
		rows[i].ExactPHolm, rows[i].Stars = adjusted[i], stars(adjusted[i])
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
	row.NPerm, row.ExactP, row.Warnings = int64(exact.Arrangements), exact.P, joinErrors(exact.Warnings)
	if len(x) < 2 || len(y) < 2 {
		return row, nil
	}
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
	return row, nil
}

func (l LevelRow) test() Test {
	t := newTest(l.Cell.String(), fmt.Sprintf("one value a model, all %d relabelings", l.NPerm), "difference")
	t.Value, t.Estimate, t.P, t.PAdjusted, t.Adjustment = l.Diff, l.Diff, l.ExactP, l.ExactPHolm, "Holm"
	t.Effect, t.EffectSize, t.N, t.Warnings = "Hedges g", l.HedgesG, fmt.Sprintf("%d / %d", l.N1, l.N2), l.Warnings
	return t
}
