package analysis

import (
	"fmt"
	"slices"
	"strings"

	"github.com/implicitreward/implicitreward/internal/study/cube"
	"github.com/implicitreward/implicitreward/stats"
)

// Options are the options of all analyses. The zero value is the default.
type Options struct {
	Contrast []string  `yaml:"contrast"` // two categories, whose gap is the first less the second; nil: the first two
	Only     []string  `yaml:"only"`     // analyses to run; nil: all that the inputs allow
	Power    bool      `yaml:"power"`    // simulate what the design can show, instead of analyses
	Sims     int       `yaml:"sims"`     // of power: simulations a shift; 0: 400
	Shifts   []float64 `yaml:"shifts"`   // of power: in SD of word scores; nil: 0, 0.05, 0.1, 0.2, 0.3, 0.4
	Design   []int     `yaml:"design"`   // of power: models, models, prompts, words, words; nil: those of the scores
	Compat   string    `yaml:"compat"`   // "paper": follow its code in all that Differences lists; "": what is right
	Seed     uint64    `yaml:"seed"`     // of every random draw
	Draws    int       `yaml:"draws"`    // random arrangements and resamples a test; 0: 9999

	groups *cube.Groups // of prompts; nil: by their names
}

// Paper says whether the analyses follow the paper's code.
func (o *Options) Paper() bool { return o.Compat == "paper" }

// Arrangements is the number of random arrangements a test.
func (o *Options) Arrangements() int {
	if o.Draws == 0 {
		return 9999
	}
	return o.Draws
}

// resampling are the options of a test by random arrangements, or by all if they are few.
func (o *Options) resampling(few int) *stats.ResampleOptions {
	return &stats.ResampleOptions{Draws: o.Arrangements(), Seed: o.Seed, ExactLimit: few}
}

// Check refuses what cannot be meant.
func (o *Options) Check() error {
	if o.Compat != "" && !o.Paper() {
		return fmt.Errorf("study: compat %q, wanted paper or nothing", o.Compat)
	}
	for _, name := range o.Only {
		if !slices.ContainsFunc(Analyses, func(a Analysis) bool { return a.Name == name || slices.Contains(a.Also, name) }) {
			var names []string
			for _, a := range Analyses {
				names = append(names, a.Name)
			}
			return fmt.Errorf("study: no analysis %q, wanted some of %s", name, strings.Join(names, ", "))
		}
	}
	if o.Design != nil && len(o.Design) != 5 {
		return fmt.Errorf("study: design %v, wanted five numbers: models of two families, prompts, words of two categories",
			o.Design)
	}
	if o.Draws < 0 {
		return fmt.Errorf("study: %d draws, wanted 1 or more", o.Draws)
	}
	return nil
}

// CheckContrast refuses a contrast that the first corpus does not have.
func (o *Options) CheckContrast(sets []cube.Set) error {
	if o.Contrast == nil {
		return nil
	}
	if len(sets) == 0 {
		return fmt.Errorf("study: contrast %s: no corpus, wanted one with these categories", strings.Join(o.Contrast, ","))
	}
	_, _, err := o.contrast(sets[0].Dict)
	return err
}

// contrast are the two categories of a gap.
func (o *Options) contrast(dict *cube.Dictionary) (a, b string, err error) {
	have := strings.Join(dict.Categories, ", ")
	if o.Contrast == nil {
		if len(dict.Categories) < 2 {
			return "", "", fmt.Errorf("%s: the category %s alone, wanted two for a gap", dict.File, have)
		}
		return dict.Categories[0], dict.Categories[1], nil
	}
	asked := strings.Join(o.Contrast, ",")
	if len(o.Contrast) != 2 || o.Contrast[0] == o.Contrast[1] {
		return "", "", fmt.Errorf("study: contrast %s, wanted two different categories of %s: %s", asked, dict.File, have)
	}
	for _, c := range o.Contrast {
		if !slices.Contains(dict.Categories, c) {
			return "", "", fmt.Errorf("study: contrast %s: %s has no category %q, wanted two of %s", asked, dict.File, c, have)
		}
	}
	return o.Contrast[0], o.Contrast[1], nil
}

// between says which categories a gap is between, where there are more.
func (o *Options) between(dict *cube.Dictionary) []string {
	a, b, err := o.contrast(dict)
	have := strings.Join(dict.Categories, ", ")
	switch {
	case err != nil || len(dict.Categories) == 2:
		return nil
	case o.Contrast == nil:
		return []string{say("contrast.first", have)}
	}
	return []string{say("contrast.asked", have, a, b)}
}
