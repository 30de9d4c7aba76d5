package lexicon_test

import (
	"reflect"
	"strings"
	"testing"

	"golang.org/x/text/encoding/unicode"

	"github.com/implicitreward/implicitreward/implicit/lexicon"
)

func TestReadPrompts(t *testing.T) {
	want := []lexicon.Prompt{{"z", "Why, \"is\" it?"}, {"a", "  Two\nlines\r\n "}, {"é", "日本"}}
	for name, in := range map[string]string{
		"JSON":      " {\"z\": \"Why, \\\"is\\\" it?\", \"a\": \"  Two\\nlines\\r\\n \", \"é\": \"\\u65e5本\"}\n",
		"CSV":       "name,prompt\nz,\"Why, \"\"is\"\" it?\"\na,\"  Two\nlines\r\n \"\né,日本\n",
		"CSV, BOM":  "\ufeffprompt,name\r\n\"Why, \"\"is\"\" it?\",z\r\n\"  Two\nlines\r\n \",a\r\n日本,é\r\n",
		"YAML":      "# a comment\n---\nz: \"Why, \\\"is\\\" it?\"   # another\n\na: \"  Two\\nlines\\r\\n \"\r\né: 日本\n",
		"YAML, '''": "z: 'Why, \"is\" it?' # another\na: \"  Two\\nlines\\r\\n \"\né: '日本'",
	} {
		got, err := lexicon.ReadPrompts(strings.NewReader(in))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	for name, in := range map[string]string{
		"tabs":              "name\tprompt\na\tWhy, x?\nb\tHow?\n",
		"with groups":       "name,group,prompt\na,x,\"Why, x?\"\nb,y,How?\n",
		"with framing":      "Prompt,name,framing\n\"Why, x?\",a,x\nHow?,b,y\n",
		"carriage returns":  "name,prompt\ra,\"Why, x?\"\rb,How?\r",
		"Excel":             "sep=,\r\nName, Prompt\r\na,\"Why, x?\"\r\nb,How?\r\n",
		"comments":          "# mine\n\n; too\nname,prompt\na,\"Why, x?\"\nb,How?\n",
		"UTF-16":            inUTF16("name\tprompt\r\na\tWhy, x?\r\nb\tHow?\r\n"),
		"YAML, old Mac":     "a: 'Why, x?'\rb: How?\r",
		"YAML, UTF-16":      inUTF16("a: \"Why, x?\"\nb: How?"),
		"JSON, byte order":  "\ufeff{\"a\": \"Why, x?\", \"b\": \"How?\"}",
		"JSON in UTF-16":    inUTF16("{\"a\": \"Why, x?\", \"b\": \"How?\"}"),
		"blanks in between": "\n\nname,prompt\n\na,\"Why, x?\"\n\nb,How?\n",
	} {
		got, err := lexicon.ReadPrompts(strings.NewReader(in))
		if want := []lexicon.Prompt{{"a", "Why, x?"}, {"b", "How?"}}; err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	got, err := lexicon.ReadPrompts(strings.NewReader("x: 'it''s'"))
	if err != nil || got[0].Text != "it's" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestReadPromptsErrors(t *testing.T) {
	for in, want := range map[string]string{
		"":                               "empty, wanted at least one prompt",
		" \n ":                           "empty, wanted at least one prompt",
		"{}":                             "no prompts, wanted at least one",
		"name,prompt\n":                  "no prompts, wanted at least one",
		"# nothing":                      "no prompts, wanted at least one",
		"\xff":                           "line 1: not valid UTF-8: byte 0xff, as in Latin-1 and other old encodings, wanted UTF-8 (save it as CSV UTF-8, or as text in UTF-8)",
		`{"a": "x", "a": "y"}`:           "JSON: byte 19: a stands twice, wanted each name once",
		`{"a": ""}`:                      "JSON: byte 8: a: empty prompt, wanted text",
		`{"": "x"}`:                      `JSON: byte 8: a prompt without a name: "x"`,
		`{"a": 5}`:                       "JSON: byte 7: a: 5, wanted a string",
		`{"a": ["x"]}`:                   "JSON: byte 7: a: [, wanted a string",
		`{"a": "x"} {}`:                  "JSON: byte 12: text after the closing brace",
		`{"a": "\ud800"}`:                "JSON: byte 7: a: half of a surrogate pair, wanted text",
		"name,prompt\na,x\nb,y\na,z\n":   "CSV: line 4, column 1 (name): a stands twice, wanted each name once",
		"name,prompt\na\n":               "CSV: line 2: 1 columns, wanted 2 as in line 1",
		"a: \"x\"\na: \"y\"\n":           "line 2: a stands twice, wanted each name once",
		"prompts:\n  a: \"x\"\n":         `line 1: "prompts:", wanted name: "prompt" (or JSON, or CSV with the header name,prompt)`,
		"- a\n":                          `line 1: "- a", wanted name: "prompt" (or JSON, or CSV with the header name,prompt)`,
		"What is best?":                  `line 1: "What is best?", wanted name: "prompt" (or JSON, or CSV with the header name,prompt)`,
		"a: \"x":                         `line 1: "x, wanted a double-quoted string with no escapes but JSON's`,
		"a: \"x\\":                       `line 1: "x\, wanted a double-quoted string with no escapes but JSON's`,
		"a: \"\\x41\"":                   `line 1: "\x41", wanted a double-quoted string with no escapes but JSON's`,
		"a: 'x":                          `line 1: 'x, wanted a closing quote`,
		"a: \"x\" y":                     `line 1: " y" after the closing quote`,
		"a: \"x\"#y":                     `line 1: "#y" after the closing quote`,
		"a: |":                           "line 1: |, wanted the prompt in quotes",
		"a: Say: x":                      "line 1: Say: x, wanted the prompt in quotes",
		"a: true":                        "line 1: true, wanted a string",
		"a: 5":                           "line 1: 5, wanted a string",
		"a: ":                            "line 1: a: empty prompt, wanted text",
		"name;prompt\na;x\n":             `line 1: "name;prompt", wanted commas between the columns, not semicolons`,
		"sep=;\nname;prompt\na;x\n":      `line 1: "sep=;", wanted commas between the columns, not semicolons`,
		"PK\x03\x04xl/workbook.xml":      "an Excel workbook (.xlsx): save the sheet as CSV UTF-8, wanted text",
		"name,prompt\na,x\nb,gr\xfc\xdf": "line 3: not valid UTF-8: byte 0xfc, as in Latin-1 and other old encodings, wanted UTF-8 (save it as CSV UTF-8, or as text in UTF-8)",
	} {
		if _, err := lexicon.ReadPrompts(strings.NewReader(in)); err == nil || err.Error() != "lexicon: prompts: "+want {
			t.Errorf("%q:\n got %v\nwant lexicon: prompts: %s", in, err, want)
		}
	}
	for _, in := range []string{`{"a"`, `{"a": }`, `{"a": "x"`, `{"a": "x" "b"}`} {
		if _, err := lexicon.ReadPrompts(strings.NewReader(in)); err == nil || !strings.HasPrefix(err.Error(), "lexicon: prompts: JSON: ") {
			t.Errorf("%s: %v, want an error of JSON", in, err)
		}
	}
}

func FuzzReadPrompts(f *testing.F) {
	for _, s := range []string{`{"a":"b"}`, "name,prompt\na,b", "a: \"b\" # c\n", "a: 'b''c'", "a: b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		got, err := lexicon.ReadPrompts(strings.NewReader(in))
		if (err == nil) != (len(got) > 0) {
			t.Errorf("%q: %d prompts and %v", in, len(got), err)
		}
		for _, p := range got {
			if p.Name == "" || p.Text == "" {
				t.Errorf("%q: %q", in, p)
			}
		}
	})
}

func inUTF16(text string) string {
	out, err := unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder().String(text)
	if err != nil {
		panic(err)
	}
	return out
}
