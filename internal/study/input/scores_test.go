package input

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/implicitreward/implicitreward/implicit/lexicon"
	"github.com/implicitreward/implicitreward/implicit/rewardmodel"
	"github.com/implicitreward/implicitreward/implicit/words"
	"github.com/implicitreward/implicitreward/internal/study/cube"
	"github.com/implicitreward/implicitreward/logprob"
)

// scored are made-up results of words.Scores: three words after two prompts in two forms.
func scored(measures ...words.ScoreMeasure) []words.ScoredWord {
	var all []words.ScoredWord
	x := 0.1
	for _, prompt := range []string{"best", "worst"} {
		for i, term := range []string{"love", "power", "rain"} {
			w := words.ScoredWord{PromptName: prompt, Index: i, Entry: lexicon.Entry{Term: term, Categories: []string{"C"}}, Outputs: []string{"a"}}
			for _, form := range []lexicon.Form{"{lower}", "{upper}"} {
				f := words.ScoredForm{Text: form.Of(term), Forms: []lexicon.Form{form}, Tokens: 1, Result: rewardmodel.Result{Reward: x, Outputs: []float64{x}}}
				w.Forms = append(w.Forms, f)
				x = -1.5*x + 0.3
			}
			for _, m := range measures {
				s, err := w.Measure(m)
				if err != nil {
					panic(err)
				}
				w.Scores = append(w.Scores, s...)
			}
			all = append(all, w)
		}
	}
	return all
}

// seq yields values without an error.
func seq[T any](all []T) func(yield func(T, error) bool) {
	return func(yield func(T, error) bool) {
		for _, v := range all {
			if !yield(v, nil) {
				return
			}
		}
	}
}

func create(t *testing.T, path string, write func(io.Writer) error) {
	t.Helper()
	f, err := os.Create(path)
	if err == nil {
		if err = write(f); err == nil {
			err = f.Close()
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestScoreFiles: the long rows of score -rm, CSV and Parquet, and the paper's table of the
// same scores are read as the same cube, to the last digit; of several measures one is taken.
func TestScoreFiles(t *testing.T) {
	dir := t.TempDir()
	meta := words.ScoreProvenance{RM: rewardmodel.Meta{Meta: logprob.Meta{Model: "org/rm"}, Head: "linear"}}
	models := []cube.Model{{Name: "org/rm", Family: "X", ID: "R", Display: "The RM"}}
	records := func(of []words.ScoredWord) (all []words.ScoreRecord) {
		for _, w := range of {
			all = append(all, w.Records()...)
		}
		return all
	}
	var want *cube.Scores
	for _, name := range []string{"table.csv", "mean.csv", "mean.parquet", "all.csv"} {
		path := filepath.Join(dir, name)
		of := scored(words.MeanForm)
		if name == "all.csv" {
			of = scored(words.ScoreMeasures()...)
		}
		create(t, path, func(w io.Writer) error {
			switch {
			case name == "table.csv":
				table, err := words.NewScoreTable(seq(of), []lexicon.Prompt{{Name: "best"}, {Name: "worst"}})
				if err != nil {
					return err
				}
				return table.WriteCSV(w)
			case strings.HasSuffix(name, ".parquet"):
				return words.WriteScoresParquet(w, seq(records(of)), meta)
			}
			return words.WriteScoresCSV(w, seq(records(of)))
		})
		if strings.HasSuffix(name, ".csv") {
			create(t, path+".meta.json", meta.WriteJSON)
		}
		s, err := ReadScores(path, models)
		if err != nil {
			t.Fatal(err)
		}
		if want == nil {
			want = s
		}
		id := "R"
		if name == "all.csv" {
			id += " (mean)"
		}
		if s.Models[0].ID != id || s.Models[0].Display != "The RM" || s.RM == nil || s.RM.RM.Head != "linear" || s.Meta != nil {
			t.Errorf("%s: %+v, %+v", name, s.Models, s.RM)
		}
		if !slices.Equal(s.Words, want.Words) || !slices.Equal(s.Prompts, want.Prompts) || len(s.Values) != 1 || len(s.Words) != 3 || len(s.Prompts) != 2 {
			t.Fatalf("%s: %+v, wanted %+v", name, s, want)
		}
		for p := range s.Prompts {
			if !slices.Equal(s.Values[0][p], want.Values[0][p]) {
				t.Errorf("%s: %v, wanted %v", name, s.Values[0][p], want.Values[0][p])
			}
		}
	}
	of := scored(words.ExactForm)
	path := filepath.Join(dir, "exact.csv")
	create(t, path, func(w io.Writer) error { return words.WriteScoresCSV(w, seq(records(of))) })
	if _, err := ReadScores(path, models); err == nil || !strings.HasSuffix(err.Error(), `exact.csv: "love" stands twice after prompt best, as "love" and "LOVE", wanted one row a word: score -measure mean or best, or one of -forms`) {
		t.Errorf("%v", err)
	}
	for i := range of {
		of[i].Scores = of[i].Scores[:1]
	}
	create(t, path, func(w io.Writer) error { return words.WriteScoresCSV(w, seq(records(of))) })
	if _, err := ReadScores(path, models); err == nil || !strings.Contains(err.Error(), `model "exact" without a family`) {
		t.Errorf("%v", err)
	}
	s, err := ReadScores(path, []cube.Model{{Name: "exact", Family: "X"}})
	if err != nil || s.Values[0][0][0] != 0.1 || s.RM != nil {
		t.Errorf("%+v, %v", s, err)
	}
	create(t, path, func(w io.Writer) error { return words.WriteScoresCSV(w, seq(records(of)[1:])) })
	if _, err := ReadScores(path, []cube.Model{{Name: "exact", Family: "X"}}); err == nil || !strings.HasSuffix(err.Error(), `no row of "love" after prompt best, wanted every word after every prompt`) {
		t.Errorf("%v", err)
	}
}
