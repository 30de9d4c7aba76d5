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
	NWords                           int64
	// standardised coefficients of ln p(base) and of the reward, with p by permutation of words
	BetaBase, BetaBaseLo, BetaBaseHi, BetaBaseP                 float64
	BetaImplicit, BetaImplicitLo, BetaImplicitHi, BetaImplicitP float64
	R2, R2P, RBase, RImplicit, RBaseImplicit                    float64 // r: correlations alone
}

// Decompose regresses the word scores of reward models on the base log-probability and
// the implicit reward of pairs of the same family.
func Decompose(dict *cube.Dictionary, scores []*cube.Scores, all []*Pair, o *Options) (*Result, error) {
	res := &Result{Analysis: "decompose", Name: "decompose-" + dict.Name, Title: say("decompose.title", dict.Name)}
	res.About = paragraphs("decompose.about")
	chart := &plot.Intervals{XLabel: "standardised coefficient", Groups: named("ln p(base)", "implicit reward")}
	var rows []PartRow
	for _, p := range all {
		section := plot.IntervalSection{Name: p.Name + ", " + p.Kind}
		for _, s := range scores {
			model, file := s.Models[0], s.Files[0]
			if p.Family != "" && model.Family != p.Family || slices.Contains(p.Files, file) {
				continue // another family, or the reward itself
			}
			for _, framing := range o.groups.Framings(p.Prompts) {
				row, tests, err := decompose(s, p, framing, o)
				if untestable(err) {
					res.doubt(fmt.Sprintf("%s, %s, %s: not decomposed: %s.", model.ID, p.Name, framing, plainly(err)))
					continue
				}
				if err != nil {
					return nil, fmt.Errorf("study: decompose: %s, %s, %s: %w", model.ID, p.Name, framing, err)
				}
				if row == nil {
					continue
				}
				rows, res.Tests, res.Inputs = append(rows, *row), append(res.Tests, tests...), append(res.Inputs, file)
				section.Rows = append(section.Rows, plot.IntervalRow{
					Label: model.ID + ", " + framing, Note: fmt.Sprintf("R2 = %.2f", row.R2),
					Estimates: []plot.Estimate{estimate(0, row.BetaBase, row.BetaBaseLo, row.BetaBaseHi),
						estimate(1, row.BetaImplicit, row.BetaImplicitLo, row.BetaImplicitHi)}})
			}
		}
		if len(section.Rows) > 0 {
			res.Inputs = append(res.Inputs, p.Files...)
		}
		addSection(chart, section)
	}
	if len(rows) == 0 && len(res.Warnings) == 0 {
		return nil, nil
	}
	if len(rows) == 0 {
		return res, nil
	}
	res.Tables = []Table{{"parts", "Standardised coefficients", rows, 0}}
	res.Figures = []Figure{{res.Name, &plot.Figure{Title: "What reward models' word scores are made of", Chart: chart,
		Caption: "Least squares over words, 95 % intervals."}}}
	return res, nil
}

// wordMeans are, over the prompts of a framing, the standardised score, ln p(base) and
// implicit reward of each word that both have; nil where there are too few.
func wordMeans(s *cube.Scores, p *Pair, framing string, o *Options) (score, base, reward []float64) {
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
	n := len(at)
	score, base, reward = make([]float64, n), make([]float64, n), make([]float64, n)
	prompts := 0
	for _, i := range o.groups.Places(framing, p.Prompts) {
		k := slices.Index(s.Prompts, p.Prompts[i])
		if k < 0 {
			continue
		}
		prompts++
		floats.Add(score, standard(cube.Pick(s.Values[0][k], from)))
		floats.Add(base, standard(cube.Pick(p.Values[0][i], at)))
		floats.Add(reward, standard(cube.Pick(p.Reward(i), at)))
	}
	if n < 5 || prompts == 0 {
		return nil, nil, nil
	}
	return standard(score), standard(base), standard(reward)
}

func decompose(s *cube.Scores, p *Pair, framing string, o *Options) (*PartRow, []Test, error) {
	y, base, reward := wordMeans(s, p, framing, o)
	if y == nil {
		return nil, nil, nil
	}
	fit, err := stats.OLS(y, []stats.Variable{{Name: "base", Numbers: base}, {Name: "implicit", Numbers: reward}},
		&stats.OLSOptions{Terms: []string{"base", "implicit"}})
	if err != nil {
		return nil, nil, err
	}
	b, r := fit.Coefs[1], fit.Coefs[2]
	row := &PartRow{RewardModel: s.Models[0].ID, Pair: p.Name, PromptFraming: framing, NWords: int64(len(y)), R2: fit.R2,
		BetaBase: b.Estimate, BetaBaseLo: b.Interval.Lower, BetaBaseHi: b.Interval.Upper,
		BetaImplicit: r.Estimate, BetaImplicitLo: r.Interval.Lower, BetaImplicitHi: r.Interval.Upper,
		RBase: correlation(y, base), RImplicit: correlation(y, reward), RBaseImplicit: correlation(base, reward)}
	row.permute(y, base, reward, o)
	tests := make([]Test, 3)
	for k, name := range []string{"ln p(base)", "implicit reward", "both"} {
		t := newTest(fmt.Sprintf("%s, %s: %s of %s", row.RewardModel, framing, name, p.Name),
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
