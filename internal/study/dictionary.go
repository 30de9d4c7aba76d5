package study

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/internal/csv"
	"github.com/implicitreward/implicitreward/internal/regular"
)

// Dictionary is a corpus in which every word has one category.
type Dictionary struct {
	Name, File, Hash string // Hash: sha256 of the file, hex
	Categories       []string
	Words            []Word // in file order, repeated words included
	Repeated         int    // Words that stand in an earlier line already
	Notes            []string

	category map[string]string
	stems    []Word // wildcards
}

// Word is a word of a dictionary.
type Word struct {
	Text, Category string
}

// ReadDictionary reads a corpus file (see implicit.ReadCorpus). Where all categories
// are named x_Virtue and x_Vice, as in the Moral Foundations Dictionary, the two are
// one category x. compat leaves Sanctity_Vice out, as the paper's code does.
//
// A word without a category, a word that stands in two categories and a category with
// fewer than two words are errors; those of one word name line and column.
func ReadDictionary(name, path string, compat bool) (*Dictionary, error) {
	data, err := regular.Read(path, regular.Text)
	if err != nil {
		return nil, err
	}
	corpus, err := implicit.ReadCorpus(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	sum := sha256.Sum256(data)
	d := &Dictionary{Name: name, File: path, Hash: hex.EncodeToString(sum[:]), category: map[string]string{}}
	poles := len(corpus.Categories) > 0
	for _, c := range corpus.Categories {
		poles = poles && (strings.HasSuffix(c, "_Virtue") || strings.HasSuffix(c, "_Vice"))
	}
	left := 0
	count := map[string]int{}
	for _, e := range corpus.Entries {
		if len(e.Categories) == 0 {
			return nil, fmt.Errorf("%s: %s: %q has no category, wanted a dictionary and not a plain list", path, place(data, e.Term, 1), e.Term)
		}
		if len(e.Categories) > 1 {
			return nil, fmt.Errorf("%s: %s: %q is in %s, wanted one category", path, place(data, e.Term, 1), e.Term, strings.Join(e.Categories, " and "))
		}
		c := e.Categories[0]
		if compat && poles && c == "Sanctity_Vice" {
			left++
			continue
		}
		if poles {
			c, _, _ = strings.Cut(c, "_")
		}
		if old, ok := d.category[e.Term]; ok {
			if old != c {
				return nil, fmt.Errorf("%s: %s: %q is %s here and %s in %s, wanted one category a word", path, place(data, e.Term, 2), e.Term, c, old, place(data, e.Term, 1))
			}
			d.Repeated++
		} else {
			count[c]++
		}
		d.category[e.Term] = c
		w := Word{e.Term, c}
		d.Words = append(d.Words, w)
		if e.Wildcard {
			w.Text = strings.TrimSuffix(w.Text, "*")
			d.stems = append(d.stems, w)
		}
		if !slices.Contains(d.Categories, c) {
			d.Categories = append(d.Categories, c)
		}
	}
	slices.Sort(d.Categories)
	for _, c := range d.Categories {
		if count[c] < 2 {
			return nil, fmt.Errorf("%s: category %s has one word, wanted two or more", path, c)
		}
	}
	if left > 0 {
		d.Notes = append(d.Notes, fmt.Sprintf("%s: the %d words of Sanctity_Vice are left out, as by the paper's code.", name, left))
	}
	return d, nil
}

// Category is the category of a word; wildcards of the dictionary match too, the
// longest first.
func (d *Dictionary) Category(word string) (string, bool) {
	if c, ok := d.category[word]; ok {
		return c, true
	}
	best := Word{}
	for _, s := range d.stems {
		if strings.HasPrefix(word, s.Text) && len(s.Text) > len(best.Text) {
			best = s
		}
	}
	return best.Category, best.Text != ""
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

// place finds the nth occurrence of a word in a corpus file.
func place(data []byte, word string, nth int) string {
	in := csv.NewReader(bytes.NewReader(data))
	for {
		rec, err := in.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			break
		}
		for i, f := range rec {
			if string(f) == word {
				if nth--; nth == 0 {
					return fmt.Sprintf("line %d, column %d", in.Line(i), i+1)
				}
			}
		}
	}
	n := 0
	for line := range strings.Lines(string(data)) {
		n++
		if f, _, _ := strings.Cut(strings.TrimSpace(line), "\t"); f == word {
			if nth--; nth == 0 {
				return fmt.Sprintf("line %d, column 1", n)
			}
		}
	}
	return "line ?"
}

func tooFewError(file string, n int, category string, dict *Dictionary) error {
	return fmt.Errorf("%s: %d words of category %s of %s, wanted two or more", file, n, category, dict.File)
}
