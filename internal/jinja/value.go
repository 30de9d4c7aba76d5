package jinja

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
)

// Value is the value of an expression: nil (none), bool, int64, float64, string, *[List],
// *[Dict], or one of the engine's own types below.
type Value any

// List is a Python list or tuple.
type List struct {
	Items []Value
	Tuple bool
}

// Dict is a Python dict, in insertion order.
type Dict struct {
	keys   []Value
	values map[any]Value
	read   map[any]bool // keys read; nil unless watched
}

// NewDict returns a dict of strings: key, value, key, value ...
func NewDict(pairs ...string) *Dict {
	d := &Dict{values: map[any]Value{}}
	for i := 0; i+1 < len(pairs); i += 2 {
		d.set(pairs[i], pairs[i+1])
	}
	return d
}

type (
	// undefined is a missing name or attribute. It prints as nothing, and is false and
	// empty; any other use is an error.
	undefined struct{ kind, message string }
	// generator yields its items once: the result of map, select and the like.
	generator struct {
		next func() (Value, bool)
		name string
	}
	// view is what a dict's keys(), values() and items() return.
	view struct {
		kind string
		of   *Dict
	}
	rangeValue struct{ start, stop, step, n int64 }
	// namespace is the only type that a template can change.
	namespace struct{ attrs *Dict }
	// builtin is a function or method of the engine.
	builtin struct {
		name string
		call func(r *run, a *args) Value
	}
)

// key returns the key for a dict lookup: equal numbers are one key, as in Python.
func key(v Value) any {
	switch v := v.(type) {
	case nil:
		return struct{}{}
	case bool:
		if v {
			return int64(1)
		}
		return int64(0)
	case float64:
		if n := int64(v); float64(n) == v && v < 1<<63 {
			return n
		}
		return v
	case int64, string:
		return v
	case *List:
		if v.Tuple {
			unsupported("a tuple as a key is not supported")
		}
	case *undefined:
		return (*undefined)(nil)
	case *rangeValue, *namespace, *builtin, *macro, *generator, *loop:
		return v
	}
	noMarkup("a key that is", v)
	typeError("unhashable type: '%s'", typeName(v))
	return nil
}

func (d *Dict) get(k Value) (Value, bool) {
	h := key(k)
	if d.read != nil {
		d.read[h] = true
	}
	v, ok := d.values[h]
	return v, ok
}

// Set assigns a value to a key; a new key comes last.
func (d *Dict) Set(name string, v Value) { d.set(name, v) }

// Watch starts recording which keys a template reads.
func (d *Dict) Watch() { d.read = map[any]bool{} }

// Unread returns, in order, the keys not read since Watch.
func (d *Dict) Unread() (names []string) {
	for _, k := range d.keys {
		if name, ok := k.(string); ok && !d.read[name] {
			names = append(names, name)
		}
	}
	return names
}

func (d *Dict) set(k, v Value) {
	h := key(k)
	if _, ok := d.values[h]; !ok {
		d.keys = append(d.keys, k)
	}
	d.values[h] = v
}

func (d *Dict) len() int { return len(d.keys) }

func (r *run) newDict() *Dict { return &Dict{values: map[any]Value{}} }

// put is set, and counts the dict's growth.
func (r *run) put(d *Dict, k, v Value) {
	r.room(64)
	d.set(k, v)
}

func (r *rangeValue) at(i int64) int64 { return r.start + i*r.step }

// FromGo converts nil, booleans, integers, floats, strings, slices, maps with string keys
// (sorted by key) and a json.RawMessage to a Value; a Value is returned unchanged. Other
// types are errors.
func FromGo(v any) (Value, error) {
	switch v := v.(type) {
	case nil, bool, int64, float64, string, *List, *Dict, *builtin:
		return v, nil
	case json.RawMessage:
		return FromJSON(v)
	}
	x := reflect.ValueOf(v)
	switch {
	case x.Kind() == reflect.Bool:
		return x.Bool(), nil
	case x.Kind() == reflect.String:
		return x.String(), nil
	case x.CanInt():
		return x.Int(), nil
	case x.CanFloat():
		return x.Float(), nil
	case x.Kind() == reflect.Slice || x.Kind() == reflect.Array:
		l := &List{}
		for i := range x.Len() {
			item, err := FromGo(x.Index(i).Interface())
			if err != nil {
				return nil, err
			}
			l.Items = append(l.Items, item)
		}
		return l, nil
	case x.Kind() == reflect.Map && x.Type().Key().Kind() == reflect.String:
		d := NewDict()
		for _, k := range slices.SortedFunc(maps.Keys(keysOf(x)), cmp.Compare[string]) {
			item, err := FromGo(x.MapIndex(reflect.ValueOf(k).Convert(x.Type().Key())).Interface())
			if err != nil {
				return nil, err
			}
			d.set(k, item)
		}
		return d, nil
	}
	return nil, fmt.Errorf("a %T, wanted nil, a boolean, number, string, slice or map with string keys", v)
}

func keysOf(m reflect.Value) map[string]bool {
	set := map[string]bool{}
	for _, k := range m.MapKeys() {
		set[k.String()] = true
	}
	return set
}

// Func returns a Value that a template can call with one string.
func Func(name string, f func(string) (string, error)) Value {
	return &builtin{name, func(r *run, a *args) Value {
		s, ok := a.bind(name, 1, "format")[0].(string)
		if !ok {
			typeError("%s() argument 1 must be str", name)
		}
		out, err := f(s)
		if err != nil {
			fail("ValueError", "%v", err)
		}
		return r.text(out)
	}}
}

// typeName is Python's name of a value's type.
func typeName(v Value) string {
	switch v := v.(type) {
	case nil:
		return "NoneType"
	case bool:
		return "bool"
	case int64:
		return "int"
	case float64:
		return "float"
	case string:
		return "str"
	case markup:
		return "Markup"
	case *List:
		if v.Tuple {
			return "tuple"
		}
		return "list"
	case *Dict:
		return "dict"
	case *undefined:
		return "Undefined"
	case *generator:
		return v.name
	case *view:
		return "dict_" + v.kind
	case *rangeValue:
		return "range"
	case *namespace:
		return "Namespace"
	case *macro:
		return "Macro"
	case *loop:
		return "LoopContext"
	}
	return "function"
}

// truth is Python's bool().
func truth(v Value) bool {
	switch v := v.(type) {
	case nil, *undefined:
		return false
	case bool:
		return v
	case int64:
		return v != 0
	case float64:
		return v != 0
	}
	if n, ok := length(v); ok {
		return n > 0
	}
	return true
}

// length is Python's len(); ok is false if v has none.
func length(v Value) (int, bool) {
	switch v := v.(type) {
	case string:
		return runeCount(v), true
	case markup:
		return runeCount(string(v)), true
	case *List:
		return len(v.Items), true
	case *Dict:
		return v.len(), true
	case *view:
		return v.of.len(), true
	case *rangeValue:
		return int(v.n), true
	case *undefined:
		return 0, true
	case *loop:
		return v.length(), true
	}
	return 0, false
}

// iterate is Python's iter(): the items one by one.
func (r *run) iterate(v Value) func() (Value, bool) {
	i := -1
	of := func(items []Value) func() (Value, bool) {
		return func() (Value, bool) {
			r.step(1)
			if i++; i >= len(items) {
				return nil, false
			}
			return items[i], true
		}
	}
	switch v := v.(type) {
	case *List:
		return of(v.Items)
	case *Dict:
		return of(v.keys)
	case *view:
		return of(r.viewItems(v))
	case *undefined:
		return of(nil)
	case string:
		return func() (Value, bool) {
			r.step(1)
			for _, c := range v {
				s := string(c)
				v = v[runeLen(v):]
				return s, true
			}
			return nil, false
		}
	case *rangeValue:
		return func() (Value, bool) {
			r.step(1)
			if i++; int64(i) >= v.n {
				return nil, false
			}
			return v.at(int64(i)), true
		}
	case *generator:
		return func() (Value, bool) {
			r.step(1)
			r.deeper() // a generator of a generator ...
			defer func() { r.depth-- }()
			return v.next()
		}
	}
	noMarkup("going through", v)
	typeError("'%s' object is not iterable", typeName(v))
	return nil
}

func (r *run) viewItems(v *view) []Value {
	if v.kind == "keys" {
		return v.of.keys
	}
	items := make([]Value, v.of.len())
	r.room(32 * len(items))
	for i, k := range v.of.keys {
		items[i], _ = v.of.get(k)
		if v.kind == "items" {
			items[i] = r.tuple(k, items[i])
		}
	}
	return items
}

// collect is Python's list(): all items.
func (r *run) collect(v Value) []Value {
	var items []Value
	for next := r.iterate(v); ; {
		item, ok := next()
		if !ok {
			return items
		}
		r.room(16)
		items = append(items, item)
	}
}
