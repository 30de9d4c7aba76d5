package jinja

import "unicode/utf8"

// attr is of.name in a template: the attribute, or else the item of that name.
func (r *run) attr(of Value, name string) Value {
	noMarkup("an attribute of", of)
	if u, ok := of.(*undefined); ok {
		u.fail()
	}
	if v, ok := r.member(of, name); ok {
		return v
	}
	if d, ok := of.(*Dict); ok {
		if v, ok := d.get(name); ok {
			return v
		}
	}
	return noMember(of, name)
}

// item is of[arg] in a template: the item, or else, for a string, the attribute.
func (r *run) item(of, arg Value) Value {
	noMarkup("an item by or of", of, arg)
	switch of := of.(type) {
	case *undefined:
		of.fail()
	case *Dict:
		switch k := arg.(type) { // a value that cannot be a key is no item; Jinja catches Python's error
		case *Dict, *view:
		case *List:
			if k.Tuple {
				of.get(k)
			}
		default:
			if v, ok := of.get(arg); ok {
				return v
			}
		}
	case *List:
		if i, ok := index(arg, len(of.Items)); ok {
			return of.Items[i]
		}
	case *rangeValue:
		if i, ok := index(arg, int(of.n)); ok {
			return of.at(int64(i))
		}
	case string:
		if i, ok := index(arg, runeCount(of)); ok {
			r.step(len(of) / 64)
			for range i {
				of = of[runeLen(of):]
			}
			return of[:runeLen(of)]
		}
	}
	if name, ok := arg.(string); ok {
		if v, ok := r.member(of, name); ok {
			return v
		}
	}
	return noMember(of, arg)
}

// index resolves a position, which counts from the end if negative.
func index(v Value, n int) (int, bool) {
	i, _, isInt, _ := number(v)
	if !isInt {
		return 0, false
	}
	if i < 0 {
		i += int64(n)
	}
	return int(i), i >= 0 && i < int64(n)
}

func noMember(of, name Value) *undefined {
	object := typeName(of) + " object"
	if of == nil {
		object = "None"
	}
	if ns, ok := of.(*namespace); ok && ns != nil {
		object = "transformers.utils.chat_template_utils.TemplateNamespace object"
	}
	if s, ok := name.(string); ok {
		return &undefined{"UndefinedError", reprString(object) + " has no attribute " + reprString(s)}
	}
	if i, ok := name.(int64); ok {
		return &undefined{"UndefinedError", object + " has no element " + formatInt(i)}
	}
	return &undefined{"UndefinedError", object + " has no such element"}
}

// member is Python's getattr: methods, and the attributes of loop and of namespaces. What
// the sandbox forbids is an undefined that says so.
func (r *run) member(of Value, name string) (Value, bool) {
	if len(name) > 0 && name[0] == '_' {
		if len(name) > 1 && name[1] == '_' {
			return &undefined{"SecurityError", "access to attribute " + reprString(name) + " of " + reprString(typeName(of)) + " object is unsafe."}, true
		}
		return nil, false
	}
	switch of := of.(type) {
	case *loop:
		return of.attr(name)
	case *namespace:
		return of.attrs.get(name)
	case *macro:
		unsupported("the attribute %s of a macro is not supported", name)
	case string:
		if m := strMethod(name); m != nil {
			return &builtin{name, func(r *run, a *args) Value {
				r.step(len(of) / 64)
				return m(r, of, a)
			}}, true
		}
	case *Dict:
		return r.dictMember(of, name)
	case *List:
		return r.listMember(of, name)
	case *rangeValue:
		unsupported("the attribute %s of a range is not supported", name)
	}
	return nil, false
}

// unsafe returns an attribute that would change a value; calling it is an error.
func unsafe(of Value, name string) (Value, bool) {
	return &undefined{"SecurityError", "access to attribute " + reprString(name) + " of " + reprString(typeName(of)) + " object is unsafe."}, true
}

func (r *run) dictMember(d *Dict, name string) (Value, bool) {
	switch name {
	case "keys", "values", "items":
		return &builtin{name, func(r *run, a *args) Value {
			a.bind(name, 0)
			return &view{name, d}
		}}, true
	case "get":
		return &builtin{name, func(r *run, a *args) Value {
			v := a.bind(name, 1, "key", "default")
			if item, ok := d.get(v[0]); ok {
				return item
			}
			return orElse(v[1], nil)
		}}, true
	case "copy", "fromkeys":
		unsupported("the method dict.%s is not supported", name)
	case "clear", "pop", "popitem", "setdefault", "update":
		return unsafe(d, name)
	}
	return nil, false
}

func (r *run) listMember(l *List, name string) (Value, bool) {
	switch name {
	case "index":
		return &builtin{name, func(r *run, a *args) Value {
			v := a.bind(name, 1, "value")
			for i, item := range l.Items {
				if r.equal(item, v[0]) {
					return int64(i)
				}
			}
			fail("ValueError", "%s is not in list", r.repr(v[0]))
			return nil
		}}, true
	case "count", "copy":
		if name == "count" || !l.Tuple {
			unsupported("the method %s.%s is not supported", typeName(l), name)
		}
	case "append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove":
		if !l.Tuple {
			return unsafe(l, name)
		}
	}
	return nil, false
}

// slice is of[start:stop:step].
func (r *run) slice(of, start, stop, step Value) Value {
	noMarkup("a part of", of)
	var n int
	switch v := of.(type) {
	case *undefined:
		v.fail()
	case string:
		n = runeCount(v)
	case *List:
		n = len(v.Items)
	case *rangeValue:
		n = int(v.n)
	case *Dict:
		typeError("unhashable type: 'slice'")
	default:
		typeError("'%s' object is not subscriptable", typeName(of))
	}
	for _, v := range []Value{start, stop, step} {
		if _, _, isInt, _ := number(v); v != nil && !isInt {
			typeError("slice indices must be integers or None or have an __index__ method")
		}
	}
	from, to, by := sliceBounds(n, start, stop, step)
	r.step(n / 64)
	var at []int
	for i := from; by > 0 && i < to || by < 0 && i > to; i += by {
		at = append(at, i)
	}
	r.room(8 * len(at))
	switch v := of.(type) {
	case string:
		if n == len(v) && by == 1 && len(at) > 0 { // ASCII
			return r.text(v[from:to])
		}
		runes := []rune(v)
		out := make([]byte, 0, len(at))
		for _, i := range at {
			out = utf8.AppendRune(out, runes[i])
		}
		return r.text(string(out))
	case *List:
		items := make([]Value, len(at))
		for j, i := range at {
			items[j] = v.Items[i]
		}
		l := r.list(items)
		l.Tuple = v.Tuple
		return l
	}
	v := of.(*rangeValue)
	out := &rangeValue{start: v.at(int64(from)), step: v.step * int64(by), n: int64(len(at))}
	out.stop = out.at(out.n)
	return out
}

// sliceBounds is Python's slice.indices.
func sliceBounds(n int, start, stop, step Value) (from, to, by int) {
	const far = 1 << 40 // beyond any length, within int
	by = 1
	if step != nil {
		s, _, _, _ := number(step)
		if s == 0 {
			fail("ValueError", "slice step cannot be zero")
		}
		by = int(max(min(s, far), -far))
	}
	low, high := 0, n
	if by < 0 {
		low, high = -1, n-1
	}
	bound := func(v Value, def int) int {
		if v == nil {
			return def
		}
		i, _, _, _ := number(v)
		if i < 0 {
			i += int64(n)
		}
		return int(max(min(i, int64(high)), int64(low)))
	}
	if by > 0 {
		return bound(start, 0), bound(stop, n), by
	}
	return bound(start, n-1), bound(stop, -1), by
}
