package implicit_test

import (
	"errors"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/implicit/lexicon"
)

// TestPaperPrompts holds the built-in prompts to the fixture's prompts.yaml and,
// where it is at hand, the paper's own.
func TestPaperPrompts(t *testing.T) {
	got := lexicon.PaperPrompts()
	want, err := lexicon.ReadPrompts(input(t, "config/prompts.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 54 || !reflect.DeepEqual(got, want) {
		t.Errorf("%d prompts, want the 54 of prompts.yaml: %q\n%q", len(got), got, want)
	}
	file, err := os.Open("../../shared/data/paper/config/prompts.yaml")
	if err != nil {
		t.Skip("needs ../shared: ", err)
	}
	defer file.Close()
	if want, err = lexicon.ReadPrompts(file); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("the paper's prompts differ: %q, %v", want, err)
	}
	// The columns of the log-probability files stand in the same order.
	tab := readTable(t, "google/gemma-2-2b")
	for i, p := range got {
		if tab.Prompts[i] != p.Name {
			t.Errorf("column %d is %s, want %s", i, tab.Prompts[i], p.Name)
		}
	}
}

func TestItems(t *testing.T) {
	c, err := lexicon.ReadCorpus(strings.NewReader("DicTerm,A,B\nlove,X,X\nhat*,,X\n"))
	if err != nil {
		t.Fatal(err)
	}
	got := slices.Collect(implicit.Items(c, []lexicon.Prompt{{Name: "p", Text: "Why?"}, {Name: "q", Text: "How?"}}))
	wild := errors.New("a wildcard, wanted a word: replace it by the words it stands for")
	want := []implicit.Item{
		{Prompt: "Why?", Reply: "love", PromptName: "p"},
		{Prompt: "Why?", Reply: "hat*", PromptName: "p", Err: wild},
		{Prompt: "How?", Reply: "love", PromptName: "q"},
		{Prompt: "How?", Reply: "hat*", PromptName: "q", Err: wild},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v\nwant %+v", got, want)
	}
	for range implicit.Items(c, []lexicon.Prompt{{Name: "p", Text: "Why?"}}) {
		break // must not panic
	}
}
