package jinja

import (
	"cmp"
	"math"
	"math/bits"
	"strings"
)

// number returns v as an integer, or else as a float.
func number(v Value) (n int64, f float64, isInt, ok bool) {
	switch v := v.(type) {
	case bool:
		if v {
			return 1, 1, true, true
		}
		return 0, 0, true, true
	case int64:
		return v, float64(v), true, true
	case float64:
		return 0, v, false, true
	}
	return 0, 0, false, false
}

// arith is Python's left op right.
func (r *run) arith(op string, left, right Value) Value {
	for _, v := range []Value{left, right} {
		if u, ok := v.(*undefined); ok {
			if _, text := left.(string); text && op == "%" {
				unsupported("the operator %% of a text is not supported")
			}
			u.fail()
		}
	}
	if op == "+" {
		if v, ok := r.addMarkup(left, right); ok {
			return v
		}
	}
	noMarkup("the operator "+op+" with", left, right)
	a, x, aInt, aOK := number(left)
	b, y, bInt, bOK := number(right)
	switch {
	case aOK && bOK && aInt && bInt:
		return intArith(op, a, b)
	case aOK && bOK:
		return floatArith(op, x, y)
	}
	if v := r.combine(op, left, right); v != nil {
		return v
	}
	if _, ok := left.(string); ok && op == "+" {
		typeError(`can only concatenate str (not "%s") to str`, typeName(right))
	}
	if op == "**" {
		op = "** or pow()"
	}
	typeError("unsupported operand type(s) for %s: '%s' and '%s'", op, typeName(left), typeName(right))
	return nil
}

// combine is left op right for strings and lists, nil for other types.
func (r *run) combine(op string, left, right Value) Value {
	if op == "*" {
		if n, _, isInt, _ := number(right); isInt {
			return r.repeat(left, n)
		}
		if n, _, isInt, _ := number(left); isInt {
			return r.repeat(right, n)
		}
	}
	switch l := left.(type) {
	case string:
		if op == "%" {
			unsupported("the operator %% of a text is not supported")
		}
		if s, ok := right.(string); ok && op == "+" {
			r.room(len(l) + len(s))
			return l + s
		}
	case *List:
		if m, ok := right.(*List); ok && op == "+" && l.Tuple == m.Tuple {
			r.room(16 * (len(l.Items) + len(m.Items)))
			return &List{append(append([]Value{}, l.Items...), m.Items...), l.Tuple}
		}
	}
	return nil
}

// repeat is v * n for a string or a list, nil for other types.
func (r *run) repeat(v Value, n int64) Value {
	n = max(n, 0)
	size := 0
	switch v := v.(type) {
	case string:
		size = len(v)
	case *List:
		size = 16 * len(v.Items)
	default:
		return nil
	}
	if size == 0 {
		n = 0
	}
	hi, lo := bits.Mul64(uint64(size), uint64(n))
	if hi != 0 || lo > uint64(r.bytes) {
		r.room(-1)
	}
	r.room(int(lo))
	switch v := v.(type) {
	case string:
		return strings.Repeat(v, int(n))
	case *List:
		l := &List{Tuple: v.Tuple}
		for range n {
			l.Items = append(l.Items, v.Items...)
		}
		return l
	}
	return nil
}

func overflow() { unsupported("integer beyond 64 bits") }

func intArith(op string, a, b int64) Value {
	switch op {
	case "+":
		c := a + b
		if (c > a) != (b > 0) && b != 0 {
			overflow()
		}
		return c
	case "-":
		c := a - b
		if (c < a) != (b > 0) && b != 0 {
			overflow()
		}
		return c
	case "*":
		c := a * b
		if a != 0 && (c/a != b || a == -1 && b == math.MinInt64) {
			overflow()
		}
		return c
	case "/":
		if b == 0 {
			fail("ZeroDivisionError", "division by zero")
		}
		return float64(a) / float64(b)
	case "//", "%":
		return divide(op, a, b)
	}
	return power(a, b)
}

// divide is // and %, which round down as in Python.
func divide(op string, a, b int64) Value {
	if b == 0 {
		fail("ZeroDivisionError", "integer modulo by zero")
	}
	if a == math.MinInt64 && b == -1 {
		overflow()
	}
	q, m := a/b, a%b
	if m != 0 && (m < 0) != (b < 0) {
		q, m = q-1, m+b
	}
	if op == "//" {
		return q
	}
	return m
}

func power(a, b int64) Value {
	if b < 0 {
		return floatArith("**", float64(a), float64(b))
	}
	var c Value = int64(1)
	for range min(b, 64) {
		c = intArith("*", c.(int64), a)
	}
	if b > 64 {
		switch a {
		case 0, 1:
			return a
		case -1:
			return 1 - 2*(b&1)
		}
		overflow()
	}
	return c
}

func floatArith(op string, x, y float64) Value {
	switch op {
	case "+":
		return x + y
	case "-":
		return x - y
	case "*":
		return x * y
	case "**":
		if x == 0 && y < 0 {
			fail("ZeroDivisionError", "0.0 cannot be raised to a negative power")
		}
		if x < 0 && y != math.Trunc(y) {
			unsupported("complex numbers are not supported")
		}
		z := math.Pow(x, y)
		if math.IsInf(z, 0) && !math.IsInf(x, 0) && !math.IsInf(y, 0) {
			fail("OverflowError", "(34, 'Numerical result out of range')")
		}
		return z
	}
	if y == 0 {
		fail("ZeroDivisionError", "float division by zero")
	}
	if op == "/" {
		return x / y
	}
	m := math.Mod(x, y) // as CPython's float_divmod
	q := (x - m) / y
	if m != 0 {
		if (y < 0) != (m < 0) {
			m += y
			q--
		}
	} else {
		m = math.Copysign(0, y)
	}
	if op == "%" {
		return m
	}
	if q == 0 {
		return math.Copysign(0, x/y)
	}
	f := math.Floor(q)
	if q-f > 0.5 {
		f++
	}
	return f
}

// compare is Python's left op right for comparison and membership.
func (r *run) compare(op string, left, right Value) bool {
	r.step(1)
	left, right = plain(left), plain(right)
	switch op {
	case "==":
		return r.equal(left, right)
	case "!=":
		return !r.equal(left, right)
	case "in":
		return r.contains(right, left)
	case "not in":
		return !r.contains(right, left)
	case "<":
		return r.order(op, left, right) < 0
	case "<=":
		return r.order(op, left, right) <= 0
	case ">":
		c := r.order(op, left, right)
		return c > 0 && c != unordered
	}
	c := r.order(op, left, right)
	return c >= 0 && c != unordered
}

// unordered is the result of order for NaN, for which every comparison is false. order makes
// it negative for < and <=, so that only > and >= must check for it.
const unordered = 2

// order is negative, 0 or positive if left is less than, equal to or greater than right.
func (r *run) order(op string, left, right Value) int {
	left, right = plain(left), plain(right)
	for _, v := range []Value{left, right} {
		if u, ok := v.(*undefined); ok {
			u.fail()
		}
	}
	a, x, aInt, aOK := number(left)
	b, y, bInt, bOK := number(right)
	if aOK && bOK {
		if aInt && bInt {
			return cmp.Compare(a, b)
		}
		switch {
		case x < y:
			return -1
		case x > y:
			return 1
		case x == y:
			return 0
		}
		return unordered
	}
	if s, ok := left.(string); ok {
		if t, ok := right.(string); ok {
			r.step(min(len(s), len(t)) / 64)
			return strings.Compare(s, t) // UTF-8 sorts by code point
		}
	}
	if l, ok := left.(*List); ok {
		if m, ok := right.(*List); ok && l.Tuple == m.Tuple {
			unsupported("the order of two lists is not supported")
		}
	}
	typeError("'%s' not supported between instances of '%s' and '%s'", op, typeName(left), typeName(right))
	return 0
}

// equal is Python's ==.
func (r *run) equal(left, right Value) bool {
	r.step(1)
	left, right = plain(left), plain(right)
	if _, x, _, ok := number(left); ok {
		a, _, aInt, _ := number(left)
		b, y, bInt, ok := number(right)
		if aInt && bInt {
			return ok && a == b
		}
		return ok && x == y
	}
	switch l := left.(type) {
	case string:
		s, ok := right.(string)
		r.step(min(len(l), len(s)) / 64)
		return ok && l == s
	case *List:
		m, ok := right.(*List)
		if !ok || l.Tuple != m.Tuple || len(l.Items) != len(m.Items) {
			return false
		}
		r.deeper()
		defer func() { r.depth-- }()
		for i := range l.Items {
			if !r.equal(l.Items[i], m.Items[i]) {
				return false
			}
		}
		return true
	case *Dict:
		m, ok := right.(*Dict)
		return ok && r.equalDicts(l, m)
	case *undefined:
		_, ok := right.(*undefined)
		return ok
	case *rangeValue, *view:
		unsupported("comparing a %s is not supported", typeName(l))
	}
	return left == right
}

func (r *run) equalDicts(l, m *Dict) bool {
	if l.len() != m.len() {
		return false
	}
	r.deeper()
	defer func() { r.depth-- }()
	for _, k := range l.keys {
		a, _ := l.get(k)
		b, ok := m.get(k)
		if !ok || !r.equal(a, b) {
			return false
		}
	}
	return true
}

// contains is Python's item in of.
func (r *run) contains(of, item Value) bool {
	of, item = plain(of), plain(item)
	switch of := of.(type) {
	case string:
		s, ok := item.(string)
		if !ok {
			typeError("'in <string>' requires string as left operand, not %s", typeName(item))
		}
		r.step(len(of) / 64)
		return strings.Contains(of, s)
	case *Dict:
		_, ok := of.get(item)
		return ok
	case *view:
		if of.kind == "keys" {
			_, ok := of.of.get(item)
			return ok
		}
	case nil, bool, int64, float64, *builtin, *macro, *namespace:
		typeError("argument of type '%s' is not iterable", typeName(of))
	}
	for next := r.iterate(of); ; {
		v, ok := next()
		if !ok {
			return false
		}
		if r.equal(v, item) {
			return true
		}
	}
}
