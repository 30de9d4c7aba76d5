package jinja

// testFn is a test, used after "is", as in jinja2/tests.py.
type testFn func(r *run, v Value, a *args) bool

// testFunc returns the test of that name, or nil.
func testFunc(name string) testFn {
	switch name {
	case "odd", "even", "divisibleby":
		return func(r *run, v Value, a *args) bool {
			by, want := Value(int64(2)), int64(0)
			if name == "divisibleby" {
				by = a.bind(name, 1, "num")[0]
			} else {
				a.bind(name, 0)
			}
			if name == "odd" {
				want = 1
			}
			return r.equal(r.arith("%", v, by), want)
		}
	case "in":
		return func(r *run, v Value, a *args) bool { return r.contains(a.bind(name, 1, "seq")[0], v) }
	case "sameas":
		return func(r *run, v Value, a *args) bool { return same(v, a.bind(name, 1, "other")[0]) }
	case "filter", "test":
		unsupported("the test %s is not supported", name)
	case "lower", "upper":
		return func(r *run, v Value, a *args) bool {
			a.bind(name, 0)
			return isCase(r.str(v), name == "lower")
		}
	}
	if op := comparison(name); op != "" {
		return func(r *run, v Value, a *args) bool { return r.compare(op, v, a.bind(name, 1, "other")[0]) }
	}
	if f := kindTest(name); f != nil {
		return func(r *run, v Value, a *args) bool {
			a.bind(name, 0)
			return f(v)
		}
	}
	return nil
}

func comparison(name string) string {
	switch name {
	case "eq", "equalto", "==":
		return "=="
	case "ne", "!=":
		return "!="
	case "lt", "lessthan", "<":
		return "<"
	case "le", "<=":
		return "<="
	case "gt", "greaterthan", ">":
		return ">"
	case "ge", ">=":
		return ">="
	}
	return ""
}

// kindTest returns a test of a value's type.
func kindTest(name string) func(Value) bool {
	is := func(names ...string) func(Value) bool {
		return func(v Value) bool {
			for _, n := range names {
				if typeName(v) == n {
					return true
				}
			}
			return false
		}
	}
	switch name {
	case "defined":
		return func(v Value) bool { return !is("Undefined")(v) }
	case "undefined":
		return is("Undefined")
	case "none":
		return is("NoneType")
	case "boolean":
		return is("bool")
	case "true":
		return func(v Value) bool { return v == true }
	case "false":
		return func(v Value) bool { return v == false }
	case "integer":
		return is("int")
	case "float":
		return is("float")
	case "number":
		return is("int", "float", "bool")
	case "string":
		return is("str", "Markup")
	case "mapping":
		return is("dict")
	case "sequence": // has len() and []
		return is("str", "Markup", "list", "tuple", "dict", "range", "Undefined")
	case "iterable":
		return func(v Value) bool {
			_, once := v.(*generator)
			return once || is("str", "Markup", "list", "tuple", "dict", "range", "Undefined", "dict_keys", "dict_values", "dict_items", "LoopContext")(v)
		}
	case "callable":
		return is("function", "Macro", "LoopContext", "Undefined")
	case "escaped":
		return is("Markup")
	}
	return nil
}

// same is Python's "is", as far as a template can rely on it.
func same(v, w Value) bool {
	return typeName(v) == typeName(w) && v == w
}
