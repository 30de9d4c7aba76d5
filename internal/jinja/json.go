package jinja

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strings"
	"unicode/utf16"
)

// json is Python's json.dumps with the options of transformers' tojson: p contains
// ensure_ascii, indent, separators and sort_keys.
func (r *run) json(v Value, p []Value) string {
	w := &jsonWriter{r: r, ascii: truth(orElse(p[0], false)), item: ", ", key: ": ", sort: truth(orElse(p[3], false))}
	switch indent := orElse(p[1], nil).(type) {
	case nil:
	case string:
		w.indent, w.pretty = indent, true
	default:
		w.indent, w.pretty = r.repeat(" ", int64(intArg("tojson", indent))).(string), true
	}
	if w.pretty {
		w.item = ","
	}
	if s := orElse(p[2], nil); s != nil {
		pair := r.unpack(s, 2)
		w.item, w.key = strArg("tojson", pair[0]), strArg("tojson", pair[1])
	}
	w.value(v, 0)
	return w.b.String()
}

type jsonWriter struct {
	r         *run
	b         strings.Builder
	ascii     bool
	pretty    bool
	indent    string
	item, key string
	sort      bool
}

func (w *jsonWriter) put(s string) { w.b.WriteString(w.r.text(s)) }

func (w *jsonWriter) value(v Value, depth int) {
	r := w.r
	r.step(1)
	r.deeper()
	defer func() { r.depth-- }()
	switch v := v.(type) {
	case nil:
		w.put("null")
	case bool:
		w.put(map[bool]string{true: "true", false: "false"}[v])
	case int64:
		w.put(formatInt(v))
	case float64:
		w.put(jsonFloat(v))
	case string:
		w.text(v)
	case markup:
		w.text(string(v))
	case *List:
		w.group("[", "]", len(v.Items), depth, func(i int) { w.value(v.Items[i], depth+1) })
	case *Dict:
		keys := v.keys
		if w.sort {
			keys = r.sorted(append([]Value{}, keys...), func(v Value) Value { return v }, false)
		}
		w.group("{", "}", len(keys), depth, func(i int) {
			w.text(jsonKey(keys[i]))
			w.put(w.key)
			item, _ := v.get(keys[i])
			w.value(item, depth+1)
		})
	default:
		typeError("Object of type %s is not JSON serializable", typeName(v))
	}
}

func (w *jsonWriter) group(open, end string, n, depth int, item func(int)) {
	w.put(open)
	for i := range n {
		if i > 0 {
			w.put(w.item)
		}
		w.line(depth + 1)
		item(i)
	}
	if n > 0 {
		w.line(depth)
	}
	w.put(end)
}

func (w *jsonWriter) line(depth int) {
	if w.pretty {
		w.put("\n")
		w.put(w.r.repeat(w.indent, int64(depth)).(string))
	}
}

func jsonFloat(f float64) string {
	switch {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	}
	return formatFloat(f)
}

func jsonKey(k Value) string {
	switch k := k.(type) {
	case string:
		return k
	case nil:
		return "null"
	case bool:
		return map[bool]string{true: "true", false: "false"}[k]
	case int64:
		return formatInt(k)
	case float64:
		return jsonFloat(k)
	}
	typeError("keys must be str, int, float, bool or None, not %s", typeName(k))
	return ""
}

func (w *jsonWriter) text(s string) {
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteRune(c)
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\r':
			b.WriteString(`\r`)
		case c == '\t':
			b.WriteString(`\t`)
		case c == '\b':
			b.WriteString(`\b`)
		case c == '\f':
			b.WriteString(`\f`)
		case c < 0x20 || w.ascii && c > 0x7e && c < 0x10000:
			b.WriteString(`\u` + hex(c, 4))
		case w.ascii && c > 0x7e:
			hi, lo := utf16.EncodeRune(c)
			b.WriteString(`\u` + hex(hi, 4) + `\u` + hex(lo, 4))
		default:
			b.WriteRune(c)
		}
	}
	b.WriteByte('"')
	w.put(b.String())
}

// FromJSON decodes JSON as a Value; objects keep the order of their keys.
func FromJSON(data []byte) (Value, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	v, err := fromJSON(d, 0)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("more than one JSON value")
	}
	return v, nil
}

func fromJSON(d *json.Decoder, depth int) (Value, error) {
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	if depth > defaultDeep {
		return nil, fmt.Errorf("JSON nested more than %d deep", defaultDeep)
	}
	switch t := t.(type) {
	case json.Delim:
		l, o := &List{}, NewDict()
		for d.More() {
			var k Value
			if t == '{' {
				if k, err = d.Token(); err != nil {
					return nil, err
				}
			}
			v, err := fromJSON(d, depth+1)
			if err != nil {
				return nil, err
			}
			if t == '{' {
				o.set(k, v)
			} else {
				l.Items = append(l.Items, v)
			}
		}
		if _, err := d.Token(); err != nil { // the closing bracket
			return nil, err
		}
		if t == '{' {
			return o, nil
		}
		return l, nil
	case json.Number:
		if n, err := t.Int64(); err == nil {
			return n, nil
		}
		return t.Float64()
	}
	return t, nil // nil, bool or string
}
