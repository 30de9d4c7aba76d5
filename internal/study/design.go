package study

import (
	"context"
	"fmt"
	"math"
)

// DesignOf is the design of a set of scores of two families on the prompts of its first
// group, with the variation that the scores show: moments of the standardised scores,
// for the gap between the first category and the other words.
func DesignOf(s Set, groups *Groups) (Design, error) {
	names := families(s.Scores)
	if len(names) != 2 {
		return Design{}, fmt.Errorf("study: power: %d families in the scores of %s, wanted two", len(names), s.Dict.Name)
	}
	r, err := rank(s.Dict, s.Scores, groups)
	if err != nil {
		return Design{}, err
	}
	d := Design{From: fmt.Sprintf("the scores of %s, %s", s.Dict.Name, groupLabel(r.framings[0]))}
	for _, m := range r.models {
		if m.Family == names[0] {
			d.Models[0]++
		} else {
			d.Models[1]++
		}
	}
	first := s.Dict.Categories[0]
	for _, c := range r.category {
		if c == first {
			d.Words[0]++
		} else {
			d.Words[1]++
		}
	}
	n := len(r.words)
	gaps := make([][]float64, len(r.models)) // [model][prompt]
	mean := make([][]float64, len(r.models)) // [model][word], over prompts
	for m := range r.models {
		mean[m] = make([]float64, n)
		for p, prompt := range r.prompts {
			if groups.group(prompt) != r.framings[0] {
				continue
			}
			z := standard(r.scores[m][p])
			in, out := byCategory(z, r.category, first)
			a, _ := meanSD(in)
			b, _ := meanSD(out)
			gaps[m] = append(gaps[m], a-b)
			for w, v := range z {
				mean[m][w] += v
			}
		}
		for w := range mean[m] {
			mean[m][w] /= float64(len(gaps[m]))
		}
	}
	if d.Prompts = len(gaps[0]); d.Prompts < 2 || len(r.models) < 3 {
		return d, fmt.Errorf("study: power: %d prompts and %d models, wanted two and three or more", d.Prompts, len(r.models))
	}
	d.variation(r, gaps, mean, names)
	return d, nil
}

// variation fills in the standard deviations, each by the variance of means less the
// part that the level below gives them; less than 0 is 0.
func (d *Design) variation(r *ranked, gaps, mean [][]float64, names []string) {
	root := func(v float64) float64 { return math.Sqrt(max(0, v)) }
	variance := func(x []float64) float64 { _, sd := meanSD(x); return sd * sd }
	models, n := float64(len(gaps)), len(mean[0])
	// Words: of a model's mean over prompts, the part that models share, and its own.
	shared := make([]float64, n)
	within := 0.0
	for w := range shared {
		var own []float64
		for m := range mean {
			shared[w] += mean[m][w] / models
			own = append(own, mean[m][w])
		}
		within += variance(own) / float64(n)
	}
	total := 0.0
	for m := range mean {
		total += variance(mean[m]) / models
	}
	fresh := (1 - total) / (1 - 1/float64(d.Prompts)) // variance new at each prompt
	d.Word = root(variance(shared) - within/models)
	d.Taste = root(within - fresh/float64(d.Prompts))
	if s := d.Word*d.Word + d.Taste*d.Taste; s > .99 {
		d.Word, d.Taste = d.Word*math.Sqrt(.99/s), d.Taste*math.Sqrt(.99/s)
	}
	// Gaps: between models of a family, less what their words give them by chance; and
	// between prompts, as the mean over models, less what models add.
	perWord := 1/float64(d.Words[0]) + 1/float64(d.Words[1])
	sum, df := 0.0, 0.0
	for _, family := range names {
		var means []float64
		for m, model := range r.models {
			if model.Family == family {
				g, _ := meanSD(gaps[m])
				means = append(means, g)
			}
		}
		if len(means) > 1 {
			sum, df = sum+variance(means)*float64(len(means)-1), df+float64(len(means)-1)
		}
	}
	if df > 0 {
		d.Model = root(sum/df - perWord*(d.Taste*d.Taste+fresh/float64(d.Prompts)))
	}
	prompts, residual := make([]float64, d.Prompts), 0.0
	for p := range prompts {
		for m := range gaps {
			prompts[p] += gaps[m][p] / models
		}
	}
	whole := variance(prompts)
	for m := range gaps {
		residual += variance(minus(gaps[m], prompts)) / models
	}
	d.Prompt = root(whole - residual/models)
}

// runPower simulates the design of the first scores of two families, or the paper's
// where there are none, with the sizes that the configuration gives.
func runPower(ctx context.Context, c *Config, in *Inputs, o *Options) (*Result, error) {
	d := PaperDesign
	for _, s := range in.Sets {
		if len(s.Scores) == 0 {
			continue
		}
		own, err := DesignOf(s, o.Groups)
		if err != nil {
			return nil, err
		}
		d = own
		break
	}
	if c.Design != nil {
		d.Models, d.Prompts, d.Words = [2]int{c.Design[0], c.Design[1]}, c.Design[2], [2]int{c.Design[3], c.Design[4]}
	}
	sims, shifts := c.Sims, c.Shifts
	if sims == 0 {
		sims = 400
	}
	if shifts == nil {
		shifts = []float64{0, 0.05, 0.1, 0.2, 0.3, 0.4}
	}
	return Power(ctx, d, shifts, sims, o)
}
