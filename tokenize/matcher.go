package tokenize

import (
	"slices"
	"strings"
)

// matcher finds tokens spelled out in a text.
type matcher struct {
	first [256]bool
	words map[byte][]string // by first byte, the longest first
}

func newMatcher(words []string) *matcher {
	m := &matcher{words: map[byte][]string{}}
	for _, w := range words {
		m.first[w[0]] = true
		m.words[w[0]] = append(m.words[w[0]], w)
	}
	for _, list := range m.words {
		slices.SortFunc(list, func(a, b string) int { return len(b) - len(a) })
	}
	return m
}

// at returns the longest word that begins at byte i of s, or "".
func (m *matcher) at(s string, i int) string {
	if m.first[s[i]] {
		for _, w := range m.words[s[i]] {
			if strings.HasPrefix(s[i:], w) {
				return w
			}
		}
	}
	return ""
}

// count returns the number of leftmost-longest matches in s.
func (m *matcher) count(s string) int {
	n := 0
	for i := 0; i < len(s); i++ {
		if w := m.at(s, i); w != "" {
			n++
			i += len(w) - 1
		}
	}
	return n
}
