package input

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/implicitreward/implicitreward/internal/study/cube"
	"github.com/implicitreward/implicitreward/internal/testdata/synth"
)

// TestParquetLikeCSV reads the training series both ways.
func TestParquetLikeCSV(t *testing.T) {
	dir := synth.Dir(t)
	for _, name := range []string{"gemma", "llama", "qwen"} {
		path := filepath.Join(dir, "data", "reward_model_training", "greatest_ever_one_across_checkpoints_"+name)
		a, err := ReadSeries(path+".csv", nil)
		if err != nil {
			t.Fatal(err)
		}
		b, err := ReadSeries(path+".parquet", nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(a.Words) != len(b.Words) || len(a.Steps) != len(b.Steps) {
			t.Fatalf("%s: %d tokens, %d steps; Parquet %d, %d", name, len(a.Words), len(a.Steps), len(b.Words), len(b.Steps))
		}
		for k := range a.Steps {
			for i := range a.Words {
				if a.Steps[k] != b.Steps[k] || a.Words[i] != b.Words[i] || a.Values[0][k][i] != b.Values[0][k][i] {
					t.Fatalf("%s: step %d, row %d: %q %v; Parquet step %d, %q %v", name, a.Steps[k], i, a.Words[i], a.Values[0][k][i], b.Steps[k], b.Words[i], b.Values[0][k][i])
				}
			}
		}
	}
}

// TestWrongSeries: faults of training runs.
func TestWrongSeries(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"no step", "token_decoded,first\none,1\n", []string{"line 1", `"first", wanted step-<number>`}},
		{"step twice", "token_decoded,step-1,step-01\none,1,2\n", []string{"a second column of step 1"}},
		{"text", "token_decoded,step-1,step-2\none,1,x\n", []string{"line 2, column 3 (step-2)", `"x"`}},
	} {
		path := filepath.Join(t.TempDir(), "m1.csv")
		if err := os.WriteFile(path, []byte(c.text), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := ReadSeries(path, []cube.Model{{Name: "m1", Family: "X"}})
		if err == nil {
			t.Errorf("%s: no error", c.name)
			continue
		}
		for _, part := range append(c.want, "m1.csv") {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %v, wanted %q in it", c.name, err, part)
			}
		}
	}
}

// TestSeriesRuns: a series that score or train wrote says itself which run it is of; a run twice
// is refused.
func TestSeriesRuns(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"a.csv":           "token_decoded,step-0,step-9\none,1,2\ntwo,2,1\n",
		"a.csv.meta.json": `{"rm": [{"model": "base+run/checkpoint-0", "model_type": "gemma2"}, {"model": "base+run/checkpoint-9/", "model_type": "gemma2"}], "steps": [0, 9]}`,
		"b.csv":           "token_decoded,step-0\none,1\ntwo,2\n",
		"b.csv.meta.json": `{"tuned": [{"model": "base+run/step-0", "model_type": "llama"}], "steps": [0]}`,
		"c.csv":           "token_decoded,step-0\none,1\ntwo,2\n",
		"c.csv.meta.json": `{"rm": [{"model": "mine", "model_type": "unheard of"}], "steps": [0]}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{"a": "Gemma", "b": "Llama"} {
		s, err := ReadSeries(filepath.Join(dir, name+".csv"), nil)
		if err != nil || s.Models[0].ID != "base+run" || s.Models[0].Family != want {
			t.Errorf("%s: %+v, %v, wanted base+run of family %s", name, s, err, want)
		}
	}
	if _, err := ReadSeries(filepath.Join(dir, "c.csv"), nil); err == nil || !strings.Contains(err.Error(), `series "mine" without a family`) {
		t.Errorf("%v, wanted an error about the family of mine", err)
	}
	named := []cube.Model{{Name: "mine", Family: "X"}, {Name: "a", Family: "Y"}}
	for name, want := range map[string]string{"a": "Y", "c": "X"} {
		if s, err := ReadSeries(filepath.Join(dir, name+".csv"), named); err != nil || s.Models[0].Family != want {
			t.Errorf("%s: %+v, %v, wanted family %s", name, s, err, want)
		}
	}
	_, err := Read(&Config{Series: []string{filepath.Join(dir, "a.csv"), filepath.Join(dir, "b.csv")}}, cube.SeriesFiles, false)
	if want := "a.csv and " + filepath.Join(dir, "b.csv") + ": series of one run, base+run, wanted a run once, after one prompt"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, wanted %s", err, want)
	}
}
