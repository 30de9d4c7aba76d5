package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/implicit/lexicon"
	"github.com/implicitreward/implicitreward/implicit/words"
	"github.com/implicitreward/implicitreward/internal/cli"
	"github.com/implicitreward/implicitreward/internal/output"
	"github.com/implicitreward/implicitreward/stats"
)

// dimensions are what -vary can vary.
var dimensions = []string{"rendering", "forms", "measure", "dtype"}

// formSets are the variants of the forms, by name.
var formSets = []struct {
	name  string
	forms []lexicon.Form
}{
	{"all", lexicon.AllForms()},
	{"no-space", []lexicon.Form{"{}", "{lower}", "{title}", "{upper}"}},
	{"space", []lexicon.Form{" {}", " {lower}", " {title}", " {upper}"}},
	{"word", []lexicon.Form{"{}"}},
	{"space-word", []lexicon.Form{" {}"}},
}

// renderings are the variants of the prompts' renderings: for the base and for the tuned
// model.
var renderings = [][2]string{{"raw", "raw"}, {"raw", "chat"}, {"chat", "chat"}}

// variant is the default, which is what the other flags say, or differs from it in one
// thing.
type variant struct {
	name            string
	baseAs, tunedAs string
	dtype           string // "" for the default's
	words.Variant
	why string // it could not be computed
}

// parseVary reads the flag.
func parseVary(list string) ([]string, error) {
	if list == "" {
		return nil, nil
	}
	names := strings.Split(list, ",")
	for i, name := range names {
		if !slices.Contains(dimensions, name) {
			return nil, cli.Usagef("-vary %q, wanted some of %s", name, strings.Join(dimensions, ", "))
		}
		if slices.Contains(names[:i], name) {
			return nil, cli.Usagef("-vary: %q stands twice, wanted each once", name)
		}
	}
	return names, nil
}

// variants returns the default and those that differ from it in one of the dimensions
// asked for, each once. dtypes are what the default computes the two models in.
func (o *flags) variants(dtypes ...string) []variant {
	def := variant{name: "default", baseAs: o.baseAs, tunedAs: o.tunedAs, Variant: words.Variant{Measure: o.measures[0], Forms: o.forms}}
	all := []variant{def}
	for _, d := range dimensions {
		if !slices.Contains(o.vary, d) {
			continue
		}
		switch d {
		case "rendering":
			for _, r := range renderings {
				v := def
				v.baseAs, v.tunedAs = r[0], r[1]
				all = append(all, v.called(d, r[0]+"/"+r[1]))
			}
		case "forms":
			for _, set := range formSets {
				v := def
				v.Forms = set.forms
				all = append(all, v.called(d, set.name))
			}
		case "measure":
			for _, m := range words.Measures() {
				v := def
				v.Measure = m
				all = append(all, v.called(d, string(m)))
			}
		case "dtype":
			for _, t := range []string{"f32", "bf16"} {
				if slices.ContainsFunc(dtypes, func(have string) bool { return have != t }) {
					v := def
					v.dtype = t
					all = append(all, v.called(d, t))
				}
			}
		}
	}
	var each []variant
	for _, v := range all {
		if !slices.ContainsFunc(each, v.same) {
			each = append(each, v)
		}
	}
	return each
}

func (v variant) called(dimension, name string) variant {
	v.name = dimension + "=" + name
	return v
}

// same tells whether two variants compute the same: an exact measure is of the first form.
func (v variant) same(w variant) bool {
	n := max(len(v.Forms), len(w.Forms))
	if v.Measure == words.Exact {
		n = 1
	}
	return v.baseAs == w.baseAs && v.tunedAs == w.tunedAs && v.dtype == w.dtype && v.Measure == w.Measure &&
		slices.Equal(v.Forms[:min(n, len(v.Forms))], w.Forms[:min(n, len(w.Forms))])
}

// sharing holds the policies of one dtype, so that each model is run once in each
// rendering, over all forms that any variant asks for.
type sharing struct {
	loader   *cli.Loader
	ends     map[reading]bool // of these the ends of words are needed
	policies map[reading]*implicit.Policy
}

// reading is a model in a rendering; flag is the rendering's, as the flags about texts
// differ between the tuned and the base model.
type reading struct{ model, flag, as string }

func (s *sharing) policy(ctx context.Context, r reading) (*implicit.Policy, error) {
	if p, ok := s.policies[r]; ok {
		return p, nil
	}
	_, p, err := s.loader.Policy(ctx, r.model, r.flag, r.as)
	if err != nil {
		return nil, err
	}
	var ends []bool
	if s.ends[r] {
		if ends, err = words.PolicyBoundaries(p); err != nil {
			return nil, err
		}
	}
	s.policies[r] = implicit.Cached(p, ends)
	return s.policies[r], nil
}

func (o *flags) tunedIn(as string) reading { return reading{o.tuned, "tuned-as", as} }
func (o *flags) baseIn(as string) reading  { return reading{o.base, "base-as", as} }

// share returns the shared policies of the variants in a dtype.
func (o *flags) share(loader *cli.Loader, variants []variant, dtype string) *sharing {
	s := &sharing{loader: loader, ends: map[reading]bool{}, policies: map[reading]*implicit.Policy{}}
	for _, v := range variants {
		if v.dtype == dtype && (v.Measure.NeedsBoundaries() || v.name == "default" && slices.ContainsFunc(o.measures, words.Measure.NeedsBoundaries)) {
			s.ends[o.tunedIn(v.tunedAs)], s.ends[o.baseIn(v.baseAs)] = true, true
		}
	}
	return s
}

// sensitivity computes all variants: those of the default's models with the policies that
// have scored the output, then those of another dtype, for which the models are loaded
// again. A variant whose rendering a model does not have is left out, and says why.
func (o *flags) sensitivity(ctx context.Context, s *sharing, variants []variant, corpus *lexicon.Corpus, prompts []lexicon.Prompt, stderr io.Writer) ([]stats.Sensitivity, error) {
	values := make([][][]float64, len(variants))
	for _, dtype := range []string{"", "f32", "bf16"} {
		if !slices.ContainsFunc(variants, func(v variant) bool { return v.dtype == dtype }) {
			continue
		}
		if dtype != "" {
			if err := s.loader.SetDType(dtype); err != nil {
				return nil, err
			}
			s = o.share(s.loader, variants, dtype)
		}
		for i := range variants {
			if v := &variants[i]; v.dtype != dtype || v.why != "" || values[i] != nil {
				continue
			}
			if err := o.compute(ctx, s, variants, i, values, corpus, prompts, stderr); err != nil {
				return nil, err
			}
		}
	}
	var done [][][]float64 // of the variants that could be computed
	for i, v := range variants {
		if v.why == "" {
			done = append(done, values[i])
		}
	}
	groups := make([][]int, len(corpus.Categories))
	for i, e := range corpus.Entries {
		for g, c := range corpus.Categories {
			if slices.Contains(e.Categories, c) {
				groups[g] = append(groups[g], i)
			}
		}
	}
	found, err := stats.Sensitivities(done, groups)
	if err != nil {
		return nil, err
	}
	all := make([]stats.Sensitivity, len(variants))
	for i, v := range variants {
		if v.why == "" {
			all[i], found = found[0], found[1:]
		}
	}
	return all, nil
}

// compute fills in the values of a variant, and of all others that take the same models in
// the same renderings and dtype.
func (o *flags) compute(ctx context.Context, s *sharing, variants []variant, first int, values [][][]float64, corpus *lexicon.Corpus, prompts []lexicon.Prompt, stderr io.Writer) error {
	v := &variants[first]
	tuned, err := s.policy(ctx, o.tunedIn(v.tunedAs))
	var base *implicit.Policy
	if err == nil {
		base, err = s.policy(ctx, o.baseIn(v.baseAs))
	}
	if err != nil && strings.HasPrefix(v.name, "rendering=") && ctx.Err() == nil {
		v.why = err.Error()
		return nil
	}
	if err != nil {
		return err
	}
	var same []int
	var ways []words.Variant
	for i, w := range variants {
		if w.dtype == v.dtype && w.baseAs == v.baseAs && w.tunedAs == v.tunedAs {
			same, ways = append(same, i), append(ways, w.Variant)
		}
	}
	progress := cli.NewProgress(stderr, "scoring "+v.name, false)
	defer progress.Done()
	s.loader.Watch(progress, 0, 2)
	got, err := words.Sensitivity(ctx, implicit.Pair{Tuned: tuned, Base: base}, corpus, prompts, ways, func(done, total int) { progress.Set(int64(done), int64(total)) })
	if err != nil {
		return fmt.Errorf("-vary: %s: %w", v.name, err)
	}
	for k, i := range same {
		values[i] = got[k]
	}
	return nil
}

// varying is a run with -vary.
type varying struct {
	*sharing
	variants []variant
	meta     words.Provenance
}

// startVary decides the variants, and replaces the policies of the run by shared ones.
func (o *flags) startVary(ctx context.Context, loader *cli.Loader, meta words.Provenance, pair *implicit.Pair) (*varying, error) {
	v := &varying{variants: o.variants(meta.Tuned.DType, meta.Base.DType), meta: meta}
	v.sharing = o.share(loader, v.variants, "")
	var err error
	if pair.Tuned, err = v.policy(ctx, o.tunedIn(o.tunedAs)); err == nil {
		pair.Base, err = v.policy(ctx, o.baseIn(o.baseAs))
	}
	return v, err
}

// finish computes the variants, writes them beside the output and prints them. The default
// is scored by then.
func (v *varying) finish(ctx context.Context, o *flags, corpus *lexicon.Corpus, prompts []lexicon.Prompt, stdout, stderr io.Writer) error {
	results, err := o.sensitivity(ctx, v.sharing, v.variants, corpus, prompts, stderr)
	if err != nil {
		return err
	}
	r := &varyReport{base: o.describe(v.meta), variants: v.variants, categories: corpus.Categories, results: results}
	file := o.varyFile()
	if err := file.WriteWithMeta(r.writeCSV, v.meta.WriteJSON); err != nil {
		return err
	}
	b := bufio.NewWriter(stdout)
	r.print(b, file.Path)
	return b.Flush()
}

// describe says what the default is.
func (o *flags) describe(meta words.Provenance) string {
	dtype := meta.Tuned.DType
	if dtype != meta.Base.DType {
		dtype = meta.Base.DType + "/" + dtype
	}
	forms := ""
	for _, set := range formSets {
		if slices.Equal(set.forms, o.forms) {
			forms = set.name
		}
	}
	if forms == "" {
		forms = fmt.Sprintf("%q", o.forms)
	}
	return fmt.Sprintf("rendering=%s/%s forms=%s measure=%s dtype=%s", o.baseAs, o.tunedAs, forms, o.measures[0], dtype)
}

// varyFile is where the sensitivity goes.
func (o *flags) varyFile() output.File { return output.File{Path: varyPath(o.out), Force: o.force} }

// varyPath is where the sensitivity of an output goes: R.vary.csv for R.csv.
func varyPath(out string) string {
	return strings.TrimSuffix(strings.TrimSuffix(out, ".csv"), ".parquet") + ".vary.csv"
}
