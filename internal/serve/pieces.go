package serve

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/implicitreward/implicitreward/tokenize"
)

// speller writes ids as text. Without a tokenizer, or with byID, a token is "token_id:42",
// as vLLM's return_tokens_as_token_ids has it.
type speller struct {
	tok  *tokenize.Tokenizer
	byID bool
}

// piece returns the text that a token adds inside a text. A token that holds a part of a
// character is "bytes:\xe2\x80", as OpenAI writes it. Tokens that the vocabulary does not
// name (a model can have more rows) are "token_id:49152".
func (s speller) piece(id int32) string {
	if s.tok == nil || s.byID {
		return "token_id:" + strconv.Itoa(int(id))
	}
	b := s.bytes(id)
	if utf8.Valid(b) {
		return string(b)
	}
	var text strings.Builder
	text.WriteString("bytes:")
	for _, c := range b {
		fmt.Fprintf(&text, `\x%02x`, c)
	}
	return text.String()
}

// bytes are what a token adds to a text.
func (s speller) bytes(id int32) []byte {
	if s.tok == nil {
		return []byte("token_id:" + strconv.Itoa(int(id)))
	}
	if b, ok := s.tok.Bytes(id); ok {
		return b
	}
	if text := s.tok.Decode(id); text != "" {
		return []byte(text)
	}
	return []byte("token_id:" + strconv.Itoa(int(id)))
}

// spell returns the text of ids, special tokens included, U+FFFD for what is no UTF-8, and
// for each id how many characters (code points) stand before it. An id that goes on with a
// character that another began has that character's offset.
func (s speller) spell(ids []int32) (text string, offsets []int) {
	var all []byte
	starts := make([]int, len(ids)) // bytes
	for i, id := range ids {
		starts[i] = len(all)
		all = append(all, s.bytes(id)...)
	}
	dropped := 0
	if s.tok != nil && len(ids) > 0 && len(all) > 0 && all[0] == ' ' && !strings.HasPrefix(s.tok.Decode(ids[0]), " ") {
		dropped = 1 // as Decode does for Llama-2-like tokenizers
	}
	offsets = make([]int, len(ids))
	chars, at := 0, 0 // whole characters before byte at
	for i, start := range starts {
		for at < start {
			_, n := utf8.DecodeRune(all[at:])
			if at+n > start {
				break
			}
			at += n
			chars++
		}
		offsets[i] = max(chars-dropped, 0)
	}
	return strings.ToValidUTF8(string(all[dropped:]), "\uFFFD"), offsets
}

// spanOffsets is the offsets of tokens that were made from text.
func spanOffsets(text string, spans [][2]int) []int {
	offsets := make([]int, len(spans))
	chars, at := 0, 0
	for i, s := range spans {
		if s[0] > at {
			chars += utf8.RuneCountInString(text[at:s[0]])
			at = s[0]
		}
		offsets[i] = chars
	}
	return offsets
}

// text is what a token that is written adds to the text.
func (s speller) text(id int32) string {
	return strings.ToValidUTF8(string(s.bytes(id)), "\uFFFD")
}

// characters counts code points, as text_offset does.
func characters(s string) int { return utf8.RuneCountInString(s) }
