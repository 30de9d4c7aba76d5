package analysis

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/floats"

	"github.com/implicitreward/implicitreward/internal/plot"
	"github.com/implicitreward/implicitreward/internal/study/cube"
	"github.com/implicitreward/implicitreward/stats"
)

// PartRow says how far the word scores of a reward model follow the log-probabilities
// of a base model and the implicit reward of a pair.
type PartRow struct {
	RewardModel, Pair, PromptFraming string
	NWords, NPrompts                 int64
	// standardised coefficients of ln p(base) and of the reward, with p by permutation of words
	BetaBase, BetaBaseLo, BetaBaseHi, BetaBaseP                 float64
	BetaImplicit, BetaImplicitLo, BetaImplicitHi, BetaImplicitP float64
	R2, R2P, RBase, RImplicit, RBaseImplicit                    float64 // r: correlations alone
	Across
}

// Decompose regresses the word scores of reward models on the base log-probability and
// the implicit reward of pairs of the same family.
func Decompose(dict *cube.Dictionary, scores []*cube.Scores, all []*Pair, o *Options) (*Result, error) {
	res := &Result{Analysis: "decompose", Name: "decompose-" + dict.Name, Title: say("decompose.title", dict.Name)}
	res.About = paragraphs("decompose.about", o.resamples())
	chart := &plot.Intervals{XLabel: "standardised coefficient", Groups: named("ln p(base)", "implicit reward")}
	d := &decomposition{o: o, res: res}
	for _, p := range all {
		d.section = plot.IntervalSection{Name: p.Name + ", " + p.Kind}
		for _, s := range scores {
			if p.Family != "" && s.Models[0].Family != p.Family || slices.Contains(p.Files, s.Files[0]) {
				continue // another family, or the reward itself
			}
			for _, framing := range o.groups.Framings(p.Prompts) {
				err := d.add(s, p, framing)
				what := fmt.Sprintf("%s, %s, %s", s.Models[0].ID, p.Name, framing)
				if untestable(err) {
					res.doubt(what + ": not decomposed: " + plainly(err) + ".")
				} else if err != nil {
					return nil, fmt.Errorf("study: decompose: %s: %w", what, err)
				}
			}
		}
		if len(d.section.Rows) > 0 {
			res.Inputs = append(res.Inputs, p.Files...)
		}
		addSection(chart, d.section)
	}
	if len(d.rows) == 0 && len(res.Warnings) == 0 {
		return nil, nil
	}
	if len(d.rows) == 0 {
		return res, nil
	}
	res.Tables = []Table{{"parts", "Coefficients and rank correlations", d.rows, 0},
		{"prompts", "The same after each prompt", d.prompts, -1}}
	res.Figures = []Figure{{res.Name, &plot.Figure{Title: "What reward models' word scores are made of", Chart: chart,
		Caption: "Least squares over words, 95 % intervals."}}}
	return res, nil
}

// decomposition gathers the rows of a result.
type decomposition struct {
	o       *Options
	res     *Result
	rows    []PartRow
	prompts []PromptPartRow
	section plot.IntervalSection // of the pair
}

// add decomposes a reward model's scores by a pair after the prompts of a framing.
func (d *decomposition) add(s *cube.Scores, p *Pair, framing string) error {
	x := join(s, p, framing, d.o.groups)
	model := s.Models[0].ID
	if missing := len(p.Words) - x.words; missing > 0 && len(x.prompts) > 0 {
		d.res.doubt(say("decompose.missing", model, p.Name, missing, len(p.Words)))
	}
	if x.words < 5 || len(x.prompts) == 0 {
		return nil
	}
	row, tests, err := x.standardised(model, p.Name, framing, d.o)
	if err != nil {
		return err
	}
	doubts, err := row.resample(x, d.o)
	if err != nil {
		return err
	}
	each, more, err := x.each(model, p.Name, framing)
	if err != nil {
		return err
	}
	for _, doubt := range append(doubts, more...) {
		d.res.doubt(fmt.Sprintf("%s, %s, %s: %s.", model, p.Name, framing, doubt))
	}
	d.rows, d.prompts = append(d.rows, *row), append(d.prompts, each...)
	d.res.Tests, d.res.Inputs = append(d.res.Tests, tests...), append(d.res.Inputs, s.Files[0])
	d.section.Rows = append(d.section.Rows, plot.IntervalRow{
		Label: model + ", " + framing, Note: fmt.Sprintf("R2 = %.2f", row.R2),
		Estimates: []plot.Estimate{estimate(0, row.BetaBase, row.BetaBaseLo, row.BetaBaseHi),
			estimate(1, row.BetaImplicit, row.BetaImplicitLo, row.BetaImplicitHi)}})
	return nil
}

// joined are a reward model's scores beside ln p(base) and the implicit reward of a pair,
// after the prompts of a framing that both have, on the words that both have:
// score[prompt][word].
type joined struct {
	prompts             []string
	words               int
	score, base, reward [][]float64
}

func join(s *cube.Scores, p *Pair, framing string, g *cube.Groups) *joined {
	place := map[string]int{}
	for i, w := range s.Words {
		place[w] = i
	}
	var at, from []int
	for i, w := range p.Words {
		if k, ok := place[w]; ok {
			at, from = append(at, i), append(from, k)
		}
	}
	x := &joined{words: len(at)}
	for _, i := range g.Places(framing, p.Prompts) {
		k := slices.Index(s.Prompts, p.Prompts[i])
		if k < 0 {
			continue
		}
		x.prompts = append(x.prompts, p.Prompts[i])
		x.score = append(x.score, cube.Pick(s.Values[0][k], from))
		x.base = append(x.base, cube.Pick(p.Values[0][i], at))
		x.reward = append(x.reward, cube.Pick(p.Reward(i), at))
	}
	return x
}

// means are the standardised means over prompts of each word's standardised values.
func (x *joined) means() (score, base, reward []float64) {
	mean := func(values [][]float64) []float64 {
		sum := make([]float64, x.words)
		for _, v := range values {
			floats.Add(sum, standard(v))
		}
		return standard(sum)
	}
	return mean(x.score), mean(x.base), mean(x.reward)
}

// standardised fits the standardised means of words.
func (x *joined) standardised(model, pair, framing string, o *Options) (*PartRow, []Test, error) {
	y, base, reward := x.means()
	fit, err := fitParts(y, base, reward)
	if err != nil {
		return nil, nil, err
	}
	b, r := fit.Coefs[1], fit.Coefs[2]
	row := &PartRow{RewardModel: model, Pair: pair, PromptFraming: framing, NWords: int64(len(y)),
		NPrompts: int64(len(x.prompts)), R2: fit.R2,
		BetaBase: b.Estimate, BetaBaseLo: b.Interval.Lower, BetaBaseHi: b.Interval.Upper,
		BetaImplicit: r.Estimate, BetaImplicitLo: r.Interval.Lower, BetaImplicitHi: r.Interval.Upper,
		RBase: correlation(y, base), RImplicit: correlation(y, reward), RBaseImplicit: correlation(base, reward)}
	row.permute(y, base, reward, o)
	tests := make([]Test, 3)
	for k, name := range []string{"ln p(base)", "implicit reward", "both"} {
		t := newTest(fmt.Sprintf("%s, %s: %s of %s", row.RewardModel, framing, name, pair),
			fmt.Sprintf("permutation of words, %d random arrangements", o.Arrangements()),
			[]string{"coefficient", "coefficient", "R2"}[k])
		t.Value = []float64{row.BetaBase, row.BetaImplicit, row.R2}[k]
		t.P = []float64{row.BetaBaseP, row.BetaImplicitP, row.R2P}[k]
		t.N = fmt.Sprintf("%d words", len(y))
		if k < 2 {
			e := fit.Coefs[k+1]
			t.Estimate, t.Lower, t.Upper = e.Estimate, e.Interval.Lower, e.Interval.Upper
			t.Effect, t.EffectSize = "r", []float64{row.RBase, row.RImplicit}[k]
		}
		tests[k] = t
	}
	return row, tests, nil
}

// fitParts is least squares of scores by ln p(base) and implicit reward.
func fitParts(score, base, reward []float64) (*stats.LinearFit, error) {
	return stats.OLS(score, []stats.Variable{{Name: "base", Numbers: base}, {Name: "implicit", Numbers: reward}},
		&stats.OLSOptions{Terms: []string{"base", "implicit"}})
}

// permute fills in the p-values: how often scores dealt to other words have as great a
// coefficient or R2. With standardised variables these are functions of three correlations.
func (row *PartRow) permute(y, base, reward []float64, o *Options) {
	solve := func(ry, rz float64) (b1, b2, r2 float64) {
		d := 1 - row.RBaseImplicit*row.RBaseImplicit
		b1, b2 = (ry-rz*row.RBaseImplicit)/d, (rz-ry*row.RBaseImplicit)/d
		return b1, b2, b1*ry + b2*rz
	}
	var over [3]int
	random := rand.New(rand.NewPCG(o.Seed, 0x646563))
	dealt := slices.Clone(y)
	const slack = 1e-12 // arrangements that differ by rounding are tied
	for range o.Arrangements() {
		random.Shuffle(len(dealt), func(i, j int) { dealt[i], dealt[j] = dealt[j], dealt[i] })
		b1, b2, r2 := solve(correlation(dealt, base), correlation(dealt, reward))
		for k, v := range [][2]float64{{b1, row.BetaBase}, {b2, row.BetaImplicit}, {r2, row.R2}} {
			if math.Abs(v[0]) >= math.Abs(v[1])-slack {
				over[k]++
			}
		}
	}
	p := func(k int) float64 { return float64(over[k]+1) / float64(o.Arrangements()+1) }
	row.BetaBaseP, row.BetaImplicitP, row.R2P = p(0), p(1), p(2)
}

// correlation of two standardised samples.
func correlation(x, y []float64) float64 { return floats.Dot(x, y) / float64(len(x)-1) }
