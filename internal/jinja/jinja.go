// Package jinja renders the chat templates of checkpoints as transformers does: Jinja 3.1 in
// its immutable sandbox, with trim_blocks, lstrip_blocks, the loopcontrols extension, the
// generation tag, and no automatic escaping. Values behave and print as Python's do.
//
// Templates come with models from anywhere, so they are untrusted code. They can read no
// files (include, import, from and extends are refused at parsing), have no clock and no
// random numbers, and run under [Limits] on steps, memory and depth. Rendering is
// deterministic.
//
// Features of Jinja and Python that chat templates do not use are refused by name
// (NotSupportedError), never approximated: template inheritance, HTML escaping (except of
// text added to the result of the filter safe), recursive loops, the tags print and raw, %
// and format of strings, padding of strings, **kwargs, ranges of str.find and the like,
// numbers other than decimal, comparison of lists, and filters such as batch, escape,
// groupby, max, round and sum. Integers have 64 bits: overflow is an error.
package jinja

import (
	"fmt"
	"runtime"
	"strings"
)

// Limits bound what one rendering may use. A zero field means its default.
type Limits struct {
	Steps int // expressions evaluated, items visited, and 64-byte blocks of text processed; default 4,000,000
	Bytes int // bytes of all strings and lists created, including the output; default 64 MiB
	Depth int // nested calls and nested values; default 200
}

const (
	maxSource   = 1 << 20 // bytes of a template
	maxNesting  = 200     // nested brackets and blocks
	maxChain    = 1000    // consecutive operators
	maxRange    = 100_000 // items of a range: MAX_RANGE of jinja2/sandbox.py
	defaultStep = 4_000_000
	defaultByte = 64 << 20
	defaultDeep = 200
)

// Error is an error of a template, in its source or during rendering.
type Error struct {
	// Python's name of the exception: TemplateSyntaxError, UndefinedError, TypeError,
	// TemplateError (raise_exception) ... or LimitError, NotSupportedError, InternalError.
	Kind    string
	Message string
	Line    int // line of the template, from 1; 0 if unknown
}

// Error gives the line, the kind and the message; for an exception that the template raised
// itself, only the line and the message.
func (e *Error) Error() string {
	s := e.Message
	if e.Kind != "TemplateError" {
		s = e.Kind + ": " + s
	}
	if e.Line > 0 {
		s = fmt.Sprintf("line %d: %s", e.Line, s)
	}
	return s
}

// Template is a parsed template. It can be rendered any number of times, by several
// goroutines at once.
type Template struct{ body []stmt }

// Parse parses a template. The error is an *[Error].
func Parse(source string) (t *Template, err error) {
	defer catch(&err, nil)
	if len(source) > maxSource {
		return nil, &Error{Kind: "TemplateSyntaxError", Message: fmt.Sprintf("template of %d bytes, wanted at most %d", len(source), maxSource)}
	}
	p := &parser{tokens: lex(source)}
	return &Template{body: p.template()}, nil
}

// Render renders the template with the variables vars, whose values are Values or what
// [FromGo] accepts. The error is an *[Error].
func (t *Template) Render(vars map[string]any, limits Limits) (text string, err error) {
	r := &run{steps: or(limits.Steps, defaultStep), bytes: or(limits.Bytes, defaultByte), maxDepth: or(limits.Depth, defaultDeep)}
	defer catch(&err, r)
	global := &scope{vars: map[string]Value{
		"range":           &builtin{"range", callRange},
		"dict":            &builtin{"dict", callDict},
		"namespace":       &builtin{"namespace", callNamespace},
		"raise_exception": &builtin{"raise_exception", callRaise},
	}}
	for name, v := range vars {
		value, err := FromGo(v)
		if err != nil {
			return "", &Error{Kind: "TypeError", Message: fmt.Sprintf("variable %s: %v", name, err)}
		}
		global.vars[name] = value
	}
	var out strings.Builder
	r.out = &out
	r.block(t.body, &scope{vars: map[string]Value{}, parent: global})
	return out.String(), nil
}

func or(n, def int) int {
	if n > 0 {
		return n
	}
	return def
}

// catch turns the engine's panics, including runtime panics, into errors.
func catch(err *error, r *run) {
	switch e := recover().(type) {
	case nil:
	case *Error:
		if e.Line == 0 && r != nil {
			e.Line = r.line
		}
		*err = e
	case runtime.Error:
		*err = &Error{Kind: "InternalError", Message: e.Error()}
	default:
		panic(e)
	}
}

// run is the state of one rendering: its remaining limits, its position and its output.
type run struct {
	steps, bytes    int
	depth, maxDepth int
	line            int
	out             *strings.Builder
}

// fail stops the rendering.
func fail(kind, format string, args ...any) {
	panic(&Error{Kind: kind, Message: fmt.Sprintf(format, args...)})
}

func typeError(format string, args ...any) { fail("TypeError", format, args...) }

// unsupported refuses a feature of Jinja or Python that this package lacks.
func unsupported(format string, args ...any) { fail("NotSupportedError", format, args...) }

// step counts n units of work.
func (r *run) step(n int) {
	if r.steps -= n; r.steps < 0 {
		fail("LimitError", "the template runs too long")
	}
}

// text counts the bytes of a new string, and returns it.
func (r *run) text(s string) string {
	r.room(len(s))
	return s
}

// room counts n bytes that are about to be allocated.
func (r *run) room(n int) {
	if n < 0 || n > r.bytes {
		fail("LimitError", "the template makes too much text")
	}
	r.bytes -= n
	r.step(n / 64)
}

// list counts the bytes of a new list, and returns it.
func (r *run) list(items []Value) *List {
	r.room(16 * len(items))
	return &List{Items: items}
}

func (r *run) tuple(items ...Value) *List {
	l := r.list(items)
	l.Tuple = true
	return l
}

// deeper enters a call or a nested value; the caller leaves it with r.depth--.
func (r *run) deeper() {
	if r.depth++; r.depth > r.maxDepth {
		fail("RecursionError", "calls or values more than %d deep", r.maxDepth)
	}
}

// write adds text to the output.
func (r *run) write(s string) {
	r.room(len(s))
	r.out.WriteString(s)
}

// capture runs f and returns its output as a string.
func (r *run) capture(f func()) string {
	var b strings.Builder
	outer := r.out
	r.out = &b
	f()
	r.out = outer
	return b.String()
}
