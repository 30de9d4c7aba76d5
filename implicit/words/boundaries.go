package words

import (
	"errors"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/tokenize"
)

// Boundaries tells of every token id of a tokenizer whether the token may follow a finished
// word: ends[id] is true where the token says that the word before it is over, and false
// where it may be a part of that word. It has one value an id, up to the highest; rows of
// a model beyond them are no tokens and end nothing.
//
// A special token ends a word. Any other token is decided by the text that it stands for
// inside a text, so that "▁free" of a SentencePiece vocabulary and "Ġfree" of a byte-level
// one both begin with a space: see IsBoundary.
//
// The rule and what it is for: Pimentel and Meister, "How to Compute the Probability of
// a Word" (2024), and Oh and Schuler, "Leading Whitespaces of Language Models' Subword
// Vocabulary Pose a Confound for Calculating Word Probabilities" (2024). There, words
// end at white space alone, and so contain the punctuation after them; here the answer
// "Freedom." is the word "Freedom".
func Boundaries(t *tokenize.Tokenizer) []bool {
	var ends []bool
	for token := range t.Vocab() {
		for len(ends) <= int(token.ID) {
			ends = append(ends, false)
		}
		ends[token.ID] = t.IsSpecial(token.ID) || IsBoundary(within(t, token))
	}
	return ends
}

// PolicyBoundaries returns the policy's WordBoundaries, or those of its model's tokenizer; it
// fails where there is neither.
func PolicyBoundaries(p *implicit.Policy) ([]bool, error) {
	switch {
	case p.WordBoundaries != nil:
		return p.WordBoundaries(), nil
	case p.LM.Tokenizer() != nil:
		return Boundaries(p.LM.Tokenizer()), nil
	}
	return nil, errors.New("it does not say where words end (Policy.WordBoundaries, or a tokenizer)")
}

// within returns the bytes that a token stands for inside a text. Where the tokenizer
// does not know, they are what the token adds to itself: decoders take the space from the
// first token only.
func within(t *tokenize.Tokenizer, token tokenize.Token) []byte {
	if b, ok := t.Bytes(token.ID); ok {
		return b
	}
	return []byte(strings.TrimPrefix(t.Decode(token.ID, token.ID), token.Text))
}

// joiners hold what stands on their two sides together as one word: apostrophes (don't,
// people's), hyphens (well-being) and the underscore.
var joiners = []rune{'\'', '\u2019', '-', '\u2010', '\u2011', '_'}

// IsBoundary tells whether a token of this text, right after the last letter of a word,
// says that the word is over. It looks at how the text begins:
//
//   - letter, mark, digit or other number, zero-width joiner or non-joiner, soft hyphen:
//     the word goes on;
//   - an apostrophe, hyphen or underscore: the word goes on if that is all the text or a
//     letter, mark or number follows ("'s", "-being", "-"), and is over otherwise ("--",
//     "',"). A reply's first word has no opening quote before it, so that a quotation
//     mark after it is rare; and a dash that is no hyphen mostly has a space before it.
//     Unicode's word boundaries (UAX #29) break at hyphens and not at apostrophes; corpora
//     list "well-being" as one word, as the Penn Treebank has it;
//   - anything else, such as a space, a line end, a full stop, a symbol: the word is over
//     (in scripts that write no spaces between words only this ends one);
//   - bytes that begin a character and do not finish it: what most of the characters
//     (those that Unicode has assigned) would say that they can begin;
//   - bytes that no character begins with: no token that can follow; not over;
//   - nothing: not over, as nothing was said.
func IsBoundary(text []byte) bool {
	if len(text) == 0 {
		return false
	}
	first, size := utf8.DecodeRune(text)
	if first == utf8.RuneError && size == 1 {
		return mostEnd(text)
	}
	if slices.Contains(joiners, first) {
		next, n := utf8.DecodeRune(text[size:])
		return n > 0 && next != utf8.RuneError && !inWord(next)
	}
	return !inWord(first)
}

func inWord(r rune) bool {
	return unicode.In(r, unicode.L, unicode.M, unicode.N) || r == '\u200c' || r == '\u200d' || r == '\u00ad'
}

// mostEnd tells whether most of the assigned characters whose UTF-8 begins with these
// bytes, which are not a whole one, end a word.
func mostEnd(b []byte) bool {
	need := 0
	switch c := b[0]; {
	case c >= 0xc2 && c <= 0xdf:
		need = 2
	case c >= 0xe0 && c <= 0xef:
		need = 3
	case c >= 0xf0 && c <= 0xf4:
		need = 4
	default:
		return false
	}
	if len(b) >= need {
		return false // not a character, whatever follows
	}
	low := rune(b[0]) & (0xff >> (need + 1))
	for _, c := range b[1:] {
		if c&0xc0 != 0x80 {
			return false
		}
		low = low<<6 | rune(c&0x3f)
	}
	shift := 6 * (need - len(b))
	ends, goes := 0, 0
	for r := low << shift; r < (low+1)<<shift && r <= unicode.MaxRune; r++ {
		switch {
		case utf8.RuneLen(r) != need: // an overlong spelling or a surrogate, which is no UTF-8
		case !unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.P, unicode.S, unicode.Z, unicode.Cc, unicode.Cf):
		case inWord(r):
			goes++
		default:
			ends++
		}
	}
	return ends > goes
}
