package analysis

import (
	"fmt"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/internal/plot"
	"github.com/implicitreward/implicitreward/internal/study/cube"
	"github.com/implicitreward/implicitreward/stats"
)

// ImplicitRow is the median rank of a category's words by one score of a pair, after
// one prompt.
type ImplicitRow struct {
	Pair, Prompt, Valence, Score string `parquet:",dict"` // Score: "log_ratio" or "mwlr"
	Category                     string `parquet:"Category,dict"`
	NWords                       int64
	MedianRank, MeanScore        float64
}

// GapRow tests, over the prompts of a framing, whether a pair's reward ranks the words
// of two categories apart.
type GapRow struct {
	Pair, Valence, Score   string
	N                      int64
	Mean1, Mean2, MeanDiff float64 // of the first category, of the second
	Paired
}

// wordScores are the scores of a word by which Implicit ranks, from ln p of the tuned and
// of the base model.
var wordScores = []struct {
	name, label string
	of          func(tuned, base float64) float64
}{
	{"log_ratio", "log-ratio", func(tuned, base float64) float64 { return tuned - base }},
	{"mwlr", "MWLR", implicit.MWLR},
}

// Implicit ranks the words of a dictionary by the implicit rewards of pairs: by the
// log-ratio, which is the reward but for a constant of the prompt, and by MWLR.
func Implicit(dict *cube.Dictionary, pairs []cube.TablePair, o *Options) (*Result, error) {
	res := &Result{Analysis: "implicit", Name: "implicit-" + dict.Name, Title: say("implicit.title", dict.Name)}
	res.About = paragraphs("implicit.about")
	a, b, err := o.contrast(dict)
	if err != nil && len(dict.Categories) > 1 {
		return nil, err
	}
	var rows []ImplicitRow
	var gaps []GapRow
	chart := &plot.Intervals{XLabel: fmt.Sprintf("median rank of %s less that of %s", a, b)}
	for _, s := range wordScores {
		chart.Groups = append(chart.Groups, plot.Group{Name: s.label})
	}
	for _, pair := range pairs {
		res.Inputs = append(res.Inputs, pair.Tuned.File, pair.Base.File)
		w, err := sharedWords(dict, pair.Base, pair.Tuned, o.Paper())
		if err != nil {
			return nil, err
		}
		res.About = append(res.About, say("implicit.pair", pair.Name, len(w.Words), dict.Size("")))
		res.doubt(o.groups.Lone(w.Prompts)...)
		own, err := implicitMedians(pair.Name, w, dict.Categories, o.groups)
		if err != nil {
			return nil, err
		}
		rows = append(rows, own...)
		if len(dict.Categories) < 2 {
			continue
		}
		more, section, err := implicitGaps(res, pair.Name, own, a, b, o.groups)
		if err != nil {
			return nil, err
		}
		gaps = append(gaps, more...)
		addSection(chart, section)
	}
	res.Differs = append(res.Differs, o.between(dict)...)
	if len(gaps) > 0 {
		if err := adjust(res.Tests); err != nil {
			return nil, err
		}
		res.Figures = []Figure{{res.Name, &plot.Figure{Title: "Implicit rewards: " + a + " against " + b, Chart: chart,
			Caption: say("implicit.caption", a)}}}
		res.Tables = append(res.Tables, Table{"gaps", say("implicit.gaps", a, b), gaps, 0})
	}
	res.Tables = append(res.Tables, Table{"medians", "Median ranks by pair, prompt and category", rows, -1})
	return res, nil
}

func implicitMedians(pair string, w *cube.Scores, categories []string, g *cube.Groups) ([]ImplicitRow, error) {
	var rows []ImplicitRow
	for p, prompt := range w.Prompts {
		for _, s := range wordScores {
			values := make([]float64, len(w.Words))
			for i := range values {
				values[i] = s.of(w.Values[1][p][i], w.Values[0][p][i])
			}
			_, middles, err := rank(values, w.Category, categories)
			if err != nil {
				return nil, fmt.Errorf("%s: prompt %s: %s: %w", pair, prompt, s.name, err)
			}
			for k, c := range categories {
				rows = append(rows, ImplicitRow{pair, prompt, g.Valence(g.Framing(prompt)), s.name, c,
					int64(middles[k].words), middles[k].rank, middles[k].mean})
			}
		}
	}
	return rows, nil
}

// implicitGaps pairs the medians of two categories over prompts; where there is one
// prompt, or no variance, there is no test.
func implicitGaps(res *Result, pair string, rows []ImplicitRow, a, b string,
	g *cube.Groups) ([]GapRow, plot.IntervalSection, error) {
	section := plot.IntervalSection{Name: pair}
	var gaps []GapRow
	var prompts []string
	for _, r := range rows {
		prompts = append(prompts, r.Prompt)
	}
	for _, framing := range g.Framings(prompts) {
		line := plot.IntervalRow{Label: cube.Label(framing)}
		valence := g.Valence(framing)
		for k, s := range wordScores {
			var x, y []float64
			for _, r := range rows {
				switch {
				case r.Valence != valence || r.Score != s.name:
				case r.Category == a:
					x = append(x, r.MedianRank)
				case r.Category == b:
					y = append(y, r.MedianRank)
				}
			}
			if len(x) < 2 {
				continue
			}
			what := fmt.Sprintf("%s, %s, %s", pair, valence, s.name)
			t, err := stats.Paired(x, y, nil)
			if untestable(err) {
				res.untested(what, err)
				continue
			}
			if err != nil {
				return nil, section, fmt.Errorf("study: implicit: %s, %s: %w", pair, valence, err)
			}
			gaps = append(gaps, GapRow{pair, valence, s.name, int64(t.N1), t.Mean1, t.Mean2, t.Estimate, newPaired(t)})
			res.Tests = append(res.Tests, tTest(fmt.Sprintf("%s: %s - %s", what, a, b), "paired over prompts", t))
			line.Estimates = append(line.Estimates, estimate(k, t.Estimate, t.Interval.Lower, t.Interval.Upper))
		}
		if len(line.Estimates) > 0 {
			section.Rows = append(section.Rows, line)
		}
	}
	return gaps, section, nil
}

// adjust fills in the p-values of tests that belong together, by Benjamini and Hochberg.
func adjust(tests []Test) error {
	p := make([]float64, len(tests))
	for i, t := range tests {
		p[i] = t.P
	}
	adjusted, err := stats.BenjaminiHochberg(p)
	for i, v := range adjusted {
		tests[i].PAdjusted, tests[i].Adjustment = v, fmt.Sprintf("Benjamini-Hochberg, %d tests", len(tests))
	}
	return err
}
