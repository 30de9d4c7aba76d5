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

// strMethod returns the method of that name, nil if there is none here.
func strMethod(name string) method {
	if f := caseMethod(name); f != nil {
		return func(r *run, s string, a *args) Value {
			a.bind(name, 0)
			return r.text(f(s))
		}
	}
	if f := classMethod(name); f != nil {
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
	case "split", "rsplit":
		return func(r *run, s string, a *args) Value {
			p := a.bind(name, 0, "sep", "maxsplit")
			return r.split(s, orElse(p[0], nil), intArg(name, orElse(p[1], int64(-1))), name == "rsplit")
		}
	case "splitlines":
		return func(r *run, s string, a *args) Value {
			p := a.bind(name, 0, "keepends")
			return r.strings(splitLines(s, truth(orElse(p[0], false))))
		}
	case "startswith", "endswith":
		return func(r *run, s string, a *args) Value { return affix(r, s, a, name) }
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
	case "find", "rfind", "index", "rindex", "count":
		return func(r *run, s string, a *args) Value { return find(r, s, a, name) }
	case "join":
		return func(r *run, s string, a *args) Value {
			items := r.collect(a.bind(name, 1, "iterable")[0])
			var b strings.Builder
			for i, item := range items {
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
	case "format":
		return func(r *run, s string, a *args) Value { return r.format(s, a) }
	case "partition", "rpartition":
		return func(r *run, s string, a *args) Value {
			sep := strArg(name, a.bind(name, 1, "sep")[0])
			at := strings.Index(s, sep)
			if name == "rpartition" {
				at = strings.LastIndex(s, sep)
			}
			switch {
			case sep == "":
				fail("ValueError", "empty separator")
			case at < 0 && name == "partition":
				return r.tuple(s, "", "")
			case at < 0:
				return r.tuple("", "", s)
			}
			return r.tuple(s[:at], sep, s[at+len(sep):])
		}
	case "zfill", "ljust", "rjust", "center":
		return func(r *run, s string, a *args) Value { return pad(r, s, a, name) }
	case "casefold", "encode", "expandtabs", "format_map", "isidentifier", "isprintable", "isascii", "maketrans", "translate":
		return func(*run, string, *args) Value {
			unsupported("the method str.%s is not supported", name)
			return nil
		}
	}
	return nil
}

func caseMethod(name string) func(string) string {
	switch name {
	case "upper":
		return upper
	case "lower":
		return lower
	case "capitalize":
		return capitalize
	case "title":
		return title
	case "swapcase":
		return func(s string) string {
			var b strings.Builder
			for _, c := range s {
				switch {
				case unicode.IsUpper(c):
					b.WriteString(lower(string(c)))
				case unicode.IsLower(c):
					b.WriteString(upper(string(c)))
				default:
					b.WriteRune(c)
				}
			}
			return b.String()
		}
	}
	return nil
}

func upper(s string) string { return cases.Upper(language.Und).String(s) }

func lower(s string) string { return cases.Lower(language.Und).String(s) }

// titled is the first character of s in title case, and the rest of s.
func titled(s string) (string, string) {
	c, n := utf8.DecodeRuneInString(s)
	if t := unicode.ToTitle(c); t != c || upper(s[:n]) == s[:n] {
		return string(t), s[n:]
	}
	u := upper(s[:n]) // one character that becomes several: ß
	m := runeLen(u)
	return u[:m] + lower(u[m:]), s[n:]
}

func capitalize(s string) string {
	if s == "" {
		return ""
	}
	first, rest := titled(s)
	return first + strings.TrimPrefix(lower("a"+rest), "a") // a sigma at the end is a final one
}

// title is Python's str.title: a word begins after anything that has no case.
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

// isCase is islower or isupper: some letter has a case, and none the other one.
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

func classMethod(name string) func(string) bool {
	all := func(is func(rune) bool) func(string) bool {
		return func(s string) bool {
			return s != "" && strings.IndexFunc(s, func(c rune) bool { return !is(c) }) < 0
		}
	}
	switch name {
	case "isspace":
		return all(isSpace)
	case "isalpha":
		return all(unicode.IsLetter)
	case "isdecimal":
		return all(unicode.IsDigit)
	case "isdigit":
		return all(func(c rune) bool {
			return unicode.IsDigit(c) || strings.ContainsRune("²³¹⁰⁴⁵⁶⁷⁸⁹₀₁₂₃₄₅₆₇₈₉", c)
		})
	case "isnumeric":
		return all(unicode.IsNumber)
	case "isalnum":
		return all(func(c rune) bool { return unicode.IsLetter(c) || unicode.IsNumber(c) })
	case "islower":
		return func(s string) bool { return isCase(s, true) }
	case "isupper":
		return func(s string) bool { return isCase(s, false) }
	case "istitle":
		return func(s string) bool { return isCase(upper(s), false) && title(s) == s }
	}
	return nil
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

func (r *run) split(s string, sep Value, n int, fromRight bool) Value {
	r.room(16 * (strings.Count(s, " ") + 1))
	if sep == nil {
		return r.strings(splitSpace(s, n, fromRight))
	}
	t := strArg("split", sep)
	if t == "" {
		fail("ValueError", "empty separator")
	}
	if n < 0 || !fromRight {
		if n >= 0 {
			n++
		}
		return r.strings(strings.SplitN(s, t, n))
	}
	var out []string
	for ; n > 0; n-- {
		at := strings.LastIndex(s, t)
		if at < 0 {
			break
		}
		out = append(out, s[at+len(t):])
		s = s[:at]
	}
	out = append(out, s)
	for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
		out[i], out[j] = out[j], out[i]
	}
	return r.strings(out)
}

// splitSpace splits at runs of white space, at most n times if n is not negative.
func splitSpace(s string, n int, fromRight bool) []string {
	if n < 0 {
		return strings.FieldsFunc(s, isSpace)
	}
	var out []string
	if fromRight {
		for s = strings.TrimRightFunc(s, isSpace); s != "" && n > 0; n-- {
			at := strings.LastIndexFunc(s, isSpace)
			if at < 0 {
				break
			}
			at += runeLen(s[at:])
			out = append([]string{s[at:]}, out...)
			s = strings.TrimRightFunc(s[:at], isSpace)
		}
		if s != "" {
			out = append([]string{s}, out...)
		}
		return out
	}
	for s = strings.TrimLeftFunc(s, isSpace); s != "" && n > 0; n-- {
		at := strings.IndexFunc(s, isSpace)
		if at < 0 {
			break
		}
		out = append(out, s[:at])
		s = strings.TrimLeftFunc(s[at:], isSpace)
	}
	if s != "" {
		out = append(out, s)
	}
	return out
}

// splitLines is Python's str.splitlines.
func splitLines(s string, keep bool) []string {
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
		if keep {
			out = append(out, s[:end])
		} else {
			out = append(out, s[:at])
		}
		s = s[end:]
	}
	return out
}

func affix(r *run, s string, a *args, name string) Value {
	p := a.bind(name, 1, "affix", "start", "end")
	if given(p[1]) || given(p[2]) {
		s = r.slice(s, orElse(p[1], nil), orElse(p[2], nil), nil).(string)
	}
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

func find(r *run, s string, a *args, name string) Value {
	p := a.bind(name, 1, "sub", "start", "end")
	sub := strArg(name, p[0])
	from := 0
	if given(p[1]) || given(p[2]) {
		n := runeCount(s)
		var to int
		from, to, _ = sliceBounds(n, orElse(p[1], nil), orElse(p[2], nil), nil)
		if start, _, _, _ := number(orElse(p[1], int64(0))); to < from || start > int64(n) {
			s, from = "", 0
			if sub == "" {
				sub = "\x00" // nothing is found beyond the end, not even nothing
			}
		} else {
			s = r.slice(s, int64(from), int64(to), nil).(string)
		}
	}
	at := -1
	switch name {
	case "count":
		return int64(strings.Count(s, sub))
	case "find", "index":
		at = strings.Index(s, sub)
	default:
		at = strings.LastIndex(s, sub)
	}
	if at < 0 {
		if strings.HasSuffix(name, "index") {
			fail("ValueError", "substring not found")
		}
		return int64(-1)
	}
	return int64(from + runeCount(s[:at]))
}

func pad(r *run, s string, a *args, name string) Value {
	p := a.bind(name, 1, "width", "fillchar")
	fill := strArg(name, orElse(p[1], " "))
	if name == "zfill" {
		fill = "0"
	}
	if runeCount(fill) != 1 {
		typeError("The fill character must be exactly one character long")
	}
	n := intArg(name, p[0]) - runeCount(s)
	if n <= 0 {
		return s
	}
	left := 0
	switch name {
	case "rjust", "zfill":
		left = n
	case "center":
		left = n/2 + n&(n+runeCount(s))&1
	}
	head, tail := r.repeat(fill, int64(left)).(string), r.repeat(fill, int64(n-left)).(string)
	if name == "zfill" && s != "" && (s[0] == '+' || s[0] == '-') {
		return r.text(s[:1] + head + s[1:])
	}
	return r.text(head + s + tail)
}
