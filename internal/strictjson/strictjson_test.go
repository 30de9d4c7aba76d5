package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// TestCheck: each text gives the error beside it; "" is none.
func TestCheck(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for text, want := range map[string]string{
		`{"a": {"a": {"a": 1}}, "b": {"a": 1}}`:                                 "",
		`{"a": "a", "b": ["a", "a", ["a"]], "c": "a"}`:                          "",
		`{"l": [{"a": 1}, {"a": 2}], "a": [], "b": {}, "c": {"a": []}, "A": 1}`: "",
		" \n null\t":            "",
		deep(MaxDepth):          "",
		`[1e308, -0.0, 1e-999]`: "",

		``:                                   "byte 0: it ends too early",
		`{"a": 1, "b": 2, "a": 1}`:           `byte 17: key "a" comes twice, wanted once`,
		"{\n \"a\": 1,\n \"\\u0061\": 2}":    `line 3, byte 12: key "a" comes twice, wanted once`,
		`[{"f": [0, {"g": "f", "g": 2}]}]`:   `byte 22: key "g" comes twice in 0/f/1, wanted once`,
		`{} {}`:                              "byte 3: text after the end of the value",
		`{"a": 1`:                            "byte 7: it ends too early",
		`{"a"}`:                              `byte 4: invalid character '}' after object name (expecting ':')`,
		`{1: 1}`:                             "byte 1: wanted a key in quotes",
		`{"a": NaN}`:                         `byte 6: invalid character 'N' at start of value`,
		`[1e999]`:                            "byte 1: 1e999, wanted a number that float64 can hold",
		`[` + strings.Repeat("9", 310) + `]`: "byte 1: " + strings.Repeat("9", 40) + ", wanted a number that float64 can hold",
		"{\"a\": \"b\xff\"}":                 "byte 8: not UTF-8, wanted text",
		deep(MaxDepth + 1):                   "byte 1000: more than 1000 lists and objects in one another",
		strings.Repeat("[", 200_000):         "byte 1000: more than 1000 lists and objects in one another",
		"\"a\nb\"":                           `line 1, byte 2: invalid character '\n' in string (expecting non-control character)`,
		"{\"a\": 1,\n\"b\": tru}":            `line 2, byte 17: invalid character '}' in literal true (expecting 'e')`,
	} {
		got := ""
		if err := Check([]byte(text)); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%.60s: %s, wanted %s", text, got, want)
		}
	}
}

// TestSurrogates: pairs and escaped backslashes are text; an unpaired surrogate is an error,
// also in keys.
func TestSurrogates(t *testing.T) {
	for text, want := range map[string]int{
		`{"a":"x"}`: -1, `{"a":"\ud83d\ude00"}`: -1, `{"a":"\\ud83d"}`: -1, `{"a":"\uD83D\uDE00"}`: -1, `{"a":"\ufffd"}`: -1, `{"a":"\n\"\\"}`: -1,
		`{"a":"\ud83d"}`: 6, `{"a":"\ude00\ud83d"}`: 6, `{"a":"\ud83dx\ude00"}`: 6, `{"a":"\ud83d\ud83d\ude00"}`: 6, `{"a":"\\\ud83d"}`: 8, `{"\udfff":1}`: 2,
	} {
		err := Check([]byte(text))
		e, ok := errors.AsType[*Error](err)
		if want < 0 && err != nil || want >= 0 && (!ok || e.Offset != want || !strings.HasSuffix(e.Reason, "half of a surrogate pair, wanted text")) {
			t.Errorf("%s: %v, wanted an error at %d", text, err, want)
		}
	}
	for text, want := range map[string]bool{`"\ud83d\ude00"`: true, `"\\ud83d"`: true, `"\ud83d"`: false, `"\ud83dx"`: false} {
		if s, ok, err := String([]byte(text)); !ok || (err == nil) != want || want && s == "" {
			t.Errorf("%s: %q, %v, %v", text, s, ok, err)
		}
	}
	for _, text := range []string{"7", "", "null", "[]"} {
		if s, ok, err := String([]byte(text)); s != "" || ok || err != nil {
			t.Errorf("%s: %q, %v, %v", text, s, ok, err)
		}
	}
}

// TestParts: the members of an object and the values of a list, in their order and as they
// are written.
func TestParts(t *testing.T) {
	got, err := Members([]byte(" {\"b\" : {\"x\": [1, {}]} ,\n\"a\\n\":[ 1 , [2]], \"\": -1.50 , \"s\":\"},\",\"n\":null}\n"), "")
	want := []Member{{"b", []byte(`{"x": [1, {}]}`)}, {"a\n", []byte("[ 1 , [2]]")}, {"", []byte("-1.50")}, {"s", []byte(`"},"`)}, {"n", []byte("null")}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%s, %v", got, err)
	}
	object, err := Object([]byte(`{"a":1,"b":{"a":2}}`), "")
	if err != nil || len(object) != 2 || string(object["b"]) != `{"a":2}` {
		t.Errorf("%s, %v", object, err)
	}
	list, err := List([]byte(` [ {"a":[1]} , "x",3,[ ] ]`))
	if err != nil || !reflect.DeepEqual(list, []json.RawMessage{[]byte(`{"a":[1]}`), []byte(`"x"`), []byte("3"), []byte("[ ]")}) {
		t.Errorf("%s, %v", list, err)
	}
	if list, err := List([]byte("[]")); err != nil || len(list) != 0 {
		t.Errorf("%s, %v", list, err)
	}
	if members, err := Members([]byte("{ }"), ""); err != nil || len(members) != 0 {
		t.Errorf("%s, %v", members, err)
	}
	for text, want := range map[string]string{
		"[]": "byte 0: a list, wanted an object {...}", "": "byte 0: nothing, wanted an object {...}", " null": "byte 1: null, wanted an object {...}",
		"7": "byte 0: a number, wanted an object {...}", "true": "byte 0: true, wanted an object {...}", "x": "byte 0: no JSON, wanted an object {...}",
		`{"a":[{"b":1,"b":2}]}`: `byte 13: key "b" comes twice in a/0, wanted once`,
	} {
		if _, err := Object([]byte(text), "{...}"); err == nil || err.Error() != want {
			t.Errorf("%s: %v, wanted %s", text, err, want)
		}
	}
	if _, err := List([]byte(`{}`)); err == nil || err.Error() != "byte 0: an object, wanted a list" {
		t.Error(err)
	}
	if !Null(nil) || !Null([]byte("null")) || Null([]byte("0")) {
		t.Error("Null")
	}
}

type request struct {
	Name  string             `json:"name"`
	N     *int               `json:"n"`
	X     float64            `json:"x"`
	Yes   bool               `json:"yes"`
	Raw   json.RawMessage    `json:"raw"`
	Map   map[string]float64 `json:"map"`
	List  []string           `json:"list"`
	Inner struct {
		K string `json:"k"`
	} `json:"inner"`
}

func TestUnmarshal(t *testing.T) {
	var r request
	err := Unmarshal([]byte(`{"name":"a\u00e9","n":3,"x":1.5,"yes":true,"raw":{"b": 1},"map":{"5":1},"list":null,"inner":{"k":"v"}}`), &r)
	if err != nil || r.Name != "aé" || *r.N != 3 || r.X != 1.5 || !r.Yes || string(r.Raw) != `{"b": 1}` || r.Map["5"] != 1 || r.List != nil || r.Inner.K != "v" {
		t.Errorf("%+v, %v", r, err)
	}
	r = request{}
	if err := Unmarshal([]byte(`{"n":null,"raw":null,"x":null}`), &r); err != nil || r.N != nil || !Null(r.Raw) {
		t.Errorf("%+v, %v", r, err)
	}
	for text, want := range map[string]Error{
		`{"Name":"a"}`:                      {Reason: `unknown key "Name"`, Key: "Name", Unknown: true, Offset: 1},
		`{"name":"a","name":"b"}`:           {Reason: `key "name" comes twice, wanted once`, Key: "name", Offset: 12},
		`{"inner":{"K":"a"}}`:               {Reason: `unknown key "inner.K"`, Key: "inner.K", Unknown: true, Offset: 10},
		`{"inner":{"k":"a","k":"a"}}`:       {Reason: `key "k" comes twice in inner, wanted once`, Key: "k", Offset: 18},
		`{"raw":{"k":[{"l":"a","l":"a"}]}}`: {Reason: `key "l" comes twice in raw/k/0, wanted once`, Key: "l", Offset: 22},
		`{"n":"1"}`:                         {Reason: "n: a string, wanted an integer", Key: "n", Mistyped: true, Offset: 5},
		`{"n":1.5}`:                         {Reason: "n: the number 1.5, wanted an integer", Key: "n", Mistyped: true, Offset: 5},
		`{"n":1e30}`:                        {Reason: "n: the number 1e30, wanted an integer", Key: "n", Mistyped: true, Offset: 5},
		`{"x":"x"}`:                         {Reason: "x: a string, wanted a number", Key: "x", Mistyped: true, Offset: 5},
		`{"yes":1}`:                         {Reason: "yes: a number, wanted true or false", Key: "yes", Mistyped: true, Offset: 7},
		`{"map":[]}`:                        {Reason: "map: a list, wanted an object", Key: "map", Mistyped: true, Offset: 7},
		`{"map":{"a":"b"}}`:                 {Reason: "map.a: a string, wanted a number", Key: "map.a", Mistyped: true, Offset: 12},
		`{"list":[1]}`:                      {Reason: "list.0: a number, wanted a string", Key: "list.0", Mistyped: true, Offset: 9},
		`{"list":{}}`:                       {Reason: "list: an object, wanted a list", Key: "list", Mistyped: true, Offset: 8},
		`{"inner":3}`:                       {Reason: "inner: a number, wanted an object", Key: "inner", Mistyped: true, Offset: 9},
		`[]`:                                {Reason: "the text: a list, wanted an object", Key: "the text", Mistyped: true},
	} {
		err := Unmarshal([]byte(text), new(request))
		if e, ok := errors.AsType[*Error](err); !ok || *e != want {
			t.Errorf("%s: %#v, wanted %#v", text, err, want)
		}
	}
}

// FuzzMembers: what is taken is JSON, its parts are those that encoding/json reads, and
// what is refused says where.
func FuzzMembers(f *testing.F) {
	for _, s := range []string{`{"a":1,"b":{"c":[1,2,"x"]}}`, `{"a":1,"a":2}`, `{"a":"\ud83d\ude00"}`, `{"a":"\ud83d"}`, "{\"\xff\":1}", `[[[[]]]]`, `{"a":1e999}`, ` { "k" : null } `} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		members, err := Members(bytes.Clone(data), "")
		if err != nil {
			if e, ok := errors.AsType[*Error](err); !ok || e.Offset < 0 || e.Offset > len(data) || e.Reason == "" || strings.Contains(e.Error(), "\n") {
				t.Errorf("%q: %#v", data, err)
			}
			return
		}
		var want map[string]json.RawMessage
		if err := json.Unmarshal(data, &want); err != nil {
			t.Fatalf("%q was taken: %v", data, err)
		}
		if len(want) != len(members) {
			t.Errorf("%q: %d members, wanted %d", data, len(members), len(want))
		}
		for i, m := range members {
			if !bytes.Equal(m.Value, want[m.Key]) || slices.ContainsFunc(members[:i], func(o Member) bool { return o.Key == m.Key }) {
				t.Errorf("%q: %q is %q, wanted %q", data, m.Key, m.Value, want[m.Key])
			}
		}
	})
}

func BenchmarkCheck(b *testing.B) {
	data := []byte(`{"v":[` + strings.Repeat(`{"a":1.25,"b":"text and more","c":[1,2,3]},`, 10_000) + `0]}`)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if err := Check(data); err != nil {
			b.Fatal(err)
		}
	}
}

func TestWrite(t *testing.T) {
	var b strings.Builder
	if err := Write(&b, map[string]string{"a": "<&>"}, "  "); err != nil || b.String() != "{\n  \"a\": \"<&>\"\n}\n" {
		t.Errorf("%q, %v", b.String(), err)
	}
	if b, err := Marshal([]float64{0.1}); err != nil || string(b) != "[0.1]" {
		t.Errorf("%q, %v", b, err)
	}
	if _, err := Marshal(math.NaN()); err == nil {
		t.Error("NaN was written")
	}
	if b, err := Marshal(Numbers{[]string{"b<", "a"}, []float64{-0.5, math.Inf(1)}}); err != nil || string(b) != `{"b<":-0.5,"a":null}` {
		t.Errorf("%s, %v", b, err)
	}
	if b, err := Marshal(Numbers{}); err != nil || string(b) != "{}" {
		t.Errorf("%s, %v", b, err)
	}
	if _, err := Marshal(Numbers{Names: []string{"a"}}); err == nil {
		t.Error("a name without a number was written")
	}
	got := AppendFloat(AppendFloat(AppendFloat(nil, math.Inf(-1), 64), float64(float32(-0.1)), 32), 1e-7, 64)
	if string(got) != "null-0.11e-07" {
		t.Errorf("%s", got)
	}
}
