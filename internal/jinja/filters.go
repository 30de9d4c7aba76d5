package jinja

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// filter is a filter, as in jinja2/filters.py.
type filter func(r *run, v Value, a *args) Value

// filterFunc returns the filter of that name, or nil.
func filterFunc(name string) filter {
	if f := filters[name]; f != nil {
		return guarded(name, f)
	}
	return nil
}

// filters are those that chat templates use.
var filters map[string]filter

func init() { // not an initialiser: the filter map looks up others here
	filters = map[string]filter{
		"capitalize": ofText("capitalize", capitalize),
		"count":      doLength,
		"d":          doDefault,
		"default":    doDefault,
		"dictsort":   doDictsort,
		"first":      doFirst,
		"indent":     doIndent,
		"int":        doInt,
		"items":      doItems,
		"join":       doJoin,
		"last":       doLast,
		"length":     doLength,
		"list":       doList,
		"lower":      ofText("lower", lower),
		"map":        doMap,
		"reject":     doSelect(false, false),
		"rejectattr": doSelect(false, true),
		"replace":    doReplace,
		"reverse":    doReverse,
		"safe":       doSafe,
		"select":     doSelect(true, false),
		"selectattr": doSelect(true, true),
		"sort":       doSort,
		"string":     ofText("string", func(s string) string { return s }),
		"title":      ofText("title", titleFilter),
		"tojson":     doTojson,
		"trim":       doTrim,
		"unique":     doUnique,
		"upper":      ofText("upper", upper),
	}
	for _, name := range []string{
		"abs", "attr", "batch", "center", "escape", "filesizeformat", "float", "forceescape", "format", "groupby", "max", "min", "pprint",
		"random", "round", "slice", "striptags", "sum", "truncate", "urlencode", "urlize", "wordcount", "wordwrap", "xmlattr",
	} {
		filters[name] = func(*run, Value, *args) Value {
			unsupported("the filter %s is not supported", name)
			return nil
		}
	}
}

func doSafe(r *run, v Value, a *args) Value {
	a.bind("safe", 0)
	return markup(r.text(r.str(v)))
}

// ofText makes a filter that depends only on the value's text.
func ofText(name string, f func(string) string) filter {
	return func(r *run, v Value, a *args) Value {
		a.bind(name, 0)
		text := r.text(f(r.str(v)))
		if name == "title" { // title joins pieces
			return text
		}
		return like(v, text)
	}
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

func doInt(r *run, v Value, a *args) Value {
	p := a.bind("int", 0, "default", "base")
	if given(p[1]) {
		unsupported("the base of the filter int is not supported")
	}
	def := orElse(p[0], int64(0))
	if u, ok := v.(*undefined); ok {
		u.fail()
	}
	if s, ok := v.(string); ok {
		s = strings.TrimFunc(s, isSpace)
		if strings.ContainsAny(s, "_xXpP") && strings.ContainsAny(s, "0123456789") {
			unsupported("the filter int of the text %s is not supported", reprString(s))
		}
		v = nil
		if n, err := strconv.ParseInt(s, 10, 64); err == nil {
			v = n
		} else if errors.Is(err, strconv.ErrRange) {
			overflow()
		} else if f, err := strconv.ParseFloat(s, 64); err == nil || errors.Is(err, strconv.ErrRange) {
			v = f
		}
	}
	n, f, isInt, ok := number(v)
	switch {
	case isInt:
		return n
	case !ok, math.IsNaN(f), math.IsInf(f, 0):
		return def
	case math.Abs(f) >= 1<<63:
		overflow()
	}
	return int64(f)
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
	lines := splitLines(s + "\n")
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

// titleFilter is Jinja's title, which differs from Python's: words are separated by white
// space, hyphens and opening brackets.
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
