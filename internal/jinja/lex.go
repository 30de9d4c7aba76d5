package jinja

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// token is a token of a template. Its kind is "data", "{{", "}}", "{%", "%}", "name",
// "string", "integer", "float", "eof", or the operator itself.
type token struct {
	kind  string
	text  string
	value Value // of a string or a number
	line  int
}

// lexer follows jinja2/lexer.py of Jinja 3.1.6, whose rules decide which white space around
// a tag is kept.
type lexer struct {
	src      string
	pos      int
	line     int
	tokens   []token
	newlined bool // the last match ended with a newline: a tag here begins a line
}

func lex(source string) []token {
	source = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(source)
	source = strings.TrimSuffix(source, "\n") // keep_trailing_newline is off
	l := &lexer{src: source, line: 1, newlined: true}
	for l.pos < len(l.src) {
		l.root()
	}
	l.add("eof", "", nil)
	return l.tokens
}

func (l *lexer) fail(format string, args ...any) {
	panic(&Error{Kind: "TemplateSyntaxError", Message: fmt.Sprintf(format, args...), Line: l.line})
}

func (l *lexer) unsupported(message string) {
	panic(&Error{Kind: "NotSupportedError", Message: message, Line: l.line})
}

func (l *lexer) add(kind, text string, value Value) {
	l.tokens = append(l.tokens, token{kind, text, value, l.line})
}

// skip advances by n bytes.
func (l *lexer) skip(n int) {
	s := l.src[l.pos : l.pos+n]
	l.line += strings.Count(s, "\n")
	l.pos += n
	if n > 0 {
		l.newlined = s[n-1] == '\n'
	}
}

func (l *lexer) rest() string { return l.src[l.pos:] }

// root reads the text up to the next tag, and the tag.
func (l *lexer) root() {
	s := l.rest()
	at := -1
	for i := 0; i+1 < len(s); i++ {
		if s[i] == '{' && (s[i+1] == '{' || s[i+1] == '%' || s[i+1] == '#') {
			at = i
			break
		}
	}
	if at < 0 {
		l.data(s)
		l.skip(len(s))
		return
	}
	tag := s[at : at+2]
	sign := byte(0)
	if at+2 < len(s) && (s[at+2] == '-' || s[at+2] == '+') {
		sign = s[at+2]
	}
	l.text(s[:at], tag, sign)
	if rawTag.MatchString(s[at:]) {
		l.unsupported("the tag 'raw' is not supported")
	}
	n := 2
	if sign != 0 {
		n = 3
	}
	switch tag {
	case "{#":
		l.skip(n)
		end := strings.Index(l.rest(), "#}")
		if end < 0 {
			l.fail("Missing end of comment tag")
		}
		// The sign, if any, is the character before #}.
		if end > 0 && (l.rest()[end-1] == '-' || l.rest()[end-1] == '+') {
			end--
		}
		l.skip(end)
		l.skip(tagEnd(l.rest(), "#}", true))
	case "{{":
		l.add("{{", "{{", nil)
		l.skip(n)
		l.inside("}}")
	default:
		l.add("{%", "{%", nil)
		l.skip(n)
		l.inside("%}")
	}
}

// text adds the template data before a tag, without the white space that the tag's sign or
// lstrip_blocks removes, and advances to the tag.
func (l *lexer) text(s, tag string, sign byte) {
	kept := s
	switch {
	case sign == '-':
		kept = strings.TrimRightFunc(s, isSpace)
	case sign != '+' && tag != "{{":
		if at := strings.LastIndexByte(s, '\n') + 1; (at > 0 || l.newlined) && at < len(s) && strings.TrimLeftFunc(s[at:], isSpace) == "" {
			kept = s[:at]
		}
	}
	l.data(kept)
	newlined := l.newlined
	l.skip(len(s))
	l.newlined = newlined
}

func (l *lexer) data(s string) {
	if s != "" {
		l.add("data", s, nil)
	}
}

// tagEnd returns the length of a tag's end at the start of s, including the white space that
// it removes, or 0. Blocks and comments remove one newline.
func tagEnd(s, end string, block bool) int {
	switch {
	case strings.HasPrefix(s, "-"+end):
		return len(s) - len(strings.TrimLeftFunc(s[3:], isSpace))
	case block && strings.HasPrefix(s, "+"+end):
		return 3
	case strings.HasPrefix(s, end):
		if block && strings.HasPrefix(s[2:], "\n") {
			return 3
		}
		return 2
	}
	return 0
}

var rawTag = regexp.MustCompile(`^\{%[-+]?\s*raw\s*-?%\}`)

// inside reads the tokens of a tag up to its end.
func (l *lexer) inside(end string) {
	var open []byte
	for {
		s := l.rest()
		if s == "" {
			return // the parser reports the end of the template
		}
		if len(open) == 0 {
			if n := tagEnd(s, end, end == "%}"); n > 0 {
				l.add(end, end, nil)
				l.skip(n)
				return
			}
		}
		c, size := utf8.DecodeRuneInString(s)
		switch {
		case isSpace(c):
			l.skip(size)
		case l.number(s):
		case isWord(c):
			n := strings.IndexFunc(s, func(c rune) bool { return !isWord(c) })
			if n < 0 {
				n = len(s)
			}
			if !isIdentifier(s[:n]) {
				l.fail("Invalid character in identifier")
			}
			l.add("name", s[:n], nil)
			l.skip(n)
		case c == '\'' || c == '"':
			l.str(s)
		default:
			op := operator(s)
			if op == "" {
				l.fail("unexpected char %s at %d", reprString(string(c)), runeCount(l.src[:l.pos]))
			}
			switch op {
			case "(", "[", "{":
				open = append(open, map[string]byte{"(": ')', "[": ']', "{": '}'}[op])
			case ")", "]", "}":
				if len(open) == 0 {
					l.fail("unexpected '%s'", op)
				}
				if want := open[len(open)-1]; want != op[0] {
					l.fail("unexpected '%s', expected '%c'", op, want)
				}
				open = open[:len(open)-1]
			}
			l.add(op, op, nil)
			l.skip(len(op))
		}
	}
}

func operator(s string) string {
	for _, op := range []string{"//", "**", "==", "!=", ">=", "<="} {
		if strings.HasPrefix(s, op) {
			return op
		}
	}
	if strings.IndexByte("+-/*%~[](){}><=.:|,;", s[0]) >= 0 {
		return s[:1]
	}
	return ""
}

var (
	// A number in Jinja; with a point or exponent it is a float, except after another point,
	// as in a.0.
	decimal  = regexp.MustCompile(`^[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?`)
	integer  = regexp.MustCompile(`^(0+|[1-9][0-9]*)`)
	otherInt = regexp.MustCompile(`^([0-9]+_[0-9]|0[xX][0-9a-fA-F]|0[oO][0-7]|0[bB][01])`)
)

// number reads an integer or a float, if s begins with one.
func (l *lexer) number(s string) bool {
	if s[0] < '0' || s[0] > '9' {
		return false
	}
	if otherInt.MatchString(s) {
		l.unsupported("a number with underscores, or in another base than ten, is not supported")
	}
	whole := integer.FindString(s)
	if text := decimal.FindString(s); strings.ContainsAny(text, ".eE") && (l.pos == 0 || l.src[l.pos-1] != '.') {
		v, err := strconv.ParseFloat(text, 64)
		if err != nil && !strings.Contains(err.Error(), "range") {
			l.fail("bad number %s", text)
		}
		l.add("float", text, v)
		l.skip(len(text))
		return true
	}
	v, err := strconv.ParseInt(whole, 10, 64)
	if err != nil {
		l.unsupported("the integer " + whole + " beyond 64 bits is not supported")
	}
	l.add("integer", whole, v)
	l.skip(len(whole))
	return true
}

// str reads a quoted string.
func (l *lexer) str(s string) {
	i := 1
	for ; i < len(s) && s[i] != s[0]; i++ {
		if s[i] == '\\' {
			i++
		}
	}
	if i >= len(s) {
		l.fail("unexpected char %s at %d", reprString(s[:1]), runeCount(l.src[:l.pos]))
	}
	l.add("string", s[:i+1], l.unescape(s[1:i]))
	l.skip(i + 1)
}

// unescape decodes the escapes of a Python string literal.
func (l *lexer) unescape(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	var b strings.Builder
	for s != "" {
		i := strings.IndexByte(s, '\\')
		if i < 0 || i+1 == len(s) {
			b.WriteString(s)
			break
		}
		b.WriteString(s[:i])
		c := s[i+1]
		s = s[i+2:]
		code := func(n int) {
			if len(s) < n {
				l.fail("truncated \\%c escape", c)
			}
			v, err := strconv.ParseUint(s[:n], 16, 32)
			if err != nil {
				l.fail("truncated \\%c escape", c)
			}
			if v > unicode.MaxRune || v >= 0xD800 && v < 0xE000 {
				l.fail("illegal Unicode character \\%c%s", c, s[:n])
			}
			b.WriteRune(rune(v))
			s = s[n:]
		}
		switch c {
		case '\n':
		case '\\', '\'', '"':
			b.WriteByte(c)
		case 'x':
			code(2)
		case 'u':
			code(4)
		case 'U':
			code(8)
		case 'N':
			l.unsupported("the escape \\N is not supported")
		case '0', '1', '2', '3', '4', '5', '6', '7':
			l.unsupported("an octal escape is not supported")
		default:
			if c >= 0x80 {
				l.unsupported("a backslash before a character that is not ASCII is not supported")
			}
			if i := strings.IndexByte("abfnrtv", c); i >= 0 {
				b.WriteByte("\a\b\f\n\r\t\v"[i])
			} else {
				b.WriteByte('\\')
				b.WriteByte(c)
			}
		}
	}
	return b.String()
}

// isWord is the class [\w] of Python's regular expressions, for names.
func isWord(c rune) bool {
	return c == '_' || unicode.IsLetter(c) || unicode.IsNumber(c) || c > 127 && unicode.In(c, unicode.Mn, unicode.Mc, unicode.Pc)
}

func isIdentifier(s string) bool {
	for i, c := range s {
		if i == 0 && !(c == '_' || unicode.IsLetter(c) || unicode.Is(unicode.Nl, c)) {
			return false
		}
		if unicode.Is(unicode.No, c) {
			return false
		}
	}
	return s != ""
}

// isSpace is Python's str.isspace.
func isSpace(c rune) bool { return unicode.IsSpace(c) || c >= 0x1c && c <= 0x1f }

func runeCount(s string) int { return utf8.RuneCountInString(s) }

// runeLen is the length in bytes of the first character of s.
func runeLen(s string) int {
	_, n := utf8.DecodeRuneInString(s)
	return n
}
