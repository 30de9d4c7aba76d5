package rewardmodel

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"

	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

// TestAdapters holds peft's adapters of reward models (task SEQ_CLS), by BASE+ADAPTER and on a
// base model that is loaded already, with or without its vocabulary head, to peft's scores, and
// the merged checkpoint of each.
func TestAdapters(t *testing.T) {
	goldens, err := filepath.Glob("testdata/adapters/*/golden.json")
	if err != nil || len(goldens) < 14 {
		t.Fatalf("%d goldens, %v", len(goldens), err)
	}
	for _, path := range goldens {
		dir := filepath.Dir(path)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			var g struct {
				goldenFamily
				Base, Refused string
			}
			b, err := os.ReadFile(path)
			if err == nil {
				err = json.Unmarshal(b, &g)
			}
			if err != nil {
				t.Fatal(err)
			}
			base := filepath.Join("testdata", g.Base)
			m, err := load(t, base+"+"+dir, &Options{Output: "column=0"})
			if g.Refused != "" {
				if err == nil || !strings.Contains(err.Error(), g.Refused) {
					t.Errorf("error %v, wanted one that names %s", err, g.Refused)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			models := []*Model{m}
			for _, trunk := range []bool{true, false} {
				lm, err := logprob.Load(t.Context(), base, &logprob.Options{Backend: m.o.Model.Backend, Trunk: trunk})
				if err != nil {
					if !trunk {
						continue // a classifier's checkpoint is no language model
					}
					t.Fatal(err)
				}
				defer lm.Close()
				m, err := load(t, base+"+"+dir, &Options{Output: "column=0", Base: lm, Model: logprob.Options{Backend: m.o.Model.Backend}})
				if err != nil {
					t.Fatal(err)
				}
				models = append(models, m)
			}
			merged := filepath.Join(t.TempDir(), "merged")
			if _, err := logprob.Merge(t.Context(), base, dir, merged, &logprob.MergeOptions{DType: dtypes.Float32}); err != nil {
				t.Fatal(err)
			}
			whole, err := load(t, merged, &Options{Output: "column=0"})
			if err != nil {
				t.Fatal(err)
			}
			models = append(models, whole)
			var texts []tokenize.Encoded
			var all []float64
			for _, text := range g.Texts {
				texts = append(texts, tokenize.Encoded{IDs: text.IDs})
				all = append(all, text.Last.Outputs...)
			}
			for _, m := range models {
				if len(g.Names) > 0 && len(m.Outputs()) != len(g.Names) {
					t.Errorf("outputs %q, wanted %q", m.Outputs(), g.Names)
				}
				for i, got := range results(t, m, texts...) {
					nearOf(t, "outputs", got.Outputs, g.Texts[i].Last.Outputs, all)
				}
				if beside := m.lm.Beside(); slices.Contains(beside, "lm_head.weight") {
					t.Errorf("beside the trunk lie %q, wanted the classifier's head alone", beside)
				}
			}
		})
	}
}
