package implicit

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"golang.org/x/text/cases"
)

// ReadWordList reads a list of words for Corpus.Expand: one a line, trimmed, empty lines
// skipped. Text that is not UTF-8, a carriage return or tab inside a line, and a list
// without words are errors, by line.
func ReadWordList(r io.Reader) ([]string, error) {
	var words []string
	first := true
	err := eachLine(r, func(n int, line string) error {
		if first {
			line, first = strings.TrimPrefix(line, "\ufeff"), false
		}
		word := strings.TrimSpace(line)
		switch {
		case strings.ContainsAny(word, "\r\t"):
			return fmt.Errorf("line %d: %q, wanted one word a line, without tabs and with lines that end in \\n or \\r\\n", n, line)
		case word != "":
			words = append(words, word)
		}
		return nil
	})
	if err == nil && len(words) == 0 {
		err = fmt.Errorf("empty, wanted one word a line")
	}
	if err != nil {
		return nil, fmt.Errorf("implicit: word list: %w", err)
	}
	return words, nil
}

// Expand returns the corpus with every wildcard replaced by the words of a list that
// begin as it does: "free*" by "free", "freedom", "Freetown" ... Case does not count
// (both sides are compared case-folded), and of words that differ in case alone the
// first stands for all, since forms write it in every case. Each match is an entry of its
// own, as the list spells it, in the place of its wildcard, in the list's order, with
// the wildcard's categories and the wildcard itself in Entry.From.
//
// A wildcard that no word matches stays, and Rewards and Words refuse it by name. A
// match that the corpus holds otherwise too, as an entry or by another wildcard, counts
// twice, with a warning, as a word does that stands twice.
func (c *Corpus) Expand(words []string) *Corpus {
	out := &Corpus{Categories: c.Categories, Warnings: slices.Clone(c.Warnings), Listed: len(words)}
	list := foldedList(words)
	seen := map[string]string{} // folded term -> the entry of the file that brought it
	fold := cases.Fold()
	for _, e := range c.Entries {
		if !e.Wildcard {
			seen[fold.String(e.Term)] = e.Term
		}
	}
	for _, e := range c.Entries {
		matches := []int32(nil)
		if e.Wildcard {
			matches = list.match(strings.TrimSuffix(e.Term, "*"))
		}
		if len(matches) == 0 {
			out.Entries = append(out.Entries, e)
			continue
		}
		for _, i := range matches {
			word := words[i]
			key := fold.String(word)
			if before, ok := seen[key]; ok {
				out.Warnings = append(out.Warnings, fmt.Errorf("implicit: corpus: %q, which %q stands for, is there already by %q, and counts twice", word, e.Term, before))
			} else {
				seen[key] = e.Term
			}
			out.Entries = append(out.Entries, Entry{Term: word, Categories: e.Categories, From: e.Term})
		}
	}
	return out
}

// folded is a word list in the order of its case-folded spellings.
type folded struct {
	words []string // folded, each once
	at    []int32  // place in the list
}

func foldedList(words []string) folded {
	fold := cases.Fold()
	type entry struct {
		word string
		at   int32
	}
	all := make([]entry, len(words))
	for i, w := range words {
		all[i] = entry{fold.String(w), int32(i)}
	}
	slices.SortStableFunc(all, func(a, b entry) int { return strings.Compare(a.word, b.word) })
	var f folded
	for i, e := range all {
		if i == 0 || e.word != all[i-1].word {
			f.words, f.at = append(f.words, e.word), append(f.at, e.at)
		}
	}
	return f
}

// match returns the places in the list of the words that begin with stem, in order.
func (f folded) match(stem string) []int32 {
	stem = cases.Fold().String(stem)
	from, _ := slices.BinarySearch(f.words, stem)
	to := from
	for to < len(f.words) && strings.HasPrefix(f.words[to], stem) {
		to++
	}
	matches := slices.Clone(f.at[from:to])
	slices.Sort(matches)
	return matches
}
