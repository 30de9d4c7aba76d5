package jinja

import "strings"

// markup is what the filter safe makes of text: Markup of markupsafe, a str that escapes
// the other side of a +. As transformers does not escape on output, it prints, joins and
// compares as text. What else Markup does in its own way is refused by name.
type markup string

var escapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&#34;", "'", "&#39;")

// addMarkup is left + right where one is markup and the other text or markup.
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

// guarded refuses a filter of markup that does not know it.
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

// like is text as markup if v is, as is what soft_str(v) and methods of it yield.
func like(v Value, text string) Value {
	if _, ok := v.(markup); ok {
		return markup(text)
	}
	return text
}

// plain is markup as the text that it is.
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
