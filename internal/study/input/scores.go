package input

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/implicitreward/implicitreward/internal/regular"
	"github.com/implicitreward/implicitreward/internal/study/cube"
	"github.com/implicitreward/implicitreward/internal/table"
	"github.com/implicitreward/implicitreward/logprob"
)

// ReadScores reads the scores of a reward model, CSV or Parquet by the name's ending:
// a column of replies, called response, and a column a prompt; or a rewards file of
// score, whose implicit rewards are then the scores. The model is found by the file's
// name among models and the built-in ones, or by the rewards' metadata.
func ReadScores(path string, models []cube.Model) (*cube.Scores, error) {
	if isRewards(path) {
		r, err := ReadRewards(path, models)
		if err != nil {
			return nil, err
		}
		return rewardsAsScores(r)
	}
	s, err := readValues(path, layout{words: []string{"response", "word", "token_decoded"},
		ignore: []string{"token_id", "token_name"}, unique: true, what: "prompt"})
	if err != nil {
		return nil, err
	}
	model, ok := findModel(models, stem(path))
	if !ok || model.Family == "" {
		return nil, errNoFamily(path, "model", stem(path), ", or one of the ten of the paper")
	}
	s.Models = []cube.Model{model}
	return s, nil
}

func rewardsAsScores(r *cube.RewardFile) (*cube.Scores, error) {
	s := r.Scores
	if s.Models = s.Models[1:]; s.Models[0].Family == "" {
		return nil, errNoFamily(s.Files[0], "model", s.Models[0].Name, "")
	}
	if r.Meta.Tuned.Model != "" {
		s.Meta = &r.Meta
	}
	s.Tokens, s.Values = nil, make([][][]float64, 1)
	for p := range s.Prompts {
		s.Values[0] = append(s.Values[0], r.Reward(p))
	}
	return &s, nil
}

// ReadSeries reads a series: a column token_decoded and one a checkpoint, named
// step-<number>, in any order.
func ReadSeries(path string, models []cube.Model) (*cube.Series, error) {
	s, err := readValues(path, layout{words: []string{"token_decoded"}, ignore: []string{"token_id", "token_name"},
		what: "checkpoint (step-<number>)"})
	if err != nil {
		return nil, err
	}
	model, ok := findModel(models, stem(path))
	if !ok || model.Family == "" {
		return nil, errNoFamily(path, "series", stem(path), "")
	}
	s.Models = []cube.Model{model}
	at := map[int]int{}
	var steps []int
	for i, name := range s.Prompts {
		number, isStep := strings.CutPrefix(name, "step-")
		step, err := strconv.Atoi(number)
		if !isStep || err != nil {
			return nil, fmt.Errorf("%s: line 1: column %q, wanted step-<number>", path, name)
		}
		if _, ok := at[step]; ok {
			return nil, fmt.Errorf("%s: line 1: column %q: a second column of step %d", path, name, step)
		}
		at[step] = i
		steps = append(steps, step)
	}
	slices.Sort(steps)
	var order []int
	for _, step := range steps {
		order = append(order, at[step])
	}
	s.Prompts, s.Values[0] = cube.Pick(s.Prompts, order), cube.Pick(s.Values[0], order)
	return &cube.Series{Steps: steps, Scores: *s}, nil
}

// ReadLogProbs reads a table, CSV or Parquet by the name's ending, with its metadata
// (of a CSV file: file.csv.meta.json, if it is there). The model is found by the
// metadata's name, or the file's.
func ReadLogProbs(path string, models []cube.Model) (*cube.LogProbFile, error) {
	data, err := regular.Read(path, regular.Scores)
	if err != nil {
		return nil, err
	}
	l := &cube.LogProbFile{File: path}
	if strings.HasSuffix(path, ".parquet") {
		l.Table, err = logprob.ReadParquet(bytes.NewReader(data), int64(len(data)))
	} else if l.Table, err = logprob.ReadCSV(bytes.NewReader(data)); err == nil {
		err = table.ReadMeta(path, &l.Table.Meta)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var ok bool
	if l.Model, ok = findModel(models, stem(path)); !ok && l.Table.Meta.Model != "" {
		l.Model, _ = findModel(models, l.Table.Meta.Model)
	}
	return l, nil
}

// isRewards says whether a file begins as a rewards file does: CSV with its columns, or
// Parquet with a column logp_tuned.
func isRewards(path string) bool {
	data, err := regular.Read(path, regular.Scores)
	if err != nil {
		return false // the reader says why
	}
	if strings.HasSuffix(path, ".parquet") {
		file, err := table.OpenParquet(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return false
		}
		_, ok := file.Schema().Lookup("logp_tuned")
		return ok
	}
	header, err := table.NewCSVReader(bytes.NewReader(data)).Header()
	return err == nil && slices.Contains(header, "logp_tuned") && slices.Contains(header, "word")
}
