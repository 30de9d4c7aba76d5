package main

import (
	"errors"
	"flag"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/implicitreward/implicitreward/internal/cli"
	"github.com/implicitreward/implicitreward/internal/study"
	"github.com/implicitreward/implicitreward/internal/study/input"
)

// configure reads the flags, over the YAML file that -config names.
func configure(args []string, stdout io.Writer) (config *study.Config, force bool, err error) {
	f := cli.NewFlags("study", purpose, examples())
	var c study.Config
	replace := f.Force()
	var file string
	var set []func(*study.Config) error // what the flags do, in order
	f.StringVar(&file, "config", "", "YAML `file` with the flags' names as keys")
	text := func(name, usage string, to func(*study.Config) *string) {
		f.Func(name, usage, func(v string) error {
			set = append(set, func(c *study.Config) error { *to(c) = v; return nil })
			return nil
		})
	}
	list := func(name, usage string, to func(*study.Config) *[]string) {
		first := true
		f.Func(name, usage+" +", func(v string) error {
			fresh := first
			first = false
			set = append(set, func(c *study.Config) error {
				if fresh {
					*to(c) = nil // a flag takes the place of the file's list
				}
				*to(c) = append(*to(c), v)
				return nil
			})
			return nil
		})
	}
	text("data", "`folder` as in the paper's repository (data/corpora, data/logprobs, data/reward_model_scores ...)", func(c *study.Config) *string { return &c.Data })
	text("models", "`file` of models, YAML or CSV: name, family, id, display_name, type; those of the paper are known", func(c *study.Config) *string { return &c.Models })
	list("tables", "`path` of tables of log-probabilities", func(c *study.Config) *[]string { return &c.Tables })
	list("rewards", "`path` of rewards files of score", func(c *study.Config) *[]string { return &c.Rewards })
	list("series", "`path` of scores of tokens at checkpoints (token_decoded, step-<number>)", func(c *study.Config) *[]string { return &c.Series })
	text("training", "dictionary `file` of fig4; otherwise the first corpus", func(c *study.Config) *string { return &c.Training })
	text("tokens", "CSV `file` with token_decoded, the tokens of fig4; otherwise all", func(c *study.Config) *string { return &c.Tokens })
	list("ablations", "`path` of median ranks of training runs", func(c *study.Config) *[]string { return &c.Ablations })
	f.Func("family", "`model=family`: the family of a model, by its name or its file's, without a file of models +", func(v string) error {
		name, family, ok := strings.Cut(v, "=")
		if !ok || name == "" || family == "" {
			return errors.New("wanted a model's name, = and its family")
		}
		set = append(set, func(c *study.Config) error {
			if c.Families == nil {
				c.Families = map[string]string{}
			}
			c.Families[name] = family
			return nil
		})
		return nil
	})
	pairs := func(name, usage string, to func(*study.Config) *[][2]string) {
		f.Func(name, usage+" +", func(v string) error {
			a, b, ok := strings.Cut(v, ",")
			if !ok {
				return errors.New("wanted two models with a comma between")
			}
			set = append(set, func(c *study.Config) error { *to(c) = append(*to(c), [2]string{a, b}); return nil })
			return nil
		})
	}
	pairs("pair", "`base,tuned` models of the tables between which there is an implicit reward; otherwise found by names and types", func(c *study.Config) *[][2]string { return &c.Pairs })
	pairs("compare", "`a,b`: models of the tables to compare in fig2; otherwise found by families and types", func(c *study.Config) *[][2]string { return &c.Compare })
	text("prompt", "`name` of the prompt of fig3 and table1; otherwise greatest_ever_one", func(c *study.Config) *string { return &c.Prompt })
	text("neutral", "`name` of the prompt whose log-probabilities stand for a word's frequency; otherwise the mean of all", func(c *study.Config) *string { return &c.Neutral })
	text("groups", "CSV `file` with the columns prompt,group, or the file of prompts with a column group; otherwise by the beginning of the prompts' names (above)", func(c *study.Config) *string { return &c.Groups })
	f.Func("contrast", "`a,b`: categories between which implicit, words and did take the gap, a less b; otherwise the first two of the first corpus", func(v string) error {
		a, b, ok := strings.Cut(v, ",")
		if !ok {
			return errors.New("wanted two categories with a comma between")
		}
		set = append(set, func(c *study.Config) error {
			c.Contrast = []string{strings.TrimSpace(a), strings.TrimSpace(b)}
			return nil
		})
		return nil
	})
	text("compat", "paper follows the paper's code in every detail; otherwise what is right (the report says where they differ)", func(c *study.Config) *string { return &c.Compat })
	text("out", "`folder` to write", func(c *study.Config) *string { return &c.Out })
	f.Func("only", "`analyses` to make, with commas; otherwise all that the inputs allow", func(v string) error {
		set = append(set, func(c *study.Config) error { c.Only = strings.Split(v, ","); return nil })
		return nil
	})
	f.Func("words", "`words` of fig3, with commas; otherwise love,freedom", func(v string) error {
		set = append(set, func(c *study.Config) error { c.Words = strings.Split(v, ","); return nil })
		return nil
	})
	f.Func("corpus", "[name=]`file`: a dictionary of value words with categories +", func(v string) error {
		set = append(set, func(c *study.Config) error {
			name, path, ok := strings.Cut(v, "=")
			if !ok {
				path = v
				name = strings.TrimSuffix(filepath.Base(v), filepath.Ext(v))
			}
			if i := slices.IndexFunc(c.Corpora, func(k input.CorpusConfig) bool { return k.Name == name }); i >= 0 {
				c.Corpora[i].File = path
				return nil
			}
			c.Corpora = append(c.Corpora, input.CorpusConfig{Name: name, File: path})
			return nil
		})
		return nil
	})
	f.BoolFunc("power", "simulate what the design of the scores (without scores: the paper's) can show, instead of analyses", func(v string) error {
		on, err := strconv.ParseBool(v)
		set = append(set, func(c *study.Config) error { c.Power = on; return nil })
		return err
	})
	f.Func("sims", "simulations a shift of -power, `number`; otherwise 400", func(v string) error {
		n, err := strconv.Atoi(v)
		set = append(set, func(c *study.Config) error { c.Sims = n; return nil })
		return err
	})
	f.Func("shifts", "`shifts` between families to plant, in standard deviations of word scores, with commas; otherwise 0,0.05,0.1,0.2,0.3,0.4", func(v string) error {
		shifts, err := parts(v, func(s string) (float64, error) { return strconv.ParseFloat(s, 64) })
		set = append(set, func(c *study.Config) error { c.Shifts = shifts; return nil })
		return err
	})
	f.Func("design", "`sizes` of -power, with commas: models of two families, prompts, words of two categories (4,6,27,104,159); otherwise those of the scores", func(v string) error {
		sizes, err := parts(v, strconv.Atoi)
		set = append(set, func(c *study.Config) error { c.Design = sizes; return nil })
		return err
	})
	var scores []string
	f.Func("scores", "[name=]`path` of reward-model scores, of the corpus of that name; without a name, of the only one +", func(v string) error {
		scores = append(scores, v)
		return nil
	})
	f.Uint64Var(&c.Seed, "seed", 1, "seed of every random `number`")
	f.IntVar(&c.Draws, "draws", 9999, "random arrangements and resamples a test, `number`")
	if err := f.Parse(args, stdout); err != nil {
		return nil, false, err
	}
	seed, draws := c.Seed, c.Draws
	if file != "" {
		if err := study.ReadConfig(file, &c); err != nil {
			return nil, false, err
		}
		f.Visit(func(g *flag.Flag) { // flags win over the file
			switch g.Name {
			case "seed":
				c.Seed = seed
			case "draws":
				c.Draws = draws
			}
		})
	}
	for _, do := range set {
		if err := do(&c); err != nil {
			return nil, false, err
		}
	}
	return &c, *replace, addScores(&c, scores)
}

// parts reads numbers with commas between them.
func parts[T any](list string, read func(string) (T, error)) ([]T, error) {
	var all []T
	for _, s := range strings.Split(list, ",") {
		v, err := read(s)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, nil
}

// addScores gives paths of scores to their corpora.
func addScores(c *study.Config, scores []string) error {
	for _, v := range scores {
		name, path, ok := strings.Cut(v, "=")
		i := 0
		switch {
		case ok:
			if i = slices.IndexFunc(c.Corpora, func(k input.CorpusConfig) bool { return k.Name == name }); i < 0 {
				return cli.Usagef("-scores %s: no corpus %s, wanted -corpus %s=<file>", v, name, name)
			}
		case len(c.Corpora) != 1:
			return cli.Usagef("-scores %s: %d corpora, wanted -scores <corpus>=%s", v, len(c.Corpora), v)
		default:
			path = v
		}
		c.Corpora[i].Scores = append(c.Corpora[i].Scores, path)
	}
	return nil
}
