package analysis

import (
	"errors"
	"math"

	"gonum.org/v1/gonum/floats"

	"github.com/implicitreward/implicitreward/stats"
)

// Across is what a decomposition finds over the prompts of a framing, with 95 % intervals
// for other prompts and words.
type Across struct {
	// least squares of the words' means over prompts: reward a nat of ln p(base), and a nat of
	// implicit reward
	SlopeBase, SlopeBaseLo, SlopeBaseHi, SlopeImplicit, SlopeImplicitLo, SlopeImplicitHi float64
	// mean over prompts of Spearman's rank correlation of the scores with each
	RhoBase, RhoBaseLo, RhoBaseHi, RhoImplicit, RhoImplicitLo, RhoImplicitHi float64
}

// PromptPartRow is the decomposition after one prompt, with 95 % intervals over words: of
// least squares, and Fisher's of Spearman's rank correlation.
type PromptPartRow struct {
	RewardModel, Pair, PromptFraming, Prompt                                             string
	NWords                                                                               int64
	SlopeBase, SlopeBaseLo, SlopeBaseHi, SlopeImplicit, SlopeImplicitLo, SlopeImplicitHi float64
	R2                                                                                   float64
	RhoBase, RhoBaseLo, RhoBaseHi, RhoImplicit, RhoImplicitLo, RhoImplicitHi             float64
}

// each decomposes the scores after every prompt. What cannot be had is NaN, and a doubt.
func (x *joined) each(model, pair, framing string) (rows []PromptPartRow, doubts []string, err error) {
	for i, prompt := range x.prompts {
		row := PromptPartRow{RewardModel: model, Pair: pair, PromptFraming: framing, Prompt: prompt, NWords: int64(x.words),
			SlopeBase: nan, SlopeBaseLo: nan, SlopeBaseHi: nan, SlopeImplicit: nan, SlopeImplicitLo: nan, SlopeImplicitHi: nan, R2: nan}
		fit, err := fitParts(x.score[i], x.base[i], x.reward[i])
		switch {
		case untestable(err):
			doubts = append(doubts, "after "+prompt+" no regression: "+plainly(err))
		case err != nil:
			return nil, nil, err
		default:
			b, r := fit.Coefs[1], fit.Coefs[2]
			row.SlopeBase, row.SlopeBaseLo, row.SlopeBaseHi = b.Estimate, b.Interval.Lower, b.Interval.Upper
			row.SlopeImplicit, row.SlopeImplicitLo, row.SlopeImplicitHi = r.Estimate, r.Interval.Lower, r.Interval.Upper
			row.R2 = fit.R2
		}
		for _, c := range []struct {
			with          []float64
			rho, low, top *float64
		}{
			{x.base[i], &row.RhoBase, &row.RhoBaseLo, &row.RhoBaseHi},
			{x.reward[i], &row.RhoImplicit, &row.RhoImplicitLo, &row.RhoImplicitHi},
		} {
			r, err := stats.Spearman(x.score[i], c.with, nil)
			if untestable(err) {
				doubts = append(doubts, "after "+prompt+" no rank correlation: "+plainly(err))
				*c.rho, *c.low, *c.top = nan, nan, nan
				continue
			}
			if err != nil {
				return nil, nil, err
			}
			*c.rho, *c.low, *c.top = r.Estimate, r.Interval.Lower, r.Interval.Upper
		}
		rows = append(rows, row)
	}
	return rows, doubts, nil
}

// resample fills in what is found over prompts. Prompts and words are resampled together;
// with one prompt, words alone. Ranks are those among all words.
func (a *Across) resample(x *joined, o *Options) (doubts []string, err error) {
	ranks := func(values [][]float64) ([][]float64, error) {
		all := make([][]float64, len(values))
		for i, v := range values {
			r, err := stats.Ranks(v)
			if err != nil {
				return nil, err
			}
			all[i] = r
		}
		return all, nil
	}
	var ranked [3][][]float64
	for i, values := range [][][]float64{x.score, x.base, x.reward} {
		if ranked[i], err = ranks(values); err != nil {
			return nil, err
		}
	}
	rho := func(with [][]float64) func(prompts, words []float64) float64 {
		return func(prompts, words []float64) float64 {
			sum := 0.0
			for i, n := range prompts {
				if n > 0 {
					sum += n * momentsOf(ranked[0][i], with[i], with[i], words).correlation()
				}
			}
			return sum / floats.Sum(prompts)
		}
	}
	slopes := func(prompts, words []float64) (base, implicit float64) {
		mean := func(values [][]float64) []float64 {
			m := make([]float64, x.words)
			for i, n := range prompts {
				if n > 0 {
					floats.AddScaled(m, n/floats.Sum(prompts), values[i])
				}
			}
			return m
		}
		return momentsOf(mean(x.score), mean(x.base), mean(x.reward), words).slopes()
	}
	for _, part := range []struct {
		what             string
		of               func(prompts, words []float64) float64
		value, low, high *float64
	}{
		{"ln p(base), slope", func(p, w []float64) float64 { b, _ := slopes(p, w); return b }, &a.SlopeBase, &a.SlopeBaseLo, &a.SlopeBaseHi},
		{"implicit reward, slope", func(p, w []float64) float64 { _, r := slopes(p, w); return r }, &a.SlopeImplicit, &a.SlopeImplicitLo, &a.SlopeImplicitHi},
		{"ln p(base), rank correlation", rho(ranked[1]), &a.RhoBase, &a.RhoBaseLo, &a.RhoBaseHi},
		{"implicit reward, rank correlation", rho(ranked[2]), &a.RhoImplicit, &a.RhoImplicitLo, &a.RhoImplicitHi},
	} {
		b, err := x.bootstrap(part.of, o)
		*part.value, *part.low, *part.high = b.Estimate, b.Percentile.Lower, b.Percentile.Upper
		if errors.Is(err, stats.ErrNotFinite) { // a resample of words that are all alike
			*part.low, *part.high = nan, nan
			doubts = append(doubts, part.what+": no interval: a resample has no variance")
			continue
		}
		if err != nil {
			return nil, err
		}
	}
	return doubts, nil
}

// bootstrap resamples a statistic of the numbers of times that each prompt and word is drawn.
func (x *joined) bootstrap(of func(prompts, words []float64) float64, o *Options) (stats.BootstrapResult, error) {
	axes := []int{x.words, len(x.prompts)}
	prompts, words := []float64{1}, make([]float64, x.words)
	if len(x.prompts) < 2 {
		axes = axes[:1]
	} else {
		prompts = make([]float64, len(x.prompts))
	}
	tally := func(to []float64, at []int) {
		clear(to)
		for _, i := range at {
			to[i]++
		}
	}
	return stats.BootstrapAxes(axes, func(at [][]int) (float64, error) {
		if tally(words, at[0]); len(at) > 1 {
			tally(prompts, at[1])
		}
		return of(prompts, words), nil
	}, &stats.BootstrapOptions{Draws: o.resamples(), Seed: o.Seed})
}

// moments are weighted sums of squares and products of y, b and r about their means.
type moments struct{ yy, bb, rr, yb, yr, br float64 }

func momentsOf(y, b, r, weights []float64) moments {
	n := floats.Sum(weights)
	my, mb, mr := floats.Dot(y, weights)/n, floats.Dot(b, weights)/n, floats.Dot(r, weights)/n
	var m moments
	for i, w := range weights {
		if w == 0 {
			continue
		}
		dy, db, dr := y[i]-my, b[i]-mb, r[i]-mr
		m.yy, m.bb, m.rr = m.yy+w*dy*dy, m.bb+w*db*db, m.rr+w*dr*dr
		m.yb, m.yr, m.br = m.yb+w*dy*db, m.yr+w*dy*dr, m.br+w*db*dr
	}
	return m
}

// slopes are those of y by b and r.
func (m moments) slopes() (b, r float64) {
	d := m.bb*m.rr - m.br*m.br
	return (m.yb*m.rr - m.yr*m.br) / d, (m.yr*m.bb - m.yb*m.br) / d
}

// correlation is that of y and b.
func (m moments) correlation() float64 { return m.yb / math.Sqrt(m.yy*m.bb) }
