package analysis

import (
	"fmt"
	"slices"

	"gonum.org/v1/gonum/stat"

	"github.com/implicitreward/implicitreward/internal/plot"
	"github.com/implicitreward/implicitreward/internal/study/cube"
	"github.com/implicitreward/implicitreward/stats"
)

// AddedRow is a part of the difference between two pairs of models in how they set
// the words of two categories apart, in nats: Tuned = Base + Added.
type AddedRow struct {
	Pair1, Pair2, Words, PromptFraming, Part string // Words: which, and how many; Part: see parts
	Prompts                                  int64
	Diff                                     float64
	Paired
	ShuffledWordsP float64
}

// parts are what a difference between two pairs is made of, by a pair's values after a
// prompt.
var parts = []struct {
	name string
	of   func(p *Pair, prompt int) []float64
}{
	{"pretraining", func(p *Pair, prompt int) []float64 { return p.Values[0][prompt] }},
	{"tuning added", func(p *Pair, prompt int) []float64 { return p.Reward(prompt) }},
	{"tuned", func(p *Pair, prompt int) []float64 { return p.Values[1][prompt] }},
}

// DiD is the difference in differences: how far tuning set the categories apart in one
// pair of models, less how far in the other, beside what their base models had between
// them already.
func DiD(dict *cube.Dictionary, all []*Pair, o *Options) (*Result, error) {
	a, b, err := o.contrast(dict)
	if err != nil {
		return nil, err
	}
	res := &Result{Analysis: "did", Name: "did-" + dict.Name, Title: say("did.title", dict.Name)}
	res.About = paragraphs("did.about", a, b)
	res.Differs = o.between(dict)
	chart := &plot.Intervals{XLabel: fmt.Sprintf("difference of gaps %s - %s (nats)", a, b)}
	for _, part := range parts {
		chart.Groups = append(chart.Groups, plot.Group{Name: part.name})
	}
	var rows []AddedRow
	for i, p := range all {
		for _, q := range all[i+1:] {
			if p.Kind != q.Kind || p.Family == q.Family {
				continue
			}
			cut := common(p, q)
			if err := cut[0].Check(dict, p.Files[0]+" and "+q.Files[0]); err != nil {
				return nil, err
			}
			res.Inputs = append(res.Inputs, slices.Concat(p.Files, q.Files)...)
			both := slices.DeleteFunc(slices.Clone(p.Prompts), func(s string) bool { return !slices.Contains(q.Prompts, s) })
			res.doubt(o.groups.Lone(both)...)
			section := plot.IntervalSection{Name: fmt.Sprintf("(%s) - (%s)", p.Name, q.Name)}
			for _, framing := range o.groups.Framings(both) {
				more, tests, err := added(cut[0], cut[1], o.groups.Members(framing, both), framing, a, b, o)
				if untestable(err) {
					res.untested(fmt.Sprintf("%s and %s, %s", p.Name, q.Name, cube.Label(framing)), err)
					continue
				}
				if err != nil {
					return nil, fmt.Errorf("study: did: %s and %s: %w", p.Name, q.Name, err)
				}
				line := plot.IntervalRow{Label: cube.Label(framing)}
				for k, r := range more {
					line.Estimates = append(line.Estimates, estimate(k, r.Diff, r.CILo, r.CIHi))
				}
				if len(more) > 0 {
					section.Rows = append(section.Rows, line)
				}
				rows, res.Tests = append(rows, more...), append(res.Tests, tests...)
			}
			addSection(chart, section)
		}
	}
	if len(rows) == 0 {
		return nil, nil
	}
	res.Tables = []Table{{"parts", "Differences between the pairs, in nats", rows, 0}}
	res.Figures = []Figure{{res.Name, &plot.Figure{Title: "What tuning added to what pretraining gave", Chart: chart,
		Caption: say("did.caption", a)}}}
	return res, nil
}

// added tests each part over some prompts.
func added(p, q *Pair, prompts []string, framing, a, b string, o *Options) ([]AddedRow, []Test, error) {
	if len(prompts) < 2 {
		return nil, nil, nil
	}
	var rows []AddedRow
	var tests []Test
	for _, part := range parts {
		var gaps []float64                     // a prompt each
		words := make([]float64, len(p.Words)) // mean over prompts of each word's difference
		for _, prompt := range prompts {
			v := cube.Minus(part.of(p, slices.Index(p.Prompts, prompt)), part.of(q, slices.Index(q.Prompts, prompt)))
			gaps = append(gaps, gap(v, p.Category, a, b))
			for w := range v {
				words[w] += v[w]
			}
		}
		for w := range words {
			words[w] /= float64(len(prompts))
		}
		t, err := stats.OneSample(gaps, 0, nil)
		if err != nil {
			return nil, nil, err
		}
		x, _ := byCategory(words, p.Category, a)
		y, _ := byCategory(words, p.Category, b)
		shuffled, err := stats.Permutation(x, y, o.resampling(1<<14))
		if err != nil {
			return nil, nil, err
		}
		rows = append(rows, AddedRow{p.Name, q.Name, fmt.Sprintf("%s: %d", p.Kind, len(p.Words)), framing, part.name,
			int64(len(prompts)), t.Estimate, newPaired(t), shuffled.P})
		name := fmt.Sprintf("%s, %s: (%s) - (%s)", part.name, framing, p.Name, q.Name)
		tests = append(tests, tTest(name, "paired over prompts", t), resampleTest(name, "shuffled words", shuffled))
	}
	return rows, tests, nil
}

// gap is the mean of values over the words of category a less that over category b.
func gap(values []float64, category []string, a, b string) float64 {
	x, _ := byCategory(values, category, a)
	y, _ := byCategory(values, category, b)
	return stat.Mean(x, nil) - stat.Mean(y, nil)
}
