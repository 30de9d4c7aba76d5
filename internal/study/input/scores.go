package input

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/implicitreward/implicitreward/implicit/words"
	"github.com/implicitreward/implicitreward/internal/regular"
	"github.com/implicitreward/implicitreward/internal/study/cube"
	"github.com/implicitreward/implicitreward/internal/table"
	"github.com/implicitreward/implicitreward/logprob"
)

// ReadScores reads the scores of a reward model, CSV or Parquet by the name's ending:
// a column of replies, called response, and a column a prompt; the long rows of score -rm;
// or a rewards file of score, whose implicit rewards are then the scores. The model is found
// by the file's name among models and the built-in ones, or by the metadata in or beside the
// file (of CSV: file.csv.meta.json), whose architecture gives its family.
func ReadScores(path string, models []cube.Model) (*cube.Scores, error) {
	header := header(path)
	has := func(name string) bool { return slices.Contains(header, name) }
	switch {
	case has("logp_tuned") && has("word"):
		r, err := ReadRewards(path, models)
		if err != nil {
			return nil, err
		}
		return rewardsAsScores(r)
	case has("prompt") && has("word") && has("reward") && has("measure"):
		return readLongScores(path, models)
	}
	s, err := readValues(path, layout{words: []string{"response", "word", "token_decoded"},
		ignore: []string{"token_id", "token_name"}, unique: true, what: "prompt"})
	if err != nil {
		return nil, err
	}
	var meta words.ScoreProvenance
	if !strings.HasSuffix(path, ".parquet") {
		if err := table.ReadMeta(path, &meta); err != nil {
			return nil, err
		}
	}
	return s, scoresOf(s, path, models, meta)
}

// scoresOf enters the reward model that a file is of.
func scoresOf(s *cube.Scores, path string, models []cube.Model, meta words.ScoreProvenance) error {
	if meta.RM.Model != "" {
		s.RM = &meta
	}
	model := identify(models, stem(path), stem(path), meta.RM.Meta)
	if model.Family == "" {
		return errNoFamily(path, "model", model.Name, ", or one of the ten of the paper")
	}
	s.Models = []cube.Model{model}
	return nil
}

// distinct refuses files of one reward model: the tests take a family's models as
// independent.
func distinct(all []*cube.Scores) error {
	for i, a := range all {
		for _, b := range all[:i] {
			same := a.Models[0].ID == b.Models[0].ID
			if a.RM != nil && b.RM != nil && a.RM.RM.WeightsHash != "" {
				same = same || a.RM.RM.WeightsHash == b.RM.RM.WeightsHash && a.RM.RM.Output == b.RM.RM.Output
			}
			if same {
				return fmt.Errorf("%s and %s: scores of one model, %s, wanted a model once: those of a family count as independent",
					b.Files[0], a.Files[0], a.Models[0].ID)
			}
		}
	}
	return nil
}

// scoreMeasures are those of a scores file, best first.
var scoreMeasures = []words.ScoreMeasure{words.MeanForm, words.BestForm, words.ExactForm}

// readLongScores reads a scores file of score -rm. Of a file with several measures one is
// taken, mean before best and exact, and the model's short name says which. A word that is
// missing or repeated after a prompt is an error.
func readLongScores(path string, models []cube.Model) (*cube.Scores, error) {
	data, err := regular.Read(path, regular.Scores)
	if err != nil {
		return nil, err
	}
	records, meta, err := words.ReadScores(bytes.NewReader(data), int64(len(data)))
	if err == nil && !strings.HasSuffix(path, ".parquet") {
		err = table.ReadMeta(path, &meta)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return longScoresOf(path, records, meta, models)
}

// longScoresOf are the scores of a reward model that stand in a file, or in the parts of a
// manifest.
func longScoresOf(path string, records []words.ScoreRecord, meta words.ScoreProvenance, models []cube.Model) (*cube.Scores, error) {
	s := &cube.Scores{Files: []string{path}}
	if len(records) == 0 {
		return nil, fmt.Errorf("%s: no rows", path)
	}
	records, measure := oneMeasure(records, scoreMeasures, func(r words.ScoreRecord) string { return r.Measure })
	rows := make([]row, len(records))
	for i, r := range records {
		rows[i] = row{r.Prompt, r.Word, r.Form, int(r.NTokens), []float64{r.Reward}}
	}
	if err := fill(s, rows, "score -measure mean or best"); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	s.Tokens = nil
	if err := scoresOf(s, path, models, meta); err != nil {
		return nil, err
	}
	if measure != "" {
		s.Models[0].ID += " (" + measure + ")"
	}
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
// step-<number>, in any order. The run is found by the file's name among models, or by the
// metadata beside the file (of CSV: file.csv.meta.json), whose architecture gives its family: it
// then has the name of its last model, without the step.
func ReadSeries(path string, models []cube.Model) (*cube.Series, error) {
	s, err := readValues(path, layout{words: []string{"token_decoded"}, ignore: []string{"token_id", "token_name"},
		what: "checkpoint (step-<number>)"})
	if err != nil {
		return nil, err
	}
	meta, err := runOf(path)
	if err != nil {
		return nil, err
	}
	model := identify(models, stem(path), "", meta)
	if model.Family == "" {
		return nil, errNoFamily(path, "series", model.Name, "")
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

// oneEach refuses a run twice, such as after several prompts: figures have a line a run.
func oneEach(all []*cube.Series) error {
	for i, a := range all {
		for _, b := range all[:i] {
			if a.Models[0].ID == b.Models[0].ID {
				return fmt.Errorf("%s and %s: series of one run, %s, wanted a run once, after one prompt", b.Files[0], a.Files[0], a.Models[0].ID)
			}
		}
	}
	return nil
}

// stepName is what names of checkpoints end in.
var stepName = regexp.MustCompile(`[/+_-]*(step|checkpoint)[-_]?[0-9]+/*$`)

// runOf returns the provenance of the last model of a series, under the name of the run: empty
// where none lies beside the file.
func runOf(path string) (of logprob.Meta, err error) {
	var meta words.SeriesProvenance
	if strings.HasSuffix(path, ".parquet") {
		return of, nil // score writes series as CSV
	}
	if err := table.ReadMeta(path, &meta); err != nil {
		return of, err
	}
	if n := len(meta.RM); n > 0 {
		of = meta.RM[n-1].Meta
	} else if n := len(meta.Tuned); n > 0 {
		of = meta.Tuned[n-1]
	}
	of.Model = stepName.ReplaceAllString(of.Model, "")
	return of, nil
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
	l.Model = identify(models, stem(path), "", l.Table.Meta)
	return l, nil
}

// header returns the names of a file's columns; none of a file that cannot be read, of which
// the reader says why.
func header(path string) []string {
	data, err := regular.Read(path, regular.Scores)
	if err != nil {
		return nil
	}
	if !strings.HasSuffix(path, ".parquet") {
		names, err := table.NewCSVReader(bytes.NewReader(data)).Header()
		if err != nil {
			return nil
		}
		return names
	}
	file, err := table.OpenParquet(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil
	}
	var names []string
	for _, leaf := range file.Root().Columns() {
		names = append(names, leaf.Name())
	}
	return names
}
