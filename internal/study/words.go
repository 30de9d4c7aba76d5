package study

import (
	"fmt"

	"github.com/implicitreward/implicitreward/internal/plot"
	"github.com/implicitreward/implicitreward/stats"
)

// CoverageRow counts a category's words in one source.
type CoverageRow struct {
	Source   string  `parquet:"source"`
	Kind     string  `parquet:"kind"`
	Category string  `parquet:"Category"`
	Entries  int64   `parquet:"entries"` // different words of the dictionary
	Scored   int64   `parquet:"scored"`
	Single   int64   `parquet:"single_token"`
	Share    float64 `parquet:"share_scored"`
}

// WordsRow is the gap of two categories by implicit reward, on all words and on those
// of one token.
type WordsRow struct {
	Pair    string  `parquet:"pair"`
	Framing string  `parquet:"prompt_framing"`
	Words   string  `parquet:"words"` // "all words", "single tokens"
	NWords  int64   `parquet:"n_words"`
	N       int64   `parquet:"n"`    // prompts
	Diff    float64 `parquet:"diff"` // median rank of the first category less the second's, over the number of words
	Lower   float64 `parquet:"ci_lo"`
	Upper   float64 `parquet:"ci_hi"`
	T       float64 `parquet:"paired_t"`
	DF      float64 `parquet:"paired_df"`
	P       float64 `parquet:"paired_p"`
	Dz      float64 `parquet:"cohen_dz"`
}

// AllWords sets the effect on all words beside that on single tokens, with coverage.
func AllWords(dict *Dictionary, all []*contest, o *Options) (*Result, error) {
	a, b, err := o.contrast(dict)
	if err != nil {
		return nil, err
	}
	res := &Result{Analysis: "words", Name: "words-" + dict.Name, Title: "All words beside single tokens: " + dict.Name}
	res.About = []string{fmt.Sprintf("Tables of next-token log-probabilities see only words that are one token, and pairs of models only those that both have so; rewards files see all. The gap is the median rank of %s less that of %s by implicit reward, "+
		"as a share of the number of words, so that sets of different size can be compared. A word of several tokens has the sum of its tokens' rewards, which grows with their number.", a, b)}
	res.Differs = o.between(dict)
	chart := &plot.Intervals{XLabel: fmt.Sprintf("median rank of %s less that of %s, share of words", a, b), Groups: []plot.Group{{Name: "all words"}, {Name: "single tokens"}}}
	var coverage []CoverageRow
	var rows []WordsRow
	for _, c := range all {
		res.Inputs = append(res.Inputs, c.files...)
		for _, category := range dict.Categories {
			row := CoverageRow{Source: c.name, Kind: c.kind, Category: category, Entries: int64(dict.Size(category))}
			for i, own := range c.category {
				if own == category {
					row.Scored++
					if c.tokens == nil || c.tokens[i] == 1 {
						row.Single++
					}
				}
			}
			row.Share = float64(row.Scored) / float64(row.Entries)
			coverage = append(coverage, row)
		}
		var single []int
		for i := range c.words {
			if c.tokens == nil || c.tokens[i] == 1 {
				single = append(single, i)
			}
		}
		section := plot.IntervalSection{Name: c.name + ", " + c.kind}
		sets := map[string]*contest{"single tokens": c.only(single)}
		if c.tokens != nil {
			sets["all words"] = c
		}
		if err := sets["single tokens"].check(dict, c.files[0]); err != nil {
			res.doubt("The gap on single tokens is left out: " + plainly(err) + ".")
			delete(sets, "single tokens")
		}
		res.doubt(o.Groups.lone(c.prompts)...)
		for _, framing := range o.Groups.in(c.prompts) {
			line := plot.IntervalRow{Label: groupLabel(framing)}
			for k, words := range []string{"all words", "single tokens"} {
				set := sets[words]
				if set == nil {
					continue
				}
				row, test, err := set.rankGap(framing, words, a, b, o)
				if untestable(err) {
					res.untested(fmt.Sprintf("%s, %s, %s", c.name, groupLabel(framing), words), err)
					continue
				}
				if err != nil {
					return nil, err
				}
				if row == nil {
					continue
				}
				rows, res.Tests = append(rows, *row), append(res.Tests, test)
				line.Estimates = append(line.Estimates, plot.Estimate{Group: k, Value: row.Diff, Lower: row.Lower, Upper: row.Upper})
			}
			if len(line.Estimates) > 0 {
				section.Rows = append(section.Rows, line)
			}
		}
		if len(section.Rows) > 0 {
			chart.Sections = append(chart.Sections, section)
		}
	}
	res.Tables = []Table{{"coverage", "Coverage of the dictionary", coverage, 0}}
	if len(rows) > 0 {
		res.Tables = append(res.Tables, Table{"gaps", "Gaps on all words and on single tokens", rows, 0})
		res.Figures = []Figure{{res.Name, &plot.Figure{Title: "All words beside single tokens", Chart: chart, Caption: "Mean over prompts with the 95 % interval of the paired t-test."}}}
	}
	return res, nil
}

// rankGap tests, over prompts, the gap between two categories' median ranks by reward.
func (c *contest) rankGap(framing, words, a, b string, o *Options) (*WordsRow, Test, error) {
	var x, y []float64
	for p, prompt := range c.prompts {
		if o.Groups.group(prompt) != framing {
			continue
		}
		ranks, _, _, err := medianBy(c.reward(p), c.category, []string{a, b})
		if err != nil {
			return nil, Test{}, fmt.Errorf("study: %s: prompt %s: %w", c.name, prompt, err)
		}
		x, y = append(x, ranks[0]/float64(len(c.words))), append(y, ranks[1]/float64(len(c.words)))
	}
	if len(x) < 2 {
		return nil, Test{}, nil
	}
	t, err := stats.Paired(x, y, nil)
	if err != nil {
		return nil, Test{}, fmt.Errorf("study: %s: %s: %w", c.name, framing, err)
	}
	row := &WordsRow{c.name, framing, words, int64(len(c.words)), int64(t.N1), t.Estimate, t.Interval.Lower, t.Interval.Upper, t.T, t.DF, t.P, t.Estimate / t.SD1}
	return row, tTest(fmt.Sprintf("%s, %s, %s: %s - %s", c.name, framing, words, a, b), fmt.Sprintf("paired over prompts, %d words", len(c.words)), t), nil
}
