package serve

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// decode reads a JSON object into to, a pointer to a struct, and refuses what
// encoding/json would let pass or change without a word: fields that to has not, bytes that
// are not UTF-8, halves of surrogate pairs, and anything after the object. A field that is
// null is one that is not there.
func decode(body []byte, to any) error {
	body = bytes.TrimSpace(body)
	switch {
	case len(body) == 0:
		return refuse("", "the body is empty, wanted a JSON object")
	case !utf8.Valid(body):
		return refuse("", "the body is not valid UTF-8")
	case body[0] != '{':
		return refuse("", "the body begins with %q, wanted a JSON object", body[0])
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(to); err != nil {
		return notDecoded(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return refuse("", "the body goes on after the JSON object")
	}
	if at := loneSurrogate(body); at >= 0 {
		return refuse("", "byte %d of the body: half of a surrogate pair, wanted text", at)
	}
	return nil
}

// null tells whether a field is not there.
func null(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

// notDecoded says what was wrong with the JSON, in the client's words, not Go's.
func notDecoded(err error) error {
	if e, ok := errors.AsType[*apiError](err); ok {
		return e
	}
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		kind := e.Type.Kind().String()
		switch {
		case strings.HasPrefix(kind, "int") || strings.HasPrefix(kind, "uint"):
			kind = "an integer"
		case strings.HasPrefix(kind, "float"):
			kind = "a number"
		case kind == "slice":
			kind = "a list"
		case kind == "struct" || kind == "map":
			kind = "an object"
		case kind == "bool":
			kind = "true or false"
		default:
			kind = "a " + kind
		}
		return refuse(e.Field, "%s: %s, wanted %s", cmp.Or(e.Field, "the body"), e.Value, kind)
	}
	message := strings.TrimPrefix(err.Error(), "json: ")
	if field, ok := strings.CutPrefix(message, "unknown field "); ok {
		name, err := strconv.Unquote(field)
		if err != nil {
			name = field
		}
		return refuse(name, "unrecognized request argument: %s", field)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		message = "it ends too early"
	}
	return refuse("", "the body is not JSON: %s", message)
}

// loneSurrogate returns where in valid JSON an escape \uD800 to \uDFFF stands that is no
// half of a pair, -1 if nowhere: encoding/json makes U+FFFD of it.
func loneSurrogate(body []byte) int {
	for i := 0; i < len(body); i++ {
		if body[i] != '\\' {
			continue
		}
		switch unit := escaped(body[i:]); {
		case 0xD800 <= unit && unit < 0xDC00:
			if low := escaped(body[i+6:]); low < 0xDC00 || low > 0xDFFF {
				return i
			}
			i += 11
		case 0xDC00 <= unit && unit < 0xE000:
			return i
		case unit >= 0:
			i += 5
		default:
			i++ // what is escaped, as a second backslash
		}
	}
	return -1
}

// escaped returns the unit of the escape \uXXXX that b begins with, -1 if it begins with
// none.
func escaped(b []byte) int {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return -1
	}
	n, err := strconv.ParseUint(string(b[2:6]), 16, 16)
	if err != nil {
		return -1
	}
	return int(n)
}

// idLists reads a JSON list of token ids, or a list of such lists (nested), out of valid
// JSON. It is written out so that nothing passes for an id that is none (encoding/json
// reads null as 0) and a hostile list stops at the limits.
func idLists(raw []byte, limits Limits) (lists [][]int32, nested bool, err error) {
	nested = opensList(raw[1:])
	deepest, depth, tokens := 1, 0, 0
	if nested {
		deepest = 2
	}
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case c == '[':
			if depth++; depth > deepest {
				return nil, false, errors.New("a list among token ids, wanted a list of token ids or a list of such lists")
			}
			if depth == deepest {
				if len(lists) == limits.Texts {
					return nil, false, fmt.Errorf("more than %d texts, the limit of a request", limits.Texts)
				}
				lists = append(lists, nil)
			}
		case c == ']':
			depth--
		case c == ',' || c == ' ' || c == '\t' || c == '\n' || c == '\r':
		default:
			end := i
			for end < len(raw) && !strings.ContainsRune(",] \t\r\n", rune(raw[end])) {
				end++
			}
			id, err := strconv.ParseInt(string(raw[i:end]), 10, 32)
			if err != nil || id < 0 || depth != deepest {
				return nil, false, fmt.Errorf("%.20s among token ids, wanted an integer from 0 to %d", raw[i:end], math.MaxInt32)
			}
			if tokens++; tokens > limits.Tokens {
				return nil, false, fmt.Errorf("more than %d tokens, the limit of a request", limits.Tokens)
			}
			lists[len(lists)-1] = append(lists[len(lists)-1], int32(id))
			i = end - 1
		}
	}
	return lists, nested, nil
}

// opensList tells whether the next thing in raw is a list.
func opensList(raw []byte) bool {
	raw = bytes.TrimLeft(raw, " \t\r\n")
	return len(raw) > 0 && raw[0] == '['
}
