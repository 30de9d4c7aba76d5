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

// Boundaries reports for every token id whether the token may follow a finished word:
// ends[id] is true if the token shows that the word before it is over, false if it may
// continue the word. The slice has a value for each id up to the highest; ids of a model
// beyond it are not tokens and end no word.
//
// A special token ends a word. Any other token is judged by IsBoundary on its text inside a
// sentence, where "▁free" of a SentencePiece vocabulary and "Ġfree" of a byte-level one both
// begin with a space.
//
// The correction follows Pimentel and Meister, "How to Compute the Probability of a Word"
// (2024), and Oh and Schuler, "Leading Whitespaces of Language Models' Subword Vocabulary
// Pose a Confound for Calculating Word Probabilities" (2024). There, words end only at white
// space and so contain the punctuation after them; here the answer "Freedom." is the word
// "Freedom".
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

// policyBoundaries returns the policy's WordBoundaries, or else those of its model's
// tokenizer. It is an error if there is neither.
func policyBoundaries(p *implicit.Policy) ([]bool, error) {
	switch {
	case p.WordBoundaries != nil:
		return p.WordBoundaries(), nil
	case p.LM.Tokenizer() != nil:
		return Boundaries(p.LM.Tokenizer()), nil
	}
	return nil, errors.New("it does not say where words end (Policy.WordBoundaries, or a tokenizer)")
}

// within returns the bytes of a token inside a sentence. If the tokenizer does not know
// them, they are what a second copy of the token adds: decoders strip the space of the first
// token only.
func within(t *tokenize.Tokenizer, token tokenize.Token) []byte {
	if b, ok := t.Bytes(token.ID); ok {
		return b
	}
	return []byte(strings.TrimPrefix(t.Decode(token.ID, token.ID), token.Text))
}

// joiners join letters on both sides into one word: apostrophes (don't, people's), hyphens
// (well-being) and the underscore.
var joiners = []rune{'\'', '\u2019', '-', '\u2010', '\u2011', '_'}

// IsBoundary reports whether a token with this text, directly after the last letter of a
// word, shows that the word is over. It depends on how the text begins:
//
//   - letter, mark, digit or other number, zero-width joiner or non-joiner, soft hyphen:
//     the word continues;
//   - apostrophe, hyphen or underscore: the word continues if this is the whole text or a
//     letter, mark or number follows ("'s", "-being", "-"), and is over otherwise ("--",
//     "',"). A reply's first word has no opening quote, so a closing one is rare after it,
//     and a dash usually follows a space. Unicode's word boundaries (UAX #29) break at
//     hyphens and not at apostrophes; corpora list "well-being" as one word, as does the
//     Penn Treebank;
//   - anything else, such as a space, line end, full stop or symbol: the word is over (in
//     scripts without spaces between words only this ends one);
//   - an incomplete UTF-8 character: as for most of the assigned characters that begin so;
//   - bytes that begin no character: such a token cannot follow, so not over;
//   - empty: not over.
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

// mostEnd reports whether most of the assigned characters whose UTF-8 begins with these
// bytes, an incomplete character, end a word.
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
		return false // not UTF-8, whatever follows
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
		case utf8.RuneLen(r) != need: // an overlong encoding or a surrogate, which is not UTF-8
		case !unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.P, unicode.S, unicode.Z, unicode.Cc, unicode.Cf):
		case inWord(r):
			goes++
		default:
			ends++
		}
	}
	return ends > goes
}
