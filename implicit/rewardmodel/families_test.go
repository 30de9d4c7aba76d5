package rewardmodel

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/implicitreward/implicitreward/tokenize"
)

// goldenFamily is a golden.json of testdata/families: see make.py.
type goldenFamily struct {
	Names []string
	Texts []struct {
		IDs   []int32
		Last  goldenPooled
		HF    goldenPooled
		HFOld goldenPooled `json:"hf-old"`
	}
}

type goldenPooled struct {
	Position int
	Outputs  []float64
}

// configs yields the folders of a case: as it is, and with config.v4.json in place of
// config.json where there is one.
func configs(t *testing.T, dir string) []string {
	t.Helper()
	old, err := os.ReadFile(filepath.Join(dir, "config.v4.json"))
	if err != nil {
		return []string{dir}
	}
	v4 := t.TempDir()
	weights, err := filepath.Abs(filepath.Join(dir, "model.safetensors"))
	if err == nil {
		err = os.Symlink(weights, filepath.Join(v4, "model.safetensors"))
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(v4, "config.json"), old, 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
	return []string{dir, v4}
}

// TestFamilies holds ForSequenceClassification checkpoints of all families to transformers,
// every output and every way of pooling.
func TestFamilies(t *testing.T) {
	goldens, err := filepath.Glob("testdata/families/*/golden.json")
	if err != nil || len(goldens) < 19 {
		t.Fatalf("%d goldens, %v", len(goldens), err)
	}
	flagged := 0
	for _, path := range goldens {
		dir := filepath.Dir(path)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			var g goldenFamily
			readJSON(t, path, &g)
			var texts []tokenize.Encoded
			var all []float64
			for _, text := range g.Texts {
				texts = append(texts, tokenize.Encoded{IDs: text.IDs})
				all = append(all, text.Last.Outputs...)
			}
			for _, dir := range configs(t, dir) {
				for _, pooling := range []Pooling{Last, HF, HFOld} {
					m, err := load(t, dir, &Options{Output: "column=0", Pooling: pooling})
					if err != nil {
						t.Fatal(err)
					}
					if !slices.Equal(m.Outputs(), g.Names) {
						t.Errorf("outputs %q, wanted %q", m.Outputs(), g.Names)
					}
					for i, got := range results(t, m, texts...) {
						text := g.Texts[i]
						want := []goldenPooled{text.Last, text.HF, text.HFOld}[pooling]
						if got.Position != want.Position {
							t.Errorf("%s: text %d: position %d, wanted %d", pooling, i, got.Position, want.Position)
						}
						nearOf(t, pooling.String(), got.Outputs, want.Outputs, all)
						if got.Reward != got.Outputs[0] {
							t.Errorf("reward %v, wanted column 0 of %v", got.Reward, got.Outputs)
						}
						other := text.HF.Position != want.Position || text.HFOld.Position != want.Position
						if slices.Contains(got.Flags, FlagPooling) != other {
							t.Errorf("%s: text %d: flags %q, and transformers reads %d or %d", pooling, i, got.Flags, text.HF.Position, text.HFOld.Position)
						}
						if other {
							flagged++
						}
					}
				}
			}
		})
	}
	if flagged == 0 {
		t.Error("no text that transformers pools otherwise")
	}
}
