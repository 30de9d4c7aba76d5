package main

import (
	"encoding/json"
	"io"
	"math/rand/v2"
	"strings"

	"github.com/implicitreward/implicitreward/tokenize"
)

// preferencePair is a row of the data that training is measured with.
type preferencePair struct {
	Prompt   string `json:"prompt"`
	Chosen   string `json:"chosen"`
	Rejected string `json:"rejected"`
}

// pairKind says how long texts are, in tokens, from and to.
type pairKind struct{ prompt, reply [2]int }

// writePairs writes n pairs of made-up text as JSONL. Of the same seed, kind and tokenizer they
// are the same.
func writePairs(w io.Writer, tok *tokenize.Tokenizer, n int, kind pairKind, seed uint64) error {
	rng := rand.New(rand.NewPCG(seed, 0))
	out := json.NewEncoder(w)
	for range n {
		var texts [3]string
		for i, length := range [][2]int{kind.prompt, kind.reply, kind.reply} {
			var err error
			if texts[i], err = madeUp(rng, tok, length[0]+rng.IntN(length[1]-length[0]+1)); err != nil {
				return err
			}
		}
		if err := out.Encode(preferencePair{texts[0], " " + texts[1], " " + texts[2]}); err != nil {
			return err
		}
	}
	return nil
}

// madeUp writes sentences until they have some number of tokens or little more.
func madeUp(rng *rand.Rand, tok *tokenize.Tokenizer, tokens int) (string, error) {
	one := func(words []string) string { return words[rng.IntN(len(words))] }
	text := ""
	for {
		sentence := "The " + one(madeNouns) + " " + one(madeVerbs) + " the " + one(madeNouns) + " " + one(madeEnds) + "."
		longer := strings.TrimSpace(text + " " + sentence)
		all, err := tok.Raw(longer, "")
		if err != nil {
			return "", err
		}
		text = longer
		if len(all.IDs) >= tokens {
			return text, nil
		}
	}
}

var (
	madeNouns = strings.Fields("farmer teacher river garden bridge window market doctor village engine letter captain forest winter kitchen sister candle mountain orchard painter")
	madeVerbs = strings.Fields("remembers follows paints repairs forgets carries describes welcomes measures leaves watches answers")
	madeEnds  = []string{"before the rain comes", "with great care", "for no reason at all", "in the early morning", "as nobody expected", "when the work is done", "and then goes home", "without a word"}
)
