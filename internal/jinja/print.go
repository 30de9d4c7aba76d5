package jinja

import (
	"math"
	"strconv"
	"strings"
	"unicode"
)

// str is Python's str(): what a value prints as.
func (r *run) str(v Value) string {
	switch v := v.(type) {
	case string:
		return v
	case markup:
		return string(v)
	case *undefined:
		return ""
	}
	return r.repr(v)
}

// repr is Python's repr().
func (r *run) repr(v Value) string {
	r.step(1)
	r.deeper()
	defer func() { r.depth-- }()
	switch v := v.(type) {
	case nil:
		return "None"
	case bool:
		if v {
			return "True"
		}
		return "False"
	case int64:
		return formatInt(v)
	case float64:
		return formatFloat(v)
	case string:
		return r.text(reprString(v))
	case markup:
		return r.text("Markup(" + reprString(string(v)) + ")")
	case *List:
		open, end := "[", "]"
		if v.Tuple {
			open, end = "(", ")"
			if len(v.Items) == 1 {
				end = ",)"
			}
		}
		return r.text(open + r.reprs(v.Items) + end)
	case *Dict:
		var b strings.Builder
		for i, k := range v.keys {
			if i > 0 {
				b.WriteString(", ")
			}
			item, _ := v.get(k)
			b.WriteString(r.repr(k) + ": " + r.repr(item))
			r.room(8)
		}
		return r.text("{" + b.String() + "}")
	case *undefined:
		return "Undefined"
	case *namespace:
		return r.text("<Namespace " + r.repr(v.attrs) + ">")
	}
	// Most of these print an address in Python.
	unsupported("printing a %s is not supported", typeName(v))
	return ""
}

func (r *run) reprs(items []Value) string {
	var b strings.Builder
	for i, item := range items {
		if i > 0 {
			b.WriteString(", ")
		}
		s := r.repr(item)
		r.room(len(s) + 2)
		b.WriteString(s)
	}
	return b.String()
}

func formatInt(n int64) string { return strconv.FormatInt(n, 10) }

// formatFloat is Python's repr of a float: the shortest text that reads back as x.
func formatFloat(x float64) string {
	switch {
	case math.IsNaN(x):
		return "nan"
	case math.IsInf(x, 1):
		return "inf"
	case math.IsInf(x, -1):
		return "-inf"
	}
	if a := math.Abs(x); a != 0 && (a < 1e-4 || a >= 1e16) {
		return strconv.FormatFloat(x, 'e', -1, 64)
	}
	s := strconv.FormatFloat(x, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

// reprString is Python's repr of a str.
func reprString(s string) string {
	quote := byte('\'')
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		quote = '"'
	}
	b := []byte{quote}
	for _, c := range s {
		switch {
		case c == rune(quote) || c == '\\':
			b = append(b, '\\', byte(c))
		case c == '\n':
			b = append(b, `\n`...)
		case c == '\r':
			b = append(b, `\r`...)
		case c == '\t':
			b = append(b, `\t`...)
		case c == ' ' || unicode.IsPrint(c):
			b = append(b, string(c)...)
		case c < 0x100:
			b = append(b, `\x`+hex(c, 2)...)
		case c < 0x10000:
			b = append(b, `\u`+hex(c, 4)...)
		default:
			b = append(b, `\U`+hex(c, 8)...)
		}
	}
	return string(append(b, quote))
}

func hex(c rune, width int) string {
	s := strconv.FormatInt(int64(c), 16)
	return strings.Repeat("0", width-len(s)) + s
}
