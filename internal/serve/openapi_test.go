package serve

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// document is the part of the OpenAPI document that the tests read.
type document struct {
	Paths map[string]map[string]struct {
		RequestBody struct {
			Content map[string]struct{ Schema schema }
		}
		Responses map[string]struct {
			Content map[string]struct{ Schema schema }
		}
		Security *[]any
	}
	Components struct{ Schemas map[string]schema }
}

type schema map[string]any

func readDocument(t testing.TB) *document {
	t.Helper()
	b, err := files.ReadFile("openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	var d document
	if err := json.Unmarshal(b, &d); err != nil {
		t.Fatal(err)
	}
	return &d
}

// check tells where a value is not what a schema says, "" if it is: those words of JSON
// Schema that the document uses, and an error at any other. closed refuses fields that the
// schema has not, as answers should hold none that are not described.
func (d *document) check(s schema, v any, at string, closed bool) string {
	if ref, ok := s["$ref"].(string); ok {
		return d.check(d.Components.Schemas[strings.TrimPrefix(ref, "#/components/schemas/")], v, at, closed)
	}
	object, isObject := v.(map[string]any)
	list, isList := v.([]any)
	number, isNumber := v.(float64)
	text, isText := v.(string)
	for _, word := range slices.Sorted(keys(s)) {
		switch want := s[word]; word {
		case "description":
		case "type":
			kinds, several := want.([]any)
			if !several {
				kinds = []any{want}
			}
			if !slices.ContainsFunc(kinds, func(kind any) bool {
				switch kind {
				case "null":
					return v == nil
				case "object":
					return isObject
				case "array":
					return isList
				case "string":
					return isText
				case "boolean":
					_, ok := v.(bool)
					return ok
				case "number":
					return isNumber
				case "integer":
					return isNumber && number == math.Trunc(number)
				}
				return false
			}) {
				return fmt.Sprintf("%s: %v, wanted the type %v", at, v, want)
			}
		case "properties":
			for name, p := range want.(map[string]any) {
				if field, there := object[name]; there {
					if bad := d.check(p.(map[string]any), field, at+"."+name, closed); bad != "" {
						return bad
					}
				}
			}
			for name := range object {
				if _, known := want.(map[string]any)[name]; !known && (closed || s["additionalProperties"] == false) {
					return fmt.Sprintf("%s: a field %s that is not described", at, name)
				}
			}
		case "additionalProperties":
			if each, ok := want.(map[string]any); ok {
				for name, field := range object {
					if bad := d.check(each, field, at+"."+name, closed); bad != "" {
						return bad
					}
				}
			}
		case "required":
			for _, name := range want.([]any) {
				if _, there := object[name.(string)]; isObject && !there {
					return fmt.Sprintf("%s: no field %s", at, name)
				}
			}
		case "items":
			for i, item := range list {
				if bad := d.check(want.(map[string]any), item, fmt.Sprintf("%s[%d]", at, i), closed); bad != "" {
					return bad
				}
			}
		case "minItems":
			if isList && len(list) < int(want.(float64)) {
				return fmt.Sprintf("%s: %d items, wanted %v", at, len(list), want)
			}
		case "minLength":
			if isText && len(text) < int(want.(float64)) {
				return at + ": too short"
			}
		case "maxProperties":
			if len(object) > int(want.(float64)) {
				return at + ": too many fields"
			}
		case "minimum", "exclusiveMinimum", "maximum":
			limit := want.(float64)
			if isNumber && (word == "minimum" && number < limit || word == "exclusiveMinimum" && number <= limit || word == "maximum" && number > limit) {
				return fmt.Sprintf("%s: %v, wanted %s %v", at, v, word, want)
			}
		case "const":
			if v != want {
				return fmt.Sprintf("%s: %v, wanted %v", at, v, want)
			}
		case "enum":
			if !slices.ContainsFunc(want.([]any), func(w any) bool { return reflect.DeepEqual(w, v) }) {
				return fmt.Sprintf("%s: %v, wanted one of %v", at, v, want)
			}
		case "oneOf", "anyOf":
			var why []string
			fits := 0
			for _, option := range want.([]any) {
				if bad := d.check(option.(map[string]any), v, at, closed); bad != "" {
					why = append(why, bad)
				} else {
					fits++
				}
			}
			if fits == 0 || word == "oneOf" && fits > 1 {
				return fmt.Sprintf("%s: %d of the choices fit: %s", at, fits, strings.Join(why, "; "))
			}
		default:
			return fmt.Sprintf("%s: the schema's word %q, wanted one that this test knows", at, word)
		}
	}
	return ""
}

func keys(s schema) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for k := range s {
			if !yield(k) {
				return
			}
		}
	}
}

// answered checks an answer against the document.
func (d *document) answered(t *testing.T, method, path string, w *httptest.ResponseRecorder) {
	t.Helper()
	path, _, _ = strings.Cut(path, "?")
	if name, ok := strings.CutPrefix(path, "/v1/models/"); ok && name != "" {
		path = "/v1/models/{model}"
	}
	operation, ok := d.Paths[path][strings.ToLower(method)]
	if !ok {
		return // not found, or not allowed
	}
	response, ok := operation.Responses[fmt.Sprint(w.Code)]
	if !ok {
		t.Errorf("%s %s answers %d, which is not described: %s", method, path, w.Code, w.Body)
		return
	}
	var v any
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	if bad := d.check(response.Content["application/json"].Schema, v, "answer", true); bad != "" {
		t.Errorf("%s %s %d: %s", method, path, w.Code, bad)
	}
}

// TestDocumentPaths: what is described is there, with its method and its need of a token,
// and nothing else is.
func TestDocumentPaths(t *testing.T) {
	d := readDocument(t)
	s := serving(t, newFake(), nil, nil)
	want := map[string]string{"/v1/models/{model}": "get"}
	for path := range s.posts() {
		want[path] = "post"
	}
	for path := range s.gets() {
		want[strings.TrimSuffix(path, "{$}")] = "get"
	}
	got := map[string]string{}
	for path, methods := range d.Paths {
		for method, operation := range methods {
			got[path] = method
			if free := operation.Security != nil && len(*operation.Security) == 0; free != open[path] {
				t.Errorf("%s: described as free of a token: %v, wanted %v", path, free, open[path])
			}
			for status, r := range operation.Responses {
				if s := r.Content["application/json"].Schema; status != "200" && s["$ref"] != "#/components/schemas/Error" {
					t.Errorf("%s: the answer %s is %v, wanted an error", path, status, s)
				}
			}
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("paths %v, wanted %v", got, want)
	}
}

// TestDocumentFields: a request's fields are those that the server reads.
func TestDocumentFields(t *testing.T) {
	d := readDocument(t)
	for name, request := range map[string]any{"CompletionsRequest": completionsRequest{}, "NextRequest": nextRequest{}, "RewardRequest": rewardRequest{},
		"TrainerRequest": trainerRequest{}, "TokenizeRequest": tokenizeRequest{}, "DetokenizeRequest": detokenizeRequest{},
		"ExplicitRequest": explicitRequest{}, "ClassifyRequest": pooled{}, "PoolingRequest": poolingRequest{}, "ScoreRequest": scoreRequest{}} {
		want := fieldsOf(reflect.TypeOf(request))
		slices.Sort(want)
		s := d.Components.Schemas[name]
		var got []string
		for field := range s["properties"].(map[string]any) {
			got = append(got, field)
		}
		slices.Sort(got)
		if !slices.Equal(got, want) || s["additionalProperties"] != false {
			t.Errorf("%s: fields %v, wanted %v", name, got, want)
		}
	}
}

// fieldsOf are the names of a struct's fields; those of an embedded one are its own.
func fieldsOf(t reflect.Type) (names []string) {
	for f := range t.Fields() {
		if f.Anonymous {
			names = append(names, fieldsOf(f.Type)...)
			continue
		}
		names = append(names, f.Tag.Get("json"))
	}
	return names
}

// TestDocumentRequests: what the document forbids is refused, and what it allows is not.
func TestDocumentRequests(t *testing.T) {
	d := readDocument(t)
	s := serving(t, newFake(), nil, nil)
	schema := d.Components.Schemas["CompletionsRequest"]
	fields := map[string][]string{
		"model": {`null`, `"fake/tuned"`, `5`}, "prompt": {`[1,2]`, `[[1],[2]]`, `[]`, `[[]]`, `{}`, `[1,"a"]`, `[-1]`, `[1.5]`, `[[1],2]`, `true`},
		"echo": {`true`, `null`, `"x"`}, "logprobs": {`0`, `20`, `21`, `-1`, `null`, `1.5`}, "max_tokens": {`0`, `1`, `2`, `-1`, `"1"`},
		"n": {`1`, `2`, `null`}, "best_of": {`1`, `0`}, "stream": {`false`, `true`, `null`}, "stream_options": {`null`, `{}`}, "suffix": {`""`, `"x"`, `null`},
		"presence_penalty": {`0`, `1`, `null`}, "frequency_penalty": {`0`, `0.1`}, "logit_bias": {`{}`, `{"1":2}`, `null`, `[]`}, "top_p": {`1`, `1.1`, `-0.5`, `null`},
		"seed": {`5`, `null`, `"x"`}, "user": {`"x"`, `null`, `5`}, "temperature": {`0`, `null`, `"x"`}, "add_special_tokens": {`true`, `1`}, "other": {`1`},
		"return_tokens_as_token_ids": {`true`, `null`, `1`},
	}
	for name, values := range fields {
		for _, value := range values {
			request := map[string]json.RawMessage{"prompt": json.RawMessage(`[1]`), "max_tokens": json.RawMessage(`1`)}
			request[name] = json.RawMessage(value)
			b, _ := json.Marshal(request)
			var v any
			json.Unmarshal(b, &v)
			bad := d.check(schema, v, "request", false)
			if w := post(s.Handler(), "/v1/completions", string(b)); (w.Code == 200) != (bad == "") {
				t.Errorf("%s: status %d %s, the document says %q", b, w.Code, w.Body, bad)
			}
		}
	}
}
