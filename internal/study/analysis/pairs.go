package analysis

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/internal/study/cube"
	"github.com/implicitreward/implicitreward/internal/table"
	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

// Pair is a base and a tuned model on dictionary words after prompts: what an implicit
// reward is made of. It comes from two tables, and then has the words that are single
// tokens of both, or from a rewards file, with words of any length.
type Pair struct {
	Name, Family string
	Kind         string // singleTokens, allWords
	cube.Scores         // ln p of the base and of the tuned model
}

// The kinds of pairs.
const (
	singleTokens = "shared single tokens"
	allWords     = "all words"
)

// pairsOf are the pairs of a dictionary that the inputs have.
func pairsOf(in *cube.Inputs, dict *cube.Dictionary, o *Options) ([]*Pair, error) {
	var all []*Pair
	for _, p := range in.Pairs {
		s, err := sharedWords(dict, p.Base, p.Tuned, o.Paper())
		if err != nil {
			return nil, err
		}
		all = append(all, &Pair{p.Name, p.Tuned.Model.Family, singleTokens, *s})
	}
	for _, r := range in.Rewards {
		s := r.In(dict)
		if err := s.Check(dict, r.Files[0]); err != nil {
			return nil, err
		}
		all = append(all, &Pair{r.Name, r.Models[1].Family, allWords, *s})
	}
	return all, nil
}

// onlyTokens is a table of the tokens of some texts, after some prompts.
func onlyTokens(t *logprob.Table, prompts []string, texts map[string]int) *logprob.Table {
	only := &logprob.Table{Meta: t.Meta}
	var at []int
	for i, token := range t.Tokens {
		if _, ok := texts[token.Text]; ok {
			at = append(at, i)
		}
	}
	only.Tokens = cube.Pick(t.Tokens, at)
	for p, prompt := range t.Prompts {
		if slices.Contains(prompts, prompt) {
			only.Prompts = append(only.Prompts, prompt)
			only.LogProb = append(only.LogProb, cube.Pick(t.LogProb[p], at))
		}
	}
	return only
}

// sharedTexts are the texts that are tokens of every table. dropNA leaves out those that
// pandas reads as missing.
func sharedTexts(dropNA bool, tables ...*logprob.Table) map[string]int {
	count := map[string]int{} // tables so far, all of which have the text
	for i, t := range tables {
		for _, token := range t.Tokens {
			if count[token.Text] == i && !(dropNA && table.PandasMissing(token.Text)) {
				count[token.Text] = i + 1
			}
		}
	}
	maps.DeleteFunc(count, func(_ string, n int) bool { return n < len(tables) })
	return count
}

// sharedWords is the cube of two models on the words of a dictionary that both have as
// single tokens, by the exact text. Of several tokens with one text the likeliest
// counts; the paper's code (compat) keeps each, in every combination.
func sharedWords(dict *cube.Dictionary, a, b *cube.LogProbFile, compat bool) (*cube.Scores, error) {
	prompts := slices.DeleteFunc(slices.Clone(a.Table.Prompts), func(p string) bool {
		return !slices.Contains(b.Table.Prompts, p)
	})
	if len(prompts) == 0 {
		return nil, fmt.Errorf("%s and %s: no prompt in both", a.File, b.File)
	}
	shared := sharedTexts(compat, a.Table, b.Table)
	maps.DeleteFunc(shared, func(text string, _ int) bool { return dict.Exact(text) == "" })
	s := &cube.Scores{Models: []cube.Model{a.Model, b.Model}, Files: []string{a.File, b.File}, Prompts: prompts}
	if len(shared) > 0 {
		p, q := onlyTokens(a.Table, prompts, shared), onlyTokens(b.Table, prompts, shared)
		if compat {
			p, q = combine(p, q)
		}
		j, err := implicit.Join(p, q, nil)
		if err != nil {
			return nil, fmt.Errorf("%s and %s: %w", a.File, b.File, err)
		}
		fill(s, dict, j)
	}
	for _, c := range dict.Categories {
		if n := len(s.Places(c)); n < 2 {
			return nil, fmt.Errorf("%s and %s: %d words of category %s of %s are tokens of both, wanted two or more",
				a.File, b.File, n, c, dict.File)
		}
	}
	return s, nil
}

// fill enters the joined tokens, in the order of the dictionary.
func fill(s *cube.Scores, dict *cube.Dictionary, j *implicit.Joined) {
	places := map[string][]int{} // of a word among the tokens
	for i, token := range j.Tokens {
		word, _, _ := strings.Cut(token.Text, separator)
		places[word] = append(places[word], i)
	}
	var at []int
	for _, w := range dict.Words {
		for _, i := range places[w.Text] {
			at, s.Words, s.Category = append(at, i), append(s.Words, w.Text), append(s.Category, w.Category)
		}
		delete(places, w.Text)
	}
	s.Values = make([][][]float64, 2)
	for k := range s.Prompts {
		p, q := j.LogProb(k)
		for m, column := range [][]float32{p, q} {
			values := make([]float64, len(at))
			for i, row := range at {
				values[i] = float64(column[row])
			}
			s.Values[m] = append(s.Values[m], values)
		}
	}
}

// separator parts a text from what combine adds to it.
const separator = "\x00"

// combine repeats each token once for each token of its text in the other table, under
// texts that are all different: together the two are what a join of databases makes.
func combine(p, q *logprob.Table) (*logprob.Table, *logprob.Table) {
	var tokens []tokenize.Token
	var inP, inQ []int
	for i, a := range p.Tokens {
		for k, b := range q.Tokens {
			if a.Text == b.Text {
				text := a.Text + separator + strconv.Itoa(len(tokens))
				tokens = append(tokens, tokenize.Token{ID: int32(len(tokens)), Name: a.Name, Text: text})
				inP, inQ = append(inP, i), append(inQ, k)
			}
		}
	}
	repeat := func(t *logprob.Table, at []int) *logprob.Table {
		r := &logprob.Table{Prompts: t.Prompts, Tokens: tokens, Meta: t.Meta}
		for _, column := range t.LogProb {
			r.LogProb = append(r.LogProb, cube.Pick(column, at))
		}
		return r
	}
	return repeat(p, inP), repeat(q, inQ)
}

// common cuts pairs to the words that all have, in the order of the first.
func common(all ...*Pair) []*Pair {
	words := slices.DeleteFunc(slices.Clone(all[0].Words), func(w string) bool {
		return slices.ContainsFunc(all[1:], func(p *Pair) bool { return !slices.Contains(p.Words, w) })
	})
	var cut []*Pair
	for _, p := range all {
		cut = append(cut, p.only(words))
	}
	return cut
}

// only is the pair on some of its words.
func (p *Pair) only(words []string) *Pair {
	var at []int
	for _, w := range words {
		at = append(at, slices.Index(p.Words, w))
	}
	return &Pair{p.Name, p.Family, p.Kind, *p.Only(at)}
}
