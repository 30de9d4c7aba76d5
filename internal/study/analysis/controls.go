package analysis

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/stat"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/internal/plot"
	"github.com/implicitreward/implicitreward/internal/study/cube"
	"github.com/implicitreward/implicitreward/stats"
)

// ControlRow sets the gap between two categories beside what random words, and words
// of like frequency, would give.
type ControlRow struct {
	What          string // "Gemma - Llama", or a pair of models
	Category      string `parquet:"Category"`
	Against       string
	PromptFraming string
	N1, N2        int64
	Gap           float64 // mean over words of Category less that of Against
	// 95 % of the gaps of shuffled words
	ShuffledLo, ShuffledHi, ShuffledP float64
	Matches
}

// Matches are pairs of words of two categories that are alike in frequency, as columns of
// a table.
type Matches struct {
	MatchedPairs int64

	MatchedGap, MatchedLo, MatchedHi, MatchedT, MatchedDF, MatchedP float64
	// between the categories' mean log-probabilities, and within pairs
	LnPDifferenceBefore, LnPDifferenceAfter, MeanDistance float64
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
func Controls(dict *cube.Dictionary, list []wordValues, freq map[string]float64, source string,
	o *Options) (*Result, error) {
	res := &Result{Analysis: "controls", Name: "controls-" + dict.Name, Title: say("controls.title", dict.Name)}
	res.About = paragraphs("controls.about", caliper)
	if freq == nil {
		res.doubt(say("controls.unmatched"))
	} else {
		res.About = append(res.About, "Frequency is "+source+".")
	}
	chart := &plot.Intervals{XLabel: "gap in mean rank (below 0: the category is liked more)",
		Groups: named("shuffled words", "gap", "frequency-matched")}
	for k, color := range []plot.Color{plot.Grey, plot.Vermillion, plot.Blue} {
		chart.Groups[k].Color = color
	}
	var rows []ControlRow
	categories, against := dict.Categories, "the rest"
	if len(categories) == 2 {
		categories, against = categories[:1], categories[1]
	}
	for _, v := range list {
		if n := len(chart.Sections); n == 0 || chart.Sections[n-1].Name != v.what {
			chart.Sections = append(chart.Sections, plot.IntervalSection{Name: v.what})
		}
		section := &chart.Sections[len(chart.Sections)-1]
		for _, a := range categories {
			row, tests, err := v.control(a, against, freq, o)
			if untestable(err) {
				res.untested(fmt.Sprintf("%s, %s: %s - %s", v.what, v.framing, a, against), err)
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("study: controls: %s, %s, %s: %w", v.what, a, v.framing, err)
			}
			rows, res.Tests = append(rows, row), append(res.Tests, tests...)
			section.Rows = append(section.Rows, row.line())
		}
	}
	chart.Sections = slices.DeleteFunc(chart.Sections, func(s plot.IntervalSection) bool { return len(s.Rows) == 0 })
	if len(rows) == 0 { // the doubts say why
		return res, nil
	}
	res.Tables = []Table{{"gaps", "Gaps, shuffled and matched", rows, 0}}
	caption := say("controls.caption")
	if slices.ContainsFunc(rows, func(r ControlRow) bool { return !math.IsNaN(r.MatchedLo) }) {
		caption += " " + say("controls.caption.matched")
	}
	res.Figures = []Figure{{res.Name, &plot.Figure{Title: "Controls: " + dict.Name, Chart: chart, Caption: caption}}}
	return res, nil
}

// line is the row as the figure has it.
func (r ControlRow) line() plot.IntervalRow {
	line := plot.IntervalRow{Label: r.Category + " - " + r.Against + ", " + r.PromptFraming, Estimates: []plot.Estimate{
		estimate(0, (r.ShuffledLo+r.ShuffledHi)/2, r.ShuffledLo, r.ShuffledHi), estimate(1, r.Gap, r.Gap, r.Gap)}}
	if m := r.Matches; !math.IsNaN(m.MatchedLo) {
		line.Estimates = append(line.Estimates, estimate(2, m.MatchedGap, m.MatchedLo, m.MatchedHi))
	}
	return line
}

func (v wordValues) control(a, against string, freq map[string]float64, o *Options) (ControlRow, []Test, error) {
	x, y := byCategory(v.values, v.category, a)
	row := ControlRow{What: v.what, Category: a, Against: against, PromptFraming: v.framing,
		N1: int64(len(x)), N2: int64(len(y))}
	p, err := stats.Permutation(x, y, o.resampling(1<<14))
	if err != nil {
		return row, nil, err
	}
	row.Gap, row.ShuffledP = p.Estimate, p.P
	// The distribution of shuffled gaps is nearly normal, with the exact variance of
	// sampling without replacement.
	spread := 1.959963984540054 * stat.StdDev(v.values, nil) * math.Sqrt(1/float64(len(x))+1/float64(len(y)))
	row.ShuffledLo, row.ShuffledHi = -spread, spread
	name := fmt.Sprintf("%s, %s: %s - %s", v.what, v.framing, a, against)
	tests := []Test{resampleTest(name, "shuffled words", p)}
	d, matches := v.match(a, freq)
	row.Matches = matches
	if len(d) < 5 {
		return row, tests, nil
	}
	t, err := stats.OneSample(d, 0, nil)
	if untestable(err) {
		untested := fmt.Errorf("frequency-matched pairs are not tested: %s", plainly(err))
		tests[0].Warnings = joinErrors(append(p.Warnings, untested))
		return row, tests, nil
	}
	if err != nil {
		return row, nil, err
	}
	m := &row.Matches
	m.MatchedGap, m.MatchedLo, m.MatchedHi = t.Estimate, t.Interval.Lower, t.Interval.Upper
	m.MatchedT, m.MatchedDF, m.MatchedP = t.T, t.DF, t.P
	return row, append(tests, tTest(name, "frequency-matched pairs of words", t)), nil
}

// match pairs the words of category a with those of others by log-probability, closest
// pairs first, and returns the differences of their values.
func (v wordValues) match(a string, freq map[string]float64) (differences []float64, m Matches) {
	m = Matches{MatchedGap: nan, MatchedLo: nan, MatchedHi: nan, MatchedT: nan, MatchedDF: nan, MatchedP: nan,
		LnPDifferenceBefore: nan, LnPDifferenceAfter: nan, MeanDistance: nan}
	var in, out []int
	var known []float64
	sum := [2]float64{}
	for i, w := range v.words {
		f, ok := freq[w]
		switch {
		case !ok:
			continue
		case v.category[i] == a:
			in, sum[0] = append(in, i), sum[0]+f
		default:
			out, sum[1] = append(out, i), sum[1]+f
		}
		known = append(known, f)
	}
	if len(in) == 0 || len(out) == 0 {
		return nil, m
	}
	m.LnPDifferenceBefore = sum[0]/float64(len(in)) - sum[1]/float64(len(out))
	type pair struct {
		i, j     int
		distance float64
	}
	var pairs []pair
	most := caliper * stat.StdDev(known, nil)
	for _, i := range in {
		for _, j := range out {
			if d := math.Abs(freq[v.words[i]] - freq[v.words[j]]); d <= most {
				pairs = append(pairs, pair{i, j, d})
			}
		}
	}
	slices.SortFunc(pairs, func(p, q pair) int {
		return cmp.Or(cmp.Compare(p.distance, q.distance),
			cmp.Compare(v.words[p.i], v.words[q.i]), cmp.Compare(v.words[p.j], v.words[q.j]))
	})
	used := map[int]bool{}
	unlike, distance := 0.0, 0.0
	for _, p := range pairs {
		if used[p.i] || used[p.j] {
			continue
		}
		used[p.i], used[p.j] = true, true
		differences = append(differences, v.values[p.i]-v.values[p.j])
		unlike += freq[v.words[p.i]] - freq[v.words[p.j]]
		distance += p.distance
	}
	if n := len(differences); n > 0 {
		m.MatchedPairs, m.LnPDifferenceAfter, m.MeanDistance = int64(n), unlike/float64(n), distance/float64(n)
	}
	return differences, m
}

// familyValues are, for each framing, each word's mean rank by family a less that by b.
func familyValues(r *ranked, a, b string) []wordValues {
	var list []wordValues
	for _, framing := range r.framings {
		mean := func(family string) []float64 {
			var ranks [][]float64
			for _, m := range r.members(family) {
				ranks = append(ranks, cube.Pick(r.ranks[m], r.groups.Places(framing, r.Prompts))...)
			}
			return wordMean(ranks)
		}
		list = append(list, wordValues{a + " - " + b, framing, r.Words, r.Category, cube.Minus(mean(a), mean(b))})
	}
	return list
}

// wordMean is the mean of each word over lists of all words.
func wordMean(lists [][]float64) []float64 {
	mean := make([]float64, len(lists[0]))
	for _, values := range lists {
		floats.Add(mean, values)
	}
	for w := range mean {
		mean[w] /= float64(len(lists))
	}
	return mean
}

// rewardValues are, for each framing, each word's mean rank by implicit reward.
func (p *Pair) rewardValues(g *cube.Groups) ([]wordValues, error) {
	var list []wordValues
	for _, framing := range g.Framings(p.Prompts) {
		var lists [][]float64
		for _, i := range g.Places(framing, p.Prompts) {
			ranks, err := stats.RanksDescending(p.Reward(i))
			if err != nil {
				return nil, fmt.Errorf("study: %s: prompt %s: %w", p.Name, p.Prompts[i], err)
			}
			lists = append(lists, ranks)
		}
		list = append(list, wordValues{p.Name, framing, p.Words, p.Category, wordMean(lists)})
	}
	return list, nil
}

// frequency is the mean ln p of each dictionary word under the base models: after the
// neutral prompt, or after all prompts where there is none. Words that not all base
// models have as single tokens are left out.
func frequency(in *cube.Inputs, dict *cube.Dictionary) (freq map[string]float64, source string, err error) {
	sum, count, models := map[string]float64{}, map[string]int{}, 0
	for _, l := range in.LogProbs {
		if l.Tuned() || in.Neutral == "" && len(l.Table.Prompts) < 2 {
			continue
		}
		models++
		if err := addLogProbs(sum, count, l, in.Neutral, dict); err != nil {
			return nil, "", err
		}
	}
	source = say("frequency.mean")
	if in.Neutral != "" {
		source = say("frequency.neutral", in.Neutral)
	}
	if models == 0 { // words of any length; the mean of what files there are
		for _, r := range in.Rewards {
			for i, w := range r.Words {
				for p := range r.Prompts {
					sum[w] += r.Values[0][p][i] / float64(len(r.Prompts))
				}
				count[w]++
			}
		}
		source = say("frequency.rewards")
	}
	for w, v := range sum {
		if count[w] >= max(models, 1) && !math.IsInf(v, 0) {
			if freq == nil {
				freq = map[string]float64{}
			}
			freq[w] = v / float64(count[w])
		}
	}
	if freq == nil {
		source = ""
	}
	return freq, source, nil
}

// addLogProbs adds a base model's mean ln p of each dictionary word that is a token.
func addLogProbs(sum map[string]float64, count map[string]int, l *cube.LogProbFile, neutral string,
	dict *cube.Dictionary) error {
	prompts := l.Table.Prompts
	if neutral != "" {
		prompts = []string{neutral}
	}
	if !slices.Contains(l.Table.Prompts, prompts[0]) {
		return fmt.Errorf("%s: no prompt %s, wanted the neutral one in the tables of base models", l.File, neutral)
	}
	words := map[string]int{}
	for _, t := range l.Table.Tokens {
		if dict.Exact(t.Text) != "" {
			words[t.Text]++
		}
	}
	if len(words) == 0 {
		return nil
	}
	t := onlyTokens(l.Table, prompts, words)
	j, err := implicit.Join(t, t, nil) // each text once, as likely as its likeliest token
	if err != nil {
		return fmt.Errorf("%s: %w", l.File, err)
	}
	own := make([]float64, len(j.Tokens))
	for p := range prompts {
		column, _ := j.LogProb(p)
		for i, v := range column {
			own[i] += float64(v)
		}
	}
	for i, token := range j.Tokens {
		sum[token.Text] += own[i] / float64(len(prompts))
		count[token.Text]++
	}
	return nil
}
