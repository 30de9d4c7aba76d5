package main

import (
	"fmt"
	"math"

	"github.com/implicitreward/implicitreward/internal/plot"
	"github.com/implicitreward/implicitreward/internal/replicate"
)

// training draws the words' ranks over the training of reward models, as the paper's figure 4 does: a
// facet a lean of the bases, a line a base and category, the mean of its reward models.
func (l *lab) training() *plot.Figure {
	chart := &plot.Lines{XLabel: "step (scale: log2(step + 1))", YLabel: "mean rank", Reverse: true, SharedY: true,
		Groups: []plot.Group{{Name: "agency"}, {Name: "communion"}}}
	for _, of := range []replicate.Lean{replicate.Agency, replicate.Communion, replicate.Neutral, random} {
		facet := plot.LineFacet{Name: map[replicate.Lean]string{replicate.Agency: "bases that lean to agency", replicate.Communion: "to communion",
			replicate.Neutral: "to neither", random: "random weights"}[of]}
		for _, b := range l.bases {
			if b.Lean != of {
				continue
			}
			var lines [2]plot.Line
			n := 0.0
			for _, t := range l.runs {
				if t.base != b || t.Kind != reward || t.Source != replicate.Helpfulness || t.Shuffled || t.Pairs != l.o.Pairs {
					continue
				}
				n++
				for c := range lines {
					lines[c].Group = c
					if lines[c].X == nil {
						lines[c].X, lines[c].Y = make([]float64, len(t.Steps)), make([]float64, len(t.Steps))
					}
					for i, step := range t.Steps {
						lines[c].X[i] = math.Log2(float64(step) + 1)
						lines[c].Y[i] += [2]float64{t.Series[i].Agency, t.Series[i].Communion}[c]
					}
				}
			}
			if n == 0 {
				continue
			}
			for _, line := range lines {
				for i := range line.Y {
					line.Y[i] /= n
				}
				facet.Lines = append(facet.Lines, line)
			}
		}
		if len(facet.Lines) > 0 {
			chart.Facets = append(chart.Facets, facet)
		}
	}
	return &plot.Figure{Title: "Ranks of value words while reward models learn helpfulness", Chart: chart,
		Caption: fmt.Sprintf("Mean rank of 16 words each after the prompt greatest_ever_one, 1 the most rewarded. A line: a base model of its own pretraining, mean of its reward models; %d pairs of helpfulness, which name none of the words.",
			l.o.Pairs)}
}

// differences draws the contrasts with their intervals.
func differences(all []contrast) *plot.Figure {
	section := plot.IntervalSection{}
	for _, c := range all {
		if c.untested != nil {
			continue
		}
		section.Rows = append(section.Rows, plot.IntervalRow{Label: c.short, Note: fmt.Sprintf("exact p = %.3f", c.exact.P),
			Estimates: []plot.Estimate{{Value: c.welch.Estimate, Lower: c.welch.Interval.Lower, Upper: c.welch.Interval.Upper}}})
	}
	return &plot.Figure{Title: "What bases' leans leave in what is made of them",
		Chart: &plot.Intervals{XLabel: "agency-leaning less communion-leaning bases, places of 32", Groups: []plot.Group{{}}, Sections: []plot.IntervalSection{section}},
		Caption: fmt.Sprintf("How many places words of agency stand before those of communion, after 27 prompts of praise; difference between %d bases that lean to agency and %d that lean to communion, one value a base, 95 %% interval of Welch, p of the exact test over all relabelings of bases.",
			len(all[0].agency), len(all[0].communion))}
}
