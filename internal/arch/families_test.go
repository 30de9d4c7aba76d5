package arch

import (
	"encoding/json"
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
		if recurs := f.Recurrent != ""; m.Recurrent() != recurs && !(f.AttentionAlone && recurs) {
			t.Errorf("%s: recurrences %v, and families says %q", name, m.Recurrent(), f.Recurrent)
		}
		if mixture != f.Mixture && !f.Mixed || m.Multimodal != f.Wrapper {
			t.Errorf("%s: mixture %v, text part of a wrapper %v, and families says %v, %v", name, mixture, m.Multimodal, f.Mixture, f.Wrapper)
		}
	}
}

// TestTied: where config.json does not say so, embeddings are tied in those families whose config
// class in transformers 5.23 has tie_word_embeddings true by default.
func TestTied(t *testing.T) {
	byDefault := strings.Fields(`bloom cohere cohere2 ernie4_5 ernie4_5_moe falcon gemma gemma2 gemma3 gemma3_text gemma3n gemma3n_text gemma4 gemma4_text
		gemma4_unified gemma4_unified_text gpt2 gpt_neo mistral3 mpt opt smollm3 starcoder2`)
	for name, as := range references(t) {
		for value, want := range map[string]bool{"": slices.Contains(byDefault, as.Type), "true": true, "false": false} {
			if as.Type == "mistral3" && value == "false" || as.Type == "nemotron_h" && value == "true" {
				continue // the checkpoint decides; refused
			}
			keys := readConfig(t, name, "")
			set := func(keys map[string]json.RawMessage) {
				if delete(keys, "tie_word_embeddings"); value != "" {
					keys["tie_word_embeddings"] = json.RawMessage(value)
				}
			}
			set(keys)
			if raw, ok := keys["text_config"]; ok {
				var text map[string]json.RawMessage
				if err := json.Unmarshal(raw, &text); err != nil {
					t.Fatal(err)
				}
				set(text)
				keys["text_config"], _ = json.Marshal(text)
			}
			m, err := Trunk(keys, no)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if m.Tied != want {
				t.Errorf("%s, tie_word_embeddings %s: tied %v, wanted %v", name, value, m.Tied, want)
			}
		}
	}
}
