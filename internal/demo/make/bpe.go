package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/implicitreward/implicitreward/internal/demo"
)

// vocabulary is a BPE vocabulary under construction: tokens in id order, and the merges in
// order of rank.
type vocabulary struct {
	tokens []string
	id     map[string]int
	merges [][2]string
	rank   map[[2]string]int
	mark   string         // what stands for a space: "Ġ" or "▁"
	open   map[int]string // tokens that leave a suffix to come -> that suffix
}

func newVocabulary(mark string, tokens []string) *vocabulary {
	v := &vocabulary{mark: mark, id: map[string]int{}, rank: map[[2]string]int{}, open: map[int]string{}}
	for _, t := range tokens {
		v.token(t)
	}
	return v
}

func (v *vocabulary) token(t string) {
	if _, ok := v.id[t]; !ok {
		v.id[t] = len(v.tokens)
		v.tokens = append(v.tokens, t)
	}
}

// encode cuts ASCII text without inner spaces as BPE does: it joins the adjacent pair of the
// lowest rank, until no pair is a merge.
func (v *vocabulary) encode(text string) []string {
	pieces := strings.Split(strings.ReplaceAll(text, " ", v.mark), "")
	for {
		best, at := len(v.merges), -1
		for i := range len(pieces) - 1 {
			if r, ok := v.rank[[2]string{pieces[i], pieces[i+1]}]; ok && r < best {
				best, at = r, i
			}
		}
		if at < 0 {
			return pieces
		}
		pieces = slices.Replace(pieces, at, at+2, pieces[at]+pieces[at+1])
	}
}

// add makes text a single token by merging what it is cut into from its end, so that "ower"
// serves power and Power. What was a token stays one: a merge of a later rank waits for those
// before it, and these have done their work on the older word by then.
func (v *vocabulary) add(text string) {
	for {
		pieces := v.encode(text)
		n := len(pieces)
		if n == 1 {
			return
		}
		pair := [2]string(pieces[n-2:])
		v.rank[pair] = len(v.merges)
		v.merges = append(v.merges, pair)
		v.token(pair[0] + pair[1])
	}
}

// common are words of the prompts and some besides.
const common = `What in one word is the best thing ever a single world of all time Please answer only
greatest most good worst bad terrible system user assistant model and to it my your life you me we not that for with as on`

// fill adds the tokens of the common words and of the listed ones. It is an error if two listed
// words begin with the same token, or a form is cut otherwise than the list says.
func (v *vocabulary) fill(family string) error {
	for _, w := range strings.Fields(common) {
		v.add(" " + w)
	}
	words := demo.Words()
	for _, w := range words {
		if w.Suffix != "" {
			v.add(w.Suffix)
		}
	}
	for _, w := range words {
		for i, form := range demo.Forms(w.Text) {
			v.add(strings.TrimSuffix(form, w.Suffix))
			if i < w.Whole[family] {
				v.add(form)
			}
		}
	}
	begins := map[string]string{} // first token -> word
	for _, w := range words {
		for i, form := range demo.Forms(w.Text) {
			pieces := v.encode(form)
			want := []string{form}
			if i >= w.Whole[family] {
				want = []string{strings.TrimSuffix(form, w.Suffix), w.Suffix}
				v.open[v.id[pieces[0]]] = w.Suffix
			}
			want[0] = strings.ReplaceAll(want[0], " ", v.mark)
			if !slices.Equal(pieces, want) {
				return fmt.Errorf("%q is cut into %q, wanted %q", form, pieces, want)
			}
			if other, ok := begins[pieces[0]]; ok {
				return fmt.Errorf("%s and %s both begin with %q", w.Text, other, pieces[0])
			}
			begins[pieces[0]] = w.Text
		}
	}
	return nil
}
