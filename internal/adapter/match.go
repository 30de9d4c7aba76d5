package adapter

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/implicitreward/implicitreward/internal/strictjson"
)

// expression compiles a Python regular expression from a config, with something before and
// after it. Go's syntax is Python's for what adapters use, and refuses lookarounds and
// references; the few texts that both accept and read differently are refused here.
func expression(before, text, after string) (*regexp.Regexp, error) {
	if len(text) > 1<<16 {
		return nil, fmt.Errorf("%d characters, wanted at most %d", len(text), 1<<16)
	}
	for _, other := range []string{"{,", "[:", `\Q`, `\C`, `\p`, `\P`, `\z`, "(?U", "(?i", "(?s", "(?m", "(?-"} {
		if strings.Contains(text, other) {
			return nil, fmt.Errorf("%s, which Python reads differently", other)
		}
	}
	e, err := regexp.Compile(before + text + after)
	if err != nil {
		return nil, errors.New(strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	return e, nil
}

// expression compiles a key's pattern; one that cannot be matched is refused by name.
func (r *reader) expression(key, before, text, after string) *regexp.Regexp {
	e, err := expression(before, text, after)
	if err != nil {
		r.read[key] = true
		r.refused = append(r.refused, fmt.Sprintf("%s=%q (%v)", key, brief(text), err))
		return regexp.MustCompile(`$.`) // matches nothing
	}
	return e
}

// pattern is a key of rank_pattern or alpha_pattern with its value.
type pattern struct {
	key   string
	of    *regexp.Regexp
	value float64
}

// patterns are in the file's order, in which the first match counts.
type patterns []pattern

// patterns reads rank_pattern or alpha_pattern. A key matches a path as (.*\.)?(key)$ does in
// peft's get_pattern_key.
func (r *reader) patterns(key string) patterns {
	r.read[key] = true
	raw := r.keys[key]
	if strictjson.Null(raw) {
		return nil
	}
	members, err := strictjson.Members(raw, "")
	if err != nil || len(members) > maxPatterns {
		r.fail("%s is %s, wanted an object of at most %d numbers", key, brief(string(raw)), maxPatterns)
		return nil
	}
	var all patterns
	for _, m := range members {
		p := pattern{key: m.Key, of: r.expression(key, `^(.*\.)?(`, m.Key, `)$`)}
		if err := json.Unmarshal(m.Value, &p.value); err != nil || strictjson.Null(m.Value) {
			r.fail("%s of %q is %s, wanted a number", key, brief(m.Key), brief(string(m.Value)))
		}
		all = append(all, p)
	}
	return all
}

// match returns the value of the first pattern that matches a module's path.
func (all patterns) match(path string) (float64, bool) {
	for _, p := range all {
		if p.of.MatchString(path) {
			return p.value, true
		}
	}
	return 0, false
}

// selection says which modules are adapted.
type selection struct {
	all               bool           // every linear layer but the head
	names, excluded   []string       // whole paths, or their ends after a dot
	whole, exclusion  *regexp.Regexp // or an expression that matches the whole path
	saved             []*regexp.Regexp
	layers            []int // their numbers; nil for all
	layer             []*regexp.Regexp
	layersTransformed bool
}

// selection reads target_modules, exclude_modules, layers_to_transform and layers_pattern.
func (r *reader) selection(saved []string) selection {
	var s selection
	targets := r.names("target_modules", &s.names)
	if strings.ToLower(targets) == "all-linear" {
		s.all = true
	} else if targets != "" {
		s.whole = r.expression("target_modules", `^(?:`, targets, `)$`)
	}
	if targets == "" && len(s.names) == 0 {
		r.refuse("target_modules") // peft would take a family's usual ones, and writes them
	}
	if excluded := r.names("exclude_modules", &s.excluded); excluded != "" {
		s.exclusion = r.expression("exclude_modules", `^(?:`, excluded, `)$`)
	}
	if slices.Contains(slices.Concat(s.names, s.excluded, saved), "") {
		r.fail("a list of modules has an empty name")
	}
	if n := len(s.names) + len(s.excluded) + len(saved); n > maxPatterns {
		r.fail("%d names of modules, wanted at most %d", n, maxPatterns)
		return s
	}
	for _, name := range saved {
		s.saved = append(s.saved, r.expression("modules_to_save", `^(?:(?:^|.*\.)`, name, `(?:$|\..*))`))
	}
	r.layers(&s)
	return s
}

// names reads a key that is a list of names, or one string, an expression.
func (r *reader) names(key string, list *[]string) string {
	raw := r.keys[key]
	if text, ok, err := strictjson.String(raw); ok && err == nil {
		r.read[key] = true
		return text
	}
	*list = value[[]string](r, key, nil, "a list of names, or an expression")
	return ""
}

func (r *reader) layers(s *selection) {
	raw := r.keys["layers_to_transform"]
	if n, err := strconv.Atoi(string(raw)); err == nil {
		r.read["layers_to_transform"] = true
		s.layers = []int{n}
	} else {
		s.layers = value[[]int](r, "layers_to_transform", nil, "a number, or a list of numbers")
	}
	s.layersTransformed = len(s.layers) > 0
	var names []string
	if one := r.names("layers_pattern", &names); one != "" {
		names = []string{one}
	}
	if len(names) > 100 {
		r.fail("layers_pattern has %d names, wanted at most 100", len(names))
		return
	}
	if !s.layersTransformed {
		return // peft does not read layers_pattern then
	}
	if s.whole != nil || s.all {
		r.refuse("layers_to_transform") // with target_modules a string, in peft an error
		return
	}
	for _, name := range names {
		s.layer = append(s.layer, r.expression("layers_pattern", `^(?:^|.*?\.)`, name, `\.(\d+)\.`))
	}
	if len(names) == 0 {
		s.layer = append(s.layer, regexp.MustCompile(`^.*?\.[^.]*\.(\d+)\.`))
	}
}

// has tells whether the module of a linear layer is adapted: check_target_module_exists of
// peft's tuners_utils.py. head says that it is the vocabulary head.
func (s selection) has(path string, head bool) bool {
	ends := func(names []string) bool {
		return slices.ContainsFunc(names, func(name string) bool { return path == name || strings.HasSuffix(path, "."+name) })
	}
	matches := func(e *regexp.Regexp) bool { return e.MatchString(path) }
	switch {
	case s.exclusion != nil && matches(s.exclusion), ends(s.excluded), slices.ContainsFunc(s.saved, matches):
		return false
	case s.all:
		return !head
	case s.whole != nil:
		return matches(s.whole)
	case slices.Contains(s.names, path):
		return true
	case !ends(s.names):
		return false
	case !s.layersTransformed:
		return true
	}
	for _, e := range s.layer {
		if m := e.FindStringSubmatch(path); m != nil {
			n, err := strconv.Atoi(m[len(m)-1])
			return err == nil && slices.Contains(s.layers, n)
		}
	}
	return false
}
