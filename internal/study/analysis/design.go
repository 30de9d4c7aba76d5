package analysis

import (
	"context"
	"fmt"
	"math"

	"gonum.org/v1/gonum/stat"

	"github.com/implicitreward/implicitreward/internal/study/cube"
)

// DesignOf is the design of a set of scores of two families on the prompts of its first
// framing, with the variation that the scores show: moments of the standardised scores,
// for the gap between the first category and the other words.
func DesignOf(s cube.Set, groups *cube.Groups) (Design, error) {
	names := familiesOf(s.Scores)
	if len(names) != 2 {
		return Design{}, fmt.Errorf("study: power: %d families in the scores of %s, wanted two", len(names), s.Dict.Name)
	}
	r, err := newRanked(s.Dict, s.Scores, groups)
	if err != nil {
		return Design{}, err
	}
	first := s.Dict.Categories[0]
	prompts, inFirst := groups.Places(r.framings[0], r.Prompts), len(r.Places(first))
	d := Design{Models: [2]int{len(r.members(names[0])), len(r.members(names[1]))}, Prompts: len(prompts),
		Words: [2]int{inFirst, len(r.Words) - inFirst},
		From:  fmt.Sprintf("the scores of %s, %s", s.Dict.Name, cube.Label(r.framings[0]))}
	if d.Prompts < 2 || len(r.Models) < 3 {
		return d, fmt.Errorf("study: power: %d prompts and %d models, wanted two and three or more", d.Prompts, len(r.Models))
	}
	gaps := make([][]float64, len(r.Models)) // [model][prompt]
	mean := make([][]float64, len(r.Models)) // [model][word], over prompts
	for m := range r.Models {
		var scores [][]float64
		for _, p := range prompts {
			z := standard(r.Values[m][p])
			in, out := byCategory(z, r.Category, first)
			scores, gaps[m] = append(scores, z), append(gaps[m], stat.Mean(in, nil)-stat.Mean(out, nil))
		}
		mean[m] = wordMean(scores)
	}
	d.variation(r, gaps, mean)
	return d, nil
}

// variation fills in the standard deviations, each by the variance of means less the
// part that the level below gives them; less than 0 is 0.
func (d *Design) variation(r *ranked, gaps, mean [][]float64) {
	root := func(v float64) float64 { return math.Sqrt(max(0, v)) }
	variance := func(x []float64) float64 { return stat.Variance(x, nil) }
	average := func(lists [][]float64, of func([]float64) float64) float64 {
		sum := 0.0
		for _, x := range lists {
			sum += of(x) / float64(len(lists))
		}
		return sum
	}
	models := float64(len(gaps))
	// Words: of a model's mean over prompts, the part that models share, and its own.
	byWord := make([][]float64, len(mean[0])) // [word][model]
	for w := range byWord {
		for m := range mean {
			byWord[w] = append(byWord[w], mean[m][w])
		}
	}
	within := average(byWord, variance)
	fresh := (1 - average(mean, variance)) / (1 - 1/float64(d.Prompts)) // variance new at each prompt
	d.Word = root(variance(wordMean(mean)) - within/models)
	d.Taste = root(within - fresh/float64(d.Prompts))
	if s := d.Word*d.Word + d.Taste*d.Taste; s > .99 {
		d.Word, d.Taste = d.Word*math.Sqrt(.99/s), d.Taste*math.Sqrt(.99/s)
	}
	// Gaps: between models of a family, less what their words give them by chance; and
	// between prompts, as the mean over models, less what models add.
	perWord := 1/float64(d.Words[0]) + 1/float64(d.Words[1])
	sum, df := 0.0, 0.0
	for _, family := range r.families {
		var means []float64
		for _, m := range r.members(family) {
			means = append(means, stat.Mean(gaps[m], nil))
		}
		if n := float64(len(means) - 1); n > 0 {
			sum, df = sum+variance(means)*n, df+n
		}
	}
	if df > 0 {
		d.Model = root(sum/df - perWord*(d.Taste*d.Taste+fresh/float64(d.Prompts)))
	}
	prompts := wordMean(gaps)
	residual := average(gaps, func(x []float64) float64 { return variance(cube.Minus(x, prompts)) })
	d.Prompt = root(variance(prompts) - residual/models)
}

// runPower simulates the design of the first scores of two families, or the paper's
// where there are none, with the sizes that the options give.
func runPower(ctx context.Context, in *cube.Inputs, o *Options) (*Result, error) {
	d := PaperDesign
	for _, s := range in.Sets {
		if len(s.Scores) > 0 {
			var err error
			if d, err = DesignOf(s, o.groups); err != nil {
				return nil, err
			}
			break
		}
	}
	if n := o.Design; n != nil {
		d.Models, d.Prompts, d.Words = [2]int{n[0], n[1]}, n[2], [2]int{n[3], n[4]}
	}
	sims, shifts := o.Sims, o.Shifts
	if sims == 0 {
		sims = 400
	}
	if shifts == nil {
		shifts = []float64{0, 0.05, 0.1, 0.2, 0.3, 0.4}
	}
	return Power(ctx, d, shifts, sims, o)
}
