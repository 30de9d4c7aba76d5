//go:build unix

package jinja

import (
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"
)

// processorTime is that of this process so far, which other work on the machine leaves as it is.
func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestLimits holds hostile templates: each must end soon, with the error named.
func TestLimits(t *testing.T) {
	deep := func(open, end string, n int) string { return strings.Repeat(open, n) + "1" + strings.Repeat(end, n) }
	for _, c := range []struct{ name, src, kind, message string }{
		{"range", "{{ range(10**9) | list }}", "OverflowError", "Range too big"},
		{"repeat", "{{ 'x' * 10**9 }}", "LimitError", "too much text"},
		{"repeat of repeat", "{{ ('x' * 10**6) * 10**12 }}", "LimitError", "too much text"},
		{"list repeat", "{{ [0] * 10**9 }}", "LimitError", "too much text"},
		{"doubling", "{% set ns = namespace(x='x') %}{% for i in range(99999) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}", "LimitError", "too much text"},
		{"doubling in a loop", "{% set ns = namespace(x='x') %}{% for i in range(99999) %}{% set ns.x = ns.x + ns.x %}{% endfor %}", "LimitError", "too much text"},
		{"doubling lists", "{% set ns = namespace(x=[1]) %}{% for i in range(99999) %}{% set ns.x = ns.x + ns.x %}{% endfor %}", "LimitError", "too much text"},
		{"replace", "{{ ('a' * 10**6) | replace('a', 'b' * 10**6) }}", "LimitError", "too much text"},
		{"join", "{{ range(10**5) | join('x' * 10**5) }}", "LimitError", "too much text"},
		{"center", "{{ 'a'.center(10**12) }}", "NotSupportedError", "the method str.center"},
		{"indent", "{{ ('a\n' * 10**5) | indent(10**5) }}", "LimitError", "too much text"},
		{"format", "{{ '%0999999999d' % 1 }}", "NotSupportedError", "the operator %"},
		{"json indent", "{{ [1] | tojson(indent=10**10) }}", "LimitError", "too much text"},
		{"output", "{% for i in range(10**5) %}{% for j in range(10**5) %}0123456789abcdef{% endfor %}{% endfor %}", "LimitError", ""},
		{"nested loops", "{% for i in range(10**5) %}{% for j in range(10**5) %}{% endfor %}{% endfor %}", "LimitError", "too long"},
		{"search in lists", "{% set l = range(10**5) | list %}{% for i in range(10**5) %}{% if -1 in l %}{% endif %}{% endfor %}", "LimitError", "too long"},
		{"search in text", "{% set s = 'x' * 10**7 %}{% for i in range(10**5) %}{% if 'y' in s %}{% endif %}{% endfor %}", "LimitError", "too long"},
		{"comparing text", "{% set s = 'x' * 10**7 %}{% set t = 'x' * 10**7 %}{% for i in range(10**5) %}{% if s == t %}{% endif %}{% endfor %}", "LimitError", "too long"},
		{"methods", "{% set s = 'x' * 10**7 %}{% for i in range(10**5) %}{{ s.count('y') }}{{ s.find('y') }}{% endfor %}", "LimitError", "too long"},
		{"recursion", "{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}", "RecursionError", "deep"},
		{"mutual recursion", "{% macro f(x) %}{{ g(x) }}{% endmacro %}{% macro g(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}", "RecursionError", "deep"},
		{"caller recursion", "{% macro f() %}{% if caller %}{% call f() %}{% endcall %}{% endif %}{% endmacro %}{% call f() %}{% endcall %}", "RecursionError", "deep"},
		{"recursive loop", "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}", "NotSupportedError", "a recursive loop"},
		{"cyclic value", "{% set ns = namespace() %}{% set ns.me = ns %}{{ ns }}", "RecursionError", "deep"},
		{"nested value", "{% set ns = namespace(x=[]) %}{% for i in range(5000) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x }}", "RecursionError", "deep"},
		{"nested value in JSON", "{% set ns = namespace(x=[]) %}{% for i in range(5000) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x | tojson }}", "RecursionError", "deep"},
		{"nested values compared", "{% set ns = namespace(x=[], y=[]) %}{% for i in range(5000) %}{% set ns.x = [ns.x] %}{% set ns.y = [ns.y] %}{% endfor %}{{ ns.x == ns.y }}", "RecursionError", "deep"},
		{"nested tuples as keys", "{% set ns = namespace(x=()) %}{% for i in range(9000) %}{% set ns.x = (ns.x,) %}{% endfor %}{{ {ns.x: 1} | length }}", "NotSupportedError", "as a key"},
		{"long tuples as keys", "{{ {(0,) * 10**6: 1} | length }}", "NotSupportedError", "as a key"},
		{"map of filters", "{% set ns = namespace(x=range(9)) %}{% for i in range(10**4) %}{% set ns.x = ns.x | map('string') %}{% endfor %}{{ ns.x | list }}", "RecursionError", "deep"},
		{"parentheses", "{{ " + deep("(", ")", 100_000) + " }}", "TemplateSyntaxError", "nested"},
		{"brackets", "{{ " + deep("[", "]", 100_000) + " }}", "TemplateSyntaxError", "nested"},
		{"not", "{{ " + deep("not ", "", 100_000) + " }}", "TemplateSyntaxError", "nested"},
		{"minus", "{{ " + deep("-", "", 100_000) + " }}", "TemplateSyntaxError", "nested"},
		{"plus", "{{ " + deep("1 + ", "", 100_000) + " }}", "TemplateSyntaxError", "in a row"},
		{"conditions", "{{ " + deep("1 if 1 else ", "", 50_000) + " }}", "TemplateSyntaxError", "nested"},
		{"filters", "{{ 1" + strings.Repeat("|trim", 100_000) + " }}", "TemplateSyntaxError", "in a row"},
		{"attributes", "{{ x" + strings.Repeat(".x", 100_000) + " }}", "TemplateSyntaxError", "in a row"},
		{"ifs", strings.Repeat("{% if 1 %}", 50_000), "TemplateSyntaxError", "nested"},
		{"source", strings.Repeat(" ", 2<<20), "TemplateSyntaxError", "bytes"},
		{"include", "{% include '/etc/passwd' %}", "TemplateSyntaxError", "refused"},
		{"import", "{% import 'x' as y %}", "TemplateSyntaxError", "refused"},
		{"from", "{% from 'x' import y %}", "TemplateSyntaxError", "refused"},
		{"extends", "{% extends 'x' %}", "TemplateSyntaxError", "refused"},
		{"block", "{% block x %}{% endblock %}", "NotSupportedError", "block"},
		{"overflow", "{{ 9223372036854775807 + 1 }}", "NotSupportedError", "64 bits"},
		{"power", "{{ 3 ** 1000000 }}", "NotSupportedError", "64 bits"},
		{"integer", "{{ 99999999999999999999 }}", "NotSupportedError", "64 bits"},
		{"unsafe", "{{ ''.__class__() }}", "SecurityError", "unsafe"},
		{"no escaping", "{{ '<' | e }}", "TemplateRuntimeError", "No filter named 'e' found."},
	} {
		start := processorTime(t)
		_, err := render(c.src, nil)
		var e *Error
		if !errors.As(err, &e) || e.Kind != c.kind || !strings.Contains(e.Message, c.message) {
			t.Errorf("%s: error %v, wanted %s: ... %s", c.name, err, c.kind, c.message)
		}
		if d := processorTime(t) - start; d > 5*time.Second {
			t.Errorf("%s: took %v of the processor", c.name, d)
		} else if d > 500*time.Millisecond {
			t.Logf("%s: took %v of the processor", c.name, d)
		}
	}
}

// TestUse holds what a long but honest chat needs.
func TestUse(t *testing.T) {
	var messages []any
	for range 1000 {
		messages = append(messages, NewDict("role", "user", "content", strings.Repeat("some words ", 100)))
	}
	vars := map[string]any{"messages": messages}
	src := "{% for m in messages %}{% if m['role'] == 'user' %}{{ '<u>' + m['content'] | trim + '</u>\n' }}{% endif %}{% endfor %}"
	text, err := render(src, vars)
	if want := 1000 * (1099 + 8); err != nil || len(text) != want {
		t.Errorf("got %d bytes, error %v, wanted %d", len(text), err, want)
	}
}

func TestErrors(t *testing.T) {
	for _, c := range []struct{ src, want string }{
		{"a\n{{ raise_exception('No system role') }}", "line 2: No system role"},
		{"a\n\n{{ x.y }}", "line 3: UndefinedError: 'x' is undefined"},
		{"{% if true %}\n{{ 1 + 'a' }}{% endif %}", "line 2: TypeError: unsupported operand type(s) for +: 'int' and 'str'"},
		{"{{ a b }}", "line 1: TemplateSyntaxError: expected token 'end of print statement', got 'b'"},
	} {
		if _, err := render(c.src, nil); err == nil || err.Error() != c.want {
			t.Errorf("%q: error %v, wanted %s", c.src, err, c.want)
		}
	}
	if _, err := render("", map[string]any{"x": make(chan int)}); err == nil || !strings.Contains(err.Error(), "variable x: a chan int, wanted") {
		t.Errorf("a channel as a variable: error %v", err)
	}
}

func FuzzRender(f *testing.F) {
	v, vars := readVectors(f, "testdata/vectors.json")
	for _, c := range v.Vectors {
		f.Add(c.Src)
	}
	f.Fuzz(func(t *testing.T, src string) {
		tpl, err := Parse(src)
		if err != nil {
			return
		}
		// A panic of this package's own making is an InternalError: it must not happen.
		limits := Limits{Steps: 20_000, Bytes: 1 << 20}
		text, err := tpl.Render(vars, limits)
		var e *Error
		if errors.As(err, &e) && e.Kind == "InternalError" {
			t.Fatalf("%q: %v", src, err)
		}
		if again, _ := tpl.Render(vars, limits); again != text {
			t.Errorf("%q: %q, then %q", src, text, again)
		}
		if len(text) > limits.Bytes {
			t.Errorf("%q: %d bytes", src, len(text))
		}
	})
}
