package study

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/implicitreward/implicitreward/implicit/lexicon"
	"github.com/implicitreward/implicitreward/internal/regular"
)

// Dictionary is a corpus in which every word has one category.
type Dictionary struct {
	Name, File, Hash string   // Hash: sha256 of the file, hex
	Categories       []string // in the order of the file
	Words            []Word   // in file order, repeated words included
	Repeated         int      // Words that stand in an earlier line already
	Notes            []string

	category  map[string]string
	several   map[string]bool // words in two categories, which are not studied
	wildcards []wildcard      // wildcards, the most particular first
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

// ReadDictionary reads a corpus file (see lexicon.ReadCorpus). Where all categories
// are named x_Virtue and x_Vice, as in the Moral Foundations Dictionary, the two are
// one category x. compat leaves Sanctity_Vice out, as the paper's code does.
//
// The tests compare categories as separate sets of words, so that a word in two of them
// (the Moral Foundations Dictionary 2.0 has 57) is left out, and a note lists all such
// words. A word without a category and a category with fewer than two words are errors.
func ReadDictionary(name, path string, compat bool) (*Dictionary, error) {
	data, err := regular.Read(path, regular.Text)
	if err != nil {
		return nil, err
	}
	corpus, err := lexicon.ReadCorpus(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	sum := sha256.Sum256(data)
	d := &Dictionary{Name: name, File: path, Hash: hex.EncodeToString(sum[:]), category: map[string]string{}, several: map[string]bool{}}
	poles := len(corpus.Categories) > 0
	for _, c := range corpus.Categories {
		poles = poles && (strings.HasSuffix(c, "_Virtue") || strings.HasSuffix(c, "_Vice"))
	}
	// categories are those of an entry that are studied.
	sanctity := 0
	categories := func(e lexicon.Entry) (in []string) {
		for _, c := range e.Categories {
			if compat && poles && c == "Sanctity_Vice" {
				sanctity++
				continue
			}
			if poles {
				c, _, _ = strings.Cut(c, "_")
			}
			if !slices.Contains(in, c) {
				in = append(in, c)
			}
		}
		return in
	}
	entries := make([][]string, len(corpus.Entries))
	var left []string
	for i, e := range corpus.Entries {
		if len(e.Categories) == 0 {
			return nil, fmt.Errorf("%s: line %d: %q has no category, wanted a dictionary and not a plain list", path, corpus.Line(i), e.Term)
		}
		entries[i] = categories(e)
		old, ok := d.category[e.Term]
		for _, c := range entries[i] {
			if !ok {
				d.category[e.Term], old, ok = c, c, true
			}
			if c != old && !d.several[e.Term] {
				d.several[e.Term] = true
				left = append(left, e.Term)
			}
		}
	}
	for _, word := range left {
		delete(d.category, word)
	}
	count := d.take(corpus.Entries, entries)
	for _, c := range corpus.Categories {
		if poles {
			c, _, _ = strings.Cut(c, "_")
		}
		if count[c] > 0 && !slices.Contains(d.Categories, c) {
			d.Categories = append(d.Categories, c)
		}
	}
	if sanctity > 0 {
		d.Notes = append(d.Notes, fmt.Sprintf("%s: the %d words of Sanctity_Vice are left out, as by the paper's code.", name, sanctity))
	}
	if len(left) > 0 {
		d.Notes = append(d.Notes, fmt.Sprintf("%s: words in two or more categories, which are left out (%d): %s.", name, len(left), strings.Join(left, ", ")))
	}
	d.warnings(corpus.Warnings)
	if err := d.check(left); err != nil {
		return nil, err
	}
	return d, nil
}

// warnings notes what was said about the file, but for words that stand twice, which the
// analyses tell themselves.
func (d *Dictionary) warnings(all []error) {
	const most = 5
	var texts []string
	for _, w := range all {
		if text := strings.TrimPrefix(w.Error(), "lexicon: corpus: "); !strings.HasSuffix(text, "counts twice") {
			texts = append(texts, text)
		}
	}
	for i, text := range texts {
		if i == most {
			d.Notes = append(d.Notes, fmt.Sprintf("%s: and %d more such doubts about the file.", d.Name, len(texts)-most))
			break
		}
		d.Notes = append(d.Notes, d.Name+": "+text+".")
	}
}

// note enters the dictionary's notes in a result.
func (d *Dictionary) note(r *Result) { r.Differs = append(r.Differs, d.Notes...) }

// take enters the words that have one category, and returns how many each category has.
func (d *Dictionary) take(entries []lexicon.Entry, categories [][]string) map[string]int {
	count := map[string]int{}
	seen := map[string]bool{}
	for i, e := range entries {
		if len(categories[i]) == 0 {
			continue
		}
		c := d.category[e.Term]
		if e.Wildcard && !seen[e.Term] {
			d.wildcards = append(d.wildcards, wildcard{e.Pattern(), c})
		}
		if d.several[e.Term] {
			seen[e.Term] = true
			continue
		}
		if seen[e.Term] {
			d.Repeated++
		} else {
			count[c]++
		}
		seen[e.Term] = true
		d.Words = append(d.Words, Word{e.Term, c})
	}
	slices.SortStableFunc(d.wildcards, func(a, b wildcard) int { return b.Specificity() - a.Specificity() })
	return count
}

// check refuses a dictionary with too few words to study.
func (d *Dictionary) check(left []string) error {
	why := ""
	if len(left) > 0 {
		why = fmt.Sprintf("; words in two or more categories are left out: %s", strings.Join(left, ", "))
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

// Category is the category of a word; wildcards of the dictionary match too, the most
// particular first.
func (d *Dictionary) Category(word string) (string, bool) {
	if c, ok := d.category[word]; ok {
		return c, true
	}
	if d.several[word] {
		return "", false
	}
	for _, s := range d.wildcards {
		if s.Match(word) {
			return s.category, s.category != ""
		}
	}
	return "", false
}

// Size is the number of different words of a category; "" for all.
func (d *Dictionary) Size(category string) int {
	n := 0
	for _, c := range d.category {
		if category == "" || c == category {
			n++
		}
	}
	return n
}

func tooFewError(file string, n int, category string, dict *Dictionary) error {
	return fmt.Errorf("%s: %d words of category %s of %s, wanted two or more", file, n, category, dict.File)
}
