package implicit

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// TestExpand: matches in the list's order, in the wildcard's place, whatever their case,
// each once; what is there twice is told; what matches nothing stays.
func TestExpand(t *testing.T) {
	c, err := ReadCorpus(strings.NewReader("DicTerm,A,B\nlove,X,\nFREE*,X,X\nfreed*,,X\nxyz*,X,\nstraß*,X,\n"))
	if err != nil {
		t.Fatal(err)
	}
	words := []string{"unfree", "freedom", "Freetown", "fre", "free", "Freedom", "LOVE", "strasse", "fréedom"}
	got := c.Expand(words)
	want := []Entry{
		{Term: "love", Categories: []string{"A"}},
		{Term: "freedom", Categories: []string{"A", "B"}, From: "FREE*"},
		{Term: "Freetown", Categories: []string{"A", "B"}, From: "FREE*"},
		{Term: "free", Categories: []string{"A", "B"}, From: "FREE*"},
		{Term: "freedom", Categories: []string{"B"}, From: "freed*"},
		{Term: "xyz*", Categories: []string{"A"}, Wildcard: true},
		{Term: "strasse", Categories: []string{"A"}, From: "straß*"}, // ß folds to ss
	}
	if !reflect.DeepEqual(got.Entries, want) || got.Listed != len(words) || !slices.Equal(got.Categories, c.Categories) {
		t.Errorf("%+v, wanted %+v", got.Entries, want)
	}
	if text := fmt.Sprint(got.Warnings); len(got.Warnings) != 1 || !strings.Contains(text, `"freedom", which "freed*" stands for, is there already by "FREE*", and counts twice`) {
		t.Errorf("warnings %s", text)
	}
	if len(c.Entries) != 5 || c.Listed != 0 || len(c.Warnings) != 0 {
		t.Errorf("the corpus itself was changed: %+v", c)
	}
	if again := got.Expand(nil); !reflect.DeepEqual(again.Entries, got.Entries) {
		t.Errorf("an empty list changed %+v", again.Entries)
	}
}

func TestReadWordList(t *testing.T) {
	got, err := ReadWordList(strings.NewReader("\ufefffree\r\n\n Freedom \nde facto\nfree"))
	if want := []string{"free", "Freedom", "de facto", "free"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v, wanted %q", got, err, want)
	}
	for in, want := range map[string]string{
		"":            "implicit: word list: empty, wanted one word a line",
		"\n \n":       "implicit: word list: empty, wanted one word a line",
		"a\n\xff\n":   "implicit: word list: line 2: not valid UTF-8",
		"a\tnoun\n":   `implicit: word list: line 1: "a\tnoun", wanted one word a line`,
		"a\rb\rc\r\n": `implicit: word list: line 1: "a\rb\rc", wanted one word a line`,
	} {
		if _, err := ReadWordList(strings.NewReader(in)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: error %v, wanted %q", in, err, want)
		}
	}
}
