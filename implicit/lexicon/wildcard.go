package lexicon

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/cases"
)

// Pattern is a parsed wildcard. Each "*" matches any run of characters, including none,
// without white space, as in LIWC; "\*" is a literal "*". Matching ignores case: both sides
// are case-folded.
type Pattern struct {
	parts  []string // text between the "*"s as written
	folded []string // case-folded
}

// Pattern returns the entry's pattern; an entry without wildcards matches only its term.
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

// Match reports whether the pattern matches a word.
func (p Pattern) Match(word string) bool { return p.match(cases.Fold().String(word)) }

// match matches a case-folded word. The first part must be its beginning and the last its
// end; each part between is matched at its earliest place, which leaves most room for those
// after it, and where white space precedes that place a later one cannot match either.
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

// Specificity orders patterns that match the same word: the one with more characters outside
// its "*"s is more specific, and one that begins with text comes before one that begins with
// "*", following LIWC, which takes the longest first and those that begin with "*" last.
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
// matches (see Pattern): "free*" by "free", "freedom", "Freetown" ..., "un*able" by
// "unable", "unbearable" ... Of words that differ only in case the first is taken, since
// forms write every case. The matches take the wildcard's place, in list order and as the
// list spells them, each an entry with the wildcard's categories and Entry.From set.
//
// A wildcard that matches no word stays, and scoring it is an error that names it. A match
// that is in the corpus already, as an entry or through another wildcard, is kept twice,
// with a warning.
func (c *Corpus) Expand(words []string) *Corpus {
	out := &Corpus{Categories: c.Categories, Warnings: slices.Clone(c.Warnings), Listed: len(words)}
	list := foldedList(words)
	seen := map[string]string{} // folded term -> the entry of the file that it came from
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

// folded is a word list, case-folded and sorted.
type folded struct {
	words []string // case-folded, distinct
	at    []int32  // index in the original list
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

// match returns the list indices of the words that match a pattern, in order.
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
