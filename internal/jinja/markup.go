package jinja

import "strings"

// markup is the result of the filter safe: Markup of markupsafe, a str that escapes the
// other operand of +. Since transformers does not escape output, it prints, joins and
// compares as text. Other behaviour of Markup is refused by name.
type markup string

var escapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&#34;", "'", "&#39;")

// addMarkup is left + right if one is markup and the other text or markup.
func (r *run) addMarkup(left, right Value) (Value, bool) {
	var parts [2]string
	marked := false
	for i, v := range []Value{left, right} {
		switch v := v.(type) {
		case markup:
			parts[i], marked = string(v), true
		case string:
			r.room(len(v))
			parts[i] = r.text(escapes.Replace(v))
		default:
			return nil, false
		}
	}
	if !marked {
		return nil, false
	}
	r.room(len(parts[0]) + len(parts[1]))
	return markup(parts[0] + parts[1]), true
}

// guarded makes a filter refuse markup if it does not handle it.
func guarded(name string, f filter) filter {
	switch name {
	case "safe", "string", "upper", "lower", "capitalize", "title", "trim", "replace", "length", "count", "default", "d", "tojson":
		return f
	}
	return func(r *run, v Value, a *args) Value {
		if _, ok := v.(markup); ok {
			unsupported("the filter %s of what the filter safe returned is not supported", name)
		}
		return f(r, v, a)
	}
}

// like returns text as markup if v is markup, as do soft_str(v) and methods of Markup.
func like(v Value, text string) Value {
	if _, ok := v.(markup); ok {
		return markup(text)
	}
	return text
}

// plain converts markup to text.
func plain(v Value) Value {
	if m, ok := v.(markup); ok {
		return string(m)
	}
	return v
}

// noMarkup refuses an operation on markup.
func noMarkup(what string, values ...Value) {
	for _, v := range values {
		if _, ok := v.(markup); ok {
			unsupported("%s what the filter safe returned is not supported", what)
		}
	}
}
