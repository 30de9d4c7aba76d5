package study

import (
	"context"
	"fmt"
	"slices"
)

// Analysis is one of the study's, by name.
type Analysis struct {
	Name  string
	Also  []string // figures that come with it, which may be asked for too
	What  string
	Needs string // inputs
	reads string // kinds of files: s scores, t tables, r rewards, c checkpoints, a ablations
	run   func(in *Inputs, o *Options) ([]*Result, error)
}

// Analyses are all that there are, in the order of the report.
var Analyses = []Analysis{
	{"fig1", []string{"a1"}, "reward models' ranks of words by family, mixed model, panel tests", "corpora with scores", "s", runFig1},
	{"crossed", nil, "families compared over the same prompts, words and models: paired tests, crossed bootstrap, mixed models", "corpora with scores of two families", "s", runCrossed},
	{"fig2", nil, "log-probabilities of two models: ANOVA, tests by cell", "tables, a corpus", "t", runFig2},
	{"fig3", nil, "MWLR of two words between all model pairs", "tables", "t", runFig3},
	{"table1", nil, "tokens at both ends of MWLR", "tables", "t", runTable1},
	{"fig4", []string{"fig4a", "a5a", "fig4b", "a5b"}, "ranks during training, and at its end", "series, ablations", "ca", runFig4},
	{"fig5", []string{"a6"}, "words that training moved most", "series, a corpus", "c", runFig5},
	{"implicit", nil, "ranks of words by implicit reward", "tables of base and tuned models, a corpus", "t", runImplicit},
	{"words", nil, "the effect on all words beside single tokens, with coverage", "tables of base and tuned models or rewards, a corpus of two categories or more", "tr", runWords},
	{"did", nil, "what tuning added to what pretraining gave: difference in differences", "base and tuned models of two families (tables or rewards), a corpus of two categories or more", "tr", runDiD},
	{"decompose", nil, "reward models' word scores from base log-probability and implicit reward", "scores, and tables or rewards of the same family", "str", runDecompose},
	{"controls", nil, "shuffled words and frequency-matched words", "scores of two families, tables or rewards; tables of base models for frequency", "str", runControls},
}

// Run makes the analyses that the configuration asks for, or all that the inputs
// allow, in order. An analysis that was asked for and lacks inputs is an error.
func Run(ctx context.Context, c *Config, in *Inputs) ([]*Result, error) {
	o := &Options{Compat: c.Compat == "paper", Seed: c.Seed, Draws: c.Draws, Groups: in.Groups, Contrast: c.Contrast}
	if c.Power {
		r, err := runPower(ctx, c, in, o)
		return []*Result{r}, err
	}
	var all []*Result
	for _, a := range Analyses {
		if !c.wants(a) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		results, err := a.run(in, o)
		if err != nil {
			return nil, err
		}
		if len(results) == 0 && c.Only != nil {
			return nil, fmt.Errorf("study: %s: no inputs for it, wanted %s", a.Name, a.Needs)
		}
		if c.Only != nil && !slices.Contains(c.Only, a.Name) {
			for _, r := range results { // a figure alone
				r.Figures = slices.DeleteFunc(r.Figures, func(f Figure) bool {
					return !slices.ContainsFunc(c.Only, func(name string) bool {
						return f.Name == name || len(f.Name) > len(name) && f.Name[:len(name)+1] == name+"-"
					})
				})
			}
			results = slices.DeleteFunc(results, func(r *Result) bool { return len(r.Figures) == 0 })
		}
		all = append(all, results...)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("study: nothing to do: wanted corpora with scores, tables, series, ablations or rewards")
	}
	return all, nil
}

func runFig1(in *Inputs, o *Options) ([]*Result, error) {
	var all []*Result
	for _, s := range in.Sets {
		if len(s.Scores) == 0 {
			continue
		}
		r, err := Fig1(s.Dict, s.Scores, o)
		if err != nil {
			return nil, err
		}
		r.Inputs = append(r.Inputs, s.Dict.File)
		for _, f := range s.Scores {
			r.Inputs = append(r.Inputs, f.File)
		}
		all = append(all, r)
	}
	return all, nil
}

func runFig2(in *Inputs, o *Options) ([]*Result, error) {
	if len(in.Sets) == 0 {
		return nil, nil
	}
	var all []*Result
	for i, p := range in.Crossed {
		name := "pretrained"
		if p.Base.isTuned() {
			name = "instruct"
		}
		if slices.ContainsFunc(all, func(r *Result) bool { return r.Name == "fig2-"+name }) {
			name = fmt.Sprintf("%s-%d", name, i+1)
		}
		r, err := Fig2(in.Sets[0].Dict, name, p.Base, p.Tuned, o)
		if err != nil {
			return nil, err
		}
		in.Sets[0].Dict.note(r)
		all = append(all, r)
	}
	return all, nil
}

func runFig3(in *Inputs, o *Options) ([]*Result, error) {
	families := in.tunedFamilies(in.Prompt)
	if len(families) < 2 {
		return nil, nil
	}
	r, err := Fig3(in.Prompt, in.Words, in.tuned(families[0], in.Prompt), in.tuned(families[1], in.Prompt), o)
	return []*Result{r}, err
}

func runTable1(in *Inputs, o *Options) ([]*Result, error) {
	families := in.tunedFamilies(in.Prompt)
	if len(families) < 2 {
		return nil, nil
	}
	list := in.tuned(families[1], in.Prompt)
	against := list[0]
	for _, l := range list {
		if l.Model.Name == "meta-llama/Llama-3.2-3B-Instruct" { // the paper's
			against = l
		}
	}
	r, err := Table1(in.Prompt, in.tuned(families[0], in.Prompt), against, o)
	return []*Result{r}, err
}

func runFig4(in *Inputs, o *Options) ([]*Result, error) {
	var all []*Result
	if len(in.Series) > 0 && in.Training != nil {
		r, err := Fig4(in.Training, in.Keep, in.Series, o)
		if err != nil {
			return nil, err
		}
		in.Training.note(r)
		all = append(all, r)
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

func runFig5(in *Inputs, o *Options) ([]*Result, error) {
	if len(in.Series) == 0 || len(in.Sets) == 0 {
		return nil, nil
	}
	r, err := Fig5(in.Sets[0].Dict, in.Series, o)
	if err != nil {
		return nil, err
	}
	in.Sets[0].Dict.note(r)
	return []*Result{r}, nil
}

func runImplicit(in *Inputs, o *Options) ([]*Result, error) {
	pairs := append(slices.Clone(in.Pairs), in.Crossed...)
	if len(pairs) == 0 || len(in.Sets) == 0 {
		return nil, nil
	}
	r, err := Implicit(in.Sets[0].Dict, pairs, o)
	if err != nil {
		return nil, err
	}
	in.Sets[0].Dict.note(r)
	return []*Result{r}, nil
}

func runCrossed(in *Inputs, o *Options) ([]*Result, error) {
	var all []*Result
	for _, s := range in.Sets {
		if len(families(s.Scores)) < 2 {
			continue
		}
		r, err := Crossed(s.Dict, s.Scores, o)
		if err != nil {
			return nil, err
		}
		s.Dict.note(r)
		all = append(all, r)
	}
	return all, nil
}

// families are those of the scores' models, sorted.
func families(scores []*Scores) []string {
	var names []string
	for _, s := range scores {
		names = append(names, s.Model.Family)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// onContests runs an analysis of implicit rewards on the first corpus.
func onContests(in *Inputs, o *Options, use func(dict *Dictionary, all []*contest) (*Result, error)) ([]*Result, error) {
	if len(in.Sets) == 0 {
		return nil, nil
	}
	dict := in.Sets[0].Dict
	all, err := in.contests(dict, o.Compat)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	r, err := use(dict, all)
	if r == nil || err != nil {
		return nil, err
	}
	dict.note(r)
	return []*Result{r}, nil
}

func runWords(in *Inputs, o *Options) ([]*Result, error) {
	return onContests(in, o, func(dict *Dictionary, all []*contest) (*Result, error) {
		if len(dict.Categories) < 2 {
			return nil, nil // no gap
		}
		return AllWords(dict, all, o)
	})
}

func runDiD(in *Inputs, o *Options) ([]*Result, error) {
	return onContests(in, o, func(dict *Dictionary, all []*contest) (*Result, error) {
		if len(dict.Categories) < 2 {
			return nil, nil // no gap
		}
		return DiD(dict, all, o)
	})
}

func runDecompose(in *Inputs, o *Options) ([]*Result, error) {
	return onContests(in, o, func(dict *Dictionary, all []*contest) (*Result, error) {
		return Decompose(dict, in.Sets[0].Scores, all, o)
	})
}

func runControls(in *Inputs, o *Options) ([]*Result, error) {
	var results []*Result
	for i, s := range in.Sets {
		var list []wordValues
		if names := families(s.Scores); len(names) > 1 {
			r, err := rank(s.Dict, s.Scores, o.Groups)
			if err != nil {
				return nil, err
			}
			for a := range names {
				for _, b := range names[a+1:] {
					list = append(list, familyValues(r, names[a], b)...)
				}
			}
		}
		if i == 0 {
			all, err := in.contests(s.Dict, o.Compat)
			if err != nil {
				return nil, err
			}
			for _, c := range all {
				more, err := c.rewardValues(o.Groups)
				if err != nil {
					return nil, err
				}
				list = append(list, more...)
			}
		}
		if len(list) == 0 {
			continue
		}
		freq, source, err := in.frequency(s.Dict)
		if err != nil {
			return nil, err
		}
		r, err := Controls(s.Dict, list, freq, source, o)
		if err != nil {
			return nil, err
		}
		s.Dict.note(r)
		results = append(results, r)
	}
	return results, nil
}
