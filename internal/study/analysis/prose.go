package analysis

import (
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strings"
)

//go:embed prose.txt
var proseFile string

// prose are the report's texts by name: see prose.txt.
var prose = parseProse(proseFile)

func parseProse(file string) map[string]string {
	texts := map[string]string{}
	for _, section := range strings.Split("\n"+file, "\n[")[1:] {
		name, text, _ := strings.Cut(section, "]\n")
		paragraphs := strings.Split(strings.TrimSpace(text), "\n\n")
		for i, p := range paragraphs {
			paragraphs[i] = strings.ReplaceAll(p, "\n", " ")
		}
		texts[name] = strings.Join(paragraphs, "\n")
	}
	return texts
}

// say is a text of prose.txt with its verbs filled in.
func say(name string, args ...any) string {
	text, ok := prose[name]
	if !ok {
		panic("study: no text " + name + " in prose.txt")
	}
	return fmt.Sprintf(text, args...)
}

// paragraphs are those of a text.
func paragraphs(name string, args ...any) []string { return strings.Split(say(name, args...), "\n") }

// Differences lists in what Options.Compat makes the analyses follow the paper's code
// (its repository at 5d8d2e9), and what they do otherwise: a name, the paper's way, the
// default.
func Differences() [][]string {
	var rows [][]string
	for _, row := range paragraphs("differences") {
		rows = append(rows, strings.Split(row, " | "))
	}
	return rows
}

// sortedKeys are the keys of a map, sorted.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
