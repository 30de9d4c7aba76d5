package tokenize

import (
	"fmt"
	"testing"
)

// TestTemplatesKept: templates are parsed once, and only so many are kept.
func TestTemplatesKept(t *testing.T) {
	var tok Tokenizer
	first, err := tok.template("first")
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := tok.template("first"); again != first {
		t.Error("parsed again, wanted the template that is kept")
	}
	for i := range 10 * maxTemplates {
		if _, err := tok.template(fmt.Sprint(i)); err != nil || len(tok.templates.byKey) > maxTemplates {
			t.Fatalf("%d templates, %v, wanted at most %d", len(tok.templates.byKey), err, maxTemplates)
		}
	}
	if _, err := tok.template("{{"); err == nil {
		t.Error("{{ parsed, wanted an error")
	}
}
