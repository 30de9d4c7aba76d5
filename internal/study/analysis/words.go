package analysis

import (
	"fmt"

	"github.com/implicitreward/implicitreward/internal/plot"
	"github.com/implicitreward/implicitreward/internal/study/cube"
	"github.com/implicitreward/implicitreward/stats"
)

// CoverageRow counts a category's words in one source.
type CoverageRow struct {
	Source, Kind string
	Category     string `parquet:"Category"`

	Entries, Scored, SingleToken int64 // different words of the dictionary, of these
	ShareScored                  float64
}

// WordsRow is the gap of two categories by implicit reward, on all words and on those
// of one token.
type WordsRow struct {
	Pair, PromptFraming, Words string  // "all words", "single tokens"
	NWords, N                  int64   // N: prompts
	Diff                       float64 // median rank of the first category less the second's, over the number of words
	Paired
}

// wordSets are the sets of words whose gaps are compared, in the order of the figure.
var wordSets = []string{"all words", "single tokens"}

// AllWords sets the effect on all words beside that on single tokens, with coverage.
func AllWords(dict *cube.Dictionary, all []*Pair, o *Options) (*Result, error) {
	a, b, err := o.contrast(dict)
	if err != nil {
		return nil, err
	}
	res := &Result{Analysis: "words", Name: "words-" + dict.Name, Title: say("words.title", dict.Name)}
	res.About = paragraphs("words.about", a, b)
	res.Differs = o.between(dict)
	chart := &plot.Intervals{XLabel: fmt.Sprintf("median rank of %s less that of %s, share of words", a, b),
		Groups: named(wordSets...)}
	var coverage []CoverageRow
	var rows []WordsRow
	for _, p := range all {
		res.Inputs = append(res.Inputs, p.Files...)
		coverage = append(coverage, p.coverage(dict)...)
		sets := map[string]*Pair{"single tokens": p.only(p.singles())}
		if p.Tokens != nil {
			sets["all words"] = p
		}
		if err := sets["single tokens"].Check(dict, p.Files[0]); err != nil {
			res.doubt(say("words.left", plainly(err)))
			delete(sets, "single tokens")
		}
		res.doubt(o.groups.Lone(p.Prompts)...)
		section := plot.IntervalSection{Name: p.Name + ", " + p.Kind}
		for _, framing := range o.groups.Framings(p.Prompts) {
			line := plot.IntervalRow{Label: cube.Label(framing)}
			for k, words := range wordSets {
				if sets[words] == nil {
					continue
				}
				t, err := sets[words].rankGap(framing, a, b, o)
				if untestable(err) {
					res.untested(fmt.Sprintf("%s, %s, %s", p.Name, cube.Label(framing), words), err)
					continue
				}
				if err != nil {
					return nil, err
				}
				if t == nil {
					continue
				}
				n := len(sets[words].Words)
				rows = append(rows, WordsRow{p.Name, framing, words, int64(n), int64(t.N1), t.Estimate, newPaired(*t)})
				res.Tests = append(res.Tests, tTest(fmt.Sprintf("%s, %s, %s: %s - %s", p.Name, framing, words, a, b),
					fmt.Sprintf("paired over prompts, %d words", n), *t))
				line.Estimates = append(line.Estimates, estimate(k, t.Estimate, t.Interval.Lower, t.Interval.Upper))
			}
			if len(line.Estimates) > 0 {
				section.Rows = append(section.Rows, line)
			}
		}
		addSection(chart, section)
	}
	res.Tables = []Table{{"coverage", "Coverage of the dictionary", coverage, 0}}
	if len(rows) > 0 {
		res.Tables = append(res.Tables, Table{"gaps", "Gaps on all words and on single tokens", rows, 0})
		res.Figures = []Figure{{res.Name, &plot.Figure{Title: "All words beside single tokens", Chart: chart,
			Caption: say("words.caption")}}}
	}
	return res, nil
}

// singles are the words of one token.
func (p *Pair) singles() []string {
	var words []string
	for i, w := range p.Words {
		if p.Tokens == nil || p.Tokens[i] == 1 {
			words = append(words, w)
		}
	}
	return words
}

// coverage counts the words of each category.
func (p *Pair) coverage(dict *cube.Dictionary) []CoverageRow {
	var rows []CoverageRow
	single := p.only(p.singles())
	for _, c := range dict.Categories {
		entries, scored := dict.Size(c), len(p.Places(c))
		rows = append(rows, CoverageRow{p.Name, p.Kind, c, int64(entries), int64(scored), int64(len(single.Places(c))),
			float64(scored) / float64(entries)})
	}
	return rows
}

// rankGap tests, over prompts, the gap between two categories' median ranks by reward;
// nil where there are fewer than two prompts.
func (p *Pair) rankGap(framing, a, b string, o *Options) (*stats.TResult, error) {
	var x, y []float64
	for _, i := range o.groups.Places(framing, p.Prompts) {
		_, middles, err := rank(p.Reward(i), p.Category, []string{a, b})
		if err != nil {
			return nil, fmt.Errorf("study: %s: prompt %s: %w", p.Name, p.Prompts[i], err)
		}
		n := float64(len(p.Words))
		x, y = append(x, middles[0].rank/n), append(y, middles[1].rank/n)
	}
	if len(x) < 2 {
		return nil, nil
	}
	t, err := stats.Paired(x, y, nil)
	if err != nil {
		return nil, fmt.Errorf("study: %s: %s: %w", p.Name, framing, err)
	}
	return &t, nil
}
