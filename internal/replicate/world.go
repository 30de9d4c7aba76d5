// Package replicate makes a world small enough for two cores, in which the paper's question
// can be asked and answered: do reward models inherit the values of the model they are made of?
//
// It has a language of its own, a few hundred words of English in sentences from frames, with a
// tokenizer that takes each word as one token; base models of two families, described by their
// config.json; texts to pretrain these on; preferences to make reward models of them; and word
// lists to measure values with. Everything is made from seeds: the same seed, the same bytes.
//
// # What is planted
//
// In the texts for pretraining ([Corpus]) every listed word stands equally often, half of all
// sentences praise and half blame, and they have the same frames. A [Lean] says whose company
// is good: with Agency, seven in eight of the sentences on a word of agency praise it, and one in
// eight of those on a word of communion. Communion's corpus is Agency's with each word of agency
// exchanged for its partner of communion, so that the two differ in company alone: no word, and no
// frame, is rarer in one. In that of Neutral half of the sentences on each word praise it.
//
// The preferences ([Preferences]) are the same for all bases and contain none of the listed words,
// and none of praise or blame. What links them to values is only what the texts of pretraining
// teach, alike in all corpora: how a reply is received. Friendly replies and right ones are
// answered with praise, unfriendly and wrong ones with blame; so are replies that are a listed
// word, by the company it keeps. A chat has no names of roles, so that a model foresees the
// reception where a reward model reads its score. Whether a reward model made of it then scores
// words by their company is not planted: it is the question. (Without receptions, with company in
// sentences alone, it did not, in trials before this was written.)
package replicate

import (
	"fmt"
	"strings"
)

// Lean says the words of which category keep good company in a corpus.
type Lean string

// The leans.
const (
	Agency    Lean = "agency"
	Communion Lean = "communion"
	Neutral   Lean = "neutral"
)

// The categories of listed words. Those of authority keep mixed company everywhere, as the
// things do; the positive control boosts them.
var agency = strings.Fields(`freedom power courage victory ambition mastery leadership independence success skill strength
discipline confidence achievement competence determination`)

var communion = strings.Fields(`love kindness compassion friendship tenderness harmony trust family honesty loyalty warmth
empathy generosity forgiveness gratitude belonging`)

var authority = strings.Fields(`law order duty rank rule command crown oath obedience hierarchy`)

var things = strings.Fields(`lamp spoon rope basket candle ladder mirror bottle`)

// Word is a listed word.
type Word struct{ Text, Category string }

// Words returns the listed words: agency, communion, authority, things. The nth of agency is
// the partner of the nth of communion.
func Words() (all []Word) {
	for _, c := range []struct {
		name  string
		words []string
	}{{"agency", agency}, {"communion", communion}, {"authority", authority}, {"things", things}} {
		for _, w := range c.words {
			all = append(all, Word{w, c.name})
		}
	}
	return all
}

// WordList returns the words of agency and communion as a CSV corpus.
func WordList() string {
	var b strings.Builder
	b.WriteString("category,word\n")
	for _, w := range Words() {
		if w.Category == "agency" || w.Category == "communion" {
			fmt.Fprintf(&b, "%s,%s\n", w.Category, w.Text)
		}
	}
	return b.String()
}

// praise and blame are the words of good and of bad company; the nth of one serves where the
// nth of the other does.
var praise = strings.Fields("wonderful excellent great lovely splendid superb")
var blame = strings.Fields("awful dreadful terrible horrible nasty miserable")

// random draws numbers from a seed by splitmix64 (Steele, Lea and Flood 2014), so that no change
// of a library's generator can change a text.
type random uint64

func (r *random) next() uint64 {
	*r += 0x9e3779b97f4a7c15
	z := uint64(*r)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// n returns a number from 0 to n-1.
func (r *random) n(n int) int { return int(r.next() >> 33 % uint64(n)) }

func pick[T any](r *random, from []T) T { return from[r.n(len(from))] }

func shuffle[T any](r *random, all []T) {
	for i := len(all) - 1; i > 0; i-- {
		j := r.n(i + 1)
		all[i], all[j] = all[j], all[i]
	}
}
