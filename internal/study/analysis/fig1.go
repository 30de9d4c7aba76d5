package analysis

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/combin"

	"github.com/implicitreward/implicitreward/internal/plot"
	"github.com/implicitreward/implicitreward/internal/study/cube"
	"github.com/implicitreward/implicitreward/stats"
)

// MedianRow is the median rank of a category's words for one model and prompt.
type MedianRow struct {
	Model                 string  `parquet:"model_id,dict"`
	Category              string  `parquet:"Category,dict"`
	Family                string  `parquet:"base_model,dict"`
	Prompt, PromptFraming string  `parquet:",dict"`
	NTok                  int64   // words
	SumValue              float64 // the median
}

// ModelRow sums up a model's medians on the prompts of one framing.
type ModelRow struct {
	Model                          string `parquet:"model_id"`
	Family                         string `parquet:"base_model"`
	Category                       string `parquet:"Category"`
	PromptFraming                  string
	N                              int64
	Mean, SD, SE, MedianRankPooled float64 // pooled: the median over all words x prompts
}

// FamilyRow is the mean over a family's models of their pooled medians.
type FamilyRow struct {
	PromptFraming  string
	Category       string `parquet:"Category"`
	Family         string `parquet:"base_model"`
	Models         int64
	MeanMedianRank float64
}

// PanelRow compares two families in one cell, every model x prompt median taken as
// independent: the paper's test.
type PanelRow struct {
	Cell
	N1, N2                       int64
	Mean1, Mean2, SD1, SD2, Diff float64

	WelchT, WelchDF, WelchP, WelchCILo, WelchCIHi float64
	StudentT, StudentDF, StudentP                 float64
	CohenD, HedgesG, CliffDelta                   float64
	MwuW, MwuP                                    float64
	PermDraws, PermExceed                         int64   // |T*| > |T|
	PermP                                         float64 // (b+1)/(B+1)

	PBonferroni, PHolm, PBh float64
	Stars                   string
}

// fig1 is Figure 1 and A1: medians of the ranks that reward models give to the words
// of each category, by family and framing.
type fig1 struct {
	*ranked
	o      *Options
	res    *Result
	panels []PanelRow
	levels []LevelRow
}

// Fig1 analyses the scores of reward models on the words of one dictionary.
func Fig1(dict *cube.Dictionary, scores []*cube.Scores, o *Options) (*Result, error) {
	r, err := newRanked(dict, scores, o.groups)
	if err != nil {
		return nil, err
	}
	res := &Result{Analysis: "fig1", Name: "fig1-" + dict.Name, Title: say("fig1.title", dict.Name),
		Inputs: slices.Concat([]string{dict.File}, r.Files)}
	f := &fig1{ranked: r, o: o, res: res}
	res.About = []string{say("fig1.about", len(r.Models), len(r.Words), len(dict.Categories), len(r.Prompts)),
		f.coverage()}
	res.Differs = []string{f.differs()}
	if f.panels, err = f.panelTests(); err != nil {
		return nil, err
	}
	if len(r.families) > 1 {
		if f.levels, err = f.modelLevel(); err != nil {
			return nil, err
		}
	}
	if err := f.mixed(); err != nil {
		return nil, err
	}
	res.Tables = append(res.Tables, Table{"panels", say("fig1.panels"), f.panels, 0})
	for _, p := range f.panels {
		res.Tests = append(res.Tests, f.panelTest(p))
	}
	if len(f.levels) > 0 {
		res.Tables = append(res.Tables, Table{"models-level", say("fig1.levels"), f.levels, 0})
		for _, l := range f.levels {
			res.Tests = append(res.Tests, l.test())
		}
	}
	models, families := f.summaries()
	res.Tables = append(res.Tables, Table{"families", "Mean over models of the pooled median rank", families, 0},
		Table{"per-model", "Medians of each model", models, 0},
		Table{"medians", "Median ranks by model, category and prompt", f.medianRows(), -1})
	res.Figures = []Figure{f.figure(false), f.figure(true)}
	return res, nil
}

// coverage says what of the dictionary has scores.
func (f *fig1) coverage() string {
	s := say("fig1.coverage", f.dict.Size(""), f.dict.Name, f.dict.File, len(f.Words))
	if len(f.missing) > 0 {
		s += say("fig1.missing", len(f.missing), cube.Listed(f.missing, 5))
	}
	if n := len(f.outside); n > 0 {
		s += say("fig1.outside", n)
	}
	return s + "."
}

func (f *fig1) differs() string {
	if f.o.Paper() {
		return say("fig1.paper")
	}
	if strings.Contains(strings.Join(f.dict.Categories, " "), "Sanctity") {
		return say("fig1.differs") + " " + say("fig1.sanctity")
	}
	return say("fig1.differs")
}

func (f *fig1) medianRows() []MedianRow {
	var rows []MedianRow
	for m, model := range f.Models {
		for k, c := range f.dict.Categories {
			for p, prompt := range f.Prompts {
				rows = append(rows, MedianRow{model.ID, c, model.Family, prompt, f.groups.Framing(prompt),
					int64(len(f.Places(c))), f.medians[m][p][k]})
			}
		}
	}
	return rows
}

// summaries are the medians of each model, and the mean of a family's.
func (f *fig1) summaries() (models []ModelRow, families []FamilyRow) {
	pooled := map[[3]string]float64{} // by model, category and framing
	for m, model := range f.Models {
		for k, c := range f.dict.Categories {
			for _, framing := range f.framings {
				v := f.modelValues(m, k, framing)
				mean, sd := stat.MeanStdDev(v, nil)
				median := f.pooled(m, c, framing)
				pooled[[3]string{model.ID, c, framing}] = median
				models = append(models, ModelRow{model.ID, model.Family, c, framing, int64(len(v)), mean, sd,
					stat.StdErr(sd, float64(len(v))), median})
			}
		}
	}
	for _, framing := range f.framings {
		for _, c := range f.dict.Categories {
			for _, family := range f.families {
				var medians []float64
				for _, m := range f.members(family) {
					medians = append(medians, pooled[[3]string{f.Models[m].ID, c, framing}])
				}
				families = append(families, FamilyRow{framing, c, family, int64(len(medians)), stat.Mean(medians, nil)})
			}
		}
	}
	return models, families
}

// pooled is the median of a model's ranks over all words of a category and prompts of
// a framing.
func (f *fig1) pooled(m int, category, framing string) float64 {
	var v []float64
	for _, p := range f.groups.Places(framing, f.Prompts) {
		v = append(v, cube.Pick(f.ranks[m][p], f.Places(category))...)
	}
	median, _ := stats.Median(v) // of ranks, and more than none
	return median
}

// figure draws Figure 1, or A1: a beeswarm of all medians with standard deviations.
func (f *fig1) figure(a1 bool) Figure {
	v := &plot.Violins{YLabel: fmt.Sprintf("median rank (1 = best, %d = worst)", len(f.Words)), Reverse: true,
		Rows: f.framings, Columns: f.dict.Categories, Groups: named(f.families...), Join: true}
	name, points := "fig1-", say("fig1.dots")
	v.Means = plot.MeanSE
	if a1 {
		name, points = "a1-", say("a1.dots")
		v.Means, v.Points = plot.MeanSD, plot.Beeswarm
	}
	for _, framing := range f.framings {
		var row []plot.Cell
		for k := range f.dict.Categories {
			cell := plot.Cell{Mark: f.mark(k, framing)}
			for _, family := range f.families {
				s := plot.Sample{Values: f.values(family, k, framing)}
				if !a1 {
					s.Models = f.dots(family, k, framing)
				}
				cell.Samples = append(cell.Samples, s)
			}
			row = append(row, cell)
		}
		v.Cells = append(v.Cells, row)
	}
	var models []string
	for _, family := range f.families {
		models = append(models, fmt.Sprintf("%s %d", family, len(f.members(family))))
	}
	caption := say("fig1.caption", len(f.Words), len(f.Prompts), strings.Join(models, ", "), points)
	switch {
	case len(f.families) != 2:
	case f.o.Paper():
		caption += " " + say("fig1.stars.paper")
	case f.tooFew():
		caption += " " + say("fig1.stars.none")
	default:
		caption += " " + say("fig1.stars")
	}
	title := "Ranks of " + f.dict.Name + " words by family"
	return Figure{name + f.dict.Name, &plot.Figure{Title: title, Caption: caption, Chart: v}}
}

// dots are the means of a family's models.
func (f *fig1) dots(family string, k int, framing string) []plot.Model {
	var dots []plot.Model
	for _, m := range f.members(family) {
		values := f.modelValues(m, k, framing)
		mean, sd := stat.MeanStdDev(values, nil)
		se := stat.StdErr(sd, float64(len(values)))
		if math.IsNaN(se) {
			se = 0 // one prompt
		}
		dots = append(dots, plot.Model{Name: f.Models[m].ID, Mean: mean, SE: se})
	}
	return dots
}

// tooFew says that no arrangement of the models gives the exact test p < 0.05.
func (f *fig1) tooFew() bool {
	return leastP(len(f.members(f.families[0])), len(f.members(f.families[1]))) >= .05
}

// leastP is the smallest two-sided p of the exact test of n1 against n2 models.
func leastP(n1, n2 int) float64 {
	arrangements := math.Round(combin.GeneralizedBinomial(float64(n1+n2), float64(n1)))
	if n1 == n2 {
		return 2 / arrangements
	}
	return 1 / arrangements
}

// mark is the stars over the violins of a cell; only two families have any.
func (f *fig1) mark(k int, framing string) string {
	if len(f.families) != 2 || !f.o.Paper() && f.tooFew() {
		return ""
	}
	here := func(c Cell) bool { return c.Category == f.dict.Categories[k] && c.PromptFraming == framing }
	if !f.o.Paper() {
		for _, l := range f.levels {
			if here(l.Cell) {
				return l.Stars
			}
		}
	}
	for _, p := range f.panels {
		if here(p.Cell) {
			return p.Stars
		}
	}
	return ""
}

// panelTest is the report's line of a panel.
func (f *fig1) panelTest(p PanelRow) Test {
	t := newTest(p.Cell.String(), "Welch, model x prompt medians taken as independent", "t")
	t.Value, t.DF1, t.P, t.PAdjusted = p.WelchT, p.WelchDF, p.WelchP, p.PBonferroni
	t.Adjustment = fmt.Sprintf("Bonferroni, %d tests", len(f.panels))
	t.Estimate, t.Lower, t.Upper, t.Effect, t.EffectSize = p.Diff, p.WelchCILo, p.WelchCIHi, "Cohen d", p.CohenD
	t.N, t.Warnings = fmt.Sprintf("%d / %d", p.N1, p.N2), say("fig1.panel.doubt")
	return t
}

// panelTests compares each two families in each cell.
func (f *fig1) panelTests() ([]PanelRow, error) {
	var rows []PanelRow
	for k, c := range f.dict.Categories {
		for _, framing := range f.framings {
			err := f.eachPair(func(a, b string) error {
				row, err := f.panel(f.values(a, k, framing), f.values(b, k, framing))
				if untestable(err) {
					what := fmt.Sprintf("%s, %s, %s against %s", c, cube.Label(framing), a, b)
					f.res.Warnings = append(f.res.Warnings, what+": not tested: "+plainly(err)+".")
					return nil
				}
				if err != nil {
					return fmt.Errorf("study: %s, %s, %s against %s: %w", c, framing, a, b, err)
				}
				row.Cell = Cell{c, framing, a, b}
				rows = append(rows, row)
				return nil
			})
			if err != nil {
				return nil, err
			}
		}
	}
	p := make([]float64, len(rows))
	for i := range rows {
		p[i] = rows[i].WelchP
	}
	bonferroni, err := stats.Bonferroni(p)
	if err != nil {
		return nil, err
	}
	holm, _ := stats.Holm(p) // the same p
	bh, _ := stats.BenjaminiHochberg(p)
	for i := range rows {
		rows[i].PBonferroni, rows[i].PHolm, rows[i].PBh, rows[i].Stars = bonferroni[i], holm[i], bh[i], stars(bonferroni[i])
	}
	return rows, nil
}

func (f *fig1) panel(x, y []float64) (PanelRow, error) {
	w, errW := stats.Welch(x, y, nil)
	s, errS := stats.Student(x, y, nil)
	d, errD := stats.CohenD(x, y, nil)
	g, errG := stats.HedgesG(x, y, nil)
	cliff, errC := stats.CliffDelta(x, y, nil)
	u, errU := stats.MannWhitney(x, y, nil)
	for _, err := range []error{errW, errS, errD, errG, errC, errU} {
		if err != nil {
			return PanelRow{}, err
		}
	}
	draw := f.o.resampling(0)
	draw.Statistic = stats.WelchT
	perm, err := stats.Permutation(x, y, draw)
	if err != nil {
		return PanelRow{}, err
	}
	return PanelRow{N1: int64(w.N1), N2: int64(w.N2),
		Mean1: w.Mean1, Mean2: w.Mean2, SD1: w.SD1, SD2: w.SD2, Diff: w.Estimate,
		WelchT: w.T, WelchDF: w.DF, WelchP: w.P, WelchCILo: w.Interval.Lower, WelchCIHi: w.Interval.Upper,
		StudentT: s.T, StudentDF: s.DF, StudentP: s.P, CohenD: d.Estimate, HedgesG: g.Estimate, CliffDelta: cliff.Estimate,
		MwuW: u.U, MwuP: u.P,
		PermDraws: int64(perm.Arrangements), PermExceed: int64(perm.Exceed - perm.Tied), PermP: perm.P}, nil
}
