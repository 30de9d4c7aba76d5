package input

import (
	"context"
	"fmt"
	"iter"
	"math"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"

	"github.com/implicitreward/implicitreward/implicit/shard"
	"github.com/implicitreward/implicitreward/implicit/words"
	"github.com/implicitreward/implicitreward/internal/study/cube"
	"github.com/implicitreward/implicitreward/logprob"
)

// manifestReader reads a manifest of package shard, which stands for a file a model.
type manifestReader[T any] func(path string, models []cube.Model) ([]T, error)

// manifest reads a manifest.
func manifest(path string) (*shard.Manifest, error) {
	return shard.ReadManifest(context.Background(), shard.Folder{Path: filepath.Dir(path)})
}

// collect returns all rows.
func collect[R any](rows iter.Seq2[R, error]) ([]R, error) {
	var all []R
	for r, err := range rows {
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

// manifestRewards reads the rewards of all pairs.
func manifestRewards(path string, models []cube.Model) ([]*cube.RewardFile, error) {
	m, err := manifest(path)
	if err != nil {
		return nil, err
	}
	var all []*cube.RewardFile
	for i, of := range m.Models {
		if of.RM != nil {
			return nil, fmt.Errorf("%s: scores of reward models, wanted rewards of pairs", path)
		}
		rows, err := collect(m.Records(context.Background(), i))
		if err != nil {
			return nil, err
		}
		r, err := rewardsOf(path, rows, m.Provenance(i), models)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", of.Name(), err)
		}
		all = append(all, r)
	}
	return all, nil
}

// manifestScores reads the scores of all reward models, or the rewards of all pairs as scores.
func manifestScores(path string, models []cube.Model) ([]*cube.Scores, error) {
	m, err := manifest(path)
	if err != nil {
		return nil, err
	}
	var all []*cube.Scores
	if m.Models[0].RM == nil {
		pairs, err := manifestRewards(path, models)
		for _, r := range pairs {
			s, err := rewardsAsScores(r)
			if err != nil {
				return nil, err
			}
			all = append(all, s)
		}
		return all, err
	}
	for i, of := range m.Models {
		rows, err := collect(m.Scores(context.Background(), i))
		if err != nil {
			return nil, err
		}
		s, err := longScoresOf(path, rows, m.ScoreProvenance(i), models)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", of.Name(), err)
		}
		all = append(all, s)
	}
	return all, nil
}

// stepNumber is what a checkpoint's name ends in.
var stepNumber = regexp.MustCompile(`(?:step|checkpoint)[-_]?([0-9]{1,9})/*$`)

// manifestSeries reads a manifest whose models are the checkpoints of a training run, by their
// names, after one prompt, as the series that score and train write: of measures of a single
// form a row is a form, of the paper's measure values are MWLR.
func manifestSeries(path string, models []cube.Model) ([]*cube.Series, error) {
	m, err := manifest(path)
	if err != nil {
		return nil, err
	}
	if len(m.Prompts) != 1 {
		return nil, fmt.Errorf("%s: %d prompts, wanted one: a series has one number a text and checkpoint", path, len(m.Prompts))
	}
	s := &cube.Series{Scores: cube.Scores{Files: []string{path}, Values: make([][][]float64, 1)}}
	var last logprob.Meta
	for i, of := range m.Models {
		found := stepNumber.FindStringSubmatch(of.Name())
		if found == nil {
			return nil, fmt.Errorf("%s: model %s, wanted names that end in step-N or checkpoint-N, the step of training", path, of.Name())
		}
		step, err := strconv.Atoi(found[1])
		if err != nil {
			return nil, err // not of nine digits
		}
		texts, values, meta, err := checkpointOf(m, i)
		switch {
		case err != nil:
			return nil, fmt.Errorf("%s: %w", path, err)
		case slices.Contains(s.Steps, step):
			return nil, fmt.Errorf("%s: a second model of step %d, %s", path, step, of.Name())
		case i > 0 && !slices.Equal(texts, s.Words):
			return nil, fmt.Errorf("%s: %s has other texts than %s, wanted the same: have the checkpoints one tokenizer and template?", path, of.Name(), m.Models[0].Name())
		}
		s.Words, last = texts, meta
		at, _ := slices.BinarySearch(s.Steps, step)
		s.Steps = slices.Insert(s.Steps, at, step)
		s.Prompts = slices.Insert(s.Prompts, at, "step-"+strconv.Itoa(step))
		s.Values[0] = slices.Insert(s.Values[0], at, values)
	}
	last.Model = stepName.ReplaceAllString(last.Model, "")
	model := identify(models, stem(path), "", last)
	if model.Family == "" {
		return nil, errNoFamily(path, "series", model.Name, "")
	}
	s.Models = []cube.Model{model}
	return []*cube.Series{s}, nil
}

// checkpointOf are the values of the texts at a checkpoint by the best measure, and how they were
// made.
func checkpointOf(m *shard.Manifest, model int) (texts []string, values []float64, meta logprob.Meta, err error) {
	add := func(word, form, measure string, reward, mwlr float64) {
		switch {
		case measure == string(words.Exact): // words.ExactForm too
			word = form
		case measure == string(words.Paper):
			reward = mwlr
		}
		texts, values = append(texts, word), append(values, reward)
	}
	if rm := m.Models[model].RM; rm != nil {
		rows, err := collect(m.Scores(context.Background(), model))
		rows, _ = oneMeasure(rows, scoreMeasures, func(r words.ScoreRecord) string { return r.Measure })
		for _, r := range rows {
			add(r.Word, r.Form, r.Measure, r.Reward, 0)
		}
		return texts, values, rm.Meta, err
	}
	rows, err := collect(m.Records(context.Background(), model))
	rows, _ = oneMeasure(rows, measures, func(r words.Record) string { return r.Measure })
	for _, r := range rows {
		if math.IsInf(r.Reward, 0) {
			return nil, nil, meta, fmt.Errorf("%q: reward %v, wanted a finite one", r.Word, r.Reward)
		}
		add(r.Word, r.Form, r.Measure, r.Reward, r.MWLR)
	}
	return texts, values, *m.Models[model].Tuned, err
}
