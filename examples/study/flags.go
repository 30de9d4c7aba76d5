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

// flags are those of study. What they set waits until the YAML file is read, which they
// override.
type flags struct {
	*cli.Flags
	set []func(c *study.Config) error
}

// add adds a flag. Its value is tried when it is parsed, so that errors name the flag.
func (f *flags) add(name, usage string, to func(c *study.Config, v string) error) {
	f.Func(name, usage, func(v string) error {
		f.set = append(f.set, func(c *study.Config) error { return to(c, v) })
		return to(&study.Config{}, v)
	})
}

func (f *flags) text(name, usage string, of func(*study.Config) *string) {
	f.add(name, usage, func(c *study.Config, v string) error { *of(c) = v; return nil })
}

// commas adds a flag of a list with commas.
func (f *flags) commas(name, usage string, of func(*study.Config) *[]string) {
	f.add(name, usage, func(c *study.Config, v string) error { *of(c) = strings.Split(v, ","); return nil })
}

// list adds a flag that may be repeated, and takes the place of the file's list.
func (f *flags) list(name, usage string, of func(*study.Config) *[]string) {
	var last *study.Config // whose list has begun
	f.add(name, usage+" +", func(c *study.Config, v string) error {
		if last != c {
			last, *of(c) = c, nil
		}
		*of(c) = append(*of(c), v)
		return nil
	})
}

// pairs adds a flag of two models that may be repeated.
func (f *flags) pairs(name, usage string, of func(*study.Config) *[][2]string) {
	f.add(name, usage+" +", func(c *study.Config, v string) error {
		a, b, ok := strings.Cut(v, ",")
		if !ok {
			return errors.New("wanted two models with a comma between")
		}
		*of(c) = append(*of(c), [2]string{a, b})
		return nil
	})
}

// configure reads the flags, over the YAML file that -config names.
func configure(args []string, stdout io.Writer) (config *study.Config, force bool, err error) {
	f := &flags{Flags: cli.NewFlags("study", purpose, examples())}
	var c study.Config
	replace := f.Force()
	var file string
	f.StringVar(&file, "config", "", "YAML `file` with the flags' names as keys")
	f.files()
	f.analyses()
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
	for _, do := range f.set {
		if err := do(&c); err != nil {
			return nil, false, err
		}
	}
	return &c, *replace, addScores(&c, scores)
}

// files are the flags of what is read.
func (f *flags) files() {
	f.text("data", "`folder` as in the paper's repository (data/corpora, data/logprobs, data/reward_model_scores ...)",
		func(c *study.Config) *string { return &c.Data })
	f.text("models", "`file` of models, YAML or CSV: name, family, id, display_name, type; those of the paper are known, and a file of ours says what architecture its model is of",
		func(c *study.Config) *string { return &c.Models })
	f.list("tables", "`path` of tables of log-probabilities",
		func(c *study.Config) *[]string { return &c.Tables })
	f.list("rewards", "`path` of rewards files of score",
		func(c *study.Config) *[]string { return &c.Rewards })
	f.list("series", "`path` of scores of tokens at checkpoints (token_decoded, step-<number>)",
		func(c *study.Config) *[]string { return &c.Series })
	f.text("training", "dictionary `file` of fig4; otherwise the first corpus",
		func(c *study.Config) *string { return &c.Training })
	f.text("tokens", "CSV `file` with token_decoded, the tokens of fig4; otherwise all",
		func(c *study.Config) *string { return &c.Tokens })
	f.list("ablations", "`path` of median ranks of training runs",
		func(c *study.Config) *[]string { return &c.Ablations })
	f.add("family", "`model=family`: the family of a model, by its name or its file's, without a file of models +", family)
	f.pairs("pair", "`base,tuned` models of the tables between which there is an implicit reward; otherwise found by names and types",
		func(c *study.Config) *[][2]string { return &c.Pairs })
	f.pairs("compare", "`a,b`: models of the tables to compare in fig2; otherwise found by families and types",
		func(c *study.Config) *[][2]string { return &c.Compare })
	f.text("prompt", "`name` of the prompt of fig3 and table1; otherwise greatest_ever_one",
		func(c *study.Config) *string { return &c.Prompt })
	f.text("neutral", "`name` of the prompt whose log-probabilities stand for a word's frequency; otherwise the mean of all",
		func(c *study.Config) *string { return &c.Neutral })
	f.text("groups", "CSV `file` with the columns prompt,group, or the file of prompts with a column group; otherwise by the beginning of the prompts' names (above)",
		func(c *study.Config) *string { return &c.Groups })
	f.add("corpus", "[name=]`file`: a dictionary of value words with categories +", addCorpus)
}

// analyses are the flags of what is made of it.
func (f *flags) analyses() {
	f.add("contrast", "`a,b`: categories between which implicit, words and did take the gap, a less b; otherwise the first two of the first corpus",
		contrast)
	f.text("compat", "paper follows the paper's code in every detail; otherwise what is right (the report says where they differ)",
		func(c *study.Config) *string { return &c.Compat })
	f.text("out", "`folder` to write",
		func(c *study.Config) *string { return &c.Out })
	f.commas("only", "`analyses` to make, with commas; otherwise all that the inputs allow",
		func(c *study.Config) *[]string { return &c.Only })
	f.commas("words", "`words` of fig3, with commas; otherwise love,freedom",
		func(c *study.Config) *[]string { return &c.Words })
	f.BoolFunc("power", "simulate what the design of the scores (without scores: the paper's) can show, instead of analyses",
		func(v string) error {
			on, err := strconv.ParseBool(v)
			f.set = append(f.set, func(c *study.Config) error { c.Power = on; return nil })
			return err
		})
	f.add("sims", "simulations a shift of -power, `number`; otherwise 400", func(c *study.Config, v string) (err error) {
		c.Sims, err = strconv.Atoi(v)
		return err
	})
	f.add("shifts", "`shifts` between families to plant, in standard deviations of word scores, with commas; otherwise 0,0.05,0.1,0.2,0.3,0.4",
		func(c *study.Config, v string) (err error) {
			c.Shifts, err = parts(v, func(s string) (float64, error) { return strconv.ParseFloat(s, 64) })
			return err
		})
	f.add("design", "`sizes` of -power, with commas: models of two families, prompts, words of two categories (4,6,27,104,159); otherwise those of the scores",
		func(c *study.Config, v string) (err error) {
			c.Design, err = parts(v, strconv.Atoi)
			return err
		})
}

// family adds model=family.
func family(c *study.Config, v string) error {
	name, own, ok := strings.Cut(v, "=")
	if !ok || name == "" || own == "" {
		return errors.New("wanted a model's name, = and its family")
	}
	if c.Families == nil {
		c.Families = map[string]string{}
	}
	c.Families[name] = own
	return nil
}

func contrast(c *study.Config, v string) error {
	a, b, ok := strings.Cut(v, ",")
	if !ok {
		return errors.New("wanted two categories with a comma between")
	}
	c.Contrast = []string{strings.TrimSpace(a), strings.TrimSpace(b)}
	return nil
}

// addCorpus adds [name=]file, or gives the file to the corpus of that name.
func addCorpus(c *study.Config, v string) error {
	name, path, ok := strings.Cut(v, "=")
	if !ok {
		path, name = v, strings.TrimSuffix(filepath.Base(v), filepath.Ext(v))
	}
	if i := slices.IndexFunc(c.Corpora, func(k input.CorpusConfig) bool { return k.Name == name }); i >= 0 {
		c.Corpora[i].File = path
		return nil
	}
	c.Corpora = append(c.Corpora, input.CorpusConfig{Name: name, File: path})
	return nil
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
