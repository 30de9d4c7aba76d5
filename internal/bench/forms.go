package main

import (
	"math/rand/v2"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// forms lists the texts that a word is scored as: as written, lower, Capitalised and
// UPPER, each without and with a space before it; those that are the same count once.
func forms(word string) []string {
	lower := strings.ToLower(word)
	first, size := utf8.DecodeRuneInString(lower)
	var all []string
	for _, w := range []string{word, lower, string(unicode.ToUpper(first)) + lower[size:], strings.ToUpper(word)} {
		for _, space := range []string{"", " "} {
			if f := space + w; !slices.Contains(all, f) {
				all = append(all, f)
			}
		}
	}
	return all
}

// allForms lists the forms of all words in order, each once.
func allForms(words []string) []string {
	var all []string
	seen := map[string]bool{}
	for _, w := range words {
		for _, f := range forms(w) {
			if !seen[f] {
				seen[f] = true
				all = append(all, f)
			}
		}
	}
	return all
}

// sampleOf draws n of the numbers 0 to of-1 without replacement, in increasing order; the same seed
// draws the same. n above of draws all.
func sampleOf(of, n int, seed uint64) []int {
	all := rand.New(rand.NewPCG(seed, 0)).Perm(of)
	drawn := all[:min(n, of)]
	slices.Sort(drawn)
	return drawn
}
