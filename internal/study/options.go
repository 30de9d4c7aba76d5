package study

import (
	"fmt"
	"slices"
	"strings"
)

// Options are the options of all analyses. nil is not allowed; the zero value is the
// default.
type Options struct {
	Compat   bool     // follow the paper's code in everything that Differences lists
	Seed     uint64   // of every random draw
	Draws    int      // random arrangements and resamples; zero: 9999
	Groups   *Groups  // of prompts; nil: by their names
	Contrast []string // the two categories of a gap, the first less the second; nil: the dictionary's first two
}

func (o *Options) draws() int {
	if o.Draws == 0 {
		return 9999
	}
	return o.Draws
}

// contrast are the two categories of a gap.
func (o *Options) contrast(dict *Dictionary) (a, b string, err error) {
	have := strings.Join(dict.Categories, ", ")
	if o.Contrast == nil {
		if len(dict.Categories) < 2 {
			return "", "", fmt.Errorf("%s: the category %s alone, wanted two for a gap", dict.File, have)
		}
		return dict.Categories[0], dict.Categories[1], nil
	}
	if len(o.Contrast) != 2 || o.Contrast[0] == o.Contrast[1] {
		return "", "", fmt.Errorf("study: contrast %s, wanted two different categories of %s: %s", strings.Join(o.Contrast, ","), dict.File, have)
	}
	for _, c := range o.Contrast {
		if !slices.Contains(dict.Categories, c) {
			return "", "", fmt.Errorf("study: contrast %s: %s has no category %q, wanted two of %s", strings.Join(o.Contrast, ","), dict.File, c, have)
		}
	}
	return o.Contrast[0], o.Contrast[1], nil
}

// between says which categories a gap is between, where there are more.
func (o *Options) between(dict *Dictionary) []string {
	a, b, err := o.contrast(dict)
	switch {
	case err != nil || len(dict.Categories) == 2:
		return nil
	case o.Contrast == nil:
		return []string{fmt.Sprintf("Of the categories %s the gap is between the first two (-contrast names others).", strings.Join(dict.Categories, ", "))}
	}
	return []string{fmt.Sprintf("Of the categories %s the gap is between %s and %s, as asked for.", strings.Join(dict.Categories, ", "), a, b)}
}
