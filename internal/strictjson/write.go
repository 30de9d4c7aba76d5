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
