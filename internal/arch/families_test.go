package arch

import (
	"slices"
	"strings"
	"testing"
)

// TestRegistry: what families says of a family is true of its reference checkpoints.
func TestRegistry(t *testing.T) {
	if !slices.IsSortedFunc(families, func(a, b Family) int { return strings.Compare(a.Type, b.Type) }) {
		t.Error("families are not sorted by type")
	}
	for _, f := range families {
		if f.Name == "" || f.Models == "" {
			t.Errorf("%s: no Name or no Models: README's table shows them", f.Type)
		}
	}
	for name, m := range references(t) {
		f, _ := FamilyOf(m.Type)
		mixture := slices.ContainsFunc(m.Blocks, func(l *Layer) bool { return l.Experts != nil })
		if recurs := f.Recurrent != ""; m.Recurrent() != recurs && !(f.Mixed && recurs) {
			t.Errorf("%s: recurrences %v, and families says %q", name, m.Recurrent(), f.Recurrent)
		}
		if mixture != f.Mixture && !f.Mixed || m.Multimodal != f.Wrapper {
			t.Errorf("%s: mixture %v, text part of a wrapper %v, and families says %v, %v", name, mixture, m.Multimodal, f.Mixture, f.Wrapper)
		}
	}
}
