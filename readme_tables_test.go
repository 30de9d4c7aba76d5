package implicitreward_test

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/implicitreward/implicitreward/internal/arch"
	"github.com/implicitreward/implicitreward/internal/checkpoint"
)

var update = flag.Bool("update", false, "write README's tables of families and files anew")

// familiesTable is the registry of families as README shows it.
func familiesTable() string {
	var b strings.Builder
	b.WriteString("| `model_type` | models | kind | trained | class of reward models in transformers |\n|---|---|---|---|---|\n")
	for _, f := range arch.Families() {
		kind, trained, class := "dense", "all weights, adapters", "none"
		if f.Mixture {
			kind, trained = "mixture of experts", "adapters beside attention"
		}
		if f.Mixed {
			kind, trained = "dense, or with a mixture of experts", "all weights of dense ones, adapters"
		}
		switch {
		case f.Recurrent == "":
		case f.AttentionAlone:
			kind = "attention alone or with " + f.Recurrent + ", " + kind
		default:
			kind = f.Recurrent + " and attention, " + kind
		}
		if f.Wrapper {
			kind += ", text part of a multimodal one"
		}
		if f.Classifier != "" {
			class = f.Classifier + "ForSequenceClassification"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", f.Type, f.Models, kind, trained, class)
	}
	return b.String()
}

// filesTable is the registry of kinds of files as README shows it.
func filesTable() string {
	var b strings.Builder
	b.WriteString("| weights | as written by | decoded as by |\n|---|---|---|\n")
	for _, k := range checkpoint.Kinds() {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", k.Format, k.Writers, cmp.Or(k.Decoder, "(not quantised)"))
	}
	return b.String()
}

// TestReadmeTables: README's tables of families and of files are those that the registries make.
func TestReadmeTables(t *testing.T) {
	old, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(old)
	for name, table := range map[string]string{"families": familiesTable(), "files": filesTable()} {
		before, rest, ok := strings.Cut(text, "<!-- "+name+": ")
		comment, rest, begun := strings.Cut(rest, "-->\n")
		_, after, ended := strings.Cut(rest, "<!-- end of "+name+" -->")
		if !ok || !begun || !ended {
			t.Fatalf("README has no table between <!-- %s: ... --> and <!-- end of %s -->", name, name)
		}
		text = before + "<!-- " + name + ": " + comment + "-->\n" + table + "<!-- end of " + name + " -->" + after
	}
	if text == string(old) {
		return
	}
	if !*update {
		t.Fatal("README's tables are not those of arch.Families and checkpoint.Kinds: go test . -run TestReadmeTables -update writes them anew")
	}
	if err := os.WriteFile("README.md", []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
