package rewardmodel

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/tokenize"
)

// TestReading: a model reads by other options as one loaded with them does, and stays as it
// was; an option that its template refuses is an error.
func TestReading(t *testing.T) {
	if !tokenize.Available {
		t.Skip("needs the Rust tokenizers")
	}
	const dir = "testdata/heads/armorm"
	m, err := load(t, dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	it := implicit.Item{Prompt: "What is it?", Reply: "Love"}
	encode := func(m *Model) []int32 {
		t.Helper()
		text, err := m.Encode(it)
		if err != nil {
			t.Fatal(err)
		}
		return text.IDs
	}
	own := encode(m)
	for name, chat := range map[string]*tokenize.ChatOptions{
		"system": {System: "Be brief."}, "extra": {BOS: tokenize.BOSExtra}, "add": {BOS: tokenize.BOSAdd}, "own": {},
	} {
		other, err := m.Reading(false, chat)
		if err != nil {
			t.Fatal(name, err)
		}
		loaded, err := load(t, dir, &Options{Chat: chat})
		if err != nil {
			t.Fatal(name, err)
		}
		got, want := encode(other), encode(loaded)
		if !slices.Equal(got, want) || slices.Equal(got, own) != (name == "own" || name == "add") { // the template writes the BOS
			t.Errorf("%s: ids %v, wanted %v", name, got, want)
		}
		a, _ := json.Marshal(other.Facts())
		b, _ := json.Marshal(loaded.Facts())
		if string(a) != string(b) {
			t.Errorf("%s: %s, wanted %s", name, a, b)
		}
		if !slices.Equal(encode(m), own) {
			t.Errorf("%s: another reading changed the model's own", name)
		}
	}
	if _, err := m.Reading(false, &tokenize.ChatOptions{Template: "{% for m in messages %}{{ m.content }}{% endfor %}"}); err == nil {
		t.Error("a template without an end of the user's turn, and no error from a gated head")
	}
}

// TestCheck: a gated head cannot read a text without the end of a user's turn, and others can.
func TestCheck(t *testing.T) {
	if !tokenize.Available {
		t.Skip("needs the Rust tokenizers")
	}
	for dir, gated := range map[string]bool{"armorm": true, "qrm-llama": true, "linear-score": false, "urm": false} {
		m, err := load(t, "testdata/heads/"+dir, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Check([]int32{1, 2, 3}); (err != nil) != gated {
			t.Errorf("%s: %v", dir, err)
		}
		if m.Check(nil) == nil {
			t.Errorf("%s: no error for no tokens", dir)
		}
		if !gated {
			continue
		}
		text, err := m.Encode(implicit.Item{Prompt: "What is it?", Reply: "Love"})
		if err != nil || m.Check(text.IDs) != nil {
			t.Errorf("%s: %v, %v", dir, err, m.Check(text.IDs))
		}
	}
}
