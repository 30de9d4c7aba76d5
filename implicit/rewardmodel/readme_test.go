package rewardmodel

import (
	"os"
	"strings"
	"testing"
)

// README's table of the BOS of reward models is what is known of them.
func TestReadme(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, ok := strings.Cut(string(text), "| reward models | BOS | |\n|---|---|---|\n")
	if !ok {
		t.Fatal("README has no table of the BOS of reward models")
	}
	table, _, _ = strings.Cut(table, "\n\n")
	listed := map[string]string{}
	for line := range strings.Lines(table) {
		cells := strings.Split(line, "|")
		for _, id := range strings.Split(cells[1], ",") {
			listed[strings.TrimSpace(id)] = strings.TrimSpace(cells[2])
		}
	}
	for id, k := range knownModels {
		if listed[id] != k.way.String() {
			t.Errorf("README has BOS %q for %s, wanted %q", listed[id], id, k.way)
		}
		delete(listed, id)
	}
	for id := range listed {
		t.Errorf("README lists %s, of which nothing is known", id)
	}
}
