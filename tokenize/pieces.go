package tokenize

import (
	"errors"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A text is encoded in two pieces where that gives the same ids and spans: the head, up to an
// added token before the reply, and the tail, from that token on. Texts with one prompt share
// their head, and texts with one reply often their tail; both are remembered.
//
// It is exact because the library cuts a text at added tokens before all else
// (extract_and_normalize in added_vocabulary.rs of tokenizers 0.22): it finds the leftmost
// and there longest of them, again after the end of each, and normalizes, pre-tokenizes and
// encodes what stands between two of them on its own. So all that can matter across a token is
//
//   - that it is found, whatever stands around it: no other one begins before it and ends in
//     it, none that begins with it is longer, and it is not one that must be a single word
//     (single_word), is looked for in normalized text (normalized), or is skipped
//     (split_special_tokens);
//   - white space around it: that before it is not taken (lstrip), nor does it begin with
//     some, which a token before it could take (rstrip); that after it is taken in the tail;
//   - what stands before the tail's first character, for the single words after it, and
//     whether a piece begins the text (prepend_scheme "first" of Metaspace). The tail begins
//     with the token to have both as in the whole text, and a text is not cut at its first byte.
//
// spec accepts no normalizer, pre-tokenizer or model that does more.

// cuts finds where a text can be cut.
type cuts struct {
	all     *matcher         // of all added tokens
	before  map[string]int32 // ids of those before which a text can be cut
	longest int              // bytes of the longest of all
}

func newCuts(added []addedToken, splitSpecial bool) cuts {
	c := cuts{before: map[string]int32{}}
	var all []string
	for _, a := range added {
		if _, ok := c.before[a.Content]; !ok && a.Content != "" {
			all = append(all, a.Content)
			c.longest = max(c.longest, len(a.Content))
			c.before[a.Content] = int32(a.ID)
		}
	}
	c.all = newMatcher(all)
	for _, a := range added { // each of several entries for a token
		first, _ := utf8.DecodeRuneInString(a.Content)
		if splitSpecial || a.SingleWord || a.Normalized || a.Lstrip || unicode.IsSpace(first) {
			delete(c.before, a.Content)
		}
	}
	return c
}

// find returns the last token before which s can be cut, of those that end at byte end or
// before, and where it begins; "" if there is none.
func (c *cuts) find(s string, end int) (token string, at int) {
	for at := end - 1; at > 0; at-- {
		token := c.all.at(s, at)
		if _, ok := c.before[token]; !ok || at+len(token) > end {
			continue
		}
		for i := max(0, at+1-c.longest); i < at; i++ {
			if i+len(c.all.at(s, i)) > at {
				return "", 0
			}
		}
		return token, at
	}
	return "", 0
}

// piece is the encoding of a part of a text. Spans count from where the part begins.
type piece struct {
	ids   []int32
	spans [][2]int
}

// pieces are parts of recent texts.
type pieces struct {
	cuts
	heads recent[string, piece] // by the head with the token after it, without that token
	tails recent[string, piece]
}

func (p *pieces) put(to *recent[string, piece], text string, ids []int32, spans [][2]int) {
	to.put(strings.Clone(text), piece{ids, spans}, 128+len(text)+20*len(ids))
}

// encodePieces returns the ids and spans of a text, put together of those of its pieces where
// they are known. The text is cut before byte reply, if at all.
func (t *Tokenizer) encodePieces(s string, reply int) ([]int32, [][2]int, error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if t.encoder == nil {
		return nil, nil, errors.New("the tokenizer is closed")
	}
	p := &t.pieces
	token, at := p.find(s, reply)
	if token == "" {
		return t.encoder.encode(s)
	}
	upTo := s[:at+len(token)]
	head, ok := p.heads.get(upTo)
	if !ok {
		ids, spans, err := t.encoder.encode(s)
		for i, id := range ids {
			if id == p.before[token] && spans[i][0] == at {
				p.put(&p.heads, upTo, slices.Clone(ids[:i]), slices.Clone(spans[:i]))
				break
			}
		}
		return ids, spans, err
	}
	tail, ok := p.tails.get(s[at:])
	if !ok {
		ids, spans, err := t.encoder.encode(s[at:])
		if err != nil {
			return nil, nil, err
		}
		tail = piece{ids, spans}
		p.put(&p.tails, s[at:], ids, spans)
	}
	ids := slices.Concat(head.ids, tail.ids)
	spans := slices.Concat(head.spans, tail.spans)
	for i := range tail.spans {
		span := &spans[len(head.spans)+i]
		span[0], span[1] = span[0]+at, span[1]+at
	}
	return ids, spans, nil
}
