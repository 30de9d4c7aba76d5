package analysis

import (
	"fmt"
	"slices"
	"strings"

	"github.com/implicitreward/implicitreward/internal/plot"
	"github.com/implicitreward/implicitreward/internal/study/cube"
	"github.com/implicitreward/implicitreward/stats"
)

// PairMedianRow is the median rank, and log-probability, of a category's words for one
// of two models after one prompt.
type PairMedianRow struct {
	Prompt         string `parquet:",dict"`
	Category       string `parquet:"Category,dict"`
	Model, Valence string `parquet:",dict"`
	Rank           float64
	LogProb        float64 `parquet:"logprob"`
}

// CellRow compares two models in one cell, over the prompts of a framing: as
// independent samples (Welch, the paper's test) and as pairs, since the same prompts
// serve both.
type CellRow struct {
	Category string `parquet:"Category"`
	Valence  string
	N        int64

	Mean1, Mean2, SD1, SD2, T, DF, P, CILo, CIHi, CohenD, PBh float64

	Stars string

	PairedT, PairedDF, PairedP, PairedCILo, PairedCIHi, CohenDz, PairedPBh, SignFlipP float64
}

// VarianceRow is a line of an analysis of variance.
type VarianceRow struct {
	Term                                    string
	SumSq, DF                               float64
	F                                       float64 `parquet:"F"`
	P, MeanSq, EtaSq, PartialEtaSq, OmegaSq float64
}

// fig2 is Figure 2: medians of the ranks of words by two models' log-probabilities.
type fig2 struct {
	*cube.Scores
	dict    *cube.Dictionary
	o       *Options
	res     *Result
	names   [2]string       // of the models
	medians [2][][]middle   // medians[model][prompt][category]
	marks   map[Cell]string // stars by category and framing
}

// Fig2 compares the log-probabilities that two models, of two families, give to the
// words of a dictionary that both have as single tokens.
func Fig2(dict *cube.Dictionary, name string, a, b *cube.LogProbFile, o *Options) (*Result, error) {
	s, err := sharedWords(dict, a, b, o.Paper())
	if err != nil {
		return nil, err
	}
	names := [2]string{a.Model.Display, b.Model.Display}
	res := &Result{Analysis: "fig2", Name: "fig2-" + name, Title: say("fig2.title", dict.Name, names[0], names[1]),
		Inputs: []string{dict.File, a.File, b.File}}
	res.About = []string{say("fig2.about", len(s.Words), dict.Size(""), dict.Name, len(s.Prompts))}
	if o.Paper() {
		res.Differs = append(res.Differs, say("fig2.paper"))
	} else {
		res.Differs = append(res.Differs, say("fig2.differs"))
	}
	f := &fig2{Scores: s, dict: dict, o: o, res: res, names: names, marks: map[Cell]string{}}
	for m := range names {
		for p, prompt := range s.Prompts {
			_, middles, err := rank(s.Values[m][p], s.Category, dict.Categories)
			if err != nil {
				return nil, fmt.Errorf("%s: prompt %s: %w", s.Files[m], prompt, err)
			}
			f.medians[m] = append(f.medians[m], middles)
		}
	}
	if err := f.variance(); err != nil {
		return nil, err
	}
	cells, err := f.cells()
	if err != nil {
		return nil, err
	}
	res.Tables = append(res.Tables, Table{"cells", "The two models in each cell, unpaired and paired", cells, 0},
		Table{"medians", "Medians by prompt, category and model", f.rows(), -1})
	res.Figures = []Figure{f.figure()}
	return res, nil
}

func (f *fig2) rows() []PairMedianRow {
	var rows []PairMedianRow
	for m, name := range f.names {
		for p, prompt := range f.Prompts {
			for k, c := range f.dict.Categories {
				valence := f.o.groups.Valence(f.o.groups.Framing(prompt))
				rows = append(rows, PairMedianRow{prompt, c, name, valence, f.medians[m][p][k].rank, f.medians[m][p][k].value})
			}
		}
	}
	return rows
}

// variance adds the type II analysis of variance of the medians.
func (f *fig2) variance() error {
	var y []float64
	variables := []stats.Variable{{Name: "Category"}, {Name: "valence"}, {Name: "model", Levels: f.names[:]}}
	for _, r := range f.rows() {
		y = append(y, r.Rank)
		for i, label := range []string{r.Category, r.Valence, r.Model} {
			variables[i].Labels = append(variables[i].Labels, label)
		}
	}
	variables = slices.DeleteFunc(variables, func(v stats.Variable) bool {
		return len(slices.Compact(slices.Sorted(slices.Values(v.Labels)))) < 2
	})
	a, err := stats.ANOVA(y, variables, nil)
	if untestable(err) {
		f.res.doubt(say("fig2.untestable", plainly(err)))
		return nil
	}
	if err != nil {
		return fmt.Errorf("study: %s: analysis of variance: %w", f.res.Name, err)
	}
	var rows []VarianceRow
	for _, r := range append(slices.Clone(a.Rows), a.Residual) {
		if r.Term == "" {
			r.Term = "Residual"
		}
		rows = append(rows, VarianceRow{r.Term, r.SS, r.DF, r.F, r.P, r.MS,
			r.EtaSquared, r.PartialEtaSquared, r.OmegaSquared})
	}
	for _, r := range a.Rows {
		t := newTest(r.Term, "ANOVA of prompt medians, type II", "F")
		t.Value, t.DF1, t.DF2, t.P = r.F, r.DF, a.Residual.DF, r.P
		t.Effect, t.EffectSize, t.N = "partial eta squared", r.PartialEtaSquared, fmt.Sprint(a.N)
		t.Warnings = "prompts shared by the models are taken as different ones"
		f.res.Tests = append(f.res.Tests, t)
	}
	f.res.Tables = append(f.res.Tables, Table{"anova", "Analysis of variance, type II, of the medians", rows, 0})
	return nil
}

// ranks are a model's median ranks of category k on the prompts of a framing.
func (f *fig2) ranks(m, k int, framing string) []float64 {
	var ranks []float64
	for _, p := range f.o.groups.Places(framing, f.Prompts) {
		ranks = append(ranks, f.medians[m][p][k].rank)
	}
	return ranks
}

// cells tests every cell, and adds the tests.
func (f *fig2) cells() ([]CellRow, error) {
	var cells []CellRow
	var where []Cell
	for _, framing := range f.o.groups.Framings(f.Prompts) {
		for k, c := range f.dict.Categories {
			row, err := cell(f.ranks(0, k, framing), f.ranks(1, k, framing), f.o)
			if untestable(err) {
				f.res.untested(fmt.Sprintf("%s, %s", c, cube.Label(framing)), err)
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("study: fig2: %s, %s: %w", c, framing, err)
			}
			row.Category, row.Valence = c, f.o.groups.Valence(framing)
			cells, where = append(cells, row), append(where, Cell{Category: c, PromptFraming: framing})
		}
	}
	p, paired := make([]float64, len(cells)), make([]float64, len(cells))
	for i, c := range cells {
		p[i], paired[i] = c.P, c.PairedP
	}
	bh, err := stats.BenjaminiHochberg(p)
	if err != nil {
		return nil, err
	}
	pairedBH, err := stats.BenjaminiHochberg(paired)
	if err != nil {
		return nil, err
	}
	for i := range cells {
		c := &cells[i]
		c.PBh, c.PairedPBh, c.Stars = bh[i], pairedBH[i], stars(pairedBH[i])
		if f.o.Paper() {
			c.Stars = stars(bh[i])
		}
		f.marks[where[i]] = c.Stars
		f.res.Tests = append(f.res.Tests, c.tests(f.names, len(cells))...)
	}
	return cells, nil
}

// tests are the paired test and the paper's, of a number of cells.
func (c CellRow) tests(models [2]string, cells int) []Test {
	name := fmt.Sprintf("%s, %s: %s - %s", c.Category, c.Valence, models[0], models[1])
	paired := newTest(name, "paired over prompts", "t")
	paired.Value, paired.DF1, paired.P, paired.PAdjusted = c.PairedT, c.PairedDF, c.PairedP, c.PairedPBh
	paired.Adjustment = fmt.Sprintf("Benjamini-Hochberg, %d tests", cells)
	paired.Estimate, paired.Lower, paired.Upper = c.Mean1-c.Mean2, c.PairedCILo, c.PairedCIHi
	paired.Effect, paired.EffectSize, paired.N = "Cohen dz", c.CohenDz, fmt.Sprint(c.N)
	welch := paired
	welch.Method = "Welch, prompts taken as different for each model"
	welch.Value, welch.DF1, welch.P, welch.PAdjusted = c.T, c.DF, c.P, c.PBh
	welch.Lower, welch.Upper, welch.Effect, welch.EffectSize = c.CILo, c.CIHi, "Cohen d", c.CohenD
	welch.N, welch.Warnings = fmt.Sprintf("%d / %d", c.N, c.N), "the same prompts serve both models"
	return []Test{paired, welch}
}

func cell(x, y []float64, o *Options) (CellRow, error) {
	w, err := stats.Welch(x, y, nil)
	if err != nil {
		return CellRow{}, err
	}
	d, err := stats.CohenD(x, y, nil)
	if err != nil {
		return CellRow{}, err
	}
	p, err := stats.Paired(x, y, nil)
	if err != nil {
		return CellRow{}, err
	}
	flip, err := stats.SignFlip(cube.Minus(x, y), o.resampling(1<<16))
	return CellRow{N: int64(w.N1), Mean1: w.Mean1, Mean2: w.Mean2, SD1: w.SD1, SD2: w.SD2,
		T: w.T, DF: w.DF, P: w.P, CILo: w.Interval.Lower, CIHi: w.Interval.Upper, CohenD: d.Estimate,
		PairedT: p.T, PairedDF: p.DF, PairedP: p.P, PairedCILo: p.Interval.Lower, PairedCIHi: p.Interval.Upper,
		CohenDz: p.Estimate / p.SD1, SignFlipP: flip.P}, err
}

func (f *fig2) figure() Figure {
	v := &plot.Violins{YLabel: fmt.Sprintf("median rank (1 = best, %d = worst)", len(f.Words)), Reverse: true, Split: true,
		Columns: f.dict.Categories, Groups: named(f.names[:]...),
		Bandwidth: plot.Scott, Cut: 2, Box: true, Points: plot.Jitter}
	for _, framing := range f.o.groups.Framings(f.Prompts) {
		var row []plot.Cell
		for k, c := range f.dict.Categories {
			row = append(row, plot.Cell{Mark: f.marks[Cell{Category: c, PromptFraming: framing}],
				Samples: []plot.Sample{{Values: f.ranks(0, k, framing)}, {Values: f.ranks(1, k, framing)}}})
		}
		v.Rows, v.Cells = append(v.Rows, cube.Label(framing)), append(v.Cells, row)
	}
	return Figure{f.res.Name, &plot.Figure{Title: strings.TrimSuffix(f.res.Title, " (Figure 2)"), Chart: v,
		Caption: say("fig2.caption", len(f.Words), f.res.Differs[0])}}
}
