package jinja

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/language"
)

// method is a method of Python's str.
type method func(r *run, s string, a *args) Value

// strMethod returns the method of that name, or nil if Python has none.
func strMethod(name string) method {
	if f := textMethods[name]; f != nil {
		return func(r *run, s string, a *args) Value {
			a.bind(name, 0)
			return r.text(f(s))
		}
	}
	if f := classMethods[name]; f != nil {
		return func(r *run, s string, a *args) Value {
			a.bind(name, 0)
			return f(s)
		}
	}
	switch name {
	case "strip", "lstrip", "rstrip":
		return func(r *run, s string, a *args) Value {
			return r.strip(s, a.bind(name, 0, "chars")[0], name != "rstrip", name != "lstrip")
		}
	case "split":
		return split
	case "splitlines":
		return func(r *run, s string, a *args) Value {
			a.bind(name, 0)
			return r.strings(splitLines(s))
		}
	case "startswith", "endswith":
		return func(r *run, s string, a *args) Value { return affix(s, a, name) }
	case "removeprefix":
		return func(r *run, s string, a *args) Value {
			return r.text(strings.TrimPrefix(s, strArg(name, a.bind(name, 1, "prefix")[0])))
		}
	case "removesuffix":
		return func(r *run, s string, a *args) Value {
			return r.text(strings.TrimSuffix(s, strArg(name, a.bind(name, 1, "suffix")[0])))
		}
	case "replace":
		return func(r *run, s string, a *args) Value {
			p := a.bind(name, 2, "old", "new", "count")
			return r.replace(s, strArg(name, p[0]), strArg(name, p[1]), intArg(name, orElse(p[2], int64(-1))))
		}
	case "find", "rfind", "index", "count":
		return func(_ *run, s string, a *args) Value { return find(s, a, name) }
	case "join":
		return joined
	case "partition":
		return func(r *run, s string, a *args) Value {
			sep := strArg(name, a.bind(name, 1, "sep")[0])
			if sep == "" {
				fail("ValueError", "empty separator")
			}
			before, after, found := strings.Cut(s, sep)
			if !found {
				sep = ""
			}
			return r.tuple(before, sep, after)
		}
	case "casefold", "center", "encode", "expandtabs", "format", "format_map", "isascii", "isdecimal", "isidentifier", "isnumeric",
		"isprintable", "istitle", "ljust", "maketrans", "rindex", "rjust", "rpartition", "rsplit", "swapcase", "translate", "zfill":
		return func(*run, string, *args) Value {
			unsupported("the method str.%s is not supported", name)
			return nil
		}
	}
	return nil
}

// joined is Python's str.join.
func joined(r *run, s string, a *args) Value {
	var b strings.Builder
	for i, item := range r.collect(a.bind("join", 1, "iterable")[0]) {
		t, ok := plain(item).(string)
		if !ok {
			typeError("sequence item %d: expected str instance, %s found", i, typeName(item))
		}
		if i > 0 {
			b.WriteString(r.text(s))
		}
		b.WriteString(r.text(t))
	}
	return b.String()
}

var textMethods = map[string]func(string) string{"upper": upper, "lower": lower, "capitalize": capitalize, "title": title}

func upper(s string) string { return cases.Upper(language.Und).String(s) }

func lower(s string) string { return cases.Lower(language.Und).String(s) }

// titled returns the first character of s in title case, and the rest of s unchanged.
func titled(s string) (string, string) {
	c, n := utf8.DecodeRuneInString(s)
	if t := unicode.ToTitle(c); t != c || upper(s[:n]) == s[:n] {
		return string(t), s[n:]
	}
	u := upper(s[:n]) // one character can become several: ß
	m := runeLen(u)
	return u[:m] + lower(u[m:]), s[n:]
}

func capitalize(s string) string {
	if s == "" {
		return ""
	}
	first, rest := titled(s)
	return first + strings.TrimPrefix(lower("a"+rest), "a") // a sigma at the end becomes a final sigma
}

// title is Python's str.title: a word begins after any character without case.
func title(s string) string {
	var b strings.Builder
	inside := false
	for i, c := range s {
		cased := unicode.IsUpper(c) || unicode.IsLower(c) || unicode.IsTitle(c)
		if cased && !inside {
			t, _ := titled(s[i:])
			b.WriteString(t)
		} else {
			b.WriteRune(unicode.ToLower(c))
		}
		inside = cased
	}
	return b.String()
}

// isCase is islower or isupper: at least one letter has the case, and none the other.
func isCase(s string, low bool) bool {
	some := false
	for _, c := range s {
		switch {
		case unicode.IsLower(c) && low, unicode.IsUpper(c) && !low:
			some = true
		case unicode.IsLower(c), unicode.IsUpper(c), unicode.IsTitle(c):
			return false
		}
	}
	return some
}

var classMethods = map[string]func(string) bool{
	"isspace": every(isSpace),
	"isalpha": every(unicode.IsLetter),
	"isdigit": every(func(c rune) bool {
		return unicode.IsDigit(c) || strings.ContainsRune("²³¹⁰⁴⁵⁶⁷⁸⁹₀₁₂₃₄₅₆₇₈₉", c)
	}),
	"isalnum": every(func(c rune) bool { return unicode.IsLetter(c) || unicode.IsNumber(c) }),
	"islower": func(s string) bool { return isCase(s, true) },
	"isupper": func(s string) bool { return isCase(s, false) },
}

// every returns a test of every character of a non-empty text.
func every(is func(rune) bool) func(string) bool {
	return func(s string) bool {
		return s != "" && strings.IndexFunc(s, func(c rune) bool { return !is(c) }) < 0
	}
}

// strip removes the characters in chars, by default white space, from the ends.
func (r *run) strip(s string, chars Value, left, right bool) string {
	cut := isSpace
	if set := orElse(chars, nil); set != nil {
		in := strArg("strip", set)
		r.step(len(s) * len(in) / 64)
		cut = func(c rune) bool { return strings.ContainsRune(in, c) }
	}
	if left {
		s = strings.TrimLeftFunc(s, cut)
	}
	if right {
		s = strings.TrimRightFunc(s, cut)
	}
	return r.text(s)
}

// strings makes a list of texts.
func (r *run) strings(all []string) Value {
	items := make([]Value, len(all))
	for i, s := range all {
		items[i] = r.text(s)
	}
	return r.list(items)
}

// split is Python's str.split, without maxsplit for white space.
func split(r *run, s string, a *args) Value {
	p := a.bind("split", 0, "sep", "maxsplit")
	n := intArg("split", orElse(p[1], int64(-1)))
	r.room(16 * (strings.Count(s, " ") + 1))
	if orElse(p[0], nil) == nil {
		if n >= 0 {
			unsupported("the method str.split at white space with maxsplit is not supported")
		}
		return r.strings(strings.FieldsFunc(s, isSpace))
	}
	sep := strArg("split", p[0])
	if sep == "" {
		fail("ValueError", "empty separator")
	}
	if n >= 0 {
		n++
	}
	return r.strings(strings.SplitN(s, sep, n))
}

// splitLines is Python's str.splitlines.
func splitLines(s string) []string {
	var out []string
	for s != "" {
		at := strings.IndexFunc(s, func(c rune) bool {
			return c >= '\n' && c <= '\r' || c >= 0x1c && c <= 0x1e || c == 0x85 || c == 0x2028 || c == 0x2029
		})
		if at < 0 {
			return append(out, s)
		}
		end := at + runeLen(s[at:])
		if strings.HasPrefix(s[at:], "\r\n") {
			end = at + 2
		}
		out = append(out, s[:at])
		s = s[end:]
	}
	return out
}

// whole refuses the optional bounds of a search.
func whole(name string, bounds []Value) {
	if given(bounds[0]) || given(bounds[1]) {
		unsupported("the method str.%s with bounds is not supported", name)
	}
}

func affix(s string, a *args, name string) Value {
	p := a.bind(name, 1, "affix", "start", "end")
	whole(name, p[1:])
	options := []Value{p[0]}
	if l, ok := p[0].(*List); ok && l.Tuple {
		options = l.Items
	}
	for _, o := range options {
		t, ok := o.(string)
		if !ok {
			typeError("%s first arg must be str or a tuple of str, not %s", name, typeName(o))
		}
		if name == "startswith" && strings.HasPrefix(s, t) || name == "endswith" && strings.HasSuffix(s, t) {
			return true
		}
	}
	return false
}

func find(s string, a *args, name string) Value {
	p := a.bind(name, 1, "sub", "start", "end")
	sub := strArg(name, p[0])
	whole(name, p[1:])
	at := strings.Index(s, sub)
	switch {
	case name == "count":
		return int64(strings.Count(s, sub))
	case name == "rfind":
		at = strings.LastIndex(s, sub)
	case name == "index" && at < 0:
		fail("ValueError", "substring not found")
	}
	if at < 0 {
		return int64(-1)
	}
	return int64(runeCount(s[:at]))
}
