package study

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/implicitreward/implicitreward/internal/plot"
	"github.com/implicitreward/implicitreward/stats"
)

// MedianRow is the median rank of a category's words for one model and prompt.
type MedianRow struct {
	Model    string  `parquet:"model_id,dict"`
	Category string  `parquet:"Category,dict"`
	Family   string  `parquet:"base_model,dict"`
	Prompt   string  `parquet:"prompt,dict"`
	Framing  string  `parquet:"prompt_framing,dict"`
	Words    int64   `parquet:"n_tok"`
	Median   float64 `parquet:"sum_value"`
}

// ModelRow sums up a model's medians on the prompts of one framing.
type ModelRow struct {
	Model    string  `parquet:"model_id"`
	Family   string  `parquet:"base_model"`
	Category string  `parquet:"Category"`
	Framing  string  `parquet:"prompt_framing"`
	N        int64   `parquet:"n"`
	Mean     float64 `parquet:"mean"`
	SD       float64 `parquet:"sd"`
	SE       float64 `parquet:"se"`
	Pooled   float64 `parquet:"median_rank_pooled"` // median over all words x prompts
}

// FamilyRow is the mean over a family's models of their pooled medians.
type FamilyRow struct {
	Framing  string  `parquet:"prompt_framing"`
	Category string  `parquet:"Category"`
	Family   string  `parquet:"base_model"`
	Models   int64   `parquet:"models"`
	Mean     float64 `parquet:"mean_median_rank"`
}

// PanelRow compares two families in one cell, every model x prompt median taken as
// independent: the paper's test.
type PanelRow struct {
	Category  string  `parquet:"Category"`
	Framing   string  `parquet:"prompt_framing"`
	Family1   string  `parquet:"family1"`
	Family2   string  `parquet:"family2"`
	N1        int64   `parquet:"n1"`
	N2        int64   `parquet:"n2"`
	Mean1     float64 `parquet:"mean1"`
	Mean2     float64 `parquet:"mean2"`
	SD1       float64 `parquet:"sd1"`
	SD2       float64 `parquet:"sd2"`
	Diff      float64 `parquet:"diff"`
	WelchT    float64 `parquet:"welch_t"`
	WelchDF   float64 `parquet:"welch_df"`
	WelchP    float64 `parquet:"welch_p"`
	Lower     float64 `parquet:"welch_ci_lo"`
	Upper     float64 `parquet:"welch_ci_hi"`
	StudentT  float64 `parquet:"student_t"`
	StudentDF float64 `parquet:"student_df"`
	StudentP  float64 `parquet:"student_p"`
	CohenD    float64 `parquet:"cohen_d"`
	HedgesG   float64 `parquet:"hedges_g"`
	Cliff     float64 `parquet:"cliff_delta"`
	W         float64 `parquet:"mwu_w"`
	MannP     float64 `parquet:"mwu_p"`
	PermN     int64   `parquet:"perm_draws"`
	PermOver  int64   `parquet:"perm_exceed"` // |T*| > |T|
	PermP     float64 `parquet:"perm_p"`      // (b+1)/(B+1)
	PBonf     float64 `parquet:"p_bonferroni"`
	PHolm     float64 `parquet:"p_holm"`
	PBH       float64 `parquet:"p_bh"`
	Stars     string  `parquet:"stars"`
}

// FixedRow is a coefficient of the mixed model.
type FixedRow struct {
	Term     string  `parquet:"term"`
	Estimate float64 `parquet:"estimate"`
	SE       float64 `parquet:"se"`
	DF       float64 `parquet:"df"`
	T        float64 `parquet:"t"`
	P        float64 `parquet:"p"`
	Lower    float64 `parquet:"lower"`
	Upper    float64 `parquet:"upper"`
}

// fig1 is Figure 1 and A1: medians of the ranks that reward models give to the words
// of each category, by family and framing.
type fig1 struct {
	r         *ranked
	o         *Options
	panels    []PanelRow
	levels    []LevelRow
	fixedRows []FixedRow
	warnings  []string
}

// newFig1 computes what both figures show.
func newFig1(r *ranked, o *Options) (*fig1, error) {
	f := &fig1{r: r, o: o}
	var err error
	if f.panels, err = f.panelTests(); err != nil {
		return nil, err
	}
	if len(r.families) > 1 {
		f.levels, err = f.modelLevel()
	}
	return f, err
}

// Fig1 analyses the scores of reward models on the words of one dictionary.
func Fig1(dict *Dictionary, scores []*Scores, o *Options) (*Result, error) {
	r, err := rank(dict, scores, o.Groups)
	if err != nil {
		return nil, err
	}
	f, err := newFig1(r, o)
	if err != nil {
		return nil, err
	}
	return f.result()
}

func (f *fig1) result() (*Result, error) {
	r := f.r
	res := &Result{Analysis: "fig1", Name: "fig1-" + r.dict.Name, Title: "Reward models: ranks of " + r.dict.Name + " words by family (Figures 1 and A1)"}
	res.About = []string{
		fmt.Sprintf("%d models score %d words of %d categories after %d prompts. Within each model and prompt the words have midranks, 1 for the greatest score; "+
			"the unit is the median rank of a category's words. A lower rank means liked more.", len(r.models), len(r.words), len(r.dict.Categories), len(r.prompts)),
		coverageNote(r),
	}
	f.differs(res)
	res.Warnings = append(res.Warnings, f.warnings...)
	fit, err := f.mixed(res)
	if err != nil {
		return nil, err
	}
	res.Tables = append(res.Tables, Table{"mixed", "Mixed model: " + fit, f.fixedRows, 0},
		Table{"panels", "Families compared in each panel, model x prompt medians taken as independent", f.panels, 0})
	for i, p := range f.panels {
		res.Tests = append(res.Tests, f.panelTest(i, p))
	}
	if len(f.levels) > 0 {
		res.Tables = append(res.Tables, Table{"models-level", "One value a model: the exact test over all relabelings of the models", f.levels, 0})
		for _, l := range f.levels {
			res.Tests = append(res.Tests, l.test())
		}
	}
	res.Tables = append(res.Tables,
		Table{"families", "Mean over models of the pooled median rank", f.familyRows(), 0},
		Table{"per-model", "Medians of each model", f.modelRows(), 0},
		Table{"medians", "Median ranks by model, category and prompt", f.medianRows(), -1})
	res.Figures = append(res.Figures, f.figure(false), f.figure(true))
	return res, nil
}

func coverageNote(r *ranked) string {
	s := fmt.Sprintf("Of the %d words of %s (%s), %d have scores", r.dict.Size(""), r.dict.Name, r.dict.File, len(r.words))
	if len(r.missing) > 0 {
		s += fmt.Sprintf("; %d have none (%s)", len(r.missing), listed(r.missing, 5))
	}
	if n := len(r.outside); n > 0 {
		s += fmt.Sprintf("; %d scored replies are not in the dictionary and are left out before ranking", n)
	}
	return s + "."
}

func (f *fig1) differs(res *Result) {
	res.Differs = append(res.Differs, f.r.dict.Notes...)
	if f.o.Compat {
		res.Differs = append(res.Differs, "Stars are those of the paper: Welch's test of the model x prompt medians, which share models and prompts but are taken as independent, with Bonferroni's correction. "+
			"(The paper's code calls it a permutation test; the p-value it takes is Welch's.) The mixed model has nlme's degrees of freedom.")
		return
	}
	s := "Stars are those of the exact test with one value a model (Holm), not the paper's Welch test, which takes all model x prompt medians as independent; both are in the table of tests. " +
		"The mixed model is the paper's, with Satterthwaite's degrees of freedom; the analysis of the same prompts, words and models has models that see more."
	if strings.Contains(strings.Join(f.r.dict.Categories, " "), "Sanctity") {
		s += " All words of the dictionary are ranked; the paper's code leaves out Sanctity_Vice."
	}
	res.Differs = append(res.Differs, s)
}

func (f *fig1) medianRows() []MedianRow {
	var rows []MedianRow
	for m, model := range f.r.models {
		for k, c := range f.r.dict.Categories {
			n := 0
			for _, own := range f.r.category {
				if own == c {
					n++
				}
			}
			for p, prompt := range f.r.prompts {
				rows = append(rows, MedianRow{model.ID, c, model.Family, prompt, f.r.groups.group(prompt), int64(n), f.r.medians[m][p][k]})
			}
		}
	}
	return rows
}

func (f *fig1) modelRows() []ModelRow {
	var rows []ModelRow
	for m, model := range f.r.models {
		for k, c := range f.r.dict.Categories {
			for _, framing := range f.r.framings {
				v := f.r.modelValues(m, k, framing)
				mean, sd := meanSD(v)
				rows = append(rows, ModelRow{model.ID, model.Family, c, framing, int64(len(v)), mean, sd, sd / math.Sqrt(float64(len(v))), f.pooled(m, c, framing)})
			}
		}
	}
	return rows
}

// pooled is the median of a model's ranks over all words of a category and prompts of
// a framing.
func (f *fig1) pooled(m int, category, framing string) float64 {
	var v []float64
	for p, prompt := range f.r.prompts {
		if f.r.groups.group(prompt) != framing {
			continue
		}
		for i, rank := range f.r.ranks[m][p] {
			if f.r.category[i] == category {
				v = append(v, rank)
			}
		}
	}
	return median(v)
}

func (f *fig1) familyRows() []FamilyRow {
	var rows []FamilyRow
	for _, framing := range f.r.framings {
		for _, c := range f.r.dict.Categories {
			for _, family := range f.r.families {
				sum, n := 0.0, 0
				for m, model := range f.r.models {
					if model.Family == family {
						sum += f.pooled(m, c, framing)
						n++
					}
				}
				rows = append(rows, FamilyRow{framing, c, family, int64(n), sum / float64(n)})
			}
		}
	}
	return rows
}

// figure draws Figure 1, or A1: a beeswarm of all medians with standard deviations.
func (f *fig1) figure(a1 bool) Figure {
	r := f.r
	v := &plot.Violins{YLabel: fmt.Sprintf("median rank (1 = best, %d = worst)", len(r.words)), Reverse: true, Rows: r.framings, Columns: r.dict.Categories}
	for _, family := range r.families {
		v.Groups = append(v.Groups, plot.Group{Name: family})
	}
	v.Means, v.Join = plot.MeanSE, true
	if a1 {
		v.Means, v.Points = plot.MeanSD, plot.Beeswarm
	}
	for _, framing := range r.framings {
		var row []plot.Cell
		for k := range r.dict.Categories {
			cell := plot.Cell{Mark: f.mark(k, framing)}
			for _, family := range r.families {
				s := plot.Sample{Values: r.values(family, k, framing)}
				for m, model := range r.models {
					if model.Family == family && !a1 {
						mean, sd := meanSD(r.modelValues(m, k, framing))
						se := sd / math.Sqrt(float64(len(r.modelValues(m, k, framing))))
						if math.IsNaN(se) {
							se = 0 // one prompt
						}
						s.Models = append(s.Models, plot.Model{Name: model.ID, Mean: mean, SE: se})
					}
				}
				cell.Samples = append(cell.Samples, s)
			}
			row = append(row, cell)
		}
		v.Cells = append(v.Cells, row)
	}
	name, points, bar := "fig1-", "Dots: models with standard errors", "standard error"
	if a1 {
		name, points, bar = "a1-", "Dots: medians of single prompts", "standard deviation"
	}
	test := "exact test with one value a model, Holm"
	if f.o.Compat {
		test = "Welch, all medians taken as independent, Bonferroni"
	}
	n := ""
	for _, family := range r.families {
		models := 0
		for _, m := range r.models {
			if m.Family == family {
				models++
			}
		}
		n += ", " + family + " " + strconv.Itoa(models)
	}
	caption := fmt.Sprintf("Median rank of %d words, %d prompts; models:%s. %s. Diamond: mean with %s.", len(r.words), len(r.prompts), n[1:], points, bar)
	switch {
	case len(r.families) == 2 && !f.o.Compat && f.tooFew():
		caption += " No stars: with so few models the exact test of families cannot reach p < .05."
	case len(r.families) == 2:
		caption += " Stars: " + test + "."
	}
	return Figure{name + r.dict.Name, &plot.Figure{Title: "Ranks of " + r.dict.Name + " words by family", Caption: caption, Chart: v}}
}

// tooFew says that no arrangement of the models gives the exact test p < 0.05.
func (f *fig1) tooFew() bool {
	n := [2]int{}
	for _, m := range f.r.models {
		n[slices.Index(f.r.families, m.Family)]++
	}
	return leastP(n[0], n[1]) >= .05
}

// mark is what stands over the violins of a cell; only two families have one.
func (f *fig1) mark(k int, framing string) string {
	if len(f.r.families) != 2 {
		return ""
	}
	c := f.r.dict.Categories[k]
	if !f.o.Compat {
		if f.tooFew() {
			return ""
		}
		for _, l := range f.levels {
			if l.Category == c && l.Framing == framing {
				return l.Stars
			}
		}
	}
	for _, p := range f.panels {
		if p.Category == c && p.Framing == framing {
			return p.Stars
		}
	}
	return ""
}

// panelTest is the report's line of a panel.
func (f *fig1) panelTest(i int, p PanelRow) Test {
	t := newTest(fmt.Sprintf("%s, %s: %s - %s", p.Category, p.Framing, p.Family1, p.Family2), "Welch, model x prompt medians taken as independent", "t")
	t.Value, t.DF1, t.P, t.PAdjusted = p.WelchT, p.WelchDF, p.WelchP, p.PBonf
	t.Adjustment = fmt.Sprintf("Bonferroni, %d tests", len(f.panels))
	t.Estimate, t.Lower, t.Upper, t.Effect, t.EffectSize = p.Diff, p.Lower, p.Upper, "Cohen d", p.CohenD
	t.N = fmt.Sprintf("%d / %d", p.N1, p.N2)
	t.Warnings = "values share models and prompts: the p-value is for these models and prompts, and too small for others"
	return t
}

// panelTests compares each two families in each cell.
func (f *fig1) panelTests() ([]PanelRow, error) {
	r := f.r
	var rows []PanelRow
	for k, c := range r.dict.Categories {
		for _, framing := range r.framings {
			for a := range r.families {
				for b := a + 1; b < len(r.families); b++ {
					row, err := f.panel(r.values(r.families[a], k, framing), r.values(r.families[b], k, framing))
					if untestable(err) {
						f.warnings = append(f.warnings, fmt.Sprintf("%s, %s, %s against %s: not tested: %s.", c, groupLabel(framing), r.families[a], r.families[b], plainly(err)))
						continue
					}
					if err != nil {
						return nil, fmt.Errorf("study: %s, %s, %s against %s: %w", c, framing, r.families[a], r.families[b], err)
					}
					row.Category, row.Framing, row.Family1, row.Family2 = c, framing, r.families[a], r.families[b]
					rows = append(rows, row)
				}
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
		rows[i].PBonf, rows[i].PHolm, rows[i].PBH, rows[i].Stars = bonferroni[i], holm[i], bh[i], stars(bonferroni[i])
	}
	return rows, nil
}

func (f *fig1) panel(x, y []float64) (PanelRow, error) {
	var row PanelRow
	w, err := stats.Welch(x, y, nil)
	if err != nil {
		return row, err
	}
	s, err := stats.Student(x, y, nil)
	if err != nil {
		return row, err
	}
	d, err := stats.CohenD(x, y, nil)
	if err != nil {
		return row, err
	}
	g, err := stats.HedgesG(x, y, nil)
	if err != nil {
		return row, err
	}
	cliff, err := stats.CliffDelta(x, y, nil)
	if err != nil {
		return row, err
	}
	u, err := stats.MannWhitney(x, y, nil)
	if err != nil {
		return row, err
	}
	perm, err := stats.Permutation(x, y, &stats.ResampleOptions{Statistic: stats.WelchT, Draws: f.o.draws(), Seed: f.o.Seed})
	if err != nil {
		return row, err
	}
	return PanelRow{N1: int64(w.N1), N2: int64(w.N2), Mean1: w.Mean1, Mean2: w.Mean2, SD1: w.SD1, SD2: w.SD2, Diff: w.Estimate,
		WelchT: w.T, WelchDF: w.DF, WelchP: w.P, Lower: w.Interval.Lower, Upper: w.Interval.Upper,
		StudentT: s.T, StudentDF: s.DF, StudentP: s.P, CohenD: d.Estimate, HedgesG: g.Estimate, Cliff: cliff.Estimate, W: u.U, MannP: u.P,
		PermN: int64(perm.Arrangements), PermOver: int64(perm.Exceed - perm.Tied), PermP: perm.P}, nil
}
