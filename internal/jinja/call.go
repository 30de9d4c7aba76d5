package jinja

// args are the evaluated arguments of a call.
type args struct {
	pos   []Value
	names []string
	named []Value
}

func (r *run) args(written *callArgs, s *scope) *args {
	a := &args{names: written.names[:len(written.names):len(written.names)]}
	for _, e := range written.pos {
		a.pos = append(a.pos, r.eval(e, s))
	}
	for _, e := range written.named {
		a.named = append(a.named, r.eval(e, s))
	}
	if written.more != nil {
		a.pos = append(a.pos, r.collect(r.eval(written.more, s))...)
	}
	seen := map[string]bool{}
	for _, name := range a.names {
		if seen[name] {
			typeError("got multiple values for keyword argument '%s'", name)
		}
		seen[name] = true
	}
	return a
}

// take removes a named argument and returns it.
func (a *args) take(name string) (Value, bool) {
	for i, n := range a.names {
		if n == name {
			v := a.named[i]
			a.names = append(a.names[:i:i], a.names[i+1:]...)
			a.named = append(a.named[:i:i], a.named[i+1:]...)
			return v, true
		}
	}
	return nil, false
}

// missing is the value of an omitted argument.
type missing struct{}

// bind returns the arguments of fn in the order of its parameters, of which the first need
// are required.
func (a *args) bind(fn string, need int, params ...string) []Value {
	if len(a.pos) > len(params) {
		typeError("%s() takes %d positional arguments but %d were given", fn, len(params), len(a.pos))
	}
	out := make([]Value, len(params))
	for i := range out {
		out[i] = missing{}
	}
	copy(out, a.pos)
	for i, name := range a.names {
		at := -1
		for j, p := range params {
			if p == name {
				at = j
			}
		}
		switch {
		case at < 0:
			typeError("%s() got an unexpected keyword argument '%s'", fn, name)
		case at < len(a.pos):
			typeError("%s() got multiple values for argument '%s'", fn, name)
		}
		out[at] = a.named[i]
	}
	for i := range need {
		if out[i] == (missing{}) {
			typeError("%s() missing required argument '%s'", fn, params[i])
		}
	}
	return out
}

// orElse returns v, or def if v was omitted.
func orElse(v, def Value) Value {
	if v == (missing{}) {
		return def
	}
	return v
}

func given(v Value) bool { return v != (missing{}) }

// intArg returns an argument that must be an integer.
func intArg(fn string, v Value) int {
	switch v := v.(type) {
	case int64:
		return int(v)
	case bool:
		return int(key(v).(int64))
	case *undefined:
		v.fail()
	}
	typeError("%s(): '%s' object cannot be interpreted as an integer", fn, typeName(v))
	return 0
}

// strArg returns an argument that must be a string.
func strArg(fn string, v Value) string {
	s, ok := plain(v).(string)
	if !ok {
		typeError("%s() argument must be str, not %s", fn, typeName(v))
	}
	return s
}

// macroDef is a macro's definition; macro is one with the scope in which it was defined.
type (
	macroDef struct {
		name       string
		args       []string
		defaults   []expr // of the last args
		body       []stmt
		usesCaller bool
	}
	macro struct {
		def   *macroDef
		scope *scope
	}
)

// call calls a value.
func (r *run) call(fn Value, a *args) Value {
	r.deeper()
	defer func() { r.depth-- }()
	switch fn := fn.(type) {
	case *builtin:
		return fn.call(r, a)
	case *macro:
		return r.callMacro(fn, a)
	case *loop:
		typeError("The loop must have the 'recursive' marker to be called recursively.")
	case *undefined:
		fn.fail()
	}
	typeError("'%s' object is not callable", typeName(fn))
	return nil
}

// callMacro follows Macro.__call__ of jinja2/runtime.py.
func (r *run) callMacro(m *macro, a *args) Value {
	def := m.def
	s := m.scope.inner()
	explicitCaller := false
	given := map[string]bool{}
	for i, name := range def.args {
		if name == "caller" {
			explicitCaller = true
		}
		if i < len(a.pos) {
			s.vars[name], given[name] = a.pos[i], true
		} else if v, ok := a.take(name); ok {
			s.vars[name], given[name] = v, true
		}
	}
	if def.usesCaller && !explicitCaller {
		caller, ok := a.take("caller")
		if !ok || caller == nil {
			caller = &undefined{"UndefinedError", "No caller defined"}
		}
		s.vars["caller"] = caller
	}
	rest := a.pos[min(len(a.pos), len(def.args)):]
	switch {
	case len(a.names) > 0:
		typeError("macro %s takes no keyword argument %s", reprString(def.name), reprString(a.names[0]))
	case len(rest) > 0:
		typeError("macro %s takes not more than %d argument(s)", reprString(def.name), len(def.args))
	}
	for i, name := range def.args {
		if given[name] {
			continue
		}
		if d := i - (len(def.args) - len(def.defaults)); d >= 0 {
			s.vars[name] = r.eval(def.defaults[d], s)
		} else {
			s.vars[name] = &undefined{"UndefinedError", "parameter " + reprString(name) + " was not provided"}
		}
	}
	return r.capture(func() { r.block(def.body, s) })
}

func callRange(r *run, a *args) Value {
	if len(a.pos) < 1 || len(a.pos) > 3 || len(a.names) > 0 {
		typeError("range expected 1 to 3 arguments, got %d", len(a.pos)+len(a.names))
	}
	v := &rangeValue{step: 1}
	n := make([]int64, len(a.pos))
	for i := range n {
		n[i] = int64(intArg("range", a.pos[i]))
	}
	switch len(n) {
	case 1:
		v.stop = n[0]
	case 2:
		v.start, v.stop = n[0], n[1]
	case 3:
		v.start, v.stop, v.step = n[0], n[1], n[2]
	}
	const far = 1 << 60
	switch {
	case v.step == 0:
		fail("ValueError", "range() arg 3 must not be zero")
	case max(v.start, v.stop, v.step) > far || min(v.start, v.stop, v.step) < -far:
		fail("OverflowError", "range() bounds beyond 2^60")
	case v.step > 0 && v.start < v.stop:
		v.n = (v.stop-v.start-1)/v.step + 1
	case v.step < 0 && v.start > v.stop:
		v.n = (v.start-v.stop-1)/-v.step + 1
	}
	if v.n > maxRange {
		fail("OverflowError", "Range too big. The sandbox blocks ranges larger than MAX_RANGE (%d).", maxRange)
	}
	return v
}

// callDict is dict(mapping or pairs, **named).
func callDict(r *run, a *args) Value {
	if len(a.pos) > 1 {
		typeError("dict expected at most 1 argument, got %d", len(a.pos))
	}
	d := r.newDict()
	if len(a.pos) == 1 {
		if from, ok := a.pos[0].(*Dict); ok {
			for _, k := range from.keys {
				v, _ := from.get(k)
				r.put(d, k, v)
			}
		} else {
			for _, item := range r.collect(a.pos[0]) {
				pair := r.unpack(item, 2)
				r.put(d, pair[0], pair[1])
			}
		}
	}
	for i, name := range a.names {
		r.put(d, name, a.named[i])
	}
	return d
}

func callNamespace(r *run, a *args) Value {
	ns := &namespace{callDict(r, a).(*Dict)}
	for _, k := range ns.attrs.keys {
		if s, ok := k.(string); ok && s != "" && s[0] == '_' {
			fail("SecurityError", "Chat templates cannot store underscore-prefixed attributes on a namespace, but got %s. Please rename the attribute.", reprString(s))
		}
	}
	return ns
}

func callRaise(r *run, a *args) Value {
	fail("TemplateError", "%s", r.str(a.bind("raise_exception", 1, "message")[0]))
	return nil
}
