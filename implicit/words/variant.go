package words

import (
	"fmt"
	"slices"
	"strings"

	"github.com/implicitreward/implicitreward/implicit/lexicon"
)

// Variant is one set of the choices that make a ranking of words: how the models read a
// prompt, the type they compute in, and a measure over surface forms.
type Variant struct {
	Name            string // "default", or the choice that differs: "measure=exact"
	TunedAs, BaseAs string // renderings of a prompt: "raw" or "chat"
	DType           string // "f32" or "bf16"; "" for the default's
	Measure         Measure
	Forms           []lexicon.Form // at least one; Exact uses the first alone
}

// Dimensions returns the choices that a sensitivity analysis can vary.
func Dimensions() []string { return []string{"rendering", "forms", "measure", "dtype"} }

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

// variantsOf returns the default with one choice changed in each, in all ways of a dimension.
// dtypes are what the default computes the tuned and the base model in.
func variantsOf(dimension string, def Variant, dtypes [2]string) (all []Variant) {
	add := func(value string, change func(v *Variant)) {
		v := def
		v.Name = dimension + "=" + value
		change(&v)
		all = append(all, v)
	}
	switch dimension {
	case "rendering": // of the base and of the tuned model
		for _, as := range [][2]string{{"raw", "raw"}, {"raw", "chat"}, {"chat", "chat"}} {
			add(as[0]+"/"+as[1], func(v *Variant) { v.BaseAs, v.TunedAs = as[0], as[1] })
		}
	case "forms":
		for _, set := range formSets {
			add(set.name, func(v *Variant) { v.Forms = set.forms })
		}
	case "measure":
		for _, m := range Measures() {
			add(string(m), func(v *Variant) { v.Measure = m })
		}
	case "dtype":
		for _, t := range []string{"f32", "bf16"} {
			if dtypes != [2]string{t, t} {
				add(t, func(v *Variant) { v.DType = t })
			}
		}
	}
	return all
}

// variants returns the default and what differs from it in one of the dimensions, each once.
func variants(def Variant, dimensions []string, dtypes [2]string) ([]Variant, error) {
	def.Name, def.DType = "default", ""
	all := []Variant{def}
	for _, d := range dimensions {
		if !slices.Contains(Dimensions(), d) {
			return nil, fmt.Errorf("words: sensitivity: dimension %q, wanted one of %s", d, strings.Join(Dimensions(), ", "))
		}
	}
	for _, d := range Dimensions() {
		if !slices.Contains(dimensions, d) {
			continue
		}
		for _, v := range variantsOf(d, def, dtypes) {
			if !slices.ContainsFunc(all, v.same) {
				all = append(all, v)
			}
		}
	}
	return all, nil
}

// same reports whether two variants compute the same; Exact uses the first form alone.
func (v Variant) same(w Variant) bool {
	n := max(len(v.Forms), len(w.Forms))
	if v.Measure == Exact {
		n = 1
	}
	return v.sameModels(w) && v.Measure == w.Measure && slices.Equal(v.Forms[:min(n, len(v.Forms))], w.Forms[:min(n, len(w.Forms))])
}

// sameModels reports whether two variants differ at most in measure and forms.
func (v Variant) sameModels(w Variant) bool {
	return v.BaseAs == w.BaseAs && v.TunedAs == w.TunedAs && v.DType == w.DType
}

// describe lists the choices of the default.
func (v Variant) describe(dtypes [2]string) string {
	dtype := dtypes[0]
	if dtype != dtypes[1] {
		dtype = dtypes[1] + "/" + dtype
	}
	forms := fmt.Sprintf("%q", v.Forms)
	for _, set := range formSets {
		if slices.Equal(set.forms, v.Forms) {
			forms = set.name
		}
	}
	return fmt.Sprintf("rendering=%s/%s forms=%s measure=%s dtype=%s", v.BaseAs, v.TunedAs, forms, v.Measure, dtype)
}
