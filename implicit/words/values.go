package words

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/implicit/lexicon"
)

// Value returns the number by which the word is ranked under a variant's measure and forms:
// the log-ratio of the measure, or for Paper its MWLR; NaN if the measure has no value for
// the word, such as Paper for a word that is no single token. The forms must be among those
// that were scored; forms in which the word could not be scored are left out. Errors are
// those of Measure, except for a missing value.
func (w Word) Value(v Variant) (float64, error) {
	if len(v.Forms) == 0 {
		return 0, fmt.Errorf("words: a variant without forms, wanted at least one")
	}
	forms := v.Forms
	if v.Measure == Exact {
		forms = forms[:1]
	}
	scores, err := w.Measure(v.Measure, forms...)
	switch none := (*noValue)(nil); {
	case errors.As(err, &none):
		return math.NaN(), nil
	case err != nil:
		return 0, err
	}
	return scores[0].order(), nil
}

// Values scores the words of a corpus once, in all forms of all variants, and returns every
// Word.Value: values[v][p][i] is that of entry i of the corpus after prompt p under the
// measure and forms of variant v; the pair's renderings and dtype are the pair's own. Values of
// different prompts are not comparable; their ranks are (stats.Sensitivities). progress, if
// not nil, is Options.Progress.
//
// Words that cannot be scored have no values. Any other error is that of Rewards, or of a
// variant without forms.
func Values(ctx context.Context, pair implicit.Pair, corpus *lexicon.Corpus, prompts []lexicon.Prompt, variants []Variant, progress func(done, total int)) ([][][]float64, error) {
	o := &Options{Progress: progress}
	for _, v := range variants {
		if len(v.Forms) == 0 {
			return nil, fmt.Errorf("words: a variant without forms, wanted at least one")
		}
		for _, f := range v.Forms {
			if !slices.Contains(o.Forms, f) {
				o.Forms = append(o.Forms, f)
			}
		}
		if !slices.Contains(o.Measures, v.Measure) {
			o.Measures = append(o.Measures, v.Measure)
		}
	}
	values := make([][][]float64, len(variants))
	for v := range values {
		values[v] = make([][]float64, len(prompts))
		for p := range prompts {
			values[v][p] = make([]float64, 0, len(corpus.Entries))
		}
	}
	if len(variants) == 0 {
		return values, nil
	}
	n := 0
	for w, err := range Rewards(ctx, pair, corpus, prompts, o) {
		if err != nil {
			return nil, err
		}
		p := n / len(corpus.Entries)
		n++
		for v, variant := range variants {
			x, err := w.Value(variant)
			if err != nil {
				return nil, err
			}
			values[v][p] = append(values[v][p], x)
		}
	}
	return values, nil
}
