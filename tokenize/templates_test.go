package tokenize

import (
	"fmt"
	"testing"
)

// TestParsedTemplates: templates are parsed once, and only so many are kept.
func TestParsedTemplates(t *testing.T) {
	var p parsedTemplates
	first, err := p.parse("first")
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := p.parse("first"); again != first {
		t.Error("parsed again, wanted the template that is kept")
	}
	for i := range 10 * maxTemplates {
		if _, err := p.parse(fmt.Sprint(i)); err != nil || len(p.byText) > maxTemplates {
			t.Fatalf("%d templates, %v, wanted at most %d", len(p.byText), err, maxTemplates)
		}
	}
	if _, err := p.parse("{{"); err == nil {
		t.Error("{{ parsed, wanted an error")
	}
}
