package analysis

import (
	"math"
	"testing"

	"github.com/implicitreward/implicitreward/stats"
)

// TestCrossed: in a balanced design the mixed model with intercepts of model and prompt
// gives Student's test of one value a model, where models vary at all; and intervals
// widen with what they speak for.
func TestCrossed(t *testing.T) {
	for _, s := range readSynth(t).Sets {
		r, err := newRanked(s.Dict, s.Scores, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := Crossed(s.Dict, s.Scores, &Options{Draws: 999})
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range res.Tables[0].Rows.([]CrossedRow) {
			k := 0
			for i, c := range s.Dict.Categories {
				if c == row.Category {
					k = i
				}
			}
			what := s.Dict.Name + " " + row.Category + " " + row.PromptFraming
			want, err := stats.Student(r.modelMeans(row.Family1, k, row.PromptFraming), r.modelMeans(row.Family2, k, row.PromptFraming), nil)
			if err != nil {
				t.Fatal(err)
			}
			near(t, what+" estimate", row.MixedEstimate, want.Estimate, 1e-6)
			near(t, what+" t", row.MixedT, want.T, 1e-4)
			near(t, what+" df", row.MixedDF, want.DF, 1e-3)
			prompts, words, models := row.PromptsHi-row.PromptsLo, row.PromptsWordsHi-row.PromptsWordsLo, row.PromptsWordsModelsHi-row.PromptsWordsModelsLo
			if !(prompts < words && words < models) {
				t.Errorf("%s: intervals of width %v, %v and %v, wanted them to widen", what, prompts, words, models)
			}
			if row.PromptsLo > row.Diff || row.PromptsHi < row.Diff || math.IsNaN(row.Diff) {
				t.Errorf("%s: %v not in [%v, %v]", what, row.Diff, row.PromptsLo, row.PromptsHi)
			}
		}
	}
}
