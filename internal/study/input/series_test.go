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
