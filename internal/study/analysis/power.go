package analysis

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"

	"gonum.org/v1/gonum/stat"

	"github.com/implicitreward/implicitreward/internal/plot"
	"github.com/implicitreward/implicitreward/stats"
)

// Design is what a study of two families has, and how much its scores vary. Scores of
// words are standardised within model and prompt; Model, Prompt and Rest are standard
// deviations of the gap between two categories, the difference of their words' mean
// scores: between models of a family, between prompts, and of a model at a prompt.
// Word is the standard deviation of a word's score that all models and prompts share,
// Taste of that which is one model's own over its prompts; the rest of a score's
// variance of 1 is new at each prompt.
type Design struct {
	Models        [2]int
	Prompts       int
	Words         [2]int // of the two categories
	Model, Prompt float64
	Word, Taste   float64
	From          string // where the numbers are from
}

// PaperDesign is that of the paper's Figure 1: Big Two nouns on 27 prompts of a
// framing, with the variation of its ten reward models (rounded).
var PaperDesign = Design{Models: [2]int{4, 6}, Prompts: 27, Words: [2]int{104, 159},
	Model: 0.08, Prompt: 0.16, Word: 0.9, Taste: 0.35, From: "the paper's ten reward models, rounded"}

// PowerRow is how often a test finds a planted shift of the gap between two families.
type PowerRow struct {
	Test               string
	Shift              float64 // difference of the families' gaps, in standard deviations of word scores
	Simulations, Found int64   // Found: p < 0.05
	Rate, CILo, CIHi   float64 // Wilson's interval, 95 %
}

// powerTests are the tests that are tried, on the median ranks of the first category.
var powerTests = []string{"Welch, model x prompt medians (the paper's)", "paired over prompts",
	"mixed model, crossed intercepts", "Welch, one value a model", "exact, one value a model"}

// Power simulates the design with each shift and counts how often each test finds it at
// the level 0.05. Models of a family differ by Design.Model whatever the shift: at shift
// 0 families are alike as families, and what a test finds is an accident of the models
// that were drawn. The same seed gives the same result on any number of processors.
func Power(ctx context.Context, d Design, shifts []float64, sims int, o *Options) (*Result, error) {
	if err := d.check(); err != nil {
		return nil, err
	}
	if sims < 10 || len(shifts) == 0 {
		return nil, fmt.Errorf("study: power: %d simulations of %d shifts, wanted 10 or more of at least one",
			sims, len(shifts))
	}
	res := &Result{Analysis: "power", Name: "power", Title: say("power.title")}
	res.About = paragraphs("power.about", d.Models[0], d.Models[1], d.Prompts, d.Words[0], d.Words[1],
		d.Model, d.Prompt, d.Word, d.Taste, d.From, sims)
	found, err := d.find(ctx, shifts, sims, o.Seed)
	if err != nil {
		return nil, err
	}
	facet := plot.LineFacet{Name: fmt.Sprintf("%d against %d models, %d prompts", d.Models[0], d.Models[1], d.Prompts)}
	var rows []PowerRow
	for t, name := range powerTests {
		line := plot.Line{Group: t}
		for i, shift := range shifts {
			share, err := stats.Wilson(float64(found[i][t]), sims, nil)
			if err != nil {
				return nil, err
			}
			lower, upper := share.Interval.Lower, share.Interval.Upper
			rows = append(rows, PowerRow{name, shift, int64(sims), int64(found[i][t]), share.Estimate, lower, upper})
			line.X, line.Y = append(line.X, shift), append(line.Y, share.Estimate)
			line.Lower, line.Upper = append(line.Lower, lower), append(line.Upper, upper)
		}
		facet.Lines = append(facet.Lines, line)
	}
	if leastP(d.Models[0], d.Models[1]) >= .05 {
		res.doubt(say("power.few", d.Models[0], d.Models[1]))
	}
	chart := &plot.Lines{XLabel: "shift between families (SD of word scores)",
		YLabel: "share of simulations with p < 0.05", YRange: [2]float64{0, 1}, Markers: true,
		Rules:  []plot.Rule{{At: 0.05, Label: "0.05"}},
		Groups: named(powerTests...), Facets: []plot.LineFacet{facet}}
	res.Tables = []Table{{"rates", "How often each test finds the shift", rows, len(rows)}}
	res.Figures = []Figure{{"power", &plot.Figure{Title: "What the design can show", Chart: chart,
		Caption: say("power.caption", sims)}}}
	return res, nil
}

// find counts, for each shift and test, the simulations in which the test finds something.
// They run on all processors.
func (d Design) find(ctx context.Context, shifts []float64, sims int, seed uint64) (found [][]int, err error) {
	found = make([][]int, len(shifts))
	for i := range found {
		found[i] = make([]int, len(powerTests))
	}
	type job struct{ shift, sim int }
	jobs := make(chan job)
	var mu sync.Mutex
	var wait sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wait.Go(func() {
			for j := range jobs {
				hits, failed := d.simulate(shifts[j.shift], rand.New(rand.NewPCG(seed, uint64(j.shift)<<32|uint64(j.sim))))
				mu.Lock()
				if failed != nil && err == nil {
					err = fmt.Errorf("study: power: %w", failed)
				}
				for t, hit := range hits {
					if hit {
						found[j.shift][t]++
					}
				}
				mu.Unlock()
			}
		})
	}
	for i := range shifts {
		for s := range sims {
			if ctx.Err() == nil {
				jobs <- job{i, s}
			}
		}
	}
	close(jobs)
	wait.Wait()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return found, err
}

func (d Design) check() error {
	switch {
	case d.Models[0] < 1 || d.Models[1] < 1 || d.Models[0]+d.Models[1] < 3:
		return fmt.Errorf("study: power: %d against %d models, wanted three or more in all", d.Models[0], d.Models[1])
	case d.Prompts < 2:
		return fmt.Errorf("study: power: %d prompts, wanted two or more", d.Prompts)
	case d.Words[0] < 2 || d.Words[1] < 2:
		return fmt.Errorf("study: power: %d and %d words, wanted two or more of each category", d.Words[0], d.Words[1])
	case d.Word*d.Word+d.Taste*d.Taste > 1:
		return fmt.Errorf("study: power: standard deviations %g and %g of words, wanted squares that sum to at most 1",
			d.Word, d.Taste)
	}
	return nil
}

// simulate draws one study and says which tests find something.
func (d Design) simulate(shift float64, r *rand.Rand) ([]bool, error) {
	n, models := d.Words[0]+d.Words[1], d.Models[0]+d.Models[1]
	fresh := math.Sqrt(1 - d.Word*d.Word - d.Taste*d.Taste)
	word := make([]float64, n)
	for w := range word {
		word[w] = d.Word * r.NormFloat64()
	}
	prompt := make([]float64, d.Prompts)
	for p := range prompt {
		prompt[p] = d.Prompt * r.NormFloat64()
	}
	medians := make([][]float64, models) // [model][prompt]
	scores, own := make([]float64, n), make([]float64, n)
	for m := range models {
		lean := d.Model * r.NormFloat64()
		if m < d.Models[0] {
			lean += shift
		}
		for w := range own {
			own[w] = word[w] + d.Taste*r.NormFloat64()
		}
		medians[m] = make([]float64, d.Prompts)
		for p := range prompt {
			for w := range scores {
				scores[w] = own[w] + fresh*r.NormFloat64()
				if w < d.Words[0] {
					scores[w] += lean + prompt[p]
				}
			}
			ranks, err := stats.RanksDescending(scores)
			if err != nil {
				return nil, err
			}
			if medians[m][p], err = stats.Median(ranks[:d.Words[0]]); err != nil {
				return nil, err
			}
		}
	}
	return d.tests(medians)
}

func (d Design) tests(medians [][]float64) ([]bool, error) {
	var all, level [2][]float64
	means := [2][]float64{make([]float64, d.Prompts), make([]float64, d.Prompts)}
	var y []float64
	var family, model, prompt stats.Variable
	family.Name, model.Name, prompt.Name = "family", "model", "prompt"
	for m, v := range medians {
		side := 0
		if m >= d.Models[0] {
			side = 1
		}
		all[side], level[side] = append(all[side], v...), append(level[side], stat.Mean(v, nil))
		for p, x := range v {
			means[side][p] += x / float64(d.Models[side])
			y = append(y, x)
			family.Labels = append(family.Labels, []string{"a", "b"}[side])
			model.Labels, prompt.Labels = append(model.Labels, strconv.Itoa(m)), append(prompt.Labels, strconv.Itoa(p))
		}
	}
	const alpha = .05
	hits := make([]bool, len(powerTests))
	welch, err := stats.Welch(all[0], all[1], nil)
	if err != nil {
		return nil, err
	}
	paired, err := stats.Paired(means[0], means[1], nil)
	if err != nil {
		return nil, err
	}
	fit, err := stats.Mixed(y, []stats.Variable{family}, []stats.Variable{model, prompt}, nil)
	if err != nil {
		return nil, err
	}
	hits[0], hits[1], hits[2] = welch.P < alpha, paired.P < alpha, fit.Coefs[1].P < alpha
	if d.Models[0] > 1 && d.Models[1] > 1 {
		w, err := stats.Welch(level[0], level[1], nil)
		if err != nil {
			return nil, err
		}
		hits[3] = w.P < alpha
	}
	exact, err := stats.Permutation(level[0], level[1], &stats.ResampleOptions{Draws: 999, ExactLimit: 5000})
	if err != nil {
		return nil, err
	}
	hits[4] = exact.P < alpha
	return hits, nil
}
