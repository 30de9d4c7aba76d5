package words

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/implicit/lexicon"
	"github.com/implicitreward/implicitreward/stats"
)

// PairFunc supplies the pair whose models read prompts in the renderings of a variant and
// compute in its dtype. An analysis asks for the pairs of one dtype after each other, the
// default's first, and no longer uses those of the one before, whose models may be freed.
type PairFunc func(ctx context.Context, v Variant) (implicit.Pair, error)

// Sensitivity compares variants of a ranking of words with a default: one choice is changed
// at a time (rendering of prompts, surface forms, measure, dtype). Each model computes each
// text once per rendering and dtype, for all measures and forms.
type Sensitivity struct {
	Variants []Variant // the first is the default
	pairs    PairFunc
	dtypes   [2]string
	dtype    string // of the cached policies
	policies map[reader]*implicit.Policy
}

// reader is a model of the pair in a rendering.
type reader struct{ role, as string }

func (v Variant) readers() [2]reader { return [2]reader{{"tuned", v.TunedAs}, {"base", v.BaseAs}} }

// NewSensitivity prepares the variants of some Dimensions. The Name and DType of the default
// are ignored; dtypes are what it computes the tuned and the base model in.
func NewSensitivity(pairs PairFunc, def Variant, dimensions []string, dtypes [2]string) (*Sensitivity, error) {
	if len(def.Forms) == 0 {
		return nil, errors.New("words: a variant without forms, wanted at least one")
	}
	all, err := variants(def, dimensions, dtypes)
	return &Sensitivity{Variants: all, pairs: pairs, dtypes: dtypes, policies: map[reader]*implicit.Policy{}}, err
}

// Pair returns the default's pair for scoring by some measures, before Run: Run then reuses
// what the pair has computed.
func (s *Sensitivity) Pair(ctx context.Context, measures ...Measure) (implicit.Pair, error) {
	return s.pair(ctx, s.Variants[0], slices.ContainsFunc(measures, Measure.NeedsBoundaries))
}

// pair returns a variant's pair with cached policies (implicit.Cached).
func (s *Sensitivity) pair(ctx context.Context, v Variant, boundaries bool) (implicit.Pair, error) {
	if v.DType != s.dtype {
		s.dtype = v.DType
		clear(s.policies)
	}
	pair, err := s.pairs(ctx, v)
	if err != nil {
		return pair, err
	}
	for i, p := range []**implicit.Policy{&pair.Tuned, &pair.Base} {
		key := v.readers()[i]
		if s.policies[key] == nil {
			var within []bool
			if boundaries || s.needsBoundaries(key) {
				if within, err = policyBoundaries(*p); err != nil {
					return pair, err
				}
			}
			s.policies[key] = implicit.Cached(*p, within)
		}
		*p = s.policies[key]
	}
	return pair, nil
}

// needsBoundaries reports whether any variant of the current dtype scores with this reader
// and a measure that needs word boundaries.
func (s *Sensitivity) needsBoundaries(r reader) bool {
	return slices.ContainsFunc(s.Variants, func(v Variant) bool {
		return v.DType == s.dtype && v.Measure.NeedsBoundaries() && (v.readers()[0] == r || v.readers()[1] == r)
	})
}

// Run scores the words under all variants and compares the ranks with those of the default
// (stats.Sensitivities). A variant whose rendering the models do not have is left out, with
// its error. progress, if not nil, is called before each scoring, with one of the variants
// that it serves, and returns its Options.Progress.
func (s *Sensitivity) Run(ctx context.Context, corpus *lexicon.Corpus, prompts []lexicon.Prompt, progress func(Variant) func(done, total int)) (*SensitivityReport, error) {
	values := make([][][]float64, len(s.Variants))
	r := &SensitivityReport{Default: s.Variants[0].describe(s.dtypes), Categories: corpus.Categories}
	for _, v := range s.Variants {
		r.Variants = append(r.Variants, VariantRanks{Variant: v})
	}
	for i := range r.Variants { // those of one dtype are adjacent
		if v := &r.Variants[i]; v.Err == nil && values[i] == nil {
			if err := s.score(ctx, r.Variants, i, values, corpus, prompts, progress); err != nil {
				return nil, fmt.Errorf("words: sensitivity: %s: %w", v.Name, err)
			}
		}
	}
	return r, r.compare(values, corpus)
}

// score fills in the values of variant i and of all others with the same models, or the
// error of a variant whose rendering the models do not have.
func (s *Sensitivity) score(ctx context.Context, all []VariantRanks, i int, values [][][]float64, corpus *lexicon.Corpus, prompts []lexicon.Prompt, progress func(Variant) func(done, total int)) error {
	v := &all[i]
	pair, err := s.pair(ctx, v.Variant, false)
	if err != nil && strings.HasPrefix(v.Name, "rendering=") && ctx.Err() == nil {
		v.Err = err
		return nil
	}
	if err != nil {
		return err
	}
	var same []int
	var each []Variant
	for k, w := range all {
		if w.sameModels(v.Variant) {
			same, each = append(same, k), append(each, w.Variant)
		}
	}
	var show func(done, total int)
	if progress != nil {
		show = progress(v.Variant)
	}
	scored, err := Values(ctx, pair, corpus, prompts, each, show)
	if err != nil {
		return err
	}
	for k, i := range same {
		values[i] = scored[k]
	}
	return nil
}

// compare fills in the ranks of the variants that were computed.
func (r *SensitivityReport) compare(values [][][]float64, corpus *lexicon.Corpus) error {
	groups := make([][]int, len(corpus.Categories))
	for i, e := range corpus.Entries {
		for g, c := range corpus.Categories {
			if slices.Contains(e.Categories, c) {
				groups[g] = append(groups[g], i)
			}
		}
	}
	values = slices.DeleteFunc(values, func(v [][]float64) bool { return v == nil })
	ranks, err := stats.Sensitivities(values, groups)
	if err != nil {
		return err
	}
	for i := range r.Variants {
		if v := &r.Variants[i]; v.Err == nil {
			v.Sensitivity, ranks = ranks[0], ranks[1:]
		}
	}
	return nil
}
