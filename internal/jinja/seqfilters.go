package jinja

import (
	"slices"
	"strconv"
	"strings"
)

// gen returns a generator: its items are computed on demand, once.
func gen(next func() (Value, bool)) Value { return &generator{next: next, name: "generator"} }

// getter is make_attrgetter of jinja2/filters.py: the value along a dotted path.
func (r *run) getter(attribute, def Value) func(Value) Value {
	var path []Value
	switch at := attribute.(type) {
	case nil:
	case string:
		for _, part := range strings.Split(at, ".") {
			if n, err := strconv.ParseUint(part, 10, 32); err == nil {
				path = append(path, int64(n))
			} else {
				path = append(path, part)
			}
		}
	default:
		path = []Value{at}
	}
	return func(v Value) Value {
		for _, part := range path {
			v = r.item(v, part)
			if _, ok := v.(*undefined); ok && def != nil {
				v = def
			}
		}
		return v
	}
}

// fold is ignore_case of jinja2/filters.py.
func fold(v Value) Value {
	if s, ok := plain(v).(string); ok {
		return lower(s)
	}
	return v
}

// sortKey returns the function that gives the sort key of an item.
func (r *run) sortKey(attribute Value, caseSensitive bool) func(Value) Value {
	get := r.getter(attribute, nil)
	return func(v Value) Value {
		v = get(v)
		if !caseSensitive {
			return fold(v)
		}
		return v
	}
}

// sorted sorts items in place by their keys, stably.
func (r *run) sorted(items []Value, key func(Value) Value, reverse bool) []Value {
	type keyed struct{ key, item Value }
	all := make([]keyed, len(items))
	r.room(32 * len(items))
	for i, item := range items {
		all[i] = keyed{key(item), item}
	}
	slices.SortStableFunc(all, func(a, b keyed) int {
		r.step(1)
		c := r.order("<", a.key, b.key)
		if c == unordered {
			c = 0
		}
		if reverse {
			return -c
		}
		return c
	})
	for i := range all {
		items[i] = all[i].item
	}
	return items
}

// backwards is the reverse argument of Python's sorted(), an integer or boolean; default
// false.
func backwards(v Value) bool {
	switch v := orElse(v, false).(type) {
	case bool, int64:
		return truth(v)
	default:
		typeError("'%s' object cannot be interpreted as an integer", typeName(v))
		return false
	}
}

func doDictsort(r *run, v Value, a *args) Value {
	p := a.bind("dictsort", 0, "case_sensitive", "by", "reverse")
	d, ok := v.(*Dict)
	if u, undef := v.(*undefined); undef {
		u.fail()
	} else if !ok {
		fail("AttributeError", "'%s' object has no attribute 'items'", typeName(v))
	}
	at := int64(0)
	switch by := orElse(p[1], "key"); by {
	case "key":
	case "value":
		at = 1
	default:
		fail("FilterArgumentError", `You can only sort by either "key" or "value"`)
	}
	items := slices.Clone(r.viewItems(&view{"items", d}))
	return r.list(r.sorted(items, r.sortKey(at, truth(orElse(p[0], false))), backwards(p[2])))
}

func doSort(r *run, v Value, a *args) Value {
	p := a.bind("sort", 0, "reverse", "case_sensitive", "attribute")
	if s, ok := p[2].(string); ok && strings.Contains(s, ",") {
		unsupported("sorting by several attributes is not supported")
	}
	return r.list(r.sorted(r.collect(v), r.sortKey(orElse(p[2], nil), truth(orElse(p[1], false))), backwards(p[0])))
}

func doUnique(r *run, v Value, a *args) Value {
	p := a.bind("unique", 0, "case_sensitive", "attribute")
	get := r.sortKey(orElse(p[1], nil), truth(orElse(p[0], false)))
	seen := map[any]bool{}
	next := r.iterate(v)
	return gen(func() (Value, bool) {
		for {
			item, ok := next()
			if !ok {
				return nil, false
			}
			if k := key(get(item)); !seen[k] {
				r.room(32)
				seen[k] = true
				return item, true
			}
		}
	})
}

func doFirst(r *run, v Value, a *args) Value {
	a.bind("first", 0)
	if item, ok := r.iterate(v)(); ok {
		return item
	}
	return &undefined{"UndefinedError", "No first item, sequence was empty."}
}

func doLast(r *run, v Value, a *args) Value {
	a.bind("last", 0)
	next := r.reversed(v)
	if next == nil {
		typeError("'%s' object is not reversible", typeName(v))
	}
	if item, ok := next(); ok {
		return item
	}
	return &undefined{"UndefinedError", "No last item, sequence was empty."}
}

// reversed is Python's reversed(), nil for types without it.
func (r *run) reversed(v Value) func() (Value, bool) {
	switch v.(type) {
	case string, *List, *Dict, *view, *rangeValue, *undefined:
	default:
		return nil
	}
	items := r.collect(v)
	return func() (Value, bool) {
		r.step(1)
		if len(items) == 0 {
			return nil, false
		}
		item := items[len(items)-1]
		items = items[:len(items)-1]
		return item, true
	}
}

func doReverse(r *run, v Value, a *args) Value {
	a.bind("reverse", 0)
	if s, ok := v.(string); ok {
		return r.slice(s, nil, nil, int64(-1))
	}
	if next := r.reversed(v); next != nil {
		name := "reversed"
		switch v := v.(type) {
		case *List:
			if !v.Tuple {
				name = "list_reverseiterator"
			}
		case *rangeValue:
			name = "range_iterator"
		}
		return &generator{next: next, name: name}
	}
	switch v.(type) {
	case *generator:
		items := r.collect(v)
		slices.Reverse(items)
		return r.list(items)
	}
	fail("FilterArgumentError", "argument must be iterable")
	return nil
}

func doItems(r *run, v Value, a *args) Value {
	a.bind("items", 0)
	switch v := v.(type) {
	case *undefined:
		return gen(r.iterate(v))
	case *Dict:
		return gen(r.iterate(&view{"items", v}))
	}
	typeError("Can only get item pairs from a mapping.")
	return nil
}

func doList(r *run, v Value, a *args) Value {
	a.bind("list", 0)
	return &List{Items: r.collect(v)}
}

func doJoin(r *run, v Value, a *args) Value {
	p := a.bind("join", 0, "d", "attribute")
	get := r.getter(orElse(p[1], nil), nil)
	sep := r.str(orElse(p[0], ""))
	var b strings.Builder
	next := r.iterate(v)
	for i := 0; ; i++ {
		item, ok := next()
		if !ok {
			return b.String()
		}
		if i > 0 {
			b.WriteString(r.text(sep))
		}
		b.WriteString(r.text(r.str(get(item))))
	}
}

func doMap(r *run, v Value, a *args) Value {
	if !truth(v) {
		return gen(func() (Value, bool) { return nil, false })
	}
	var f func(Value) Value
	if attribute, ok := a.take("attribute"); ok && len(a.pos) == 0 {
		def, _ := a.take("default")
		a.bind("map", 0)
		f = r.getter(attribute, def)
	} else {
		if len(a.pos) == 0 {
			fail("FilterArgumentError", "map requires a filter argument")
		}
		name := r.str(a.pos[0])
		fn := filterFunc(name)
		if fn == nil {
			fail("TemplateRuntimeError", "No filter named %s.", reprString(name))
		}
		f = func(v Value) Value { return fn(r, v, a.from(1)) }
	}
	next := r.iterate(v)
	return gen(func() (Value, bool) {
		item, ok := next()
		if !ok {
			return nil, false
		}
		return f(item), true
	})
}

// from returns a copy of the arguments without the first n positional ones, for a filter
// that may consume named ones.
func (a *args) from(n int) *args {
	return &args{a.pos[n:], slices.Clone(a.names), slices.Clone(a.named)}
}

// doSelect is select, reject, selectattr and rejectattr.
func doSelect(keep, attribute bool) filter {
	return func(r *run, v Value, a *args) Value {
		if !truth(v) {
			return gen(func() (Value, bool) { return nil, false })
		}
		get := func(v Value) Value { return v }
		if attribute {
			if len(a.pos) == 0 {
				fail("FilterArgumentError", "Missing parameter for attribute name")
			}
			get = r.getter(a.pos[0], nil)
			a = a.from(1)
		}
		passes := truth
		if len(a.pos) > 0 {
			name := r.str(a.pos[0])
			passes = func(v Value) bool { return r.test(name, v, a.from(1)) }
		}
		next := r.iterate(v)
		return gen(func() (Value, bool) {
			for {
				item, ok := next()
				if !ok {
					return nil, false
				}
				if passes(get(item)) == keep {
					return item, true
				}
			}
		})
	}
}
