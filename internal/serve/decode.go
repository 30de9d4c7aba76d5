package serve

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/implicitreward/implicitreward/internal/strictjson"
)

// decode reads a JSON object into to, a pointer to a struct whose fields, by their exact
// names, are all that it may have. A field that is null is one that is not there. What is no
// JSON, or not to be trusted (a key that comes twice, half of a surrogate pair), is refused
// wherever it stands, so that the parts which to keeps as they are can be trusted too.
func decode(body []byte, to any) error {
	body = bytes.TrimSpace(body)
	switch {
	case len(body) == 0:
		return refuse("", "the body is empty, wanted a JSON object")
	case body[0] != '{':
		return refuse("", "the body begins with %q, wanted a JSON object", body[0])
	}
	return notDecoded(strictjson.Unmarshal(body, to))
}

// notDecoded says in the client's words what was wrong with the JSON.
func notDecoded(err error) error {
	if err == nil {
		return nil
	}
	e, ok := errors.AsType[*strictjson.Error](err)
	switch {
	case !ok:
		return refuse("", "the body: %v", err)
	case e.Unknown:
		return refuse(e.Key, "unrecognized request argument: %.200q", e.Key)
	case e.Mistyped:
		return refuse(e.Key, "%s", e.Reason)
	}
	return refuse(e.Key, "the body: %v", e)
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
