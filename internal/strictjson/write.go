package strictjson

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"strconv"
)

// Write writes a value and a line end, with <, > and & as they are; indent is before the
// parts of a part, "" for all in one line.
func Write(w io.Writer, value any, indent string) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", indent)
	return e.Encode(value)
}

// Marshal is a value in one line, with <, > and & as they are.
func Marshal(value any) ([]byte, error) {
	var b bytes.Buffer
	err := Write(&b, value, "")
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// AppendFloat appends a number of 32 or 64 bits with the fewest digits that give it back,
// and null for infinity, which JSON does not have. A NaN makes no JSON.
func AppendFloat(dst []byte, x float64, bits int) []byte {
	if math.IsInf(x, 0) {
		return append(dst, "null"...)
	}
	return strconv.AppendFloat(dst, x, 'g', -1, bits)
}

// Float64 is a number that is null where it is infinite.
type Float64 float64

// MarshalJSON writes the number with the fewest digits that give it back.
func (x Float64) MarshalJSON() ([]byte, error) { return AppendFloat(nil, float64(x), 64), nil }

// Float32 is a number of 32 bits that is null where it is infinite.
type Float32 float32

// MarshalJSON writes the number with the fewest digits that give it back.
func (x Float32) MarshalJSON() ([]byte, error) { return AppendFloat(nil, float64(x), 32), nil }
