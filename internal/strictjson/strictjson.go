package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// MaxDepth is the maximal nesting of lists and objects.
const MaxDepth = 1000

// Error is what was refused in JSON, and where.
type Error struct {
	Reason   string // in the user's words
	Key      string // key that the error is about; "" for none
	Unknown  bool   // Unmarshal: the struct has no field Key
	Mistyped bool   // Unmarshal: the value of Key does not fit the field's type
	Offset   int    // byte offset of the fault
	Line     int    // line of the fault, from 1; 0 if the text is one line
}

func (e *Error) Error() string {
	if e.Line > 0 {
		return fmt.Sprintf("line %d, byte %d: %s", e.Line, e.Offset, e.Reason)
	}
	return fmt.Sprintf("byte %d: %s", e.Offset, e.Reason)
}

// at makes an Error at a byte offset of data.
func at(data []byte, offset int, key, format string, args ...any) *Error {
	offset = min(max(offset, 0), len(data))
	e := &Error{Reason: fmt.Sprintf(format, args...), Key: key, Offset: offset}
	if bytes.IndexByte(bytes.TrimSpace(data), '\n') >= 0 {
		e.Line = 1 + bytes.Count(data[:offset], []byte("\n"))
	}
	return e
}

// Member is a key of an object and its value.
type Member struct {
	Key   string
	Value json.RawMessage // a part of the text, without surrounding space
}

// Check returns an error unless data is one acceptable JSON value.
func Check(data []byte) error {
	return walk(data, nil)
}

// Members returns the members of an object in order. form shows what the object should look
// like, for the error about another value: `{"prompt": ..., "reply": ...}`.
func Members(data []byte, form string) ([]Member, error) {
	var members []Member
	if form != "" {
		form = " " + form
	}
	if err := opens(data, '{', "an object"+form); err != nil {
		return nil, err
	}
	err := walk(data, func(key string, value []byte) { members = append(members, Member{key, value}) })
	return members, err
}

// Object returns the values of an object by key; see Members.
func Object(data []byte, form string) (map[string]json.RawMessage, error) {
	members, err := Members(data, form)
	if err != nil {
		return nil, err
	}
	object := make(map[string]json.RawMessage, len(members))
	for _, m := range members {
		object[m.Key] = m.Value
	}
	return object, nil
}

// List returns the values of a list.
func List(data []byte) ([]json.RawMessage, error) {
	if err := opens(data, '[', "a list"); err != nil {
		return nil, err
	}
	values := []json.RawMessage{}
	err := walk(data, func(_ string, value []byte) { values = append(values, value) })
	return values, err
}

// String decodes a string; ok is false if data is another kind of value. A string with an
// invalid character is an error.
func String(data []byte) (s string, ok bool, err error) {
	if len(data) == 0 || data[0] != '"' {
		return "", false, nil
	}
	text, err := jsontext.AppendUnquote(nil, data)
	if err != nil {
		return "", true, refused(data, err)
	}
	return string(text), true, nil
}

// Null reports whether a value is null or absent.
func Null(data []byte) bool { return len(data) == 0 || string(data) == "null" }

// opens returns an error unless data begins with the given brace or bracket.
func opens(data []byte, with byte, wanted string) error {
	trimmed := bytes.TrimLeft(data, " \t\r\n")
	switch {
	case len(trimmed) == 0:
		return at(data, len(data), "", "nothing, wanted %s", wanted)
	case trimmed[0] != with:
		return at(data, len(data)-len(trimmed), "", "%s, wanted %s", begin(trimmed), wanted)
	}
	return nil
}

// begin names the kind of value that text begins with.
func begin(text []byte) string {
	switch c := text[0]; {
	case c == '{':
		return "an object"
	case c == '[':
		return "a list"
	case c == '"':
		return "a string"
	case c == '-' || '0' <= c && c <= '9':
		return "a number"
	}
	for _, word := range []string{"null", "true", "false"} {
		if bytes.HasPrefix(text, []byte(word)) {
			return word
		}
	}
	return "no JSON"
}

// walk reads data to its end and calls part, if not nil, with the parts of the outermost
// object or list.
func walk(data []byte, part func(key string, value []byte)) error {
	d := jsontext.NewDecoder(bytes.NewBuffer(data)) // a Buffer's bytes are read in place
	key, start := "", 0
	for {
		before := int(d.InputOffset())
		token, err := d.ReadToken()
		if err != nil {
			return refused(data, err)
		}
		end, depth := int(d.InputOffset()), d.StackDepth()
		first := end - len(bytes.TrimLeft(data[before:end], " \t\r\n,:"))
		kind := token.Kind()
		switch {
		case depth > MaxDepth:
			return at(data, first, "", "more than %d lists and objects in one another", MaxDepth)
		case kind == '0' && !finite(data[first:end]):
			return at(data, first, d.StackPointer().LastToken(), "%.40s, wanted a number that float64 can hold", data[first:end])
		case depth == 2 && (kind == '{' || kind == '['):
			start = first
		case part != nil && depth == 1 && kind != '{' && kind != '[':
			if kind != '}' && kind != ']' {
				start = first
			}
			if outer, n := d.StackIndex(1); outer == '{' && n%2 == 1 {
				key = token.String()
			} else {
				part(key, data[start:end:end])
			}
		}
		if depth == 0 {
			break
		}
	}
	if rest := bytes.TrimLeft(data[d.InputOffset():], " \t\r\n"); len(rest) > 0 {
		return at(data, len(data)-len(rest), "", "text after the end of the value")
	}
	return nil
}

// finite reports whether a JSON number fits into float64.
func finite(number []byte) bool {
	if len(number) < 300 && !bytes.ContainsAny(number, "eE") {
		return true
	}
	_, err := strconv.ParseFloat(string(number), 64)
	return err == nil
}

// refused translates an error of jsontext into the user's words.
func refused(data []byte, err error) error {
	var e *jsontext.SyntacticError
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF):
		return at(data, len(data), "", "it ends too early")
	case !errors.As(err, &e):
		return at(data, 0, "", "%v", err)
	}
	offset := int(e.ByteOffset)
	key := e.JSONPointer.LastToken()
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		return at(data, offset, key, "key %s comes twice%s, wanted once", quote(key), inside(e.JSONPointer))
	case errors.Is(err, jsontext.ErrNonStringName):
		return at(data, offset, "", "wanted a key in quotes")
	case !utf8.Valid(data):
		bad := 0
		for r, n := utf8.DecodeRune(data); r != utf8.RuneError || n != 1; r, n = utf8.DecodeRune(data[bad:]) {
			bad += n
		}
		return at(data, bad, "", "not UTF-8, wanted text")
	case offset+6 <= len(data) && surrogate(data[offset:offset+6]):
		return at(data, offset, key, "%shalf of a surrogate pair, wanted text", of(e.JSONPointer))
	}
	return at(data, offset, key, "%v", e.Err)
}

// surrogate reports whether an escape is a surrogate.
func surrogate(escape []byte) bool {
	unit, err := strconv.ParseUint(string(escape[2:]), 16, 16)
	return string(escape[:2]) == `\u` && err == nil && 0xD800 <= unit && unit <= 0xDFFF
}

// of formats what a pointer points to, as the prefix of an error; "" for the whole value.
func of(p jsontext.Pointer) string {
	if p == "" {
		return ""
	}
	return cut(string(p[1:])) + ": "
}

// inside formats the object or list that contains what a pointer points to; "" for the
// outermost.
func inside(p jsontext.Pointer) string {
	if p = p.Parent(); p == "" {
		return ""
	}
	return " in " + cut(string(p[1:]))
}

// quote quotes a key for an error, truncated to a readable length.
func quote(key string) string { return strconv.Quote(cut(key)) }

func cut(s string) string {
	if len(s) > 200 {
		s = strings.ToValidUTF8(s[:200], "") + "…"
	}
	return s
}
