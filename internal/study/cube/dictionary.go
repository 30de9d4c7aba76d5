package cube

import (
	"fmt"
	"slices"
	"strings"

	"github.com/implicitreward/implicitreward/implicit/lexicon"
)

// Dictionary is a corpus of which every word has one category.
type Dictionary struct {
	Name, File string
	Categories []string // in the order of the file
	Words      []Word   // in file order, repeated words included
	Repeated   int      // Words that an earlier line has already
	Notes      []string // what a report says of it

	exact     map[string]string // category of a word; "" where it has several
	wildcards []wildcard        // the most particular first
}

// Word is a word of a dictionary.
type Word struct {
	Text, Category string
}

// wildcard is a pattern of words with its category, "" where it has several.
type wildcard struct {
	lexicon.Pattern
	category string
}

// NewDictionary makes a dictionary of a corpus. Where all categories are named x_Virtue
// and x_Vice, as in the Moral Foundations Dictionary, the two are one category x. compat
// leaves Sanctity_Vice out, as the paper's code does.
//
// The tests compare categories as separate sets of words, so that a word in two of them
// (the Moral Foundations Dictionary 2.0 has 57) is left out, and a note lists all such
// words. A word without a category and a category with fewer than two words are errors.
func NewDictionary(name, file string, corpus *lexicon.Corpus, compat bool) (*Dictionary, error) {
	d := &Dictionary{Name: name, File: file, exact: map[string]string{}}
	poles := len(corpus.Categories) > 0 && !slices.ContainsFunc(corpus.Categories, func(c string) bool {
		return !strings.HasSuffix(c, "_Virtue") && !strings.HasSuffix(c, "_Vice")
	})
	skipped := func(c string) bool { return compat && poles && c == "Sanctity_Vice" }
	foundation := func(c string) string {
		if poles {
			c, _, _ = strings.Cut(c, "_")
		}
		return c
	}
	sanctity := 0
	var several []string // words in two categories or more
	for i, e := range corpus.Entries {
		if len(e.Categories) == 0 {
			return nil, fmt.Errorf("%s: line %d: %q has no category, wanted a dictionary and not a plain list",
				file, corpus.Line(i), e.Term)
		}
		for _, c := range e.Categories {
			if skipped(c) {
				sanctity++
				continue
			}
			c = foundation(c)
			switch old, ok := d.exact[e.Term]; {
			case !ok:
				d.exact[e.Term] = c
			case old != "" && old != c:
				d.exact[e.Term] = ""
				several = append(several, e.Term)
			}
		}
	}
	d.take(slices.DeleteFunc(slices.Clone(corpus.Entries), func(e lexicon.Entry) bool {
		return !slices.ContainsFunc(e.Categories, func(c string) bool { return !skipped(c) })
	}))
	for _, c := range corpus.Categories {
		if c = foundation(c); d.Size(c) > 0 && !slices.Contains(d.Categories, c) {
			d.Categories = append(d.Categories, c)
		}
	}
	if sanctity > 0 {
		d.Notes = append(d.Notes, fmt.Sprintf("%s: the %d words of Sanctity_Vice are left out, as by the paper's code.",
			name, sanctity))
	}
	if len(several) > 0 {
		d.Notes = append(d.Notes, fmt.Sprintf("%s: words in two or more categories, which are left out (%d): %s.",
			name, len(several), strings.Join(several, ", ")))
	}
	d.warnings(corpus.Warnings)
	return d, d.check(several)
}

// take enters the words that have one category, and the wildcards.
func (d *Dictionary) take(entries []lexicon.Entry) {
	seen := map[string]bool{}
	for _, e := range entries {
		c := d.exact[e.Term]
		if e.Wildcard && !seen[e.Term] {
			d.wildcards = append(d.wildcards, wildcard{e.Pattern(), c})
		}
		if c != "" {
			d.Words = append(d.Words, Word{e.Term, c})
			if seen[e.Term] {
				d.Repeated++
			}
		}
		seen[e.Term] = true
	}
	slices.SortStableFunc(d.wildcards, func(a, b wildcard) int { return b.Specificity() - a.Specificity() })
}

// warnings notes what was said about the file, but for repeated words, of which the
// analyses tell.
func (d *Dictionary) warnings(all []error) {
	const most = 5
	var texts []string
	for _, w := range all {
		if text := strings.TrimPrefix(w.Error(), "lexicon: corpus: "); !strings.HasSuffix(text, "counts twice") {
			texts = append(texts, text)
		}
	}
	for _, text := range texts[:min(most, len(texts))] {
		d.Notes = append(d.Notes, d.Name+": "+text+".")
	}
	if n := len(texts) - most; n > 0 {
		d.Notes = append(d.Notes, fmt.Sprintf("%s: and %d more such doubts about the file.", d.Name, n))
	}
}

// check refuses a dictionary with too few words to study.
func (d *Dictionary) check(several []string) error {
	why := ""
	if len(several) > 0 {
		why = "; words in two or more categories are left out: " + strings.Join(several, ", ")
	}
	if len(d.Categories) == 0 {
		return fmt.Errorf("%s: no words in one category, wanted two or more%s", d.File, why)
	}
	for _, c := range d.Categories {
		if d.Size(c) < 2 {
			return fmt.Errorf("%s: category %s has one word, wanted two or more%s", d.File, c, why)
		}
	}
	return nil
}

// Category returns the category of a word; wildcards of the dictionary match too, the
// most particular first.
func (d *Dictionary) Category(word string) (string, bool) {
	if c, ok := d.exact[word]; ok {
		return c, c != ""
	}
	for _, s := range d.wildcards {
		if s.Match(word) {
			return s.category, s.category != ""
		}
	}
	return "", false
}

// Exact returns the category of a word that the dictionary has in these letters; ""
// for others, and for a word of several categories.
func (d *Dictionary) Exact(word string) string { return d.exact[word] }

// Size is the number of different words of a category; "" for all.
func (d *Dictionary) Size(category string) int {
	n := 0
	for _, c := range d.exact {
		if c != "" && (category == "" || c == category) {
			n++
		}
	}
	return n
}
