package strictjson

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"

	v2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Unmarshal decodes data into to, a pointer to a struct whose fields, by exact name, are all
// the members that an object may have. A null member leaves its field unchanged; a
// [json.RawMessage] gets the text of its value.
func Unmarshal(data []byte, to any) error {
	if err := Check(data); err != nil {
		return err
	}
	return mistyped(data, v2.Unmarshal(data, to, options))
}

var options = v2.JoinOptions(v2.RejectUnknownMembers(true), v2.WithUnmarshalers(v2.UnmarshalFromFunc(keep)))

// keep stores a part as text.
func keep(d *jsontext.Decoder, to *json.RawMessage) error {
	v, err := d.ReadValue()
	*to = append((*to)[:0], v...)
	return err
}

// mistyped names the value whose type does not fit the struct.
func mistyped(data []byte, err error) error {
	var e *v2.SemanticError
	if err == nil || !errors.As(err, &e) {
		return err
	}
	name := strings.ReplaceAll(strings.TrimPrefix(string(e.JSONPointer), "/"), "/", ".")
	if errors.Is(err, v2.ErrUnknownName) {
		refusal := at(data, int(e.ByteOffset), name, "unknown key %s", quote(name))
		refusal.Unknown = true
		return refusal
	}
	got := "a value"
	switch e.JSONKind {
	case '0':
		if got = "a number"; len(e.JSONValue) > 0 {
			got = "the number " + cut(string(e.JSONValue))
		}
	case 'n', 't', 'f':
		got = e.JSONKind.String()
	case '{', '[', '"':
		got = begin([]byte{byte(e.JSONKind)})
	}
	if name == "" {
		name = "the text"
	}
	refusal := at(data, int(e.ByteOffset), name, "%s: %s, wanted %s", cut(name), got, kindOf(e.GoType))
	refusal.Mistyped = true
	return refusal
}

// kindOf names the JSON type that a Go type accepts.
func kindOf(t reflect.Type) string {
	if t == nil {
		return "another one"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return kindOf(t.Elem())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return "an integer"
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "an integer from 0"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Struct, reflect.Map:
		return "an object"
	case reflect.Bool:
		return "true or false"
	}
	return "a " + t.Kind().String()
}
