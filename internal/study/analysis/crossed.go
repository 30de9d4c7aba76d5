package analysis

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/stat"

	"github.com/implicitreward/implicitreward/internal/plot"
	"github.com/implicitreward/implicitreward/internal/study/cube"
	"github.com/implicitreward/implicitreward/stats"
)

// CrossedRow is the difference of two families in one cell, in mean ranks, with three
// intervals: for other prompts alone, for other prompts and words, and for other models
// too.
type CrossedRow struct {
	Cell
	Diff float64 // mean rank of Family1 less that of Family2

	PromptsLo, PromptsHi, PromptsWordsLo, PromptsWordsHi, PromptsWordsModelsLo, PromptsWordsModelsHi float64
	// over prompts, each the mean of its family's models
	PairedT, PairedDF, PairedP, SignFlipP float64
	// of family, beside crossed intercepts of model and prompt
	MixedEstimate, MixedT, MixedDF, MixedP float64
}

// crossed analyses one cell: prompts and words cross, and the same serve all models.
type crossed struct {
	*ranked
	o       *Options
	res     *Result
	row     CrossedRow
	k       int      // category
	models  [2][]int // places of the families' models
	prompts []int    // of the framing
	words   []int    // of the category
}

// Crossed compares families with the same prompts and words for all models.
func Crossed(dict *cube.Dictionary, scores []*cube.Scores, o *Options) (*Result, error) {
	r, err := newRanked(dict, scores, o.groups)
	if err != nil {
		return nil, err
	}
	res := &Result{Analysis: "crossed", Name: "crossed-" + dict.Name, Title: say("crossed.title", dict.Name)}
	res.About = paragraphs("crossed.about")
	res.doubt(o.groups.Lone(r.Prompts)...)
	chart := &plot.Intervals{XLabel: "difference of mean ranks (left: the first family likes the words more)",
		Groups: named("other prompts", "other prompts and words", "other models too")}
	var rows []CrossedRow
	err = r.eachPair(func(a, b string) error {
		section := plot.IntervalSection{Name: a + " - " + b}
		for k, c := range dict.Categories {
			for _, framing := range r.framings {
				x := crossed{ranked: r, o: o, res: res, k: k, models: [2][]int{r.members(a), r.members(b)},
					prompts: r.groups.Places(framing, r.Prompts), words: r.Places(c)}
				x.row = CrossedRow{Cell: Cell{c, framing, a, b}, MixedEstimate: nan, MixedT: nan, MixedDF: nan, MixedP: nan,
					PairedT: nan, PairedDF: nan, PairedP: nan, SignFlipP: nan,
					PromptsLo: nan, PromptsHi: nan, PromptsWordsLo: nan, PromptsWordsHi: nan,
					PromptsWordsModelsLo: nan, PromptsWordsModelsHi: nan}
				if err := x.run(); err != nil {
					return fmt.Errorf("study: crossed: %s, %s: %w", c, framing, err)
				}
				rows = append(rows, x.row)
				if line := x.row.line(); len(line.Estimates) > 0 {
					section.Rows = append(section.Rows, line)
				}
			}
		}
		addSection(chart, section)
		return nil
	})
	if err != nil {
		return nil, err
	}
	res.Tables = []Table{{"cells", "Differences of families with intervals", rows, 0}}
	if len(chart.Sections) == 0 {
		res.doubt(say("crossed.none"))
		return res, nil
	}
	res.Figures = []Figure{{res.Name, &plot.Figure{Title: "How sure is the difference between families: " + dict.Name,
		Chart: chart, Caption: say("crossed.caption", o.resamples())}}}
	return res, nil
}

// line is the row as the figure has it; with one model a family there is no interval over
// models.
func (r CrossedRow) line() plot.IntervalRow {
	line := plot.IntervalRow{Label: r.Category + ", " + r.PromptFraming}
	for k, limits := range [][2]float64{{r.PromptsLo, r.PromptsHi}, {r.PromptsWordsLo, r.PromptsWordsHi},
		{r.PromptsWordsModelsLo, r.PromptsWordsModelsHi}} {
		if !math.IsNaN(limits[0]) {
			line.Estimates = append(line.Estimates, estimate(k, r.Diff, min(r.Diff, limits[0]), max(r.Diff, limits[1])))
		}
	}
	return line
}

// resamples is the number of bootstrap draws: a fifth of the draws of a test is enough
// for an interval.
func (o *Options) resamples() int { return max(o.Arrangements()/5, 99) }

// run fills in the row, and adds tests and doubts.
func (x *crossed) run() error {
	if err := x.intervals(); err != nil || len(x.prompts) < 2 {
		return err
	}
	var a, b []float64
	for _, p := range x.prompts {
		a, b = append(a, x.familyMean(0, p)), append(b, x.familyMean(1, p))
	}
	name := x.row.Cell.String()
	t, err := stats.Paired(a, b, nil)
	if untestable(err) { // the same difference after every prompt
		x.res.untested(name, err)
		return nil
	}
	if err != nil {
		return err
	}
	flip, err := stats.SignFlip(cube.Minus(a, b), x.o.resampling(1<<14))
	if err != nil {
		return err
	}
	x.row.PairedT, x.row.PairedDF, x.row.PairedP, x.row.SignFlipP = t.T, t.DF, t.P, flip.P
	x.res.Tests = append(x.res.Tests, tTest(name, say("crossed.paired"), t),
		resampleTest(name, "sign flip of prompts", flip))
	if len(x.models[0])+len(x.models[1]) < 3 {
		return nil
	}
	err = x.mixed(name)
	if untestable(err) {
		x.res.doubt(name + ": the mixed model is not fitted: " + plainly(err) + ".")
		return nil
	}
	return err
}

// familyMean is the mean median of a family's models after a prompt.
func (x *crossed) familyMean(side, p int) float64 {
	var medians []float64
	for _, m := range x.models[side] {
		medians = append(medians, x.medians[m][p][x.k])
	}
	return stat.Mean(medians, nil)
}

// places are 0 to n-1.
func places(n int) []int {
	at := make([]int, n)
	for i := range at {
		at[i] = i
	}
	return at
}

// intervals resamples prompts; prompts and words; prompts, words and models. Sums over
// models are made first where models stay.
func (x *crossed) intervals() error {
	diff := make([][]float64, len(x.prompts)) // diff[prompt][word] between the families' means
	for i, p := range x.prompts {
		diff[i] = make([]float64, len(x.words))
		for j, w := range x.words {
			for side, sign := range []float64{1, -1} {
				for _, m := range x.models[side] {
					diff[i][j] += sign * x.ranks[m][p][w] / float64(len(x.models[side]))
				}
			}
		}
	}
	mean := func(prompts, words []int) float64 {
		sum := 0.0
		for _, i := range prompts {
			for _, j := range words {
				sum += diff[i][j]
			}
		}
		return sum / float64(len(prompts)*len(words))
	}
	row, prompts, words, models := &x.row, len(x.prompts), len(x.words), x.models
	all := places(words)
	row.Diff = mean(places(prompts), all)
	if prompts < 2 {
		return nil
	}
	interval := func(lower, upper *float64, of func(at [][]int) float64, axes ...int) error {
		b, err := stats.BootstrapAxes(axes, func(at [][]int) (float64, error) { return of(at), nil },
			&stats.BootstrapOptions{Draws: x.o.resamples(), Seed: x.o.Seed})
		if err == nil {
			*lower, *upper = b.Percentile.Lower, b.Percentile.Upper
		}
		return err
	}
	err := interval(&row.PromptsLo, &row.PromptsHi, func(at [][]int) float64 { return mean(at[0], all) }, prompts)
	if err != nil {
		return err
	}
	both := func(at [][]int) float64 { return mean(at[0], at[1]) }
	err = interval(&row.PromptsWordsLo, &row.PromptsWordsHi, both, prompts, words)
	if err != nil || len(models[0]) < 2 || len(models[1]) < 2 {
		return err
	}
	return interval(&row.PromptsWordsModelsLo, &row.PromptsWordsModelsHi, x.resampled,
		prompts, words, len(models[0]), len(models[1]))
}

// resampled is the difference of some prompts, words and models of each family.
func (x *crossed) resampled(at [][]int) float64 {
	weights := make([]float64, len(x.Models)) // signed
	for side, sign := range []float64{1, -1} {
		for _, i := range at[2+side] {
			weights[x.models[side][i]] += sign / float64(len(x.models[side]))
		}
	}
	sum := 0.0
	for m, weight := range weights {
		if weight == 0 {
			continue
		}
		own := 0.0
		for _, i := range at[0] {
			line := x.ranks[m][x.prompts[i]]
			for _, j := range at[1] {
				own += line[x.words[j]]
			}
		}
		sum += weight * own
	}
	return sum / float64(len(at[0])*len(at[1]))
}

// mixed fits the medians of the cell by family with crossed random intercepts of model
// and prompt.
func (x *crossed) mixed(name string) error {
	var y []float64
	row := &x.row
	family := stats.Variable{Name: "family", Levels: []string{row.Family2, row.Family1}}
	model, prompt := stats.Variable{Name: "model"}, stats.Variable{Name: "prompt"}
	for side, label := range []string{row.Family1, row.Family2} {
		for _, m := range x.models[side] {
			for _, p := range x.prompts {
				y, family.Labels = append(y, x.medians[m][p][x.k]), append(family.Labels, label)
				model.Labels, prompt.Labels = append(model.Labels, x.Models[m].ID), append(prompt.Labels, x.Prompts[p])
			}
		}
	}
	fit, err := stats.Mixed(y, []stats.Variable{family}, []stats.Variable{model, prompt}, nil)
	if err != nil {
		return err
	}
	e := fit.Coefs[1]
	row.MixedEstimate, row.MixedT, row.MixedDF, row.MixedP = e.Estimate, e.T, e.DF, e.P
	t := newTest(name, say("crossed.mixed"), "t")
	t.Value, t.DF1, t.P, t.Estimate, t.Lower, t.Upper = e.T, e.DF, e.P, e.Estimate, e.Interval.Lower, e.Interval.Upper
	t.N = fmt.Sprintf("%d / %d models x %d prompts", len(x.models[0]), len(x.models[1]), len(x.prompts))
	t.Warnings = joinErrors(fit.Warnings)
	x.res.Tests = append(x.res.Tests, t)
	return nil
}
