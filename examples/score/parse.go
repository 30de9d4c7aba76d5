package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"unicode/utf8"

	"github.com/implicitreward/implicitreward/implicit"
)

// added are the members that a line comes back with.
var added = []string{"tuned", "base", "reward", "per_token", "per_span", "flags", "error"}

// parsePair reads a line's object. encoding/json alone would let through what makes
// another text of the one that stands there: broken UTF-8 and half surrogate pairs,
// which it replaces, a member that stands twice, and names in another case.
func parsePair(line []byte) (implicit.Item, error) {
	var item implicit.Item
	var keys map[string]json.RawMessage
	if !utf8.Valid(line) {
		return item, fmt.Errorf("not valid UTF-8")
	}
	if line[0] != '{' {
		return item, fmt.Errorf("wanted an object {\"prompt\": ..., \"reply\": ...}")
	}
	if err := json.Unmarshal(line, &keys); err != nil {
		return item, err
	}
	if key := twice(line); key != "" {
		return item, fmt.Errorf("%q stands twice, wanted each member once", key)
	}
	for _, key := range added {
		if _, ok := keys[key]; ok {
			return item, fmt.Errorf("%q is there already, wanted lines without the members that are added", key)
		}
	}
	for key, to := range map[string]*string{"prompt": &item.Prompt, "reply": &item.Reply} {
		raw := keys[key]
		if len(raw) == 0 || raw[0] != '"' {
			return item, fmt.Errorf("wanted both \"prompt\" and \"reply\", as strings")
		}
		if half(raw) {
			return item, fmt.Errorf("%q holds half of a surrogate pair, wanted text", key)
		}
		if err := json.Unmarshal(raw, to); err != nil {
			return item, err
		}
	}
	return item, nil
}

// twice returns a member of a valid object that stands there twice, "" if none does.
func twice(object []byte) string {
	d := json.NewDecoder(bytes.NewReader(object))
	d.Token() // the brace
	seen := map[string]bool{}
	for d.More() {
		name, err := d.Token()
		key, ok := name.(string)
		var value json.RawMessage
		if err != nil || !ok || d.Decode(&value) != nil {
			return "" // json.Unmarshal has told of it
		}
		if seen[key] {
			return key
		}
		seen[key] = true
	}
	return ""
}

// half tells whether a valid JSON string escapes a surrogate that has no partner.
func half(s []byte) bool {
	unit := func(i int) rune { // of the escape at i; 0 for anything else
		if i+6 > len(s) || s[i] != '\\' || s[i+1] != 'u' {
			return 0
		}
		v, _ := strconv.ParseUint(string(s[i+2:i+6]), 16, 16)
		return rune(v)
	}
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			continue
		}
		switch u := unit(i); {
		case u >= 0xd800 && u < 0xdc00:
			if low := unit(i + 6); low < 0xdc00 || low > 0xdfff {
				return true
			}
			i += 11
		case u >= 0xdc00 && u <= 0xdfff:
			return true
		default:
			i++ // the escaped character, which may be a backslash
		}
	}
	return false
}
