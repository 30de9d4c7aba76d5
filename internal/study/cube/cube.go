// Package cube holds what a study has read, in the one shape that all its analyses use:
// values of words, after prompts, under models (Scores). Beside it are the words'
// categories (Dictionary), the prompts' framings (Groups) and the files that are more
// than a cube (LogProbFile, RewardFile, Series, Ablation).
package cube

import (
	"fmt"

	"github.com/implicitreward/implicitreward/implicit/words"
)

// Scores are values of words after prompts under models: rewards, of which a greater one
// means that the model likes the word more, or log-probabilities.
type Scores struct {
	Models   []Model
	Files    []string // where the values are from
	Prompts  []string
	Words    []string
	Category []string      // of each word; nil where no dictionary was applied
	Tokens   []int         // how many tokens each word has; nil where all have one
	Values   [][][]float64 // Values[model][prompt][word]

	Meta *words.Provenance      // of a rewards file that says how it was made
	RM   *words.ScoreProvenance // of a reward model's scores that say it
}

// Model names a model of the study.
type Model struct {
	Name    string `yaml:"name"`         // as files and hubs name it: org/model
	ID      string `yaml:"id"`           // short name in tables and figures; "": Display, or Name
	Display string `yaml:"display_name"` // "Gemma 2 IT 2B"
	Family  string `yaml:"family"`       // "Gemma"
	Type    string `yaml:"type"`         // "pretrained", "instruction-tuned"
	DType   string `yaml:"dtype"`        // not used
	// Architecture is the model_type that Family stands for, of a model that only its file's
	// metadata knows; "" where a name gave the family.
	Architecture string `yaml:"-"`
}

// Pick returns the elements of from at the places at.
func Pick[T any](from []T, at []int) []T {
	to := make([]T, len(at))
	for i, k := range at {
		to[i] = from[k]
	}
	return to
}

// Only returns the cube of the words at the places at, in that order.
func (s *Scores) Only(at []int) *Scores {
	cut := *s
	cut.Words = Pick(s.Words, at)
	if s.Category != nil {
		cut.Category = Pick(s.Category, at)
	}
	if s.Tokens != nil {
		cut.Tokens = Pick(s.Tokens, at)
	}
	cut.Values = make([][][]float64, len(s.Values))
	for m, prompts := range s.Values {
		for _, values := range prompts {
			cut.Values[m] = append(cut.Values[m], Pick(values, at))
		}
	}
	return &cut
}

// In returns the cube of the words that have a category in the dictionary.
func (s *Scores) In(dict *Dictionary) *Scores {
	var at []int
	var categories []string
	for i, w := range s.Words {
		if c, ok := dict.Category(w); ok {
			at, categories = append(at, i), append(categories, c)
		}
	}
	cut := s.Only(at)
	cut.Category = categories
	return cut
}

// Places returns the places of the words of a category.
func (s *Scores) Places(category string) []int {
	var at []int
	for i, c := range s.Category {
		if c == category {
			at = append(at, i)
		}
	}
	return at
}

// Check refuses a cube in which a category of the dictionary has fewer than two words.
func (s *Scores) Check(dict *Dictionary, file string) error {
	for _, c := range dict.Categories {
		if n := len(s.Places(c)); n < 2 {
			return fmt.Errorf("%s: %d words of category %s of %s, wanted two or more", file, n, c, dict.File)
		}
	}
	return nil
}

// Reward is ln p(tuned) - ln p(base) of every word after prompt p, in a cube of the base
// and the tuned model.
func (s *Scores) Reward(p int) []float64 { return Minus(s.Values[1][p], s.Values[0][p]) }

// Minus returns x - y, element by element.
func Minus(x, y []float64) []float64 {
	d := make([]float64, len(x))
	for i := range x {
		d[i] = x[i] - y[i]
	}
	return d
}
