package jinja

// stmt is a node that writes or assigns.
type stmt interface {
	exec(r *run, s *scope) jump
}

// jump is how a body ended.
type jump int

const (
	onward jump = iota
	brk
	cont
)

type (
	dataStmt   struct{ text string }
	outputStmt struct {
		line int
		of   expr
	}
	arm struct {
		line int
		test expr
		body []stmt
	}
	ifStmt struct {
		arms   []arm
		orElse []stmt
	}
	forStmt struct {
		line         int
		target, iter expr
		test         expr
		body, orElse []stmt
	}
	setStmt struct {
		line          int
		target, value expr
	}
	setBlockStmt struct {
		line   int
		target expr
		body   []stmt
	}
	macroStmt struct {
		line int
		def  *macroDef
	}
	callStmt struct {
		line int
		def  *macroDef
		call *callExpr
	}
	generationStmt struct{ body []stmt }
	filterStmt     struct {
		line   int
		filter *filterExpr
		body   []stmt
	}
	withStmt struct {
		targets, values []expr
		body            []stmt
	}
	jumpStmt struct{ brk bool }
)

// block runs statements in s.
func (r *run) block(body []stmt, s *scope) jump {
	for _, st := range body {
		r.step(1)
		if j := st.exec(r, s); j != onward {
			return j
		}
	}
	return onward
}

func (st *dataStmt) exec(r *run, _ *scope) jump {
	r.write(st.text)
	return onward
}

func (st *outputStmt) exec(r *run, s *scope) jump {
	r.line = st.line
	r.write(r.str(r.eval(st.of, s)))
	return onward
}

func (st *ifStmt) exec(r *run, s *scope) jump {
	for _, a := range st.arms {
		r.line = a.line
		if truth(r.eval(a.test, s)) {
			return r.block(a.body, s)
		}
	}
	return r.block(st.orElse, s)
}

func (st *setStmt) exec(r *run, s *scope) jump {
	r.line = st.line
	checkNamespaces(st.target, s)
	r.assign(st.target, r.eval(st.value, s), s)
	return onward
}

func (st *setBlockStmt) exec(r *run, s *scope) jump {
	inner := s.inner()
	var j jump
	text := r.capture(func() { j = r.block(st.body, inner) })
	if j != onward {
		return j
	}
	r.line = st.line
	checkNamespaces(st.target, s)
	r.assign(st.target, text, s)
	return onward
}

func (st *macroStmt) exec(r *run, s *scope) jump {
	r.room(64)
	s.vars[st.def.name] = &macro{st.def, s}
	return onward
}

func (st *callStmt) exec(r *run, s *scope) jump {
	caller := &macro{st.def, s}
	fn := r.eval(st.call.fn, s)
	a := r.args(&st.call.args, s)
	a.names = append(a.names, "caller")
	a.named = append(a.named, caller)
	r.line = st.line
	r.write(r.str(r.call(fn, a)))
	return onward
}

func (st *generationStmt) exec(r *run, s *scope) jump {
	r.block(st.body, s.inner())
	return onward
}

func (st *filterStmt) exec(r *run, s *scope) jump {
	inner := s.inner()
	var j jump
	text := r.capture(func() { j = r.block(st.body, inner) })
	if j == onward {
		v := st.filter.applyTo(r, inner, text)
		switch v.(type) {
		case string, markup:
		default: // Jinja joins it unchanged
			typeError("sequence item 0: expected str instance, %s found", typeName(v))
		}
		r.write(r.str(v))
	}
	return j
}

func (st *withStmt) exec(r *run, s *scope) jump {
	inner := s.inner()
	for i, t := range st.targets {
		r.assign(t, r.eval(st.values[i], s), inner)
	}
	return r.block(st.body, inner)
}

func (st *jumpStmt) exec(*run, *scope) jump {
	if st.brk {
		return brk
	}
	return cont
}

// assign assigns v to a target in s.
func (r *run) assign(target expr, v Value, s *scope) {
	switch t := target.(type) {
	case *nameExpr:
		r.room(32)
		s.vars[t.name] = v
	case *attrTarget:
		ns, _ := s.lookup(t.name)
		if len(t.attr) > 0 && t.attr[0] == '_' {
			fail("SecurityError", "Chat templates cannot store underscore-prefixed attributes on a namespace, but got %s. Please rename the attribute.", reprString(t.attr))
		}
		r.put(ns.(*namespace).attrs, t.attr, v)
	case *listExpr:
		items := r.unpack(v, len(t.items))
		for i, item := range t.items {
			r.assign(item, items[i], s)
		}
	}
}

func (r *run) unpack(v Value, n int) []Value {
	if _, ok := v.(*undefined); !ok {
		if _, sized := length(v); !sized {
			if _, gen := v.(*generator); !gen {
				typeError("cannot unpack non-iterable %s object", typeName(v))
			}
		}
	}
	var items []Value
	for next := r.iterate(v); ; {
		item, ok := next()
		if !ok {
			break
		}
		if len(items) == n {
			fail("ValueError", "too many values to unpack (expected %d)", n)
		}
		items = append(items, item)
	}
	if len(items) < n {
		fail("ValueError", "not enough values to unpack (expected %d, got %d)", n, len(items))
	}
	return items
}

// checkNamespaces refuses ns.attr as a target if ns is not a namespace.
func checkNamespaces(target expr, s *scope) {
	switch t := target.(type) {
	case *attrTarget:
		v, _ := s.lookup(t.name)
		if _, ok := v.(*namespace); !ok {
			fail("TemplateRuntimeError", "cannot assign attribute on non-namespace object")
		}
	case *listExpr:
		for _, item := range t.items {
			checkNamespaces(item, s)
		}
	}
}

// loop is the variable loop inside a for: LoopContext of jinja2/runtime.py.
type loop struct {
	r         *run
	next      func() (Value, bool)
	iterable  Value
	size      int // -1 until computed
	index0    int
	ahead     []Value // items read ahead, for last, nextitem and length
	done      bool    // no item follows those in ahead
	item, old Value
}

// peek returns the next item without advancing.
func (l *loop) peek() (Value, bool) {
	if len(l.ahead) == 0 && !l.done {
		v, ok := l.next()
		if !ok {
			l.done = true
			return nil, false
		}
		l.ahead = append(l.ahead, v)
	}
	if len(l.ahead) == 0 {
		return nil, false
	}
	return l.ahead[0], true
}

func (l *loop) advance() bool {
	v, ok := l.peek()
	if !ok {
		return false
	}
	l.ahead = l.ahead[1:]
	l.index0++
	l.old, l.item = l.item, v
	return true
}

func (l *loop) length() int {
	if l.size >= 0 {
		return l.size
	}
	if n, ok := length(l.iterable); ok {
		l.size = n
		return n
	}
	for !l.done {
		v, ok := l.next()
		if !ok {
			l.done = true
			break
		}
		l.r.room(16)
		l.ahead = append(l.ahead, v)
	}
	l.size = l.index0 + 1 + len(l.ahead)
	return l.size
}

func (l *loop) attr(name string) (Value, bool) {
	switch name {
	case "index":
		return int64(l.index0 + 1), true
	case "index0":
		return int64(l.index0), true
	case "revindex":
		return int64(l.length() - l.index0), true
	case "revindex0":
		return int64(l.length() - l.index0 - 1), true
	case "first":
		return l.index0 == 0, true
	case "last":
		_, more := l.peek()
		return !more, true
	case "length":
		return int64(l.length()), true
	case "depth", "depth0", "cycle", "changed":
		unsupported("loop.%s is not supported", name)
	case "previtem":
		if l.index0 == 0 {
			return &undefined{"UndefinedError", "there is no previous item"}, true
		}
		return l.old, true
	case "nextitem":
		if v, ok := l.peek(); ok {
			return v, true
		}
		return &undefined{"UndefinedError", "there is no next item"}, true
	}
	return nil, false
}

func (st *forStmt) exec(r *run, s *scope) jump {
	r.line = st.line
	v := r.eval(st.iter, s)
	l := &loop{r: r, iterable: v, size: -1, index0: -1, next: r.iterate(v)}
	if st.test != nil {
		l.iterable = nil // the length counts only items that pass the filter
		all := l.next
		l.next = func() (Value, bool) {
			for {
				item, ok := all()
				if !ok {
					return nil, false
				}
				inner := s.inner()
				r.assign(st.target, item, inner)
				if truth(r.eval(st.test, inner)) {
					return item, true
				}
			}
		}
	}
	ran := false // completed; iterations left by break or continue do not count, as in Jinja
	for l.advance() {
		r.step(1)
		inner := s.inner()
		inner.vars["loop"] = l
		r.assign(st.target, l.item, inner)
		j := r.block(st.body, inner)
		if j == brk {
			break
		}
		ran = ran || j == onward
	}
	if !ran {
		r.block(st.orElse, s.inner())
	}
	return onward
}
