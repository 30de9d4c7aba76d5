package strictjson

import (
	"bytes"
	"encoding/json"
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
