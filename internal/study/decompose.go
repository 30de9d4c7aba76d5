package study

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/implicitreward/implicitreward/internal/plot"
	"github.com/implicitreward/implicitreward/stats"
)

// PartRow says how far the word scores of a reward model follow the log-probabilities
// of a base model and the implicit reward of a pair.
type PartRow struct {
	Model     string  `parquet:"reward_model"`
	Pair      string  `parquet:"pair"`
	Framing   string  `parquet:"prompt_framing"`
	Words     int64   `parquet:"n_words"`
	Base      float64 `parquet:"beta_base"` // standardised coefficient of ln p(base)
	BaseLo    float64 `parquet:"beta_base_lo"`
	BaseHi    float64 `parquet:"beta_base_hi"`
	BaseP     float64 `parquet:"beta_base_p"` // by permutation of words, as the others
	Reward    float64 `parquet:"beta_implicit"`
	RewardLo  float64 `parquet:"beta_implicit_lo"`
	RewardHi  float64 `parquet:"beta_implicit_hi"`
	RewardP   float64 `parquet:"beta_implicit_p"`
	R2        float64 `parquet:"r2"`
	R2P       float64 `parquet:"r2_p"`
	BaseR     float64 `parquet:"r_base"` // correlations alone
	RewardR   float64 `parquet:"r_implicit"`
	Predictor float64 `parquet:"r_base_implicit"`
}

// Decompose regresses the word scores of reward models on the base log-probability and
// the implicit reward of pairs of the same family.
func Decompose(dict *Dictionary, scores []*Scores, all []*contest, o *Options) (*Result, error) {
	res := &Result{Analysis: "decompose", Name: "decompose-" + dict.Name, Title: "Reward models' word scores from base log-probability and implicit reward: " + dict.Name}
	res.About = []string{"Scores, ln p(base) and implicit reward are standardised within each prompt and averaged over the prompts of a framing; then the score of a word is regressed on the two. " +
		"p-values are by permutation of the words: scores are dealt to other words, 1 more than the exceedances over 1 more than the draws. Coefficients are standardised; intervals are those of least squares over words."}
	chart := &plot.Intervals{XLabel: "standardised coefficient", Groups: []plot.Group{{Name: "ln p(base)"}, {Name: "implicit reward"}}}
	var rows []PartRow
	for _, c := range all {
		section := plot.IntervalSection{Name: c.name + ", " + c.kind}
		for _, s := range scores {
			if c.family != "" && s.Model.Family != c.family || slices.Contains(c.files, s.File) {
				continue // another family, or the reward itself
			}
			for _, framing := range o.Groups.in(c.prompts) {
				row, tests, err := decompose(s, c, framing, o)
				if untestable(err) {
					res.doubt(fmt.Sprintf("%s, %s, %s: not decomposed: %s.", s.Model.ID, c.name, framing, plainly(err)))
					continue
				}
				if err != nil {
					return nil, fmt.Errorf("study: decompose: %s, %s, %s: %w", s.Model.ID, c.name, framing, err)
				}
				if row == nil {
					continue
				}
				rows, res.Tests = append(rows, *row), append(res.Tests, tests...)
				section.Rows = append(section.Rows, plot.IntervalRow{Label: s.Model.ID + ", " + framing, Note: fmt.Sprintf("R2 = %.2f", row.R2),
					Estimates: []plot.Estimate{{Group: 0, Value: row.Base, Lower: row.BaseLo, Upper: row.BaseHi}, {Group: 1, Value: row.Reward, Lower: row.RewardLo, Upper: row.RewardHi}}})
				res.Inputs = append(res.Inputs, s.File)
			}
		}
		if len(section.Rows) > 0 {
			chart.Sections = append(chart.Sections, section)
			res.Inputs = append(res.Inputs, c.files...)
		}
	}
	if len(rows) == 0 && len(res.Warnings) == 0 {
		return nil, nil
	}
	if len(rows) == 0 {
		return res, nil
	}
	res.Tables = []Table{{"parts", "Standardised coefficients", rows, 0}}
	res.Figures = []Figure{{res.Name, &plot.Figure{Title: "What reward models' word scores are made of", Chart: chart, Caption: "Least squares over words, 95 % intervals."}}}
	return res, nil
}

func decompose(s *Scores, c *contest, framing string, o *Options) (*PartRow, []Test, error) {
	var at, from []int
	place := map[string]int{}
	for i, w := range s.Words {
		place[w] = i
	}
	for i, w := range c.words {
		if k, ok := place[w]; ok {
			at, from = append(at, i), append(from, k)
		}
	}
	n := len(at)
	y, base, reward := make([]float64, n), make([]float64, n), make([]float64, n)
	prompts := 0
	for p, prompt := range c.prompts {
		k := slices.Index(s.Prompts, prompt)
		if k < 0 || o.Groups.group(prompt) != framing {
			continue
		}
		prompts++
		for to, values := range map[*[]float64][]float64{&y: pick(s.Values[k], from), &base: pick(c.base[p], at), &reward: pick(c.reward(p), at)} {
			for i, v := range standard(values) {
				(*to)[i] += v
			}
		}
	}
	if n < 5 || prompts == 0 {
		return nil, nil, nil
	}
	y, base, reward = standard(y), standard(base), standard(reward)
	fit, err := stats.OLS(y, []stats.Variable{{Name: "base", Numbers: base}, {Name: "implicit", Numbers: reward}}, &stats.OLSOptions{Terms: []string{"base", "implicit"}})
	if err != nil {
		return nil, nil, err
	}
	b, r := fit.Coefs[1], fit.Coefs[2]
	row := &PartRow{Model: s.Model.ID, Pair: c.name, Framing: framing, Words: int64(n), Base: b.Estimate, BaseLo: b.Interval.Lower, BaseHi: b.Interval.Upper,
		Reward: r.Estimate, RewardLo: r.Interval.Lower, RewardHi: r.Interval.Upper, R2: fit.R2}
	row.BaseR, row.RewardR, row.Predictor = correlation(y, base), correlation(y, reward), correlation(base, reward)
	// With standardised variables the coefficients are functions of three correlations.
	solve := func(ry, rz float64) (b1, b2, r2 float64) {
		d := 1 - row.Predictor*row.Predictor
		b1, b2 = (ry-rz*row.Predictor)/d, (rz-ry*row.Predictor)/d
		return b1, b2, b1*ry + b2*rz
	}
	var over [3]int
	random := rand.New(rand.NewPCG(o.Seed, 0x646563))
	dealt := slices.Clone(y)
	const slack = 1e-12 // arrangements that differ by rounding are tied
	for range o.draws() {
		random.Shuffle(n, func(i, j int) { dealt[i], dealt[j] = dealt[j], dealt[i] })
		b1, b2, r2 := solve(correlation(dealt, base), correlation(dealt, reward))
		for k, more := range []bool{math.Abs(b1) >= math.Abs(row.Base)-slack, math.Abs(b2) >= math.Abs(row.Reward)-slack, r2 >= row.R2-slack} {
			if more {
				over[k]++
			}
		}
	}
	p := func(k int) float64 { return float64(over[k]+1) / float64(o.draws()+1) }
	row.BaseP, row.RewardP, row.R2P = p(0), p(1), p(2)
	var tests []Test
	for k, name := range []string{"ln p(base)", "implicit reward", "both"} {
		t := newTest(fmt.Sprintf("%s, %s: %s of %s", s.Model.ID, framing, name, c.name), fmt.Sprintf("permutation of words, %d random arrangements", o.draws()), []string{"coefficient", "coefficient", "R2"}[k])
		t.Value, t.P, t.N = []float64{row.Base, row.Reward, row.R2}[k], p(k), fmt.Sprintf("%d words", n)
		if k < 2 {
			e := fit.Coefs[k+1]
			t.Estimate, t.Lower, t.Upper, t.Effect, t.EffectSize = e.Estimate, e.Interval.Lower, e.Interval.Upper, "r", []float64{row.BaseR, row.RewardR}[k]
		}
		tests = append(tests, t)
	}
	return row, tests, nil
}

// correlation of two standardised samples.
func correlation(x, y []float64) float64 {
	sum := 0.0
	for i := range x {
		sum += x[i] * y[i]
	}
	return sum / float64(len(x)-1)
}
