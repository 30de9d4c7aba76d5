package study

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/implicitreward/implicitreward/internal/plot"
	"github.com/implicitreward/implicitreward/stats"
)

// ControlRow sets the gap between two categories beside what random words, and words
// of like frequency, would give.
type ControlRow struct {
	What     string  `parquet:"what"` // "Gemma - Llama", or a pair of models
	Category string  `parquet:"Category"`
	Against  string  `parquet:"against"`
	Framing  string  `parquet:"prompt_framing"`
	N1       int64   `parquet:"n1"`
	N2       int64   `parquet:"n2"`
	Gap      float64 `parquet:"gap"`         // mean over words of Category less that of Against
	NullLo   float64 `parquet:"shuffled_lo"` // 95 % of the gaps of shuffled words
	NullHi   float64 `parquet:"shuffled_hi"`
	P        float64 `parquet:"shuffled_p"`
	Pairs    int64   `parquet:"matched_pairs"`
	Matched  float64 `parquet:"matched_gap"`
	MatchLo  float64 `parquet:"matched_lo"`
	MatchHi  float64 `parquet:"matched_hi"`
	MatchT   float64 `parquet:"matched_t"`
	MatchDF  float64 `parquet:"matched_df"`
	MatchP   float64 `parquet:"matched_p"`
	Unlike   float64 `parquet:"ln_p_difference_before"` // of the categories' mean log-probability
	Unlike2  float64 `parquet:"ln_p_difference_after"`
	Distance float64 `parquet:"mean_distance"` // |difference of ln p| within pairs
}

// caliper is how far the log-probabilities of matched words may lie apart, in standard
// deviations of all (Rosenbaum and Rubin 1985 take 0.2 to 0.25).
const caliper = 0.25

// wordValues is one number a word, whose gap between categories is in question.
type wordValues struct {
	what, framing string
	words         []string
	category      []string
	values        []float64
}

// Controls compares the gaps of word categories with those of shuffled words, and with
// words matched in frequency, given by freq (the mean ln p of a word; nil: none).
func Controls(dict *Dictionary, list []wordValues, freq map[string]float64, source string, o *Options) (*Result, error) {
	res := &Result{Analysis: "controls", Name: "controls-" + dict.Name, Title: "Controls: shuffled words and words of like frequency, " + dict.Name}
	res.About = []string{"For each word: the mean over prompts of its rank by the first family less that by the second (each the mean of its models), or of its rank by implicit reward. The gap of two categories is the difference of their words' means. " +
		"Shuffled: the categories' names are dealt to the words at random; a gap within the grey interval is what random words give. " +
		fmt.Sprintf("Matched: each word is paired with a word of the other category of nearly the same log-probability (at most %g standard deviations apart, nearest first, each once); the gap is the mean difference within pairs.", caliper)}
	if freq == nil {
		res.doubt("Words are not matched by frequency: that needs tables of base models, or rewards files.")
	} else {
		res.About = append(res.About, "Frequency is "+source+".")
	}
	chart := &plot.Intervals{XLabel: "gap in mean rank (below 0: the category is liked more)", Groups: []plot.Group{{Name: "shuffled words", Color: plot.Grey}, {Name: "gap", Color: plot.Vermillion}, {Name: "frequency-matched", Color: plot.Blue}}}
	var rows []ControlRow
	for _, v := range list {
		n := len(chart.Sections)
		if n == 0 || chart.Sections[n-1].Name != v.what {
			chart.Sections = append(chart.Sections, plot.IntervalSection{Name: v.what})
			n++
		}
		for k, a := range dict.Categories {
			against := "the rest"
			if len(dict.Categories) == 2 {
				if against = dict.Categories[1]; k == 1 {
					break
				}
			}
			row, tests, err := v.control(a, against, freq, o)
			if untestable(err) {
				res.untested(fmt.Sprintf("%s, %s: %s - %s", v.what, v.framing, a, against), err)
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("study: controls: %s, %s, %s: %w", v.what, a, v.framing, err)
			}
			rows, res.Tests = append(rows, row), append(res.Tests, tests...)
			line := plot.IntervalRow{Label: a + " - " + against + ", " + v.framing, Estimates: []plot.Estimate{{Group: 0, Value: (row.NullLo + row.NullHi) / 2, Lower: row.NullLo, Upper: row.NullHi}, {Group: 1, Value: row.Gap, Lower: row.Gap, Upper: row.Gap}}}
			if !math.IsNaN(row.MatchLo) {
				line.Estimates = append(line.Estimates, plot.Estimate{Group: 2, Value: row.Matched, Lower: row.MatchLo, Upper: row.MatchHi})
			}
			chart.Sections[n-1].Rows = append(chart.Sections[n-1].Rows, line)
		}
	}
	chart.Sections = slices.DeleteFunc(chart.Sections, func(s plot.IntervalSection) bool { return len(s.Rows) == 0 })
	if len(rows) == 0 { // the doubts say why
		return res, nil
	}
	res.Tables = []Table{{"gaps", "Gaps, shuffled and matched", rows, 0}}
	caption := "Grey: the central 95 % of gaps of shuffled words."
	if slices.ContainsFunc(rows, func(r ControlRow) bool { return !math.IsNaN(r.MatchLo) }) {
		caption += " Blue: mean within frequency-matched pairs, 95 % interval of the paired t-test."
	}
	res.Figures = []Figure{{res.Name, &plot.Figure{Title: "Controls: " + dict.Name, Chart: chart, Caption: caption}}}
	return res, nil
}

func (v wordValues) control(a, against string, freq map[string]float64, o *Options) (ControlRow, []Test, error) {
	x, y := byCategory(v.values, v.category, a)
	row := ControlRow{What: v.what, Category: a, Against: against, Framing: v.framing, N1: int64(len(x)), N2: int64(len(y)), Matched: nan, MatchLo: nan, MatchHi: nan, MatchT: nan, MatchDF: nan, MatchP: nan, Unlike: nan, Unlike2: nan, Distance: nan}
	p, err := stats.Permutation(x, y, &stats.ResampleOptions{Draws: o.draws(), Seed: o.Seed, ExactLimit: 1 << 14})
	if err != nil {
		return row, nil, err
	}
	row.Gap, row.P = p.Estimate, p.P
	// The distribution of shuffled gaps is nearly normal, with the exact variance of
	// sampling without replacement.
	_, sd := meanSD(v.values)
	spread := 1.959963984540054 * sd * math.Sqrt(1/float64(len(x))+1/float64(len(y)))
	row.NullLo, row.NullHi = -spread, spread
	name := fmt.Sprintf("%s, %s: %s - %s", v.what, v.framing, a, against)
	tests := []Test{resampleTest(name, "shuffled words", p)}
	d := v.match(a, freq, &row)
	if len(d) >= 5 {
		t, err := stats.OneSample(d, 0, nil)
		if untestable(err) {
			tests[0].Warnings = joinErrors(append(p.Warnings, fmt.Errorf("frequency-matched pairs are not tested: %s", plainly(err))))
			return row, tests, nil
		}
		if err != nil {
			return row, nil, err
		}
		row.Matched, row.MatchLo, row.MatchHi, row.MatchT, row.MatchDF, row.MatchP = t.Estimate, t.Interval.Lower, t.Interval.Upper, t.T, t.DF, t.P
		tests = append(tests, tTest(name, "frequency-matched pairs of words", t))
	}
	return row, tests, nil
}

// match pairs the words of category a with those of others by log-probability, closest
// pairs first, and returns the differences of their values.
func (v wordValues) match(a string, freq map[string]float64, row *ControlRow) []float64 {
	var in, out []int
	var known []float64
	sum, n := [2]float64{}, [2]float64{}
	for i, w := range v.words {
		f, ok := freq[w]
		if !ok {
			continue
		}
		known = append(known, f)
		side := 1
		if v.category[i] == a {
			side, in = 0, append(in, i)
		} else {
			out = append(out, i)
		}
		sum[side] += f
		n[side]++
	}
	if len(in) == 0 || len(out) == 0 {
		return nil
	}
	row.Unlike = sum[0]/n[0] - sum[1]/n[1]
	_, sd := meanSD(known)
	type pair struct {
		i, j     int
		distance float64
	}
	var pairs []pair
	for _, i := range in {
		for _, j := range out {
			if d := math.Abs(freq[v.words[i]] - freq[v.words[j]]); d <= caliper*sd {
				pairs = append(pairs, pair{i, j, d})
			}
		}
	}
	slices.SortFunc(pairs, func(p, q pair) int {
		return cmp.Or(cmp.Compare(p.distance, q.distance), cmp.Compare(v.words[p.i], v.words[q.i]), cmp.Compare(v.words[p.j], v.words[q.j]))
	})
	used := map[int]bool{}
	var d []float64
	unlike, distance := 0.0, 0.0
	for _, p := range pairs {
		if used[p.i] || used[p.j] {
			continue
		}
		used[p.i], used[p.j] = true, true
		d = append(d, v.values[p.i]-v.values[p.j])
		unlike += freq[v.words[p.i]] - freq[v.words[p.j]]
		distance += p.distance
	}
	row.Pairs = int64(len(d))
	if len(d) > 0 {
		row.Unlike2, row.Distance = unlike/float64(len(d)), distance/float64(len(d))
	}
	return d
}

// familyValues are, for each framing, each word's mean rank by family a less that by b.
func familyValues(r *ranked, a, b string) []wordValues {
	var list []wordValues
	for _, framing := range r.framings {
		values := make([]float64, len(r.words))
		for side, family := range []string{a, b} {
			n := 0.0
			sum := make([]float64, len(r.words))
			for m, model := range r.models {
				if model.Family != family {
					continue
				}
				for p, prompt := range r.prompts {
					if r.groups.group(prompt) == framing {
						n++
						for w, rank := range r.ranks[m][p] {
							sum[w] += rank
						}
					}
				}
			}
			for w := range values {
				values[w] += []float64{1, -1}[side] * sum[w] / n
			}
		}
		list = append(list, wordValues{a + " - " + b, framing, r.words, r.category, values})
	}
	return list
}

// rewardValues are, for each framing, each word's mean rank by implicit reward.
func (c *contest) rewardValues(g *Groups) ([]wordValues, error) {
	var list []wordValues
	for _, framing := range g.in(c.prompts) {
		values, n := make([]float64, len(c.words)), 0.0
		for p, prompt := range c.prompts {
			if g.group(prompt) != framing {
				continue
			}
			ranks, err := stats.RanksDescending(c.reward(p))
			if err != nil {
				return nil, fmt.Errorf("study: %s: prompt %s: %w", c.name, prompt, err)
			}
			n++
			for w, rank := range ranks {
				values[w] += rank
			}
		}
		for w := range values {
			values[w] /= n
		}
		list = append(list, wordValues{c.name, framing, c.words, c.category, values})
	}
	return list, nil
}

// frequency is the mean ln p of each dictionary word under the base models: after the
// neutral prompt, or after all prompts where there is none. Words that not all base
// models have as single tokens are left out.
func (in *Inputs) frequency(dict *Dictionary) (map[string]float64, string, error) {
	var bases []*Language
	for _, l := range in.Languages {
		if !l.isTuned() && (in.Neutral != "" || len(l.Table.Prompts) > 1) {
			bases = append(bases, l)
		}
	}
	source := "the mean ln p over all prompts of the base models, for want of a neutral prompt (-neutral)"
	if in.Neutral != "" {
		source = "ln p after the prompt " + in.Neutral + " of the base models"
	}
	sum, count := map[string]float64{}, map[string]int{}
	for _, l := range bases {
		own, n := map[string]float64{}, 0
		for p, prompt := range l.Table.Prompts {
			if in.Neutral != "" && prompt != in.Neutral {
				continue
			}
			n++
			best, _ := likeliest(l.Table, l.Table.LogProb[p], false)
			for w := range dict.category {
				if v, ok := best[w]; ok {
					own[w] += float64(v)
				}
			}
		}
		if n == 0 {
			return nil, "", fmt.Errorf("%s: no prompt %s, wanted the neutral one in the tables of base models", l.File, in.Neutral)
		}
		for w, v := range own {
			sum[w] += v / float64(n)
			count[w]++
		}
	}
	if len(bases) == 0 {
		for _, r := range in.Rewards { // words of any length; the mean of what files there are
			for i, w := range r.Words {
				for p := range r.Prompts {
					sum[w] += r.Base[p][i] / float64(len(r.Prompts))
				}
				count[w]++
			}
		}
		source = "the mean ln p(base) over all prompts of the rewards files"
	}
	freq := map[string]float64{}
	for w, v := range sum {
		if n := max(len(bases), 1); count[w] >= n && !math.IsInf(v, 0) {
			freq[w] = v / float64(count[w])
		}
	}
	if len(freq) == 0 {
		return nil, "", nil
	}
	return freq, source, nil
}
