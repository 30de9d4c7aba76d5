package cube

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Groups say which framing each prompt has. Tests are within a framing, over its prompts.
//
// Without a file the framings are the paper's, by the prompts' names: "positive" begins
// with best_, greatest_ or good_, "negative" with worst_, bad_ or terrible_. Others are
// "other", or, where no prompt has such a name, "all".
//
// nil is these groups without knowledge of the study's prompts: others are "other".
type Groups struct {
	File    string            // "" for those by name
	Names   []string          // framings in the order of the file
	Of      map[string]string // framing of a prompt; nil for those by name
	Prompts []string          // of the study, in the order of its files
}

// The framings without a file.
const (
	positive = "positive"
	negative = "negative"
	other    = "other"
	everyone = "all"
)

const needGroup = "-groups <file> gives others"

// named is the framing that a prompt's name stands for; "" for none.
func named(prompt string) string {
	switch adjective, _, ok := strings.Cut(prompt, "_"); {
	case !ok:
		return ""
	case slices.Contains([]string{"best", "greatest", "good"}, adjective):
		return positive
	case slices.Contains([]string{"worst", "bad", "terrible"}, adjective):
		return negative
	}
	return ""
}

// Framing is the framing of a prompt.
func (g *Groups) Framing(prompt string) string {
	if g != nil && g.Of != nil {
		if own, ok := g.Of[prompt]; ok {
			return own
		}
		return other
	}
	if own := named(prompt); own != "" {
		return own
	}
	if g != nil && !slices.ContainsFunc(g.Prompts, func(p string) bool { return named(p) != "" }) {
		return everyone
	}
	return other
}

// Framings returns the framings that some prompts have, in order: the file's, or
// positive before negative; other last.
func (g *Groups) Framings(prompts []string) []string {
	order := []string{positive, negative, everyone}
	if g != nil && g.Of != nil {
		order = slices.Clone(g.Names)
	}
	if !slices.Contains(order, other) {
		order = append(order, other)
	}
	return slices.DeleteFunc(order, func(name string) bool { return len(g.Places(name, prompts)) == 0 })
}

// Places returns the places of the prompts of a framing among some.
func (g *Groups) Places(framing string, prompts []string) []int {
	var at []int
	for i, p := range prompts {
		if g.Framing(p) == framing {
			at = append(at, i)
		}
	}
	return at
}

// Members are the prompts of a framing among some.
func (g *Groups) Members(framing string, prompts []string) []string {
	return Pick(prompts, g.Places(framing, prompts))
}

// Valence is a framing as the columns named valence have it: good and bad for the
// paper's positive and negative.
func (g *Groups) Valence(framing string) string {
	if g == nil || g.Of == nil {
		switch framing {
		case positive:
			return "good"
		case negative:
			return "bad"
		}
	}
	return framing
}

// Label is a framing in words.
func Label(framing string) string { return framing + " prompts" }

// Lone says of which framings there is one prompt, on which there is no test.
func (g *Groups) Lone(prompts []string) []string {
	var doubts []string
	for _, framing := range g.Framings(prompts) {
		if own := g.Members(framing, prompts); len(own) == 1 {
			doubts = append(doubts, fmt.Sprintf("The group %s has one prompt, %s, and is not tested: "+
				"a test over prompts needs two or more (%s).", framing, own[0], needGroup))
		}
	}
	return doubts
}

// Check refuses a file that names no prompt of the study.
func (g *Groups) Check() error {
	known := func(p string) bool { return g.Of[p] != "" }
	if g.Of == nil || len(g.Prompts) == 0 || slices.ContainsFunc(g.Prompts, known) {
		return nil
	}
	return fmt.Errorf("%s: none of the study's prompts, wanted some of %s", g.File, Listed(g.Prompts, 6))
}

// About says in words how the prompts are grouped; "" without prompts.
func (g *Groups) About() string {
	if g == nil || len(g.Prompts) == 0 {
		return ""
	}
	found := g.Framings(g.Prompts)
	if slices.Equal(found, []string{everyone}) {
		return fmt.Sprintf("groups of prompts: one, all %d (names that begin with best_, greatest_ or good_ would be "+
			"positive, with worst_, bad_ or terrible_ negative; %s)", len(g.Prompts), needGroup)
	}
	how := "by the beginning of their names: positive best_, greatest_ or good_, negative worst_, bad_ or terrible_; " +
		needGroup
	if g.Of != nil {
		how = "from " + g.File
		missing := func(p string) bool { return slices.Contains(g.Prompts, p) }
		if extra := slices.DeleteFunc(slices.Sorted(maps.Keys(g.Of)), missing); len(extra) > 0 {
			how += ", which names prompts that the study has not: " + Listed(extra, 6)
		}
	}
	var parts []string
	for _, framing := range found {
		own := g.Members(framing, g.Prompts)
		s := fmt.Sprintf("%s %d", framing, len(own))
		if framing == other {
			s += " (" + Listed(own, 6) + ")"
		}
		parts = append(parts, s)
	}
	return "groups of prompts: " + strings.Join(parts, ", ") + " (" + how + ")"
}

// Listed joins at most n names.
func Listed(names []string, n int) string {
	if len(names) > n {
		return strings.Join(names[:n], ", ") + fmt.Sprintf(" and %d more", len(names)-n)
	}
	return strings.Join(names, ", ")
}
