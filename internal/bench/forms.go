package main

import (
	"math/rand/v2"
	"slices"

	"github.com/implicitreward/implicitreward/implicit/lexicon"
)

// forms lists the texts that a word is scored as: as written, lower, Capitalised and
// UPPER, each without and with a space before it; those that are the same count once.
func forms(word string) []string {
	var all []string
	for _, f := range wordForms {
		if text := f.Of(word); !slices.Contains(all, text) {
			all = append(all, text)
		}
	}
	return all
}

// wordForms are in the order in which the benchmarks have always taken them.
var wordForms = func() []lexicon.Form {
	list, err := lexicon.ParseForms("{}, {},{lower}, {lower},{title}, {title},{upper}, {upper}")
	if err != nil {
		panic(err)
	}
	return list
}()

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
