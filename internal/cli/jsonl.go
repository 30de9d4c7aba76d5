package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"unicode/utf8"
)

// maxLine bounds a line of a JSON Lines file.
const maxLine = 64 << 20

// Line is a line of a JSON Lines file, counted from 1.
type Line struct {
	Number int
	Text   []byte // without spaces around it; its own copy
}

// Lines yields the lines of a JSON Lines file, but for empty ones; a byte order mark is
// skipped. An error, which names the file, is the last thing. Someone who types the lines
// can stop the program while it waits for one: the end of ctx ends them.
func Lines(ctx context.Context, r io.Reader, name string) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		in := bufio.NewScanner(r)
		in.Buffer(nil, maxLine)
		for n := 1; ; n++ {
			more := make(chan bool, 1)
			go func() { more <- in.Scan() }()
			select {
			case <-ctx.Done():
				yield(Line{}, ctx.Err())
				return
			case ok := <-more:
				if !ok {
					if err := in.Err(); err != nil {
						yield(Line{}, fmt.Errorf("%s: %w", name, err))
					}
					return
				}
			}
			text := in.Bytes()
			if n == 1 {
				text = bytes.TrimPrefix(text, []byte("\ufeff"))
			}
			if text = bytes.TrimSpace(text); len(text) > 0 && !yield(Line{n, bytes.Clone(text)}, nil) {
				return
			}
		}
	}
}

// Object reads a JSON object's members, and refuses what encoding/json alone would make
// something else of: bytes that are not UTF-8, and a member that stands twice. wanted says in
// errors what was wanted.
func Object(text []byte, wanted string) (map[string]json.RawMessage, error) {
	if !utf8.Valid(text) {
		return nil, errors.New("not valid UTF-8")
	}
	if len(text) == 0 || text[0] != '{' {
		return nil, fmt.Errorf("wanted an object %s", wanted)
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(text, &members); err != nil {
		return nil, err
	}
	if key := twice(text); key != "" {
		return nil, fmt.Errorf("%q stands twice, wanted each member once", key)
	}
	return members, nil
}

// String reads a JSON string. ok is false where raw is no string. A half of a surrogate
// pair, which encoding/json replaces, is an error; name is the string's.
func String(raw json.RawMessage, name string) (s string, ok bool, err error) {
	if len(raw) == 0 || raw[0] != '"' {
		return "", false, nil
	}
	if half(raw) {
		return "", true, fmt.Errorf("%q holds half of a surrogate pair, wanted text", name)
	}
	err = json.Unmarshal(raw, &s)
	return s, true, err
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
