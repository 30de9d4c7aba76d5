package input

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/implicitreward/implicitreward/implicit/rewardmodel"
	"github.com/implicitreward/implicitreward/implicit/words"
	"github.com/implicitreward/implicitreward/internal/study/cube"
	"github.com/implicitreward/implicitreward/internal/table"
	"github.com/implicitreward/implicitreward/logprob"
)

// made says how a file of a reward model's scores was made.
func made(model, modelType, weights string) words.ScoreProvenance {
	return words.ScoreProvenance{RM: rewardmodel.Meta{Meta: logprob.Meta{Model: model, ModelType: modelType, WeightsHash: weights}}}
}

// writeScores writes what score -rm writes, by the name: rows as Parquet or CSV, or the paper's
// table (.table.csv).
func writeScores(t *testing.T, path string, m words.ScoreProvenance, records ...words.ScoreRecord) {
	t.Helper()
	all := func(yield func(words.ScoreRecord, error) bool) {
		for _, r := range records {
			if !yield(r, nil) {
				return
			}
		}
	}
	var b, meta bytes.Buffer
	var err error
	switch {
	case strings.HasSuffix(path, ".parquet"):
		err = words.WriteScoresParquet(&b, all, m)
	case strings.HasSuffix(path, ".table.csv"):
		b.WriteString("response,best_a,worst_a\nlove,0.5,0.25\nfog,-1,-1.5\n")
	default:
		err = words.WriteScoresCSV(&b, all)
	}
	if err == nil {
		err = os.WriteFile(path, b.Bytes(), 0o644)
	}
	if err == nil && strings.HasSuffix(path, ".csv") {
		if err = m.WriteJSON(&meta); err == nil {
			err = os.WriteFile(table.MetaPath(path), meta.Bytes(), 0o644)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

// madeUp are records of two words after two prompts, by some measures.
func madeUp(measures ...string) (records []words.ScoreRecord) {
	for i, m := range measures {
		for _, r := range []words.ScoreRecord{
			{Prompt: "best_a", Word: "love", Form: "love", Reward: 0.5},
			{Prompt: "best_a", Word: "fog", Form: "fog", Reward: -1},
			{Prompt: "worst_a", Word: "love", Form: "love", Reward: 0.25},
			{Prompt: "worst_a", Word: "fog", Form: "fog", Reward: -1.5},
		} {
			r.Measure, r.Reward = m, r.Reward-float64(100*i)
			records = append(records, r)
		}
	}
	return records
}

// TestScoresOfRewardModels: what score -rm writes is read with no file of models, in each of
// its formats: names from the files, families from the architectures.
func TestScoresOfRewardModels(t *testing.T) {
	for _, name := range []string{"gem.csv", "gem.parquet", "gem.table.csv"} {
		path := filepath.Join(t.TempDir(), name)
		writeScores(t, path, made("org/Some-RM", "gemma2", "00"), madeUp("exact")...)
		s, err := ReadScores(path, nil)
		if err != nil {
			t.Fatal(err)
		}
		want := cube.Model{Name: "org/Some-RM", ID: stem(path), Display: stem(path), Family: "Gemma", Architecture: "gemma2"}
		if s.Models[0] != want || s.RM == nil || s.RM.RM.WeightsHash != "00" {
			t.Errorf("%s: %+v, %+v", name, s.Models[0], s.RM)
		}
		if !slices.Equal(s.Words, []string{"love", "fog"}) || !slices.Equal(s.Prompts, []string{"best_a", "worst_a"}) ||
			!slices.Equal(s.Values[0][0], []float64{0.5, -1}) || !slices.Equal(s.Values[0][1], []float64{0.25, -1.5}) {
			t.Errorf("%s: %+v", name, s)
		}
		// A file of models wins, and so does a family by the file's name.
		for _, known := range []cube.Model{{Name: "org/Some-RM", Family: "X"}, {Name: stem(path), Family: "X"}} {
			s, err := ReadScores(path, []cube.Model{known})
			if err != nil || s.Models[0].Family != "X" || s.Models[0].Architecture != "" {
				t.Errorf("%s: %+v, %v, wanted family X", name, s, err)
			}
		}
	}
	// An architecture that stands for no family, and a table without metadata, need one.
	path := filepath.Join(t.TempDir(), "a.csv")
	writeScores(t, path, made("org/Some-RM", "mamba", "00"), madeUp("exact")...)
	if _, err := ReadScores(path, nil); err == nil || !strings.Contains(err.Error(), `a.csv: model "org/Some-RM" without a family`) {
		t.Errorf("error %v", err)
	}
}

// TestScoreMeasures: of several measures one is taken, and named.
func TestScoreMeasures(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.csv")
	for list, want := range map[string]string{"mean exact best": "r (mean)", "best exact": "r (best)", "exact": "r"} {
		writeScores(t, path, made("m", "llama", ""), madeUp(strings.Fields(list)...)...)
		s, err := ReadScores(path, nil)
		if err != nil || s.Models[0].ID != want || s.Values[0][0][0] != 0.5 {
			t.Errorf("%s: %+v, %v, wanted %s", list, s, err, want)
		}
	}
	twice := append(madeUp("exact"), words.ScoreRecord{Prompt: "best_a", Word: "love", Form: "Love", Measure: "exact"})
	writeScores(t, path, made("m", "llama", ""), twice...)
	if _, err := ReadScores(path, nil); err == nil || !strings.Contains(err.Error(), `as "love" and "Love", wanted one row a word: score -measure mean or best`) {
		t.Errorf("error %v", err)
	}
	writeScores(t, path, made("m", "llama", ""))
	if _, err := ReadScores(path, nil); err == nil || !strings.Contains(err.Error(), "no rows") {
		t.Errorf("error %v", err)
	}
}

// TestFolderOfScores: a folder that score -rm wrote to is read, and what lies beside the scores
// is not; a reward model that is there twice is refused.
func TestFolderOfScores(t *testing.T) {
	dir := t.TempDir()
	corpus := filepath.Join(t.TempDir(), "words.csv")
	beside := map[string]string{corpus: "category,word\nA,love\nA,fog\n", filepath.Join(dir, "a.coverage.csv"): "entry,status\nlove,scored\n",
		filepath.Join(dir, "a.vary.csv"): "x\n1\n"}
	for name, text := range beside {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	writeScores(t, filepath.Join(dir, "a.csv"), made("org/a", "llama", "0a"), madeUp("exact")...)
	writeScores(t, filepath.Join(dir, "b.parquet"), made("org/b", "gemma2", "0b"), madeUp("exact")...)
	read := func() (*cube.Inputs, error) {
		return Read(&Config{Corpora: []CorpusConfig{{Name: "c", File: corpus, Scores: []string{dir}}}}, cube.ScoreFiles, false)
	}
	in, err := read()
	if err != nil {
		t.Fatal(err)
	}
	if got := in.Architectures(); !strings.HasSuffix(got, ": a: Llama (llama), b: Gemma (gemma2)") {
		t.Errorf("architectures %q", got)
	}
	if meta := in.Files[2].Meta; len(in.Files) != 3 || !strings.Contains(meta, `"weights_hash":"0b"`) {
		t.Errorf("files %+v, wanted the metadata of b", in.Files)
	}
	writeScores(t, filepath.Join(dir, "c.csv"), made("org/copy-of-a", "llama", "0a"), madeUp("exact")...)
	if _, err := read(); err == nil || !strings.Contains(err.Error(), "a.csv") || !strings.Contains(err.Error(), "c.csv: scores of one model, c, wanted a model once") {
		t.Errorf("error %v", err)
	}
	other := made("org/copy-of-a", "llama", "0a") // another output is another reward
	other.RM.Output = "column=1"
	writeScores(t, filepath.Join(dir, "c.csv"), other, madeUp("exact")...)
	if _, err := read(); err != nil {
		t.Error(err)
	}
}
