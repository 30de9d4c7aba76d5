package study

import (
	"fmt"
	"slices"

	"github.com/implicitreward/implicitreward/internal/plot"
	"github.com/implicitreward/implicitreward/stats"
)

// AddedRow is a part of the difference between two pairs of models in how they set
// the words of two categories apart, in nats: Tuned = Base + Added.
type AddedRow struct {
	Pair1   string  `parquet:"pair1"`
	Pair2   string  `parquet:"pair2"`
	Words   string  `parquet:"words"` // which, and how many
	Framing string  `parquet:"prompt_framing"`
	Part    string  `parquet:"part"` // "pretraining", "tuning added", "tuned"
	Prompts int64   `parquet:"prompts"`
	Diff    float64 `parquet:"diff"`
	Lower   float64 `parquet:"ci_lo"`
	Upper   float64 `parquet:"ci_hi"`
	T       float64 `parquet:"paired_t"`
	DF      float64 `parquet:"paired_df"`
	P       float64 `parquet:"paired_p"`
	Dz      float64 `parquet:"cohen_dz"`
	WordP   float64 `parquet:"shuffled_words_p"`
}

// DiD is the difference in differences: how far tuning set the categories apart in one
// pair of models, less how far in the other, beside what their base models had between
// them already.
func DiD(dict *Dictionary, all []*contest, o *Options) (*Result, error) {
	a, b, err := o.contrast(dict)
	if err != nil {
		return nil, err
	}
	res := &Result{Analysis: "did", Name: "did-" + dict.Name, Title: "What tuning added to what pretraining gave: " + dict.Name}
	res.About = []string{fmt.Sprintf("The gap of a model after a prompt is its mean ln p over the words of %s less that over %s. Between two pairs of models the tuned gaps differ by what the base models' gaps differ, plus what tuning added: "+
		"(tuned 1 - base 1) - (tuned 2 - base 2), the difference of their implicit rewards. The unknown constant of the prompt falls out of each gap.", a, b),
		"Tests are paired over prompts; the p of shuffled words asks whether random categories of these sizes would do as much (other words; these prompts)."}
	res.Differs = o.between(dict)
	chart := &plot.Intervals{XLabel: fmt.Sprintf("difference of gaps %s - %s (nats)", a, b), Groups: []plot.Group{{Name: "pretraining"}, {Name: "tuning added"}, {Name: "tuned"}}}
	var rows []AddedRow
	for i, c := range all {
		for _, d := range all[i+1:] {
			if c.kind != d.kind || c.family == d.family {
				continue
			}
			cut := common(c, d)
			if err := cut[0].check(dict, c.files[0]+" and "+d.files[0]); err != nil {
				return nil, err
			}
			res.Inputs = append(res.Inputs, append(slices.Clone(c.files), d.files...)...)
			section := plot.IntervalSection{Name: fmt.Sprintf("(%s) - (%s)", c.name, d.name)}
			both := slices.DeleteFunc(slices.Clone(c.prompts), func(p string) bool { return !slices.Contains(d.prompts, p) })
			res.doubt(o.Groups.lone(both)...)
			for _, framing := range o.Groups.in(both) {
				more, tests, err := added(cut[0], cut[1], framing, a, b, o)
				if untestable(err) {
					res.untested(fmt.Sprintf("%s and %s, %s", c.name, d.name, groupLabel(framing)), err)
					continue
				}
				if err != nil {
					return nil, fmt.Errorf("study: did: %s and %s: %w", c.name, d.name, err)
				}
				row := plot.IntervalRow{Label: groupLabel(framing)}
				for k, r := range more {
					row.Estimates = append(row.Estimates, plot.Estimate{Group: k, Value: r.Diff, Lower: r.Lower, Upper: r.Upper})
				}
				if len(more) > 0 {
					section.Rows = append(section.Rows, row)
				}
				rows, res.Tests = append(rows, more...), append(res.Tests, tests...)
			}
			if len(section.Rows) > 0 {
				chart.Sections = append(chart.Sections, section)
			}
		}
	}
	if len(rows) == 0 {
		return nil, nil
	}
	res.Tables = []Table{{"parts", "Differences between the pairs, in nats", rows, 0}}
	res.Figures = []Figure{{res.Name, &plot.Figure{Title: "What tuning added to what pretraining gave", Chart: chart, Caption: "Mean over prompts with the 95 % interval of the paired t-test. Right of 0: the first pair sets " + a + " higher."}}}
	return res, nil
}

func added(c, d *contest, framing, a, b string, o *Options) ([]AddedRow, []Test, error) {
	var gaps [3][]float64   // of each part, a prompt each
	words := [3][]float64{} // mean over prompts of each word's difference
	parts := [3]string{"pretraining", "tuning added", "tuned"}
	for k := range words {
		words[k] = make([]float64, len(c.words))
	}
	for p, prompt := range c.prompts {
		q := slices.Index(d.prompts, prompt)
		if q < 0 || o.Groups.group(prompt) != framing {
			continue
		}
		for k, v := range [][]float64{minus(c.base[p], d.base[q]), minus(c.reward(p), d.reward(q)), minus(c.tuned[p], d.tuned[q])} {
			gaps[k] = append(gaps[k], gap(v, c.category, a, b))
			for w := range v {
				words[k][w] += v[w]
			}
		}
	}
	n := len(gaps[0])
	if n < 2 {
		return nil, nil, nil
	}
	var rows []AddedRow
	var tests []Test
	for k, part := range parts {
		for w := range words[k] {
			words[k][w] /= float64(n)
		}
		t, err := stats.OneSample(gaps[k], 0, nil)
		if err != nil {
			return nil, nil, err
		}
		x, _ := byCategory(words[k], c.category, a)
		y, _ := byCategory(words[k], c.category, b)
		shuffled, err := stats.Permutation(x, y, &stats.ResampleOptions{Draws: o.draws(), Seed: o.Seed, ExactLimit: 1 << 14})
		if err != nil {
			return nil, nil, err
		}
		rows = append(rows, AddedRow{c.name, d.name, fmt.Sprintf("%s: %d", c.kind, len(c.words)), framing, part, int64(n), t.Estimate, t.Interval.Lower, t.Interval.Upper, t.T, t.DF, t.P, t.Estimate / t.SD1, shuffled.P})
		name := fmt.Sprintf("%s, %s: (%s) - (%s)", part, framing, c.name, d.name)
		tests = append(tests, tTest(name, "paired over prompts", t), resampleTest(name, "shuffled words", shuffled))
	}
	return rows, tests, nil
}
