package checkpoint

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gomlx/compute/dtypes"

	"github.com/implicitreward/implicitreward/internal/strictjson"
)

// settings reads a quantization_config key by key. What is left over at the end is refused by
// name.
type settings struct {
	dir    string
	prefix string // of a nested object
	method string
	keys   map[string]json.RawMessage
	dtype  dtypes.DType // that the config's weights compute in
	read   []string
	wrong  []string
}

// raw returns a value, nil where it is absent or null.
func (s *settings) raw(key string) json.RawMessage {
	s.read = append(s.read, key)
	if v := s.keys[key]; !strictjson.Null(v) {
		return v
	}
	return nil
}

// refuse says that a value is not computed.
func (s *settings) refuse(key string, wanted string) {
	value := strings.Join(strings.Fields(string(s.keys[key])), " ")
	if len(value) > 60 {
		value = strings.ToValidUTF8(value[:57], "") + "..."
	}
	name := s.prefix + key
	if len(name) > 100 || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		name = quote(name)
	}
	if !utf8.ValidString(value) || strings.ContainsFunc(value, func(r rune) bool { return !unicode.IsPrint(r) }) {
		value = quote(value)
	}
	text := name + "=" + value
	if wanted != "" {
		text += ", wanted " + wanted
	}
	s.wrong = append(s.wrong, text)
}

// text returns a string; ok is false where there is none.
func (s *settings) text(key string) (text string, ok bool) {
	v := s.raw(key)
	if v == nil {
		return "", false
	}
	if json.Unmarshal(v, &text) != nil {
		s.refuse(key, "a string")
		return "", false
	}
	return text, true
}

// one returns a string that must be one of several, the first where it is absent.
func (s *settings) one(key string, of ...string) string {
	text, ok := s.text(key)
	if !ok {
		return of[0]
	}
	if !slices.Contains(of, text) {
		s.refuse(key, strings.Join(of, " or "))
	}
	return text
}

// number returns a whole number, def where it is absent.
func (s *settings) number(key string, def int) int {
	v := s.raw(key)
	if v == nil {
		return def
	}
	n := def
	if json.Unmarshal(v, &n) != nil {
		s.refuse(key, "a whole number")
	}
	return n
}

// truth returns a boolean, def where it is absent.
func (s *settings) truth(key string, def bool) bool {
	v := s.raw(key)
	if v == nil {
		return def
	}
	b := def
	if json.Unmarshal(v, &b) != nil {
		s.refuse(key, "true or false")
	}
	return b
}

// ignore marks keys that do not bear on the values of weights.
func (s *settings) ignore(keys ...string) { s.read = append(s.read, keys...) }

// object returns a nested object, nil where it is absent.
func (s *settings) object(key string) *settings {
	v := s.raw(key)
	if v == nil {
		return nil
	}
	inner := &settings{dir: s.dir, prefix: s.prefix + key + ".", method: s.method}
	if json.Unmarshal(v, &inner.keys) != nil {
		s.refuse(key, "an object")
		return nil
	}
	return inner
}

// leftover refuses the keys that nothing has read, and takes in what was wrong in others.
func (s *settings) leftover(inner ...*settings) {
	for _, key := range sortedKeys(s.keys) {
		if !slices.Contains(s.read, key) && !strictjson.Null(s.keys[key]) {
			s.refuse(key, "")
		}
	}
	for _, i := range inner {
		if i != nil {
			s.wrong = append(s.wrong, i.wrong...)
		}
	}
}

// err names what was wrong.
func (s *settings) err() error {
	if len(s.wrong) == 0 {
		return nil
	}
	return s.errorf("not supported: %s", strings.Join(s.wrong, "; "))
}

func (s *settings) errorf(format string, args ...any) error {
	return fmt.Errorf("checkpoint: %s: %s: quant_method %s: %w", filepath.Join(s.dir, "config.json"), QuantisationKey, quote(s.method), fmt.Errorf(format, args...))
}
