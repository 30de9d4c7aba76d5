// Package input finds and reads the files of a study: Config -> cube.Inputs.
package input

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/implicitreward/implicitreward/internal/study/cube"
)

// Config says which files a study is made from. A path is a file, or a folder that
// stands for its .csv and .parquet files (of one name with both endings, the Parquet
// file; without the .coverage.csv and .vary.csv of score), or, of scores, rewards and series, a
// manifest.json of package shard, which stands for a file of each of its models. The zero value of a field is its default.
type Config struct {
	Data      string            `yaml:"data"`      // a folder as in the paper's repository, whose inputs are found by name
	Models    string            `yaml:"models"`    // file of models: names, short names, families
	Families  map[string]string `yaml:"families"`  // of models, by name or by file name without ending, that need no file
	Corpora   []CorpusConfig    `yaml:"corpora"`   // dictionaries, and the scores of reward models on their words
	Tables    []string          `yaml:"tables"`    // tables of log-probabilities
	Rewards   []string          `yaml:"rewards"`   // files of implicit rewards
	Series    []string          `yaml:"series"`    // scores of tokens at checkpoints
	Training  string            `yaml:"training"`  // dictionary of Figure 4; "": the first corpus
	Tokens    string            `yaml:"tokens"`    // CSV with token_decoded: the tokens of Figure 4; "": all
	Ablations []string          `yaml:"ablations"` // median ranks of training runs
	Compare   [][2]string       `yaml:"compare"`   // models to compare in fig2; nil: found by family and type
	Pairs     [][2]string       `yaml:"pairs"`     // base and tuned models (implicit, did ...); nil: found by name
	Prompt    string            `yaml:"prompt"`    // of fig3 and table1; "": greatest_ever_one
	Words     []string          `yaml:"words"`     // of fig3; nil: love, freedom
	Neutral   string            `yaml:"neutral"`   // prompt whose ln p is a word's frequency; "": the mean of all
	Groups    string            `yaml:"groups"`    // CSV file prompt,group: prompts to test together; "": by their names
}

// CorpusConfig is a dictionary and the scores that belong to it.
type CorpusConfig struct {
	Name   string   `yaml:"name"`
	File   string   `yaml:"file"`
	Scores []string `yaml:"scores"`
}

// Resolve makes relative paths relative to a folder.
func (c *Config) Resolve(dir string) {
	paths := []*string{&c.Data, &c.Models, &c.Training, &c.Tokens, &c.Groups}
	lists := [][]string{c.Tables, c.Rewards, c.Series, c.Ablations}
	for i := range c.Corpora {
		paths, lists = append(paths, &c.Corpora[i].File), append(lists, c.Corpora[i].Scores)
	}
	for _, list := range lists {
		for i := range list {
			paths = append(paths, &list[i])
		}
	}
	for _, p := range paths {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
	}
}

// check refuses what cannot be meant.
func (c *Config) check() error {
	names := map[string]bool{}
	for _, corpus := range c.Corpora {
		if corpus.Name == "" || strings.ContainsAny(corpus.Name, "/\\ ") {
			return fmt.Errorf("study: corpus name %q, wanted letters and digits for file names", corpus.Name)
		}
		if names[corpus.Name] {
			return fmt.Errorf("study: two corpora named %s", corpus.Name)
		}
		names[corpus.Name] = true
	}
	return nil
}

// published are the paper's corpora: name, file, and folder of scores.
var published = [][3]string{
	{"big2", "dict_big2_nouns.csv", "dict_big2_nouns"},
	{"mfd", "moral-foundations-dictionary-20.dicx", "dict_MFD_20"},
}

// discover fills empty fields with what it finds in Data, by the paper's names.
func (c *Config) discover() error {
	if c.Data == "" {
		return nil
	}
	root := filepath.Join(c.Data, "data")
	if !exists(root) {
		root = c.Data
	}
	if _, err := os.Stat(root); err != nil {
		return err
	}
	here := func(parts ...string) string { // "" for what is not there
		p := filepath.Join(append([]string{root}, parts...)...)
		if !exists(p) {
			return ""
		}
		return p
	}
	if p := filepath.Join(c.Data, "config", "models.yaml"); c.Models == "" && exists(p) {
		c.Models = p
	}
	if len(c.Corpora) == 0 {
		c.Corpora = publishedCorpora(here)
	}
	if dir := here("logprobs"); dir != "" && c.Tables == nil {
		c.Tables = []string{dir}
	}
	c.Training = cmp.Or(c.Training, here("corpora", "dict_big2_expanded.csv"))
	c.Tokens = cmp.Or(c.Tokens, here("corpora", "token_intersection.csv"))
	if dir := here("reward_model_training"); dir != "" && c.Series == nil && c.Ablations == nil {
		if err := c.discoverTraining(dir); err != nil {
			return err
		}
	}
	if len(c.Corpora)+len(c.Tables)+len(c.Series)+len(c.Ablations) == 0 {
		return fmt.Errorf("study: %s: nothing of the paper's layout, "+
			"wanted data/corpora, data/reward_model_scores and the like", c.Data)
	}
	return nil
}

// publishedCorpora are those that are there, with their scores.
func publishedCorpora(here func(parts ...string) string) []CorpusConfig {
	var all []CorpusConfig
	for _, k := range published {
		corpus := CorpusConfig{Name: k[0], File: here("corpora", k[1])}
		if corpus.File == "" {
			continue
		}
		if dir := here("reward_model_scores", k[2]); dir != "" {
			corpus.Scores = []string{dir}
		}
		all = append(all, corpus)
	}
	return all
}

// discoverTraining tells series from median ranks of training runs by their names.
func (c *Config) discoverTraining(dir string) error {
	files, err := expand([]string{dir})
	for _, f := range files {
		switch name := filepath.Base(f); {
		case strings.HasPrefix(name, "rank_results_"):
			c.Ablations = append(c.Ablations, f)
		case strings.Contains(name, "across_checkpoints"):
			c.Series = append(c.Series, f)
		}
	}
	return err
}

// keep forgets the files that are not of the kinds.
func (c *Config) keep(kinds cube.Kind) {
	for kind, list := range map[cube.Kind]*[]string{cube.LogProbFiles: &c.Tables, cube.RewardFiles: &c.Rewards,
		cube.SeriesFiles: &c.Series, cube.AblationFiles: &c.Ablations} {
		if kinds&kind == 0 {
			*list = nil
		}
	}
	for i := range c.Corpora {
		if kinds&cube.ScoreFiles == 0 {
			c.Corpora[i].Scores = nil
		}
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// expand replaces folders by their files, sorted.
func expand(paths []string) ([]string, error) {
	var files []string
	for _, p := range paths {
		info, err := os.Stat(p)
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			files = append(files, p)
			continue
		}
		entries, err := os.ReadDir(p)
		if err != nil {
			return nil, err
		}
		entries = slices.DeleteFunc(entries, func(e fs.DirEntry) bool { return !readable(p, e) })
		if len(entries) == 0 {
			return nil, &fs.PathError{Op: "read", Path: p, Err: errors.New("no .csv or .parquet file in the folder")}
		}
		for _, e := range entries {
			files = append(files, filepath.Join(p, e.Name()))
		}
	}
	return files, nil
}

// readable says whether a folder's entry is a Parquet file, or a CSV file without a
// Parquet file of that name beside it, and not what score writes beside its files.
func readable(dir string, e fs.DirEntry) bool {
	if name, csv := strings.CutSuffix(e.Name(), ".csv"); csv {
		beside := strings.HasSuffix(name, ".coverage") || strings.HasSuffix(name, ".vary")
		return !e.IsDir() && !beside && !exists(filepath.Join(dir, name+".parquet"))
	}
	return !e.IsDir() && strings.HasSuffix(e.Name(), ".parquet")
}
