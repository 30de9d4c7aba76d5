package words_test

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/implicit/lexicon"
	"github.com/implicitreward/implicitreward/implicit/words"
)

func TestItems(t *testing.T) {
	c, err := lexicon.ReadCorpus(strings.NewReader("DicTerm,A,B\nlove,X,X\nhat*,,X\n"))
	if err != nil {
		t.Fatal(err)
	}
	got := slices.Collect(words.Items(c, []lexicon.Prompt{{Name: "p", Text: "Why?"}, {Name: "q", Text: "How?"}}))
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
	for range words.Items(c, []lexicon.Prompt{{Name: "p", Text: "Why?"}}) {
		break // must not panic
	}
}
