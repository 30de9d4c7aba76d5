package jinja

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// filter is what follows a pipe: jinja2/filters.py.
type filter func(r *run, v Value, a *args) Value

// filterFunc returns the filter of that name, nil if there is none here.
func filterFunc(name string) filter {
	if f := knownFilter(name); f != nil {
		return guarded(name, f)
	}
	return nil
}

func knownFilter(name string) filter {
	switch name {
	case "abs":
		return doAbs
	case "attr":
		return doAttr
	case "capitalize":
		return ofText("capitalize", capitalize)
	case "count", "length":
		return doLength
	case "d", "default":
		return doDefault
	case "dictsort":
		return doDictsort
	case "first":
		return doFirst
	case "float":
		return doFloat
	case "format":
		return doFormat
	case "indent":
		return doIndent
	case "int":
		return doInt
	case "items":
		return doItems
	case "join":
		return doJoin
	case "last":
		return doLast
	case "list":
		return doList
	case "lower":
		return ofText("lower", lower)
	case "map":
		return doMap
	case "max", "min":
		return doExtreme(name == "max")
	case "reject", "select":
		return doSelect(name == "select", false)
	case "rejectattr", "selectattr":
		return doSelect(name == "selectattr", true)
	case "replace":
		return doReplace
	case "reverse":
		return doReverse
	case "round":
		return doRound
	case "safe":
		return func(r *run, v Value, a *args) Value {
			a.bind(name, 0)
			return markup(r.text(r.str(v)))
		}
	case "string":
		return ofText(name, func(s string) string { return s })
	case "sort":
		return doSort
	case "sum":
		return doSum
	case "title":
		return ofText("title", titleFilter)
	case "tojson":
		return doTojson
	case "trim":
		return doTrim
	case "unique":
		return doUnique
	case "upper":
		return ofText("upper", upper)
	}
	return nil
}

// ofText is a filter of the value's text and nothing else.
func ofText(name string, f func(string) string) filter {
	return func(r *run, v Value, a *args) Value {
		a.bind(name, 0)
		text := r.text(f(r.str(v)))
		if name == "title" { // which joins pieces
			return text
		}
		return like(v, text)
	}
}

func doAbs(r *run, v Value, a *args) Value {
	a.bind("abs", 0)
	n, f, isInt, ok := number(v)
	switch {
	case !ok:
		typeError("bad operand type for abs(): '%s'", typeName(v))
	case !isInt:
		return math.Abs(f)
	case n == math.MinInt64:
		overflow()
	}
	return max(n, -n)
}

func doAttr(r *run, v Value, a *args) Value {
	name := strArg("attr", a.bind("attr", 1, "name")[0])
	if u, ok := v.(*undefined); ok {
		u.fail()
	}
	if m, ok := r.member(v, name); ok {
		return m
	}
	return noMember(v, name)
}

func doLength(r *run, v Value, a *args) Value {
	a.bind("length", 0)
	n, ok := length(v)
	if !ok {
		typeError("object of type '%s' has no len()", typeName(v))
	}
	return int64(n)
}

func doDefault(r *run, v Value, a *args) Value {
	p := a.bind("default", 0, "default_value", "boolean")
	if _, ok := v.(*undefined); ok || truth(orElse(p[1], false)) && !truth(v) {
		return orElse(p[0], "")
	}
	return v
}

func doFloat(r *run, v Value, a *args) Value {
	def := orElse(a.bind("float", 0, "default")[0], 0.0)
	switch v := v.(type) {
	case *undefined:
		v.fail()
	case string:
		if f, ok := parseFloat(v); ok {
			return f
		}
		return def
	}
	if _, f, _, ok := number(v); ok {
		return f
	}
	return def
}

// parseFloat is Python's float() of a text.
func parseFloat(s string) (float64, bool) {
	s = strings.TrimFunc(s, isSpace)
	if strings.ContainsAny(s, "xXpP") || strings.HasPrefix(s, "_") || strings.HasSuffix(s, "_") || strings.Contains(s, "__") {
		return 0, false
	}
	if strings.Contains(s, "_") { // only between digits
		for i := range s {
			if s[i] == '_' && !(digit(s[i-1]) && digit(s[i+1])) {
				return 0, false
			}
		}
		s = strings.ReplaceAll(s, "_", "")
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil && !strings.Contains(err.Error(), "range") {
		return 0, false
	}
	return f, true
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

func doInt(r *run, v Value, a *args) Value {
	p := a.bind("int", 0, "default", "base")
	def, base := orElse(p[0], int64(0)), intArg("int", orElse(p[1], int64(10)))
	whole := func(f float64) Value {
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return def
		}
		if math.Abs(f) >= 1<<63 {
			overflow()
		}
		return int64(f)
	}
	switch v := v.(type) {
	case *undefined:
		v.fail()
	case string:
		if base != 0 && (base < 2 || base > 36) {
			fail("ValueError", "int() base must be >= 2 and <= 36, or 0")
		}
		if n, ok := parseInt(v, base); ok {
			return n
		}
		if f, ok := parseFloat(v); ok {
			return whole(f)
		}
		return def
	}
	n, f, isInt, ok := number(v)
	switch {
	case !ok:
		return def
	case isInt:
		return n
	}
	return whole(f)
}

// parseInt is Python's int() of a text.
func parseInt(s string, base int) (int64, bool) {
	s = strings.TrimFunc(s, isSpace)
	sign := ""
	if s != "" && (s[0] == '-' || s[0] == '+') {
		sign, s = s[:1], s[1:]
	}
	if len(s) > 2 && s[0] == '0' {
		prefix := map[byte]int{'x': 16, 'o': 8, 'b': 2}[s[1]|0x20]
		if prefix != 0 && (base == prefix || base == 0) {
			s, base = strings.TrimPrefix(s[2:], "_"), prefix
		}
	}
	if strings.HasPrefix(s, "_") || strings.HasSuffix(s, "_") || strings.Contains(s, "__") {
		return 0, false
	}
	s = strings.ReplaceAll(s, "_", "")
	if base == 0 {
		if len(s) > 1 && s[0] == '0' && strings.Trim(s, "0") != "" {
			return 0, false
		}
		base = 10
	}
	n, err := strconv.ParseInt(sign+s, base, 64)
	if err != nil && strings.Contains(err.Error(), "range") {
		overflow()
	}
	return n, err == nil && s != "" && s[0] != '+' && s[0] != '-'
}

func doFormat(r *run, v Value, a *args) Value {
	if len(a.pos) > 0 && len(a.names) > 0 {
		fail("FilterArgumentError", "can't handle positional and keyword arguments at the same time")
	}
	if len(a.names) > 0 {
		return r.percent(r.str(v), callDict(r, a))
	}
	return r.percent(r.str(v), r.tuple(a.pos...))
}

func doIndent(r *run, v Value, a *args) Value {
	p := a.bind("indent", 0, "width", "first", "blank")
	indent, ok := p[0].(string)
	if !ok {
		n := intArg("indent", orElse(p[0], int64(4)))
		indent = r.repeat(" ", int64(n)).(string)
	}
	s, _ := v.(string)
	switch v := v.(type) {
	case string:
	case *undefined:
		v.fail()
	default:
		typeError("indent of a %s, wanted a str", typeName(v))
	}
	lines := splitLines(s+"\n", false)
	blank := truth(orElse(p[2], false))
	var b strings.Builder
	for i, line := range lines {
		if i > 0 {
			b.WriteByte('\n')
			r.room(1)
			if line != "" || blank {
				b.WriteString(r.text(indent))
			}
		}
		b.WriteString(r.text(line))
	}
	if truth(orElse(p[1], false)) {
		return r.text(indent + b.String())
	}
	return b.String()
}

func doReplace(r *run, v Value, a *args) Value {
	p := a.bind("replace", 2, "old", "new", "count")
	n := -1
	if c := orElse(p[2], nil); c != nil {
		n = intArg("replace", c)
	}
	return r.replace(r.str(v), r.str(p[0]), r.str(p[1]), n)
}

// replace is Python's str.replace; a negative n means all.
func (r *run) replace(s, old, with string, n int) string {
	r.step(len(s) / 64)
	count := strings.Count(s, old)
	if n >= 0 {
		count = min(count, n)
	}
	if len(with) > 0 && count > r.bytes/len(with) {
		r.room(-1)
	}
	r.room(len(s) + count*len(with))
	return strings.Replace(s, old, with, n)
}

func doRound(r *run, v Value, a *args) Value {
	p := a.bind("round", 0, "precision", "method")
	digits := intArg("round", orElse(p[0], int64(0)))
	method, _ := orElse(p[1], "common").(string)
	n, f, isInt, ok := number(v)
	if !ok {
		typeError("type %s doesn't define __round__ method", typeName(v))
	}
	if digits > 300 || digits < -300 {
		fail("OverflowError", "round(): precision %d", digits)
	}
	scale := math.Pow10(digits)
	switch method {
	case "common":
		if isInt && digits >= 0 {
			return n
		}
		if isInt {
			unsupported("round() of an integer to a negative precision is not supported")
		}
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return f
		}
		if digits < 0 {
			return math.RoundToEven(f/math.Pow10(-digits)) * math.Pow10(-digits)
		}
		out, _ := strconv.ParseFloat(strconv.FormatFloat(f, 'f', digits, 64), 64)
		return out
	case "ceil":
		return math.Ceil(f*scale) / scale
	case "floor":
		return math.Floor(f*scale) / scale
	}
	fail("FilterArgumentError", "method must be common, ceil or floor")
	return nil
}

// titleFilter is Jinja's title, which is not Python's: a word ends at white space,
// a hyphen or an opening bracket.
func titleFilter(s string) string {
	var b strings.Builder
	for begin := true; s != ""; {
		c, n := utf8.DecodeRuneInString(s)
		switch {
		case isSpace(c) || strings.ContainsRune("-({[<", c):
			b.WriteString(s[:n])
			begin = true
			s = s[n:]
		case begin:
			b.WriteString(upper(s[:n]))
			begin = false
			s = s[n:]
		default:
			end := strings.IndexFunc(s, func(c rune) bool { return isSpace(c) || strings.ContainsRune("-({[<", c) })
			if end < 0 {
				end = len(s)
			}
			b.WriteString(lower(s[:end]))
			s = s[end:]
		}
	}
	return b.String()
}

func doTojson(r *run, v Value, a *args) Value {
	p := a.bind("tojson", 0, "ensure_ascii", "indent", "separators", "sort_keys")
	return r.text(r.json(v, p))
}

func doTrim(r *run, v Value, a *args) Value {
	return like(v, r.strip(r.str(v), a.bind("trim", 0, "chars")[0], true, true))
}
