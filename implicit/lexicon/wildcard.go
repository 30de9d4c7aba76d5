package lexicon

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/cases"
)

// Pattern is what a wildcard of a corpus stands for. Each "*" is any run of characters, also
// none, without white space in it, as LIWC matches words; a "*" with a backslash before it
// is itself. Case does not count: both sides are compared case-folded.
type Pattern struct {
	parts  []string // the text between the "*"s as written
	folded []string // the same, case-folded
}

// Pattern returns the pattern of an entry, which for an entry that is no wildcard is its
// term and nothing else.
func (e Entry) Pattern() Pattern {
	if !e.Wildcard {
		return Pattern{[]string{e.Term}, []string{cases.Fold().String(e.Term)}}
	}
	return newPattern(e.Term)
}

func newPattern(term string) Pattern {
	var p Pattern
	var part strings.Builder
	for i := 0; i < len(term); i++ {
		switch {
		case term[i] == '\\' && i+1 < len(term) && term[i+1] == '*':
			i++
			part.WriteByte('*')
		case term[i] == '*':
			p.parts = append(p.parts, part.String())
			part.Reset()
		default:
			part.WriteByte(term[i])
		}
	}
	p.parts = append(p.parts, part.String())
	for _, s := range p.parts {
		p.folded = append(p.folded, cases.Fold().String(s))
	}
	return p
}

// Match tells whether the pattern stands for a word.
func (p Pattern) Match(word string) bool { return p.match(cases.Fold().String(word)) }

// match takes the word case-folded. The first part is its beginning, the last its end; each
// part between is looked for as early as it can stand, which leaves the rest most room, but
// where white space comes before it a later place cannot help either.
func (p Pattern) match(word string) bool {
	last := len(p.folded) - 1
	if last == 0 {
		return word == p.folded[0]
	}
	rest, ok := strings.CutPrefix(word, p.folded[0])
	for i := 1; ok && i < last; i++ {
		var skipped string
		skipped, rest, ok = strings.Cut(rest, p.folded[i])
		ok = ok && !strings.ContainsFunc(skipped, unicode.IsSpace)
	}
	if !ok {
		return false
	}
	middle, ok := strings.CutSuffix(rest, p.folded[last])
	return ok && !strings.ContainsFunc(middle, unicode.IsSpace)
}

// Specificity orders patterns by how much they say: of two that match a word the one with
// more characters between its "*"s is meant, and one that begins with text before one that
// begins with a "*", as LIWC takes the longest first and those that begin with "*" last.
func (p Pattern) Specificity() int {
	n := 0
	for _, s := range p.parts {
		n += len(s)
	}
	if p.parts[0] != "" {
		n += 1 << 20
	}
	return n
}

// Expand returns the corpus with every wildcard replaced by the words of a list that it
// stands for (see Pattern): "free*" by "free", "freedom", "Freetown" ..., "un*able" by
// "unable", "unbearable" ... Of words that differ in case alone the first stands for all,
// since forms write it in every case. Each match is an entry of its own, as the list spells it, in the place of its wildcard, in the list's order, with
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
	for at, e := range c.Entries {
		matches := []int32(nil)
		if e.Wildcard {
			matches = list.match(e.Pattern())
		}
		if len(matches) == 0 {
			out.Entries, out.lines = append(out.Entries, e), append(out.lines, c.Line(at))
			continue
		}
		for _, i := range matches {
			word := words[i]
			key := fold.String(word)
			if before, ok := seen[key]; ok {
				out.Warnings = append(out.Warnings, fmt.Errorf("lexicon: corpus: %q, which %q stands for, is there already by %q, and counts twice", word, e.Term, before))
			} else {
				seen[key] = e.Term
			}
			out.Entries, out.lines = append(out.Entries, Entry{Term: word, Categories: e.Categories, From: e.Term}), append(out.lines, c.Line(at))
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

// match returns the places in the list of the words that a pattern stands for, in order.
func (f folded) match(p Pattern) []int32 {
	var matches []int32
	from, _ := slices.BinarySearch(f.words, p.folded[0])
	for i := from; i < len(f.words) && strings.HasPrefix(f.words[i], p.folded[0]); i++ {
		if p.match(f.words[i]) {
			matches = append(matches, f.at[i])
		}
	}
	slices.Sort(matches)
	return matches
}
