package jinja

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// percent is Python's s % v, for the conversions s r d i x X o c f e g and %.
func (r *run) percent(s string, v Value) Value {
	items, tuple := []Value{v}, false
	if l, ok := v.(*List); ok && l.Tuple {
		items, tuple = l.Items, true
	}
	dict, isDict := v.(*Dict)
	used, named := 0, false
	var b strings.Builder
	for s != "" {
		at := strings.IndexByte(s, '%')
		if at < 0 {
			b.WriteString(r.text(s))
			break
		}
		b.WriteString(r.text(s[:at]))
		s = s[at+1:]
		var item Value = missing{}
		if strings.HasPrefix(s, "(") {
			end := strings.IndexByte(s, ')')
			if end < 0 {
				fail("ValueError", "incomplete format key")
			}
			if !isDict {
				typeError("format requires a mapping")
			}
			k := s[1:end]
			value, ok := dict.get(k)
			if !ok {
				fail("KeyError", "%s", reprString(k))
			}
			item, named = value, true
			s = s[end+1:]
		}
		end := strings.IndexFunc(s, func(c rune) bool { return !strings.ContainsRune("#0- +.123456789", c) })
		if end < 0 {
			fail("ValueError", "incomplete format")
		}
		flags, conv := s[:end], s[end]
		s = s[end+1:]
		if conv == '%' {
			b.WriteByte('%')
			continue
		}
		if item == (missing{}) {
			if used >= len(items) {
				typeError("not enough arguments for format string")
			}
			item = items[used]
			used++
		}
		b.WriteString(r.text(r.conversion(flags, conv, item)))
	}
	if !named && used < len(items) && (tuple || !isDict && !isKind(v, "list", "Undefined", "range")) {
		typeError("not all arguments converted during string formatting")
	}
	return b.String()
}

func isKind(v Value, names ...string) bool {
	for _, n := range names {
		if typeName(v) == n {
			return true
		}
	}
	return false
}

// conversion is one item of a % format. Go's verbs mean the same for these.
func (r *run) conversion(flags string, conv byte, v Value) string {
	if w, p, _ := strings.Cut(strings.TrimLeft(flags, "#0- +"), "."); atoi(w) > 10_000 || atoi(p) > 10_000 {
		fail("LimitError", "a format wider than 10000")
	}
	if u, ok := v.(*undefined); ok && conv != 's' && conv != 'r' {
		u.fail()
	}
	n, f, isInt, ok := number(v)
	switch conv {
	case 's':
		return fmt.Sprintf("%"+strings.ReplaceAll(flags, "0", zeroWidth(flags))+"s", r.str(v))
	case 'r':
		return fmt.Sprintf("%"+strings.ReplaceAll(flags, "0", zeroWidth(flags))+"s", r.repr(v))
	case 'd', 'i', 'u', 'x', 'X', 'o':
		if !ok || !isInt && conv != 'd' && conv != 'i' && conv != 'u' {
			typeError("%%%c format: a real number is required, not %s", conv, typeName(v))
		}
		if !isInt {
			n = int64(f)
			if math.Abs(f) >= 1<<63 || f != f {
				overflow()
			}
		}
		if conv == 'i' || conv == 'u' {
			conv = 'd'
		}
		if conv == 'o' && strings.Contains(flags, "#") {
			unsupported("the format %%#o is not supported")
		}
		return fmt.Sprintf("%"+flags+string(conv), n)
	case 'e', 'E', 'f', 'F', 'g', 'G':
		if !ok {
			typeError("must be real number, not %s", typeName(v))
		}
		if math.IsInf(f, 0) || math.IsNaN(f) || strings.Contains(flags, "#") || conv == 'g' || conv == 'G' {
			unsupported("this number format is not supported")
		}
		return fmt.Sprintf("%"+flags+string(conv), f)
	case 'c':
		if s, ok := v.(string); ok && runeCount(s) == 1 {
			return fmt.Sprintf("%"+flags+"s", s)
		}
		if isInt && n >= 0 && n <= utf8.MaxRune {
			return fmt.Sprintf("%"+flags+"s", string(rune(n)))
		}
		typeError("%%c requires int or char")
	}
	fail("ValueError", "unsupported format character '%c'", conv)
	return ""
}

// zeroWidth keeps the zeros that are digits of a width: Go pads text with zeros
// where Python ignores the flag.
func zeroWidth(flags string) string {
	if strings.HasPrefix(strings.TrimLeft(flags, "#- +"), "0") {
		unsupported("the flag 0 with a text is not supported")
	}
	return "0"
}

func atoi(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil && s != "" {
		return math.MaxInt
	}
	return n
}

// format is Python's str.format, for fields without a format specification.
func (r *run) format(s string, a *args) Value {
	var b strings.Builder
	auto := 0
	for s != "" {
		at := strings.IndexAny(s, "{}")
		if at < 0 {
			b.WriteString(r.text(s))
			break
		}
		b.WriteString(r.text(s[:at]))
		c := s[at]
		s = s[at+1:]
		if s != "" && s[0] == c {
			b.WriteByte(c)
			s = s[1:]
			continue
		}
		end := strings.IndexAny(s, "{}")
		if c == '}' || end < 0 {
			fail("ValueError", "Single '%c' encountered in format string", c)
		}
		if s[end] == '{' {
			unsupported("nested fields in str.format are not supported")
		}
		field := s[:end]
		s = s[end+1:]
		if strings.Contains(field, ":") && !strings.HasSuffix(field, ":") {
			unsupported("format specifications in str.format are not supported: {%s}", field)
		}
		field = strings.TrimSuffix(field, ":")
		field, conv, _ := strings.Cut(field, "!")
		v := r.field(field, a, &auto)
		switch conv {
		case "", "s":
			b.WriteString(r.text(r.str(v)))
		case "r":
			b.WriteString(r.text(r.repr(v)))
		default:
			fail("ValueError", "Unknown conversion specifier '%s'", conv)
		}
	}
	return b.String()
}

// field is the value of a format field such as 0, name, name.attr or name[item].
func (r *run) field(field string, a *args, auto *int) Value {
	end := strings.IndexAny(field, ".[")
	if end < 0 {
		end = len(field)
	}
	name, path := field[:end], field[end:]
	var v Value
	if n, err := strconv.Atoi(name); err == nil || name == "" {
		if name == "" {
			n = *auto
			*auto++
		}
		if n < 0 || n >= len(a.pos) {
			fail("IndexError", "Replacement index %d out of range for positional args tuple", n)
		}
		v = a.pos[n]
	} else {
		found := false
		for i, k := range a.names {
			if k == name {
				v, found = a.named[i], true
			}
		}
		if !found {
			fail("KeyError", "%s", reprString(name))
		}
	}
	for path != "" {
		dot := path[0] == '.'
		path = path[1:]
		var part string
		if dot {
			end := strings.IndexAny(path, ".[")
			if end < 0 {
				end = len(path)
			}
			part, path = path[:end], path[end:]
			v = r.attr(v, part)
			continue
		}
		part, rest, ok := strings.Cut(path, "]")
		if !ok {
			fail("ValueError", "Missing ']' in format string")
		}
		path = rest
		if n, err := strconv.Atoi(part); err == nil {
			v = r.item(v, int64(n))
		} else {
			v = r.item(v, part)
		}
	}
	return v
}
