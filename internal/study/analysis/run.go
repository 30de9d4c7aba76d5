// Package analysis makes the analyses of value bias of the files that were read:
// cube.Inputs -> Results, one file an analysis. Their prose is in prose.txt.
//
// Ranks are midranks, 1 for the word that a model likes best. Logs are natural. The
// same inputs and options give the same bytes: random draws come from Options.Seed.
package analysis

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/implicitreward/implicitreward/internal/study/cube"
)

// Analysis is one of the study's, by name.
type Analysis struct {
	Name  string
	Also  []string // figures that come with it, which may be asked for too
	reads cube.Kind
	run   runner
}

// What says what the analysis is.
func (a Analysis) What() string { return say(a.Name + ".what") }

// Needs says which inputs it needs.
func (a Analysis) Needs() string { return say(a.Name + ".needs") }

const bothRewards = cube.LogProbFiles | cube.RewardFiles

// Analyses are all that there are, in the order of the report.
var Analyses = []Analysis{
	{"fig1", []string{"a1"}, cube.ScoreFiles, onSets(1, Fig1)},
	{"crossed", nil, cube.ScoreFiles, onSets(2, Crossed)},
	{"fig2", nil, cube.LogProbFiles, runFig2},
	{"fig3", nil, cube.LogProbFiles, runFig3},
	{"table1", nil, cube.LogProbFiles, runTable1},
	{"fig4", []string{"fig4a", "a5a", "fig4b", "a5b"}, cube.SeriesFiles | cube.AblationFiles, runFig4},
	{"fig5", []string{"a6"}, cube.SeriesFiles, runFig5},
	{"implicit", nil, cube.LogProbFiles, runImplicit},
	{"words", nil, bothRewards, onPairs(2, AllWords)},
	{"did", nil, bothRewards, onPairs(2, DiD)},
	{"decompose", nil, cube.ScoreFiles | bothRewards, runDecompose},
	{"controls", nil, cube.ScoreFiles | bothRewards, runControls},
}

// wants says whether an analysis, or a figure of it, is to be made.
func (o *Options) wants(a Analysis) bool {
	asked := func(name string) bool { return slices.Contains(o.Only, name) }
	return o.Only == nil || asked(a.Name) || slices.ContainsFunc(a.Also, asked)
}

// Reads are the kinds of files that the wanted analyses read.
func (o *Options) Reads() cube.Kind {
	if o.Power {
		return cube.ScoreFiles
	}
	var kinds cube.Kind
	for _, a := range Analyses {
		if o.wants(a) {
			kinds |= a.reads
		}
	}
	return kinds
}

// Run makes the analyses that were asked for, or all that the inputs allow, in order. An
// analysis that was asked for and lacks inputs is an error.
func Run(ctx context.Context, o *Options, in *cube.Inputs) ([]*Result, error) {
	own := *o
	o, own.groups = &own, in.Groups
	if o.Power {
		r, err := runPower(ctx, in, o)
		return []*Result{r}, err
	}
	var all []*Result
	for _, a := range Analyses {
		if !o.wants(a) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		results, err := a.run(in, o)
		if err != nil {
			return nil, err
		}
		if len(results) == 0 && o.Only != nil {
			return nil, fmt.Errorf("study: %s: no inputs for it, wanted %s", a.Name, a.Needs())
		}
		if o.Only != nil && !slices.Contains(o.Only, a.Name) {
			results = o.onlyFigures(results)
		}
		all = append(all, results...)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("study: nothing to do: wanted corpora with scores, tables, series, ablations or rewards")
	}
	return all, nil
}

// onlyFigures leaves the figures that were asked for by name, and the results with such.
func (o *Options) onlyFigures(results []*Result) []*Result {
	for _, r := range results {
		r.Figures = slices.DeleteFunc(r.Figures, func(f Figure) bool {
			asked := func(name string) bool { return f.Name == name || strings.HasPrefix(f.Name, name+"-") }
			return !slices.ContainsFunc(o.Only, asked)
		})
	}
	return slices.DeleteFunc(results, func(r *Result) bool { return len(r.Figures) == 0 })
}

// results is a list of one result with the dictionary's notes, or of none.
func results(dict *cube.Dictionary, r *Result, err error) ([]*Result, error) {
	if r == nil || err != nil {
		return nil, err
	}
	r.Differs = append(r.Differs, dict.Notes...)
	return []*Result{r}, nil
}

// runner makes an analysis of inputs; nothing where they do not allow it.
type runner func(in *cube.Inputs, o *Options) ([]*Result, error)

// onSets runs an analysis on the scores of each set that are of enough families.
func onSets(families int, use func(*cube.Dictionary, []*cube.Scores, *Options) (*Result, error)) runner {
	return func(in *cube.Inputs, o *Options) ([]*Result, error) {
		var all []*Result
		for _, s := range in.Sets {
			if len(familiesOf(s.Scores)) < families {
				continue
			}
			r, err := use(s.Dict, s.Scores, o)
			if err != nil {
				return nil, err
			}
			r.Differs = slices.Concat(s.Dict.Notes, r.Differs)
			all = append(all, r)
		}
		return all, nil
	}
}

// onPairs runs an analysis of implicit rewards on the first corpus, if it has enough
// categories.
func onPairs(categories int, use func(*cube.Dictionary, []*Pair, *Options) (*Result, error)) runner {
	return func(in *cube.Inputs, o *Options) ([]*Result, error) {
		if len(in.Sets) == 0 {
			return nil, nil
		}
		dict := in.Sets[0].Dict
		all, err := pairsOf(in, dict, o)
		if err != nil || len(all) == 0 || len(dict.Categories) < categories {
			return nil, err
		}
		r, err := use(dict, all, o)
		return results(dict, r, err)
	}
}

// familiesOf are those of the scores' models, sorted.
func familiesOf(scores []*cube.Scores) []string {
	var names []string
	for _, s := range scores {
		names = append(names, s.Models[0].Family)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func runFig2(in *cube.Inputs, o *Options) ([]*Result, error) {
	if len(in.Sets) == 0 {
		return nil, nil
	}
	dict := in.Sets[0].Dict
	var all []*Result
	for i, p := range in.Crossed {
		name := "pretrained"
		if p.Base.Tuned() {
			name = "instruct"
		}
		if slices.ContainsFunc(all, func(r *Result) bool { return r.Name == "fig2-"+name }) {
			name = fmt.Sprintf("%s-%d", name, i+1)
		}
		r, err := Fig2(dict, name, p.Base, p.Tuned, o)
		one, err := results(dict, r, err)
		if err != nil {
			return nil, err
		}
		all = append(all, one...)
	}
	return all, nil
}

func runFig3(in *cube.Inputs, o *Options) ([]*Result, error) {
	families := in.TunedFamilies(in.Prompt)
	if len(families) < 2 {
		return nil, nil
	}
	r, err := Fig3(in.Prompt, in.Words, in.Tuned(families[0], in.Prompt), in.Tuned(families[1], in.Prompt), o)
	return results(&cube.Dictionary{}, r, err)
}

func runTable1(in *cube.Inputs, o *Options) ([]*Result, error) {
	families := in.TunedFamilies(in.Prompt)
	if len(families) < 2 {
		return nil, nil
	}
	list := in.Tuned(families[1], in.Prompt)
	against := list[0]
	for _, l := range list {
		if l.Model.Name == "meta-llama/Llama-3.2-3B-Instruct" { // the paper's
			against = l
		}
	}
	r, err := Table1(in.Prompt, in.Tuned(families[0], in.Prompt), against, o)
	return results(&cube.Dictionary{}, r, err)
}

func runFig4(in *cube.Inputs, o *Options) ([]*Result, error) {
	var all []*Result
	if len(in.Series) > 0 && in.Training != nil {
		r, err := Fig4(in.Training, in.Keep, in.Series, o)
		if all, err = results(in.Training, r, err); err != nil {
			return nil, err
		}
	}
	if len(in.Ablations) > 0 {
		r, err := Fig4b(in.Ablations, o)
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

func runFig5(in *cube.Inputs, o *Options) ([]*Result, error) {
	if len(in.Series) == 0 || len(in.Sets) == 0 {
		return nil, nil
	}
	dict := in.Sets[0].Dict
	r, err := Fig5(dict, in.Series, o)
	return results(dict, r, err)
}

func runImplicit(in *cube.Inputs, o *Options) ([]*Result, error) {
	pairs := slices.Concat(in.Pairs, in.Crossed)
	if len(pairs) == 0 || len(in.Sets) == 0 {
		return nil, nil
	}
	dict := in.Sets[0].Dict
	r, err := Implicit(dict, pairs, o)
	return results(dict, r, err)
}

func runDecompose(in *cube.Inputs, o *Options) ([]*Result, error) {
	return onPairs(1, func(dict *cube.Dictionary, all []*Pair, o *Options) (*Result, error) {
		return Decompose(dict, in.Sets[0].Scores, all, o)
	})(in, o)
}

func runControls(in *cube.Inputs, o *Options) ([]*Result, error) {
	var all []*Result
	for i, s := range in.Sets {
		list, err := controlled(in, s, i == 0, o)
		if err != nil {
			return nil, err
		}
		if len(list) == 0 {
			continue
		}
		freq, source, err := frequency(in, s.Dict)
		if err != nil {
			return nil, err
		}
		r, err := Controls(s.Dict, list, freq, source, o)
		one, err := results(s.Dict, r, err)
		if err != nil {
			return nil, err
		}
		all = append(all, one...)
	}
	return all, nil
}

// controlled are the values of words whose gaps are controlled: of each two families of
// reward models, and on the first set of pairs.
func controlled(in *cube.Inputs, s cube.Set, first bool, o *Options) ([]wordValues, error) {
	var list []wordValues
	if len(familiesOf(s.Scores)) > 1 {
		r, err := newRanked(s.Dict, s.Scores, o.groups)
		if err != nil {
			return nil, err
		}
		_ = r.eachPair(func(a, b string) error { list = append(list, familyValues(r, a, b)...); return nil })
	}
	if !first {
		return list, nil
	}
	all, err := pairsOf(in, s.Dict, o)
	if err != nil {
		return nil, err
	}
	for _, p := range all {
		more, err := p.rewardValues(o.groups)
		if err != nil {
			return nil, err
		}
		list = append(list, more...)
	}
	return list, nil
}
