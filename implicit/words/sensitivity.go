package words

import (
	"context"
	"errors"
	"fmt"
	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/implicit/lexicon"
	"math"
	"slices"
)

// Variant is one way to make a number of a word after a prompt: a measure over forms.
type Variant struct {
	Measure Measure        // Exact uses the first form only
	Forms   []lexicon.Form // at least one
}

// Value returns what a variant ranks the word by: the measure's log-ratio, or MWLR for
// Paper. It is NaN if the measure has no value for the word, such as Paper for a word that
// is no single token. The variant's forms must be among those scored; forms that could not
// be scored are left out. Other errors are those of Measure.
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

// Sensitivity scores the words of a corpus once, in all forms of all variants, and returns
// what each variant makes of them: values[v][p][i] is the Value of entry i of the corpus
// after prompt p under variant v, NaN for none. Values are comparable within a prompt only;
// ranks are across prompts (stats.Sensitivities). progress, if not nil, is Options.Progress.
//
// Words that cannot be scored have no values. Other errors are those of Rewards, and of a
// variant without forms.
func Sensitivity(ctx context.Context, pair implicit.Pair, corpus *lexicon.Corpus, prompts []lexicon.Prompt, variants []Variant, progress func(done, total int)) ([][][]float64, error) {
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
