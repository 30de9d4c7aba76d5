package strictjson

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
)

// Write writes a value and a line end without escaping <, > and &; indent is the
// indentation, "" for a single line.
func Write(w io.Writer, value any, indent string) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", indent)
	return e.Encode(value)
}

// Marshal returns a value as a single line without escaping <, > and &.
func Marshal(value any) ([]byte, error) {
	var b bytes.Buffer
	err := Write(&b, value, "")
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// MarshalMembers returns an object of members in order, one a line, with a line end.
func MarshalMembers(members []Member) ([]byte, error) {
	text := []byte("{")
	for i, m := range members {
		key, err := Marshal(m.Key)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			text = append(text, ',')
		}
		text = append(append(append(text, "\n  "...), key...), ": "...)
		text = append(text, m.Value...)
	}
	return append(text, "\n}\n"...), nil
}

// AppendFloat appends a number of 32 or 64 bits with the fewest digits that restore it, and
// null for infinity, which JSON lacks. x must not be NaN.
func AppendFloat(dst []byte, x float64, bits int) []byte {
	if math.IsInf(x, 0) {
		return append(dst, "null"...)
	}
	return strconv.AppendFloat(dst, x, 'g', -1, bits)
}

// Float64 is a number that is written as null if it is infinite.
type Float64 float64

// MarshalJSON writes the fewest digits that restore the number.
func (x Float64) MarshalJSON() ([]byte, error) { return AppendFloat(nil, float64(x), 64), nil }

// Float32 is a 32-bit number that is written as null if it is infinite.
type Float32 float32

// MarshalJSON writes the fewest digits that restore the number.
func (x Float32) MarshalJSON() ([]byte, error) { return AppendFloat(nil, float64(x), 32), nil }

// Numbers are a JSON object of numbers, whose members have an order.
type Numbers struct {
	Names  []string  // different
	Values []float64 // one for each name, not NaN; infinity is written as null
}

// MarshalJSON writes the members in order.
func (n Numbers) MarshalJSON() ([]byte, error) {
	if len(n.Names) != len(n.Values) {
		return nil, fmt.Errorf("strictjson: %d names and %d numbers, wanted as many", len(n.Names), len(n.Values))
	}
	text := []byte{'{'}
	for i, name := range n.Names {
		if i > 0 {
			text = append(text, ',')
		}
		key, err := Marshal(name)
		if err != nil {
			return nil, err
		}
		text = append(append(text, key...), ':')
		text = AppendFloat(text, n.Values[i], 64)
	}
	return append(text, '}'), nil
}
