package jinja

import (
	"encoding/json"
	"flag"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

var (
	vectorsFile = flag.String("vectors", "testdata/vectors.json", "file of vectors, such as a larger one made with testdata/make.py")
	mutantsFile = flag.String("mutants", "testdata/mutants.json", "the same of testdata/mutants.py")
	writeList   = flag.Bool("refused", false, "write testdata/refused.json anew, for reading what changed in it")
)

// refused holds the templates of vectors.json and mutants.json that use what this package
// refuses, each with the refusal's words. A template that is refused otherwise, or no
// longer, fails its test.
const refusedFile = "testdata/refused.json"

func readRefused(t *testing.T) map[string]string {
	var refused map[string]string
	data, err := os.ReadFile(refusedFile)
	if err == nil {
		err = json.Unmarshal(data, &refused)
	}
	if err != nil {
		t.Fatal(err)
	}
	return refused
}

// TestRefused: the list of refused templates is that of the vectors, and counted.
func TestRefused(t *testing.T) {
	found := map[string]string{}
	var count []int
	for _, path := range []string{"testdata/vectors.json", "testdata/mutants.json"} {
		v, vars := readVectors(t, path)
		n := 0
		for _, c := range v.Vectors {
			if _, err := render(c.Src, vars); err != nil && err.(*Error).Kind == "NotSupportedError" {
				found[c.Src] = err.(*Error).Message
				n++
			}
		}
		count = append(count, n)
	}
	if *writeList {
		data, err := json.MarshalIndent(found, "", " ")
		if err == nil {
			err = os.WriteFile(refusedFile, append(data, '\n'), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if refused := readRefused(t); !maps.Equal(found, refused) {
		t.Errorf("%d templates are refused, %d are listed, or with other words", len(found), len(refused))
	}
	if want := []int{92, 6}; !slices.Equal(count, want) {
		t.Errorf("%d refused, wanted %d", count, want)
	}
}

// vectors are templates of our own with what transformers 5.23.0 (jinja2 3.1.6)
// renders them to; testdata/make.py writes them.
type vectors struct {
	Vars    json.RawMessage
	Vectors []struct {
		Src string
		Out *string
		Err string
	}
}

func readVectors(t testing.TB, path string) (vectors, map[string]any) {
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	all, err := FromJSON(v.Vars)
	if err != nil {
		t.Fatal(err)
	}
	vars := map[string]any{}
	for _, k := range all.(*Dict).keys {
		vars[k.(string)], _ = all.(*Dict).get(k)
	}
	return v, vars
}

func render(src string, vars map[string]any) (string, error) {
	tpl, err := Parse(src)
	if err != nil {
		return "", err
	}
	return tpl.Render(vars, Limits{})
}

// isRefusal reports whether err is a refusal by this package, with these words unless they
// are empty.
func isRefusal(err error, words string) bool {
	e, ok := err.(*Error)
	return ok && e.Kind == "NotSupportedError" && (words == "" || e.Message == words)
}

func TestVectors(t *testing.T) {
	v, vars := readVectors(t, *vectorsFile)
	listed := readRefused(t)
	refused := 0
	for _, c := range v.Vectors {
		got, err := render(c.Src, vars)
		switch want := listed[c.Src]; {
		case want != "" && !isRefusal(err, want):
			t.Errorf("%s\n error %v\nwanted the refusal: %s", c.Src, err, want)
		case want != "":
			refused++
		case isRefusal(err, "") && *vectorsFile == "testdata/vectors.json":
			t.Errorf("%s\n refused, which refused.json does not list: %v", c.Src, err)
		case isRefusal(err, ""): // of a file that no list goes with
			refused++
			t.Logf("refused: %s: %v", c.Src, err)
		case c.Out != nil && err != nil:
			t.Errorf("%s\n error %v\nwanted %q", c.Src, err, *c.Out)
		case c.Out != nil && got != *c.Out:
			t.Errorf("%s\n   got %q\nwanted %q", c.Src, got, *c.Out)
		case c.Out == nil && err == nil:
			t.Errorf("%s\n   got %q\nwanted error %s", c.Src, got, c.Err)
		case c.Out == nil:
			kind, message, _ := strings.Cut(c.Err, ": ")
			e := err.(*Error)
			if message != "" && e.Message != message {
				t.Errorf("%s\n error %v\nwanted %s", c.Src, err, c.Err)
			} else if kind != e.Kind && kind != "TemplateAssertionError" {
				t.Errorf("%s\n error %v\nwanted %s", c.Src, err, c.Err)
			}
		}
	}
	t.Logf("%d templates, %d refused as not supported", len(v.Vectors), refused)
}

// TestMutants holds chat templates with a fault or two each (testdata/mutants.py
// writes them): the text is that of transformers, and where it fails so do we,
// though perhaps in other words.
func TestMutants(t *testing.T) {
	v, vars := readVectors(t, *mutantsFile)
	listed := readRefused(t)
	refused := 0
	for _, c := range v.Vectors {
		got, err := render(c.Src, vars)
		switch want := listed[c.Src]; {
		case want != "" && !isRefusal(err, want):
			t.Errorf("%s\n error %v\nwanted the refusal: %s", c.Src, err, want)
		case err != nil && err.(*Error).Kind == "InternalError":
			t.Errorf("%s\n error %v", c.Src, err)
		case isRefusal(err, "") && want == "" && *mutantsFile == "testdata/mutants.json":
			t.Errorf("%s\n refused, which refused.json does not list: %v", c.Src, err)
		case isRefusal(err, ""):
			refused++
		case c.Out != nil && err != nil:
			t.Errorf("%s\n error %v\nwanted %q", c.Src, err, *c.Out)
		case c.Out != nil && got != *c.Out:
			t.Errorf("%s\n   got %q\nwanted %q", c.Src, got, *c.Out)
		case c.Out == nil && err == nil:
			t.Errorf("%s\n   got %q\nwanted error %s", c.Src, got, c.Err)
		}
	}
	if len(v.Vectors) < 1000 || refused*100 > len(v.Vectors) {
		t.Errorf("%d templates, %d refused as not supported, wanted at least 1000 and at most one in 100 refused", len(v.Vectors), refused)
	}
}

// TestLoopTargets: a comma before "in" or "recursive" does not end the list. The
// answers are those of transformers 5.23.0 (jinja2 3.1.6); "" is a TemplateSyntaxError.
func TestLoopTargets(t *testing.T) {
	holds(t, map[string]string{
		"{% for k, in [[1]] %}{{ k }}{% endfor %}":                      "",
		"{% if 0 %}{% for k, in [[1]] %}{{ k }}{% endfor %}{% endif %}": "",
		"{% for (k,) in [[1]] %}{{ k }}{% endfor %}":                    "1",
		"{% for k, in in [[1, 2]] %}{{ k }}{% endfor %}":                "1",
		"{% for k in [1], %}{{ k }}{% endfor %}":                        "[1]",
		"{% for k in [1], recursive %}{{ k }}{% endfor %}":              "[1]",
		"{% for k in [1], if k %}{{ k }}{% endfor %}":                   "",
		"{% set k, = [1] %}{{ k }}":                                     "",
	}, "TemplateSyntaxError")
}

// TestTypesOfFilters: what Jinja 3.1.6 gives, or the TypeError that it raises ("").
func TestTypesOfFilters(t *testing.T) {
	holds(t, map[string]string{
		"{% filter int %}3{% endfilter %}":             "",
		"{% filter sort %}ba{% endfilter %}":           "",
		"{% filter length %}ba{% endfilter %}":         "",
		"{% filter upper %}ba{% endfilter %}":          "BA",
		"{% filter safe %}a{% endfilter %}":            "a",
		"{{ [2, 1]|sort(', ') }}":                      "",
		"{{ [2, 1]|sort(none) }}":                      "",
		"{{ [2, 1]|sort(1.0) }}":                       "",
		"{{ [2, 1]|sort(zz) }}":                        "",
		"{{ [1, 2]|sort(1) }}":                         "[2, 1]",
		"{{ [1, 2]|sort(true) }}":                      "[2, 1]",
		"{{ [2, 1]|sort }}":                            "[1, 2]",
		"{{ {'b': 1, 'a': 2}|dictsort(reverse='x') }}": "",
	}, "TypeError")
}

// holds renders templates and compares them with what Jinja gives; "" stands for an error of
// the kind.
func holds(t *testing.T, cases map[string]string, kind string) {
	t.Helper()
	for src, want := range cases {
		got, err := render(src, nil)
		if want == "" && (err == nil || err.(*Error).Kind != kind) || want != "" && (err != nil || got != want) {
			t.Errorf("%s: %q %v, wanted %q", src, got, err, want)
		}
	}
}
