package lexicon

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// TestExpand: matches in list order, in the wildcard's place, ignoring case, each once;
// repeated entries give a warning; a wildcard without matches stays.
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
	for name, in := range map[string]string{
		"old Mac":  "free\r\rFreedom\rde facto\rfree\r",
		"mixed":    "free\rFreedom\r\nde facto\nfree",
		"comments": "; words\n;\n# of mine\nfree\nFreedom\n// more\nde facto\nfree\n",
		"UTF-16":   littleUTF16("free\r\nFreedom\r\nde facto\r\nfree"),
	} {
		got, err := ReadWordList(strings.NewReader(in))
		if want := []string{"free", "Freedom", "de facto", "free"}; err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v, wanted %q", name, got, err, want)
		}
	}
	for in, want := range map[string]string{
		"":                     "lexicon: word list: empty, wanted one word a line",
		"\n \n":                "lexicon: word list: empty, wanted one word a line",
		"a\n\xff\n":            "lexicon: word list: line 2: not valid UTF-8",
		"PK\x03\x04xl/":        "lexicon: word list: an Excel workbook (.xlsx)",
		"a;1\nb;2\n":           `lexicon: word list: line 1: "a;1": semicolons in 2 of 2 lines, wanted one word a line`,
		"a,1\nb,2\nc,3\n":      `lexicon: word list: line 1: "a,1": commas in 3 of 3 lines, wanted one word a line`,
		"the 9\nof 8\nand 7\n": `lexicon: word list: line 1: "the 9": a number after the word in 3 of 3 lines, wanted one word a line`,
		"a\tnoun\n":            `lexicon: word list: line 1: "a\tnoun", wanted one word a line`,
	} {
		if _, err := ReadWordList(strings.NewReader(in)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: error %v, wanted %q", in, err, want)
		}
	}
}

// TestPattern: "*" is any run of characters but white space, as LIWC matches words.
func TestPattern(t *testing.T) {
	for _, c := range []struct {
		term     string
		yes, not []string
	}{
		{"free*", []string{"free", "Freedom", "free-for-all"}, []string{"unfree", "fre", "free will"}},
		{"*able", []string{"able", "UNABLE", "wearable"}, []string{"ably", "ableist", "not able"}},
		{"un*able", []string{"unable", "unbearable", "UnAble"}, []string{"unably", "able", "un", "una ble able"}},
		{"self-*", []string{"self-", "self-esteem"}, []string{"self", "selfish"}},
		{"100%*", []string{"100%", "100%ish"}, []string{"100"}},
		{"*care*less*", []string{"careless", "uncarelessly", "careandless"}, []string{"lesscare", "care for less"}},
		{"pay* back", []string{"pay back", "paying back"}, []string{"payback", "pay it back"}},
		{"ab*ba", []string{"abba", "abXba"}, []string{"aba"}}, // the ends do not overlap
		{`f\*ck*`, []string{"f*ck", "F*cking"}, []string{"fuck", `f\*ck`}},
		{"STRASS*", []string{"straße", "strasse"}, []string{"stras"}},
	} {
		p := Entry{Term: c.term, Wildcard: true}.Pattern()
		for _, w := range c.yes {
			if !p.Match(w) {
				t.Errorf("%s does not stand for %s", c.term, w)
			}
		}
		for _, w := range c.not {
			if p.Match(w) {
				t.Errorf("%s stands for %s", c.term, w)
			}
		}
		all := append(slices.Clone(c.yes), c.not...)
		corpus := &Corpus{Entries: []Entry{{Term: c.term, Wildcard: true}}}
		var expanded []string
		for _, e := range corpus.Expand(all).Entries {
			expanded = append(expanded, e.Term)
		}
		want := foldedOnce(c.yes)
		if !slices.Equal(expanded, want) {
			t.Errorf("%s is expanded to %q, wanted %q", c.term, expanded, want)
		}
	}
	plain := Entry{Term: "**"}.Pattern()
	if !plain.Match("**") || plain.Match("x") {
		t.Error("the token ** is a wildcard")
	}
	if a, b := (Entry{Term: "un*able", Wildcard: true}).Pattern().Specificity(), (Entry{Term: "*bearable", Wildcard: true}).Pattern().Specificity(); a <= b {
		t.Errorf("un*able %d, *bearable %d, wanted the first to go before", a, b)
	}
}

// foldedOnce keeps the first of the words that differ in case alone.
func foldedOnce(words []string) []string {
	var once []string
	for _, w := range words {
		if !slices.ContainsFunc(once, func(o string) bool { return (Entry{Term: o}).Pattern().Match(w) }) {
			once = append(once, w)
		}
	}
	return once
}
