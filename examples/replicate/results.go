package main

import (
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/implicitreward/implicitreward/internal/replicate"
	"github.com/implicitreward/implicitreward/stats"
)

// condition is something of which every base has one value: how much it, or what was made of it, prefers the
// words of agency. Several runs of a base are one value, their mean: bases are what the tests are about.
type condition struct {
	name  string
	short string // for the figure
	found string // whom what was found is said of; "": nothing is said
	of    func(l *lab, b *base) []lean
}

// trainedOf are the runs of a base that are alike in all but their seeds.
func trainedOf(kind string, source replicate.Source, shuffled bool, share int) func(*lab, *base) []lean {
	return func(l *lab, b *base) (all []lean) {
		for _, t := range l.runs {
			if t.base == b && t.Kind == kind && t.Source == source && t.Shuffled == shuffled && t.Pairs == l.o.Pairs/share {
				all = append(all, t.Words)
			}
		}
		return all
	}
}

var helpful = condition{"reward model, helpfulness, all pairs", "helpfulness, all pairs", "Reward models trained on helpfulness",
	trainedOf(reward, replicate.Helpfulness, false, 1)}

var conditions = []condition{
	{"base model: ln p of the word as the answer", "base: ln p of the word", "", func(_ *lab, b *base) []lean { return []lean{b.Words} }},
	helpful,
	{"reward model, helpfulness, 1 of 2 pairs", "helpfulness, 1 of 2", "", trainedOf(reward, replicate.Helpfulness, false, 2)},
	{"reward model, helpfulness, 1 of 4 pairs", "helpfulness, 1 of 4", "", trainedOf(reward, replicate.Helpfulness, false, 4)},
	{"reward model, helpfulness, 1 of 8 pairs", "helpfulness, 1 of 8", "", trainedOf(reward, replicate.Helpfulness, false, 8)},
	{"reward model, correctness, all pairs", "correctness, all pairs", "Reward models trained on correctness", trainedOf(reward, replicate.Correctness, false, 1)},
	{"reward model, helpfulness, shuffled labels", "shuffled labels", "Reward models trained on shuffled labels", trainedOf(reward, replicate.Helpfulness, true, 1)},
	{"policy by DPO, helpfulness: implicit reward", "DPO: implicit reward", "Policies trained by DPO, by their implicit reward,", trainedOf(dpo, replicate.Helpfulness, false, 1)},
}

// values are a condition's, one a base of a lean, after prompts of praise or of blame.
func (l *lab) values(c condition, of replicate.Lean, negative bool) (all []float64) {
	for _, b := range l.bases {
		each := c.of(l, b)
		if b.Lean != of || len(each) == 0 {
			continue
		}
		sum := 0.0
		for _, v := range each {
			if negative {
				sum += v.Negative
			} else {
				sum += v.Positive
			}
		}
		all = append(all, sum/float64(len(each)))
	}
	return all
}

// contrast is a difference between bases that lean to agency and bases that lean to communion.
type contrast struct {
	condition
	agency, communion []float64 // one value a base
	welch             stats.TResult
	untested          error // why there is no interval
	exact             stats.ResampleResult
}

func (l *lab) contrast(c condition, negative bool) (of contrast, err error) {
	of = contrast{condition: c, agency: l.values(c, replicate.Agency, negative), communion: l.values(c, replicate.Communion, negative)}
	of.welch, of.untested = stats.Welch(of.agency, of.communion, nil)
	if of.untested == nil {
		of.exact, err = stats.Permutation(of.agency, of.communion, nil)
	}
	return of, err
}

func mean(x []float64) float64 {
	sum := 0.0
	for _, v := range x {
		sum += v
	}
	return sum / float64(len(x))
}

// shows says in words what an interval of a difference says.
func (c contrast) shows() string {
	switch i := c.welch.Interval; {
	case c.untested != nil:
		return "no interval"
	case i.Lower > 0:
		return "yes"
	case i.Upper < 0:
		return "reversed"
	}
	return "not shown"
}

// line is a row of the table of contrasts.
func (c contrast) line() string {
	if c.untested != nil {
		return fmt.Sprintf("| %s | %+.1f | %+.1f | %+.1f | %v | | |\n", c.name, mean(c.agency), mean(c.communion), mean(c.agency)-mean(c.communion), c.untested)
	}
	return fmt.Sprintf("| %s | %+.1f | %+.1f | **%+.1f** | %+.1f to %+.1f | %.3f | %s |\n", c.name, mean(c.agency), mean(c.communion), c.welch.Estimate,
		c.welch.Interval.Lower, c.welch.Interval.Upper, c.exact.P, c.shows())
}

// accuracies are the range of runs' accuracies on held-out pairs.
func (l *lab) accuracies(kind string, source replicate.Source, shuffled bool) string {
	low, high := math.Inf(1), math.Inf(-1)
	for _, t := range l.runs {
		if t.Kind == kind && t.Source == source && t.Shuffled == shuffled && t.Pairs == l.o.Pairs && t.base.Lean != random {
			low, high = min(low, t.Accuracy), max(high, t.Accuracy)
		}
	}
	if low > high {
		return "not measured"
	}
	return fmt.Sprintf("%.0f to %.0f %%", 100*low, 100*high)
}

// writeCSV writes every run's numbers.
func (l *lab) writeCSV(w io.Writer) error {
	var b strings.Builder
	b.WriteString("run,base,family,lean,base_seed,kind,source,shuffled,pairs,seed,accuracy,positive,negative,agency_rank,communion_rank\n")
	for _, m := range l.bases {
		fmt.Fprintf(&b, "base-%s,%s,%s,%s,%d,base,,,,,,%.4f,%.4f,%.4f,%.4f\n", m.name(), m.name(), m.Family, m.Lean, m.Seed,
			m.Words.Positive, m.Words.Negative, m.Words.Agency, m.Words.Communion)
	}
	for _, t := range l.runs {
		fmt.Fprintf(&b, "%s,%s,%s,%s,%d,%s,%s,%t,%d,%d,%.4f,%.4f,%.4f,%.4f,%.4f\n", t.name(), t.base.name(), t.base.Family, t.base.Lean, t.base.Seed,
			t.Kind, t.Source, t.Shuffled, t.Pairs, t.Seed, t.Accuracy, t.Words.Positive, t.Words.Negative, t.Words.Agency, t.Words.Communion)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
