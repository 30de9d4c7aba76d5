package jinja

import "strings"

// expr is a node that yields a value.
type expr interface {
	eval(r *run, s *scope) Value
}

type (
	constExpr struct{ value Value }
	nameExpr  struct{ name string }
	listExpr  struct {
		items []expr
		tuple bool
	}
	dictExpr struct{ keys, values []expr }
	condExpr struct{ then, test, orElse expr }
	boolExpr struct {
		left, right expr
		or          bool
	}
	notExpr     struct{ of expr }
	compareExpr struct {
		first expr
		ops   []string
		rest  []expr
	}
	binaryExpr struct {
		op          string
		left, right expr
	}
	concatExpr struct{ items []expr }
	unaryExpr  struct {
		op string
		of expr
	}
	attrExpr struct {
		line int
		of   expr
		name string
	}
	itemExpr struct {
		line int
		of   expr
		arg  expr
	}
	sliceExpr struct{ start, stop, step expr }
	callExpr  struct {
		line int
		fn   expr
		args callArgs
	}
	filterExpr struct {
		line int
		base expr // nil in a filter block, whose input is the block's text
		name string
		args callArgs
	}
	testExpr struct {
		line int
		base expr
		name string
		args callArgs
	}
	// attrTarget is ns.attr as the target of a set.
	attrTarget struct{ name, attr string }
)

// callArgs are the unevaluated arguments of a call.
type callArgs struct {
	pos   []expr
	names []string
	named []expr
	more  expr // after a *, or nil
}

// scope holds the names of one body; other names are looked up in its parent.
type scope struct {
	vars   map[string]Value
	parent *scope
}

func (s *scope) inner() *scope { return &scope{vars: map[string]Value{}, parent: s} }

func (s *scope) lookup(name string) (Value, bool) {
	for ; s != nil; s = s.parent {
		if v, ok := s.vars[name]; ok {
			return v, true
		}
	}
	return nil, false
}

func undefinedName(name string) *undefined {
	return &undefined{"UndefinedError", reprString(name) + " is undefined"}
}

// eval evaluates e and counts a step.
func (r *run) eval(e expr, s *scope) Value {
	r.step(1)
	return e.eval(r, s)
}

func (e *constExpr) eval(*run, *scope) Value { return e.value }

func (e *nameExpr) eval(_ *run, s *scope) Value {
	if v, ok := s.lookup(e.name); ok {
		return v
	}
	return undefinedName(e.name)
}

func (e *attrTarget) eval(r *run, s *scope) Value { panic("jinja: a target is not a value") }

func (e *listExpr) eval(r *run, s *scope) Value {
	items := make([]Value, len(e.items))
	for i, item := range e.items {
		items[i] = r.eval(item, s)
	}
	l := r.list(items)
	l.Tuple = e.tuple
	return l
}

func (e *dictExpr) eval(r *run, s *scope) Value {
	d := r.newDict()
	for i := range e.keys {
		k := r.eval(e.keys[i], s)
		r.put(d, k, r.eval(e.values[i], s))
	}
	return d
}

func (e *condExpr) eval(r *run, s *scope) Value {
	switch {
	case truth(r.eval(e.test, s)):
		return r.eval(e.then, s)
	case e.orElse != nil:
		return r.eval(e.orElse, s)
	}
	return &undefined{"UndefinedError", "the inline if-expression evaluated to false and no else section was defined."}
}

func (e *boolExpr) eval(r *run, s *scope) Value {
	left := r.eval(e.left, s)
	if truth(left) == e.or {
		return left
	}
	return r.eval(e.right, s)
}

func (e *notExpr) eval(r *run, s *scope) Value { return !truth(r.eval(e.of, s)) }

func (e *compareExpr) eval(r *run, s *scope) Value {
	left := r.eval(e.first, s)
	for i, op := range e.ops {
		right := r.eval(e.rest[i], s)
		if !r.compare(op, left, right) {
			return false
		}
		left = right
	}
	return true
}

func (e *binaryExpr) eval(r *run, s *scope) Value {
	left := r.eval(e.left, s)
	return r.arith(e.op, left, r.eval(e.right, s))
}

func (e *concatExpr) eval(r *run, s *scope) Value {
	items := make([]Value, len(e.items))
	for i, item := range e.items {
		items[i] = r.eval(item, s)
	}
	var b strings.Builder
	for _, v := range items {
		b.WriteString(r.text(r.str(v)))
	}
	return b.String()
}

func (e *unaryExpr) eval(r *run, s *scope) Value {
	switch v := r.eval(e.of, s).(type) {
	case *undefined:
		v.fail()
	case bool:
		return r.arith(e.op, int64(0), v)
	case int64:
		return r.arith(e.op, int64(0), v)
	case float64:
		if e.op == "-" {
			return -v
		}
		return v
	default:
		typeError("bad operand type for unary %s: '%s'", e.op, typeName(v))
	}
	return nil
}

func (e *attrExpr) eval(r *run, s *scope) Value {
	of := r.eval(e.of, s)
	r.line = e.line
	return r.attr(of, e.name)
}

func (e *itemExpr) eval(r *run, s *scope) Value {
	of := r.eval(e.of, s)
	if sl, ok := e.arg.(*sliceExpr); ok {
		bound := func(e expr) Value {
			if e == nil {
				return nil
			}
			return r.eval(e, s)
		}
		start, stop, step := bound(sl.start), bound(sl.stop), bound(sl.step)
		r.line = e.line
		return r.slice(of, start, stop, step)
	}
	arg := r.eval(e.arg, s)
	r.line = e.line
	return r.item(of, arg)
}

func (e *sliceExpr) eval(*run, *scope) Value {
	unsupported("a slice among several subscripts is not supported")
	return nil
}

func (e *callExpr) eval(r *run, s *scope) Value {
	fn := r.eval(e.fn, s)
	a := r.args(&e.args, s)
	r.line = e.line
	return r.call(fn, a)
}

func (e *filterExpr) eval(r *run, s *scope) Value { return e.apply(r, s, r.eval(e.base, s)) }

// applyTo applies a chain of filters, the innermost of which has no base, to text.
func (e *filterExpr) applyTo(r *run, s *scope, text string) Value {
	if inner, ok := e.base.(*filterExpr); ok {
		return e.apply(r, s, inner.applyTo(r, s, text))
	}
	return e.apply(r, s, text)
}

func (e *filterExpr) apply(r *run, s *scope, v Value) Value {
	a := r.args(&e.args, s)
	r.line = e.line
	fn := filterFunc(e.name)
	if fn == nil {
		fail("TemplateRuntimeError", "No filter named %s found.", reprString(e.name))
	}
	return fn(r, v, a)
}

func (e *testExpr) eval(r *run, s *scope) Value {
	v := r.eval(e.base, s)
	a := r.args(&e.args, s)
	r.line = e.line
	return r.test(e.name, v, a)
}

func (r *run) test(name string, v Value, a *args) bool {
	fn := testFunc(name)
	if fn == nil {
		fail("TemplateRuntimeError", "No test named %s found.", reprString(name))
	}
	return fn(r, v, a)
}

func (u *undefined) fail() { fail(u.kind, "%s", u.message) }
