package lexicon_test

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/implicitreward/implicitreward/implicit/lexicon"
)

func TestReadCorpus(t *testing.T) {
	type entries = []lexicon.Entry
	ag, co, both := []string{"Agency"}, []string{"Communion"}, []string{"Agency", "Communion"}
	for _, c := range []struct {
		name, in   string
		want       entries
		categories []string
		warnings   string
	}{
		{"long", "Category,token_decoded\nCommunion,love\nAgency,power\n", entries{{Term: "love", Categories: co}, {Term: "power", Categories: ag}}, []string{"Communion", "Agency"}, "[]"},
		{"long, by R, columns of its own", "\"\",\"word\",\"CLASS\",\"n\"\n\"1\",\"NA\",\"Agency\",7\n", entries{{Term: "NA", Categories: ag}}, ag, "[lexicon: corpus: column 4 (n): not used]"},
		{"wide", "\ufeffDicTerm,Agency,Communion\r\nable,X,NA\r\ncare*,,x\r\n\"act, as\",X,X\r\n", entries{{Term: "able", Categories: ag}, {Term: "care*", Categories: co, Wildcard: true}, {Term: "act, as", Categories: both}}, both, "[]"},
		{"LIWC", "%\n1\tAgency\n 2\tCommunion\n%\nable\t1\nlo*\t\t2\npay back\t1\t2\r\n\n", entries{{Term: "able", Categories: ag}, {Term: "lo*", Categories: co, Wildcard: true}, {Term: "pay back", Categories: both}}, both, "[]"},
		{"list", "love\n hate \r\n\nfree will\n", entries{{Term: "love"}, {Term: "hate"}, {Term: "free will"}}, nil, "[]"},
		{"one column", "token_decoded\n\" love\"\n\"\r\n\"\n**\n", entries{{Term: " love"}, {Term: "\r\n"}, {Term: "**"}}, nil,
			`[lexicon: corpus: line 2: " love" begins or ends with a space, which is part of the word lexicon: corpus: line 3: "\r\n" begins or ends with a space, which is part of the word]`},
		{"a word that is a header elsewhere", "word\nterm\n", entries{{Term: "word"}, {Term: "term"}}, nil, "[]"},
		{"twice", "Category,token_decoded\nAgency,a\nCommunion,a\n", entries{{Term: "a", Categories: ag}, {Term: "a", Categories: co}}, both, `[lexicon: corpus: line 3: "a" stands in line 2 already, and counts twice]`},
		{"empty word", "Category,token_decoded\nAgency,\n", entries{{Categories: ag}}, ag, "[lexicon: corpus: line 2: an empty word, which cannot be scored]"},
	} {
		got, err := lexicon.ReadCorpus(strings.NewReader(c.in))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if !reflect.DeepEqual(got.Entries, c.want) || !reflect.DeepEqual(got.Categories, c.categories) {
			t.Errorf("%s: %+v of %q\nwant %+v of %q", c.name, got.Entries, got.Categories, c.want, c.categories)
		}
		if w := fmt.Sprint(got.Warnings); w != c.warnings {
			t.Errorf("%s: warnings %s, want %s", c.name, w, c.warnings)
		}
	}
}

func TestReadCorpusErrors(t *testing.T) {
	for in, want := range map[string]string{
		"":                                    "empty, wanted at least one word",
		"\n\n":                                "empty, wanted at least one word",
		"Category,token_decoded\n":            "empty, wanted at least one word",
		"%\n1\ta\n%\n":                        "empty, wanted at least one word",
		"yes,no\nmaybe,so\n":                  `line 1: header ["yes" "no"], wanted Category,token_decoded or DicTerm and one column a category (or a plain list, one word a line, without commas)`,
		"yes\nmaybe, so\n":                    `line 2: "maybe, so", wanted one word a line, or CSV with the header Category,token_decoded or DicTerm and one column a category`,
		"Category,token_decoded\n,love\n":     "line 2, column 1 (Category): no category, wanted one a row",
		"Category,token_decoded\nlove\n":      "line 2: 1 columns, wanted 2 as in line 1",
		"DicTerm,A,B\nx,X,\ny,,\n":            "line 3, column 1 (DicTerm): y is in no category, wanted an X in its row",
		"DicTerm,A,B\nx,yes,\n":               `line 2, column 2 (A): "yes", wanted X, a number, or nothing`,
		"DicTerm,A,B\nx,NaN,\n":               `line 2, column 2 (A): "NaN", wanted X, a number, or nothing`,
		"DicTerm,A,A\n":                       `line 1, column 3 (A): a second column "A", wanted each category once`,
		"love\n\xff\n":                        "line 2: not valid UTF-8: byte 0xff, as in Latin-1 and other old encodings, wanted UTF-8 (save it as CSV UTF-8, or as text in UTF-8)",
		"category;word\nA;love\n":             `line 1: "category;word", wanted commas between the columns, not semicolons`,
		"love\n" + strings.Repeat("a", 1<<20): "line 2: longer than 1048576 bytes",
		"%\nx\ta\n%\n":                        `line 2: "x\ta", wanted a category's number, a tab and its name`,
		"%\n1\ta\n1\tb\n%\n":                  "line 3: category 1 is a already",
		"%\n1\ta\n%\nlove\t2\n":               `line 4: love: category "2", wanted one of the numbers between the % lines`,
		"%\n1\ta\n%\nlove\n":                  `line 4: "love", wanted a word, tabs and the numbers of its categories`,
		"%\n1\ta\n%\nx\t1\n%\ny\t1\n":         `line 6: "y\t1", wanted two lines of % around the categories, then words`,
	} {
		if _, err := lexicon.ReadCorpus(strings.NewReader(in)); err == nil || err.Error() != "lexicon: corpus: "+want {
			t.Errorf("%q:\n got %v\nwant lexicon: corpus: %s", in, err, want)
		}
	}
}

// TestPaperCorpora holds the counts of the paper's dictionaries, notes on its data:
// 263 = 104 + 159 nouns; 936 rows = 446 + 490; 2,040 terms, each in one of ten
// columns.
func TestPaperCorpora(t *testing.T) {
	for file, want := range map[string]map[string]int{
		"dict_big2_nouns.csv":    {"": 263, "Agency": 104, "Communion": 159},
		"dict_big2_expanded.csv": {"": 936, "Agency": 446, "Communion": 490},
		"moral-foundations-dictionary-20.dicx": {"": 2040, "Care_Virtue": 170, "Care_Vice": 277, "Fairness_Virtue": 115, "Fairness_Vice": 229, "Loyalty_Virtue": 137, "Loyalty_Vice": 34,
			"Authority_Virtue": 295, "Authority_Vice": 123, "Sanctity_Virtue": 272, "Sanctity_Vice": 388},
	} {
		f, err := os.Open("../../../shared/data/paper/data/corpora/" + file)
		if err != nil {
			t.Skip("needs ../shared: ", err)
		}
		defer f.Close()
		c, err := lexicon.ReadCorpus(f)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]int{"": len(c.Entries)}
		repeated := map[string]int{}
		for _, e := range c.Entries {
			for _, name := range e.Categories {
				got[name]++
			}
			repeated[e.Term]++
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, want %v", file, got, want)
		}
		twice := 0
		for _, n := range repeated {
			if n > 1 {
				twice++
			}
		}
		if want := map[string]int{"dict_big2_expanded.csv": 35}[file]; twice != want {
			t.Errorf("%s: %d terms twice or more, want %d", file, twice, want)
		}
		t.Logf("%s: %d warnings", file, len(c.Warnings))
	}
}

func FuzzReadCorpus(f *testing.F) {
	for _, s := range []string{"Category,token_decoded\na,b\n", "DicTerm,A\nb,X", "%\n1\ta\n%\nb*\t1\n", "a\nb\n", "\ufefftoken_decoded\n\"\""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		if c, err := lexicon.ReadCorpus(strings.NewReader(in)); (err == nil) != (c != nil && len(c.Entries) > 0) {
			t.Errorf("%q: %+v and %v", in, c, err)
		}
	})
}
