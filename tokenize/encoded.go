package tokenize

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/implicitreward/implicitreward/internal/jinja"
)

// Encoded is a prompt and a reply as token ids of one model.
type Encoded struct {
	IDs      []int32  // the prompt's tokens, then the reply's
	Reply    int      // IDs[Reply:] is the reply, possibly empty; never 0 when made by a Tokenizer
	Rendered string   // the text that was encoded: with the chat template, without an added BOS; "" when made from ids
	Start    int      // byte offset in Rendered at which the reply begins
	Spans    [][2]int // bytes of Rendered that each token covers, one for each of IDs; nil when made from ids
	Straddle bool     // the first reply token also covers the end of the prompt
	Trimmed  bool     // made by Turn or Transcript with a template that trims the white space around the reply
	Special  int      // special tokens spelled out in the caller's prompt, system text or reply, such as "</s>"
}

// Token is an entry of a vocabulary.
type Token struct {
	ID   int32
	Name string // as in the vocabulary: "▁Love", "ĠLove"
	Text string // what this id decodes to alone: " Love"; incomplete UTF-8 is U+FFFD
}

// Message is one message of a chat.
type Message struct {
	Role    string // "system", "user", "assistant", or another role that the template knows
	Content string
	Extra   []Member // further members that a template may read, such as Qwen 3's "reasoning_content"
}

// Member is a further member of a message.
type Member struct {
	Name  string
	Value json.RawMessage // JSON; objects keep their order
}

// Equal reports whether both are the same message; JSON values are compared byte by byte.
func (m Message) Equal(o Message) bool {
	return m.Role == o.Role && m.Content == o.Content && slices.EqualFunc(m.Extra, o.Extra, func(a, b Member) bool {
		return a.Name == b.Name && bytes.Equal(a.Value, b.Value)
	})
}

// dict is the message as the template's value.
func (m Message) dict() (*jinja.Dict, error) {
	d := jinja.NewDict("role", m.Role, "content", m.Content)
	for _, e := range m.Extra {
		v, err := jinja.FromJSON(e.Value)
		if err != nil {
			return nil, fmt.Errorf("member %q: %w", e.Name, err)
		}
		if e.Name == "role" || e.Name == "content" {
			return nil, fmt.Errorf("member %q stands twice, wanted it once", e.Name)
		}
		d.Set(e.Name, v)
	}
	d.Watch()
	return d, nil
}

// unread returns the name of a non-empty member that the template has not read, or "".
func (m Message) unread(d *jinja.Dict) string {
	for _, name := range d.Unread() {
		if name == "content" && m.Content != "" && m.Role != "user" { // all templates read the user's
			return name
		}
		for _, e := range m.Extra {
			if v := string(e.Value); e.Name == name && v != "null" && v != `""` && v != "[]" && v != "{}" {
				return name
			}
		}
	}
	return ""
}

// cover turns the spans of an encoder into a cover of a text of n bytes: starts and ends are
// non-decreasing, the first start is 0, the last end is n, and no token starts after the end
// of the one before it. Tokens of parts of one character share its span. Bytes in no span,
// such as an accent that NFC merges into the letter before it, go to the token before them.
func cover(spans [][2]int, n int) {
	start, end := 0, 0
	for i := range spans {
		s := &spans[i]
		switch {
		case i == 0:
			s[0] = 0
		case s[0] > end:
			spans[i-1][1] = s[0]
			end = s[0]
		}
		s[0] = max(s[0], start)
		s[1] = max(s[1], end)
		start, end = s[0], s[1]
	}
	if len(spans) > 0 {
		spans[len(spans)-1][1] = n
	}
}

// boundary returns the reply's first token, the first whose span ends after byte start, and
// whether it begins before that byte.
func boundary(spans [][2]int, start int) (reply int, straddle bool) {
	for i, s := range spans {
		if s[1] > start {
			return i, s[0] < start
		}
	}
	return len(spans), false
}
