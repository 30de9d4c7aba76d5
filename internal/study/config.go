package study

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/implicitreward/implicitreward/internal/regular"
)

// Config says what a study is made from, and how. A path is a file, or a folder that
// stands for its .csv and .parquet files (of one name with both endings, the Parquet
// file). The zero value of a field is its default.
type Config struct {
	Data      string            `yaml:"data"`      // a folder as in the paper's repository, whose inputs are found by name
	Models    string            `yaml:"models"`    // file of models: names, short names, families
	Families  map[string]string `yaml:"families"`  // families of models that need no file: name, or file name without ending, to family
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
	Neutral   string            `yaml:"neutral"`   // prompt whose log-probabilities stand for frequency; "": the mean of all
	Groups    string            `yaml:"groups"`    // CSV file prompt,group: what prompts are tested together; "": by the prompts' names (see Groups)
	Contrast  []string          `yaml:"contrast"`  // of implicit, words and did: two categories of the first corpus, the first less the second; nil: its first two
	Only      []string          `yaml:"only"`      // analyses to run; nil: all that the inputs allow
	Power     bool              `yaml:"power"`     // simulate what the design can show, instead of analyses
	Sims      int               `yaml:"sims"`      // of power: simulations a shift; 0: 400
	Shifts    []float64         `yaml:"shifts"`    // of power: in standard deviations of word scores; nil: 0, 0.05, 0.1, 0.2, 0.3, 0.4
	Design    []int             `yaml:"design"`    // of power: models, models, prompts, words, words; nil: those of the scores
	Compat    string            `yaml:"compat"`    // "paper", or "" for what is right
	Seed      uint64            `yaml:"seed"`      // of every random draw
	Draws     int               `yaml:"draws"`     // random draws a test; 0: 9999
	Out       string            `yaml:"out"`       // folder to write
}

// CorpusConfig is a dictionary and the scores that belong to it.
type CorpusConfig struct {
	Name   string   `yaml:"name"`
	File   string   `yaml:"file"`
	Scores []string `yaml:"scores"`
}

// ReadConfig reads a YAML file into c, over what is there. Unknown keys are errors.
// Relative paths are relative to the file.
func ReadConfig(path string, c *Config) error {
	data, err := regular.Read(path, regular.Text)
	if err != nil {
		return err
	}
	d := yaml.NewDecoder(bytes.NewReader(data))
	d.KnownFields(true)
	if err := d.Decode(c); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("%s: %w", path, err)
	}
	dir := filepath.Dir(path)
	fix := func(p *string) {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
	}
	for _, p := range []*string{&c.Data, &c.Models, &c.Training, &c.Tokens, &c.Groups, &c.Out} {
		fix(p)
	}
	for _, list := range [][]string{c.Tables, c.Rewards, c.Series, c.Ablations} {
		for i := range list {
			fix(&list[i])
		}
	}
	for i := range c.Corpora {
		fix(&c.Corpora[i].File)
		for k := range c.Corpora[i].Scores {
			fix(&c.Corpora[i].Scores[k])
		}
	}
	return nil
}

// check refuses what cannot be meant.
func (c *Config) check() error {
	if c.Compat != "" && c.Compat != "paper" {
		return fmt.Errorf("study: compat %q, wanted paper or nothing", c.Compat)
	}
	for _, name := range c.Only {
		if !slices.ContainsFunc(Analyses, func(a Analysis) bool { return a.Name == name || slices.Contains(a.Also, name) }) {
			var names []string
			for _, a := range Analyses {
				names = append(names, a.Name)
			}
			return fmt.Errorf("study: no analysis %q, wanted some of %s", name, strings.Join(names, ", "))
		}
	}
	if c.Design != nil && len(c.Design) != 5 {
		return fmt.Errorf("study: design %v, wanted five numbers: models of two families, prompts, words of two categories", c.Design)
	}
	if c.Draws < 0 {
		return fmt.Errorf("study: %d draws, wanted 1 or more", c.Draws)
	}
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

// discover fills empty fields with what it finds in Data, by the paper's names.
func (c *Config) discover() error {
	if c.Data == "" {
		return nil
	}
	root := filepath.Join(c.Data, "data")
	if _, err := os.Stat(root); err != nil {
		root = c.Data
	}
	if _, err := os.Stat(root); err != nil {
		return err
	}
	here := func(parts ...string) string {
		p := filepath.Join(append([]string{root}, parts...)...)
		if _, err := os.Stat(p); err != nil {
			return ""
		}
		return p
	}
	if c.Models == "" {
		if p := filepath.Join(c.Data, "config", "models.yaml"); exists(p) {
			c.Models = p
		}
	}
	if len(c.Corpora) == 0 {
		for _, k := range [][3]string{{"big2", "dict_big2_nouns.csv", "dict_big2_nouns"}, {"mfd", "moral-foundations-dictionary-20.dicx", "dict_MFD_20"}} {
			file := here("corpora", k[1])
			if file == "" {
				continue
			}
			corpus := CorpusConfig{Name: k[0], File: file}
			if dir := here("reward_model_scores", k[2]); dir != "" {
				corpus.Scores = []string{dir}
			}
			c.Corpora = append(c.Corpora, corpus)
		}
	}
	if dir := here("logprobs"); dir != "" && c.Tables == nil {
		c.Tables = []string{dir}
	}
	if c.Training == "" {
		c.Training = here("corpora", "dict_big2_expanded.csv")
	}
	if c.Tokens == "" {
		c.Tokens = here("corpora", "token_intersection.csv")
	}
	if dir := here("reward_model_training"); dir != "" && c.Series == nil && c.Ablations == nil {
		files, err := expand([]string{dir})
		if err != nil {
			return err
		}
		for _, f := range files {
			switch name := filepath.Base(f); {
			case strings.HasPrefix(name, "rank_results_"):
				c.Ablations = append(c.Ablations, f)
			case strings.Contains(name, "across_checkpoints"):
				c.Series = append(c.Series, f)
			}
		}
	}
	if len(c.Corpora)+len(c.Tables)+len(c.Series)+len(c.Ablations) == 0 {
		return fmt.Errorf("study: %s: nothing of the paper's layout, wanted data/corpora, data/reward_model_scores and the like", c.Data)
	}
	return nil
}

// wants says whether an analysis, or a figure of it, is to be made.
func (c *Config) wants(a Analysis) bool {
	return c.Only == nil || slices.Contains(c.Only, a.Name) || slices.ContainsFunc(a.Also, func(s string) bool { return slices.Contains(c.Only, s) })
}

// prune forgets the files that no wanted analysis reads.
func (c *Config) prune() {
	reads := ""
	for _, a := range Analyses {
		if c.wants(a) {
			reads += a.reads
		}
	}
	if c.Power {
		reads = "s"
	}
	for kind, list := range map[string]*[]string{"t": &c.Tables, "r": &c.Rewards, "c": &c.Series, "a": &c.Ablations} {
		if !strings.Contains(reads, kind) {
			*list = nil
		}
	}
	for i := range c.Corpora {
		if !strings.Contains(reads, "s") {
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
		names := map[string]bool{}
		for _, e := range entries {
			names[e.Name()] = true
		}
		n := len(files)
		for _, e := range entries {
			name := e.Name()
			csv := strings.HasSuffix(name, ".csv")
			if e.IsDir() || !csv && !strings.HasSuffix(name, ".parquet") || csv && names[strings.TrimSuffix(name, ".csv")+".parquet"] {
				continue
			}
			files = append(files, filepath.Join(p, name))
		}
		if len(files) == n {
			return nil, &fs.PathError{Op: "read", Path: p, Err: errors.New("no .csv or .parquet file in the folder")}
		}
	}
	return files, nil
}
