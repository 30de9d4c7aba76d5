package study

import (
	"math"
	"slices"
)

// contest is a base and a tuned model on dictionary words after prompts: what an
// implicit reward is made of. It comes from two tables, and then has the words that
// are single tokens of both, or from a rewards file, with words of any length.
type contest struct {
	name     string
	family   string
	kind     string // "shared single tokens", "all words"
	files    []string
	words    []string
	category []string
	prompts  []string
	base     [][]float64 // base[prompt][word] = ln p
	tuned    [][]float64
	tokens   []int // of each word, nil for single tokens
}

// contests are those of a dictionary that the inputs have.
func (in *Inputs) contests(dict *Dictionary, compat bool) ([]*contest, error) {
	var all []*contest
	for _, p := range in.Pairs {
		w, err := sharedWords(dict, p.Base, p.Tuned, compat)
		if err != nil {
			return nil, err
		}
		all = append(all, &contest{name: p.Name, family: p.Tuned.Model.Family, kind: "shared single tokens", files: []string{p.Base.File, p.Tuned.File},
			words: w.words, category: w.category, prompts: w.prompts, base: w.lp[0], tuned: w.lp[1]})
	}
	for _, r := range in.Rewards {
		c := &contest{name: r.Name, family: r.Model.Family, kind: "all words", files: []string{r.File}, prompts: r.Prompts}
		var at []int
		for i, w := range r.Words {
			if category, ok := dict.Category(w); ok {
				at = append(at, i)
				c.words, c.category, c.tokens = append(c.words, w), append(c.category, category), append(c.tokens, r.NTokens[i])
			}
		}
		for p := range r.Prompts {
			c.base, c.tuned = append(c.base, pick(r.Base[p], at)), append(c.tuned, pick(r.Tuned[p], at))
		}
		if err := c.check(dict, r.File); err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

func pick[T any](from []T, at []int) []T {
	to := make([]T, len(at))
	for i, k := range at {
		to[i] = from[k]
	}
	return to
}

// check refuses a category with fewer than two words.
func (c *contest) check(dict *Dictionary, file string) error {
	for _, category := range dict.Categories {
		n := 0
		for _, own := range c.category {
			if own == category {
				n++
			}
		}
		if n < 2 {
			return tooFewError(file, n, category, dict)
		}
	}
	return nil
}

// only returns the contest on some of its words.
func (c *contest) only(at []int) *contest {
	d := *c
	d.words, d.category = pick(c.words, at), pick(c.category, at)
	if c.tokens != nil {
		d.tokens = pick(c.tokens, at)
	}
	d.base, d.tuned = nil, nil
	for p := range c.prompts {
		d.base, d.tuned = append(d.base, pick(c.base[p], at)), append(d.tuned, pick(c.tuned[p], at))
	}
	return &d
}

// common cuts contests to the words that all have, in the order of the first.
func common(all ...*contest) []*contest {
	var cut []*contest
	var words []string
	for _, w := range all[0].words {
		if !slices.ContainsFunc(all[1:], func(c *contest) bool { return !slices.Contains(c.words, w) }) {
			words = append(words, w)
		}
	}
	for _, c := range all {
		var at []int
		for _, w := range words {
			at = append(at, slices.Index(c.words, w))
		}
		cut = append(cut, c.only(at))
	}
	return cut
}

// reward is ln p(tuned) - ln p(base) of every word after prompt p.
func (c *contest) reward(p int) []float64 { return minus(c.tuned[p], c.base[p]) }

// gap is the mean of values over the words of category a less that over category b.
func gap(values []float64, category []string, a, b string) float64 {
	var sum, n [2]float64
	for i, v := range values {
		switch category[i] {
		case a:
			sum[0], n[0] = sum[0]+v, n[0]+1
		case b:
			sum[1], n[1] = sum[1]+v, n[1]+1
		}
	}
	return sum[0]/n[0] - sum[1]/n[1]
}

// standard returns values less their mean, over their standard deviation.
func standard(values []float64) []float64 {
	mean, sd := meanSD(values)
	z := make([]float64, len(values))
	for i, v := range values {
		z[i] = (v - mean) / sd
		if sd == 0 || math.IsNaN(sd) {
			z[i] = 0
		}
	}
	return z
}

// byCategory splits values into those of each category.
func byCategory(values []float64, category []string, a string) (in, out []float64) {
	for i, v := range values {
		if category[i] == a {
			in = append(in, v)
		} else {
			out = append(out, v)
		}
	}
	return in, out
}
