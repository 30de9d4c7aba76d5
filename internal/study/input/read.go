package input

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"github.com/implicitreward/implicitreward/implicit/lexicon"
	"github.com/implicitreward/implicitreward/implicit/shard"
	"github.com/implicitreward/implicitreward/internal/regular"
	"github.com/implicitreward/implicitreward/internal/study/cube"
)

// paperPrompt is the one of Figure 3 and Table 1.
const paperPrompt = "greatest_ever_one"

// Read reads the files of some kinds that a configuration names. It fills in what Data
// stands for. compat reads as the paper's code does.
func Read(c *Config, kinds cube.Kind, compat bool) (*cube.Inputs, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	if err := c.discover(); err != nil {
		return nil, err
	}
	c.keep(kinds)
	in := &cube.Inputs{Prompt: c.Prompt, Words: c.Words, Neutral: c.Neutral, Groups: &cube.Groups{}}
	if in.Prompt == "" {
		in.Prompt = paperPrompt
	}
	if in.Words == nil {
		in.Words = []string{"love", "freedom"}
	}
	models, err := c.models()
	if err != nil {
		return nil, err
	}
	for _, corpus := range c.Corpora {
		s := cube.Set{}
		if s.Dict, err = ReadDictionary(corpus.Name, corpus.File, compat); err != nil {
			return nil, err
		}
		if s.Scores, err = readAll(corpus.Scores, models, ReadScores, manifestScores); err != nil {
			return nil, err
		}
		if err := distinct(s.Scores); err != nil {
			return nil, err
		}
		in.Sets = append(in.Sets, s)
	}
	if in.LogProbs, err = readAll(c.Tables, models, ReadLogProbs, nil); err != nil {
		return nil, err
	}
	if in.Series, err = readAll(c.Series, models, ReadSeries, manifestSeries); err != nil {
		return nil, err
	}
	if err := oneEach(in.Series); err != nil {
		return nil, err
	}
	ablation := func(path string, _ []cube.Model) (*cube.Ablation, error) { return ReadAblation(path) }
	if in.Ablations, err = readAll(c.Ablations, models, ablation, nil); err != nil {
		return nil, err
	}
	if in.Rewards, err = readAll(c.Rewards, models, ReadRewards, manifestRewards); err != nil {
		return nil, err
	}
	if err := c.readTraining(in, compat); err != nil {
		return nil, err
	}
	if c.Groups != "" {
		if in.Groups, err = ReadGroups(c.Groups); err != nil {
			return nil, err
		}
	}
	in.Groups.Prompts = in.Prompts()
	if err := in.Groups.Check(); err != nil {
		return nil, err
	}
	if err := c.pair(in); err != nil {
		return nil, err
	}
	return in, c.list(in)
}

// models are those of the file of models, after those whose family is given by name.
func (c *Config) models() ([]cube.Model, error) {
	var models []cube.Model
	for _, name := range slices.Backward(slices.Sorted(maps.Keys(c.Families))) {
		models = append(models, cube.Model{Name: name, Family: familyName(c.Families[name])})
	}
	if c.Models == "" {
		return models, nil
	}
	more, err := ReadModels(c.Models)
	return append(models, more...), err
}

// readTraining reads what Figure 4 needs beside series.
func (c *Config) readTraining(in *cube.Inputs, compat bool) (err error) {
	if len(in.Sets) > 0 {
		in.Training = in.Sets[0].Dict
	}
	if len(in.Series) == 0 {
		return nil
	}
	if c.Training != "" {
		if in.Training, err = ReadDictionary(stem(c.Training), c.Training, compat); err != nil {
			return err
		}
	}
	if c.Tokens != "" {
		in.Keep, err = readTokens(c.Tokens, compat)
	}
	return err
}

// ReadDictionary reads a corpus file (see lexicon.ReadCorpus) as a dictionary.
func ReadDictionary(name, path string, compat bool) (*cube.Dictionary, error) {
	data, err := regular.Read(path, regular.Text)
	if err != nil {
		return nil, err
	}
	corpus, err := lexicon.ReadCorpus(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return cube.NewDictionary(name, path, corpus, compat)
}

// readAll reads files, and the models of manifests by parts, where it is not nil.
func readAll[T any](paths []string, models []cube.Model, read func(string, []cube.Model) (T, error), parts manifestReader[T]) ([]T, error) {
	files, err := expand(paths)
	if err != nil {
		return nil, err
	}
	var all []T
	for _, f := range files {
		if parts != nil && filepath.Base(f) == shard.ManifestFile {
			more, err := parts(f, models)
			if err != nil {
				return nil, err
			}
			all = append(all, more...)
			continue
		}
		v, err := read(f, models)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, nil
}

// list enters all files that were read, each once, in the order of the report.
func (c *Config) list(in *cube.Inputs) (err error) {
	add := func(path, what string, meta any) {
		same := func(f cube.File) bool { return f.Path == path }
		if path == "" || err != nil || slices.ContainsFunc(in.Files, same) {
			return
		}
		var data, text []byte
		if data, err = regular.Read(path, regular.Scores); err != nil {
			return
		}
		sum := sha256.Sum256(data)
		if filepath.Base(path) == shard.ManifestFile {
			what, meta = "manifest of parts that were scored in shards", nil
		}
		f := cube.File{Path: path, What: what, Hash: hex.EncodeToString(sum[:]), Bytes: int64(len(data))}
		if text, err = json.Marshal(meta); string(text) != "null" && string(text) != "{}" {
			f.Meta = string(text)
		}
		in.Files = append(in.Files, f)
	}
	add(c.Models, "models", nil)
	add(c.Groups, "groups of prompts", nil)
	for _, s := range in.Sets {
		add(s.Dict.File, "corpus "+s.Dict.Name, nil)
		for _, f := range s.Scores {
			var meta any = f.Meta
			if f.RM != nil {
				meta = f.RM
			}
			add(f.Files[0], "scores of "+f.Models[0].ID+", "+f.Models[0].Family, meta)
		}
	}
	for _, l := range in.LogProbs {
		meta := l.Table.Meta
		meta.Rendered = nil // long, and in the file
		add(l.File, "table of "+l.Model.Name, meta)
	}
	for _, f := range in.Rewards {
		var meta any
		if f.Meta.Tuned.Model != "" {
			meta = f.Meta
		}
		add(f.Files[0], "rewards of "+f.Name, meta)
	}
	for _, s := range in.Series {
		add(s.Files[0], "series of "+s.Models[0].ID+", "+s.Models[0].Family, nil)
	}
	if len(in.Series) > 0 {
		add(c.Training, "dictionary of fig4", nil)
		add(c.Tokens, "tokens of fig4", nil)
	}
	for _, a := range in.Ablations {
		add(a.File, "training runs", nil)
	}
	return err
}
