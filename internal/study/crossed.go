package study

import (
	"fmt"
	"math"

	"github.com/implicitreward/implicitreward/internal/plot"
	"github.com/implicitreward/implicitreward/stats"
)

// CrossedRow is the difference of two families in one cell, in mean ranks, with three
// intervals: for other prompts alone, for other prompts and words, and for other models
// too.
type CrossedRow struct {
	Category string  `parquet:"Category"`
	Framing  string  `parquet:"prompt_framing"`
	Family1  string  `parquet:"family1"`
	Family2  string  `parquet:"family2"`
	Diff     float64 `parquet:"diff"` // mean rank of family1 less that of family2
	PromptLo float64 `parquet:"prompts_lo"`
	PromptHi float64 `parquet:"prompts_hi"`
	WordLo   float64 `parquet:"prompts_words_lo"`
	WordHi   float64 `parquet:"prompts_words_hi"`
	ModelLo  float64 `parquet:"prompts_words_models_lo"`
	ModelHi  float64 `parquet:"prompts_words_models_hi"`
	PairedT  float64 `parquet:"paired_t"` // over prompts, each the mean of its family's models
	PairedDF float64 `parquet:"paired_df"`
	PairedP  float64 `parquet:"paired_p"`
	FlipP    float64 `parquet:"sign_flip_p"`
	MixedEst float64 `parquet:"mixed_estimate"` // family, beside crossed intercepts of model and prompt
	MixedT   float64 `parquet:"mixed_t"`
	MixedDF  float64 `parquet:"mixed_df"`
	MixedP   float64 `parquet:"mixed_p"`
}

// crossed analyses one cell: prompts and words cross, and the same serve all models.
type crossed struct {
	r      *ranked
	o      *Options
	k      int // category
	framed string
	a, b   string // families
}

// Crossed compares families with the same prompts and words for all models.
func Crossed(dict *Dictionary, scores []*Scores, o *Options) (*Result, error) {
	r, err := rank(dict, scores, o.Groups)
	if err != nil {
		return nil, err
	}
	res := &Result{Analysis: "crossed", Name: "crossed-" + dict.Name, Title: "Families compared over the same prompts, words and models: " + dict.Name}
	res.About = []string{
		"The same prompts and words serve all models. Three questions, from narrow to wide: would other prompts like these show the same difference between these models (paired test over prompts; interval over prompts)? " +
			"Other prompts and other words of the category? Other models of these families (interval over prompts, words and models; mixed model with crossed random intercepts of model and prompt)? Only the last speaks of families.",
		"Differences are of mean ranks, which unlike medians add up over words; the intervals are percentile intervals of the bootstrap that resamples each of the crossed axes (Owen 2007). The mixed model is of the medians.",
	}
	res.doubt(o.Groups.lone(r.prompts)...)
	chart := &plot.Intervals{XLabel: "difference of mean ranks (left: the first family likes the words more)", Groups: []plot.Group{{Name: "other prompts"}, {Name: "other prompts and words"}, {Name: "other models too"}}}
	var rows []CrossedRow
	for a := range r.families {
		for b := a + 1; b < len(r.families); b++ {
			section := plot.IntervalSection{Name: r.families[a] + " - " + r.families[b]}
			for k, c := range dict.Categories {
				for _, framing := range r.framings {
					cell := crossed{r, o, k, framing, r.families[a], r.families[b]}
					row, tests, doubts, err := cell.run()
					if err != nil {
						return nil, fmt.Errorf("study: crossed: %s, %s: %w", c, framing, err)
					}
					rows, res.Tests = append(rows, row), append(res.Tests, tests...)
					res.doubt(doubts...)
					line := plot.IntervalRow{Label: c + ", " + framing}
					for k, limits := range [][2]float64{{row.PromptLo, row.PromptHi}, {row.WordLo, row.WordHi}, {row.ModelLo, row.ModelHi}} {
						if !math.IsNaN(limits[0]) { // with one model a family there is none over models
							line.Estimates = append(line.Estimates, plot.Estimate{Group: k, Value: row.Diff, Lower: min(row.Diff, limits[0]), Upper: max(row.Diff, limits[1])})
						}
					}
					if len(line.Estimates) > 0 {
						section.Rows = append(section.Rows, line)
					}
				}
			}
			if len(section.Rows) > 0 {
				chart.Sections = append(chart.Sections, section)
			}
		}
	}
	res.Tables = []Table{{"cells", "Differences of families with intervals", rows, 0}}
	if len(chart.Sections) == 0 {
		res.doubt("There are no intervals: that needs two or more prompts in a group.")
		return res, nil
	}
	res.Figures = []Figure{{res.Name, &plot.Figure{Title: "How sure is the difference between families: " + dict.Name, Chart: chart,
		Caption: fmt.Sprintf("Bootstrap over crossed axes, %d draws, 95 %% percentile intervals.", o.resamples())}}}
	return res, nil
}

// resamples is the number of bootstrap draws: a fifth of the draws of a test is enough
// for an interval.
func (o *Options) resamples() int { return max(o.draws()/5, 99) }

func (c crossed) run() (row CrossedRow, tests []Test, doubts []string, err error) {
	r := c.r
	row = CrossedRow{Category: r.dict.Categories[c.k], Framing: c.framed, Family1: c.a, Family2: c.b, MixedEst: nan, MixedT: nan, MixedDF: nan, MixedP: nan, PairedT: nan, PairedDF: nan, PairedP: nan, FlipP: nan}
	var prompts, words []int
	for p, name := range r.prompts {
		if r.groups.group(name) == c.framed {
			prompts = append(prompts, p)
		}
	}
	for w, category := range r.category {
		if category == row.Category {
			words = append(words, w)
		}
	}
	var models [2][]int
	for m, model := range r.models {
		switch model.Family {
		case c.a:
			models[0] = append(models[0], m)
		case c.b:
			models[1] = append(models[1], m)
		}
	}
	if err := c.intervals(&row, models, prompts, words); err != nil {
		return row, nil, nil, err
	}
	name := fmt.Sprintf("%s, %s: %s - %s", row.Category, c.framed, c.a, c.b)
	if len(prompts) > 1 {
		var x, y []float64
		for _, p := range prompts {
			x, y = append(x, c.familyMean(models[0], p)), append(y, c.familyMean(models[1], p))
		}
		t, err := stats.Paired(x, y, nil)
		if untestable(err) { // the same difference after every prompt
			return row, tests, []string{name + ": not tested: " + plainly(err) + "."}, nil
		}
		if err != nil {
			return row, nil, nil, err
		}
		flip, err := stats.SignFlip(minus(x, y), &stats.ResampleOptions{Draws: c.o.draws(), Seed: c.o.Seed, ExactLimit: 1 << 14})
		if err != nil {
			return row, nil, nil, err
		}
		row.PairedT, row.PairedDF, row.PairedP, row.FlipP = t.T, t.DF, t.P, flip.P
		tests = append(tests, tTest(name, "paired over prompts, median ranks averaged over a family's models: these models, other prompts", t), resampleTest(name, "sign flip of prompts", flip))
	}
	if len(models[0])+len(models[1]) > 2 && len(prompts) > 1 {
		t, err := c.mixed(&row, name, models, prompts)
		switch {
		case untestable(err):
			doubts = append(doubts, name+": the mixed model is not fitted: "+plainly(err)+".")
		case err != nil:
			return row, nil, nil, err
		default:
			tests = append(tests, t)
		}
	}
	return row, tests, doubts, nil
}

func (c crossed) familyMean(models []int, p int) float64 {
	sum := 0.0
	for _, m := range models {
		sum += c.r.medians[m][p][c.k]
	}
	return sum / float64(len(models))
}

// intervals resamples prompts; prompts and words; prompts, words and models. Sums over
// models are made first where models stay.
func (c crossed) intervals(row *CrossedRow, models [2][]int, prompts, words []int) error {
	ranks := c.r.ranks
	diff := make([][]float64, len(prompts)) // diff[prompt][word] between the families' means
	for i, p := range prompts {
		diff[i] = make([]float64, len(words))
		for j, w := range words {
			for side, sign := range []float64{1, -1} {
				for _, m := range models[side] {
					diff[i][j] += sign * ranks[m][p][w] / float64(len(models[side]))
				}
			}
		}
	}
	all := make([]int, len(words))
	for j := range all {
		all[j] = j
	}
	mean := func(at []int, of []int) float64 {
		sum := 0.0
		for _, i := range at {
			for _, j := range of {
				sum += diff[i][j]
			}
		}
		return sum / float64(len(at)*len(of))
	}
	each := make([]int, len(prompts))
	for i := range each {
		each[i] = i
	}
	row.Diff = mean(each, all)
	o := &stats.BootstrapOptions{Draws: c.o.resamples(), Seed: c.o.Seed}
	row.PromptLo, row.PromptHi, row.WordLo, row.WordHi, row.ModelLo, row.ModelHi = nan, nan, nan, nan, nan, nan
	if len(prompts) > 1 {
		b, err := stats.BootstrapAxes([]int{len(prompts)}, func(at [][]int) (float64, error) { return mean(at[0], all), nil }, o)
		if err != nil {
			return err
		}
		row.PromptLo, row.PromptHi = b.Percentile.Lower, b.Percentile.Upper
		if b, err = stats.BootstrapAxes([]int{len(prompts), len(words)}, func(at [][]int) (float64, error) { return mean(at[0], at[1]), nil }, o); err != nil {
			return err
		}
		row.WordLo, row.WordHi = b.Percentile.Lower, b.Percentile.Upper
	}
	if len(prompts) > 1 && len(models[0]) > 1 && len(models[1]) > 1 {
		b, err := stats.BootstrapAxes([]int{len(prompts), len(words), len(models[0]), len(models[1])}, func(at [][]int) (float64, error) {
			count := make([]float64, len(c.r.models)) // signed weight of each model
			for side, sign := range []float64{1, -1} {
				for _, i := range at[2+side] {
					count[models[side][i]] += sign / float64(len(models[side]))
				}
			}
			sum := 0.0
			for m, weight := range count {
				if weight == 0 {
					continue
				}
				own := 0.0
				for _, i := range at[0] {
					line := ranks[m][prompts[i]]
					for _, j := range at[1] {
						own += line[words[j]]
					}
				}
				sum += weight * own
			}
			return sum / float64(len(at[0])*len(at[1])), nil
		}, o)
		if err != nil {
			return err
		}
		row.ModelLo, row.ModelHi = b.Percentile.Lower, b.Percentile.Upper
	}
	return nil
}

// mixed fits the medians of the cell by family with crossed random intercepts of model
// and prompt.
func (c crossed) mixed(row *CrossedRow, name string, models [2][]int, prompts []int) (Test, error) {
	var y []float64
	family, model, prompt := stats.Variable{Name: "family", Levels: []string{c.b, c.a}}, stats.Variable{Name: "model"}, stats.Variable{Name: "prompt"}
	for side, label := range []string{c.a, c.b} {
		for _, m := range models[side] {
			for _, p := range prompts {
				y = append(y, c.r.medians[m][p][c.k])
				family.Labels, model.Labels, prompt.Labels = append(family.Labels, label), append(model.Labels, c.r.models[m].ID), append(prompt.Labels, c.r.prompts[p])
			}
		}
	}
	fit, err := stats.Mixed(y, []stats.Variable{family}, []stats.Variable{model, prompt}, nil)
	if err != nil {
		return Test{}, err
	}
	e := fit.Coefs[1]
	row.MixedEst, row.MixedT, row.MixedDF, row.MixedP = e.Estimate, e.T, e.DF, e.P
	t := newTest(name, "mixed model of medians, random intercepts of model and prompt, Satterthwaite df: other models, other prompts", "t")
	t.Value, t.DF1, t.P, t.Estimate, t.Lower, t.Upper = e.T, e.DF, e.P, e.Estimate, e.Interval.Lower, e.Interval.Upper
	t.N, t.Warnings = fmt.Sprintf("%d / %d models x %d prompts", len(models[0]), len(models[1]), len(prompts)), joinErrors(fit.Warnings)
	return t, nil
}
