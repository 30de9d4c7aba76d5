package jinja

import (
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"
)

var (
	vectorsFile = flag.String("vectors", "testdata/vectors.json", "file of vectors, such as a larger one made with testdata/make.py")
	mutantsFile = flag.String("mutants", "testdata/mutants.json", "the same of testdata/mutants.py")
)

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

func TestVectors(t *testing.T) {
	v, vars := readVectors(t, *vectorsFile)
	refused := 0
	for _, c := range v.Vectors {
		got, err := render(c.Src, vars)
		switch {
		case err != nil && err.(*Error).Kind == "NotSupportedError": // by name, as the package says
			refused++
			if testing.Verbose() {
				t.Logf("refused: %s: %v", c.Src, err)
			}
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
	if refused*50 > len(v.Vectors) {
		t.Errorf("%d of %d templates refused as not supported", refused, len(v.Vectors))
	}
	t.Logf("%d templates, %d refused as not supported", len(v.Vectors), refused)
}

// TestMutants holds chat templates with a fault or two each (testdata/mutants.py
// writes them): the text is that of transformers, and where it fails so do we,
// though perhaps in other words.
func TestMutants(t *testing.T) {
	v, vars := readVectors(t, *mutantsFile)
	refused := 0
	for _, c := range v.Vectors {
		got, err := render(c.Src, vars)
		switch {
		case err != nil && err.(*Error).Kind == "InternalError":
			t.Errorf("%s\n error %v", c.Src, err)
		case err != nil && err.(*Error).Kind == "NotSupportedError":
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
