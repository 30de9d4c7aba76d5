package input

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/implicitreward/implicitreward/internal/study/cube"
)

// dictionary reads a text as a dictionary named d.
func dictionary(t *testing.T, text string, compat bool) (*cube.Dictionary, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "d.dic")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return ReadDictionary("d", path, compat)
}

// listed are words and their categories in turn.
func listed(all ...string) []cube.Word {
	var list []cube.Word
	for i := 0; i < len(all); i += 2 {
		list = append(list, cube.Word{Text: all[i], Category: all[i+1]})
	}
	return list
}

// TestDictionary: categories in the order of the file; words in two of them are left out by
// name, also those of one entry, and also for the wildcards that would match them.
func TestDictionary(t *testing.T) {
	for _, c := range []struct {
		name, in   string
		compat     bool
		words      []cube.Word
		categories []string
		notes      []string
	}{
		{"two lines of a .dic", "%\n1\tvirtue\n2\tcare.vice\n%\nwar\t2\nlove\t1\nvulnerable\t1\npeace\t1\nhate\t2\nvulnerable\t2\n", false,
			listed("war", "care.vice", "love", "virtue", "peace", "virtue", "hate", "care.vice"), []string{"virtue", "care.vice"},
			[]string{"d: words in two or more categories, which are left out (1): vulnerable."}},
		{"two marks", "DicTerm,B,A\nx,X,\nboth,X,X\ny,X,\nz,,X\nboth,,X\nw,,X\n", false,
			listed("x", "B", "y", "B", "z", "A", "w", "A"), []string{"B", "A"}, []string{"d: words in two or more categories, which are left out (1): both."}},
		{"repeated, and weights", "DicTerm,B,A\nx,2,\nx,0.5,\ny,1,\nz,,1\nw,,1\n", false,
			listed("x", "B", "x", "B", "y", "B", "z", "A", "w", "A"), []string{"B", "A"},
			[]string{`d: line 2: "2": 2 numbers other than 0 and 1, read as membership whatever their size; of 5 words 0 are in two or more categories.`}},
		{"virtue and vice are one", "DicTerm,Care_Virtue,Care_Vice,Sanctity_Virtue,Sanctity_Vice\na,X,X,,\nb,X,,,\nc,,,X,\nd,,,X,X\ne,,X,X,\n", false,
			listed("a", "Care", "b", "Care", "c", "Sanctity", "d", "Sanctity"), []string{"Care", "Sanctity"}, []string{"d: words in two or more categories, which are left out (1): e."}},
		{"without the vice of the paper", "DicTerm,Care_Virtue,Care_Vice,Sanctity_Virtue,Sanctity_Vice\na,X,,,X\nb,X,,,\nc,,,X,\nd,,,X,X\ne,,,,X\n", true,
			listed("a", "Care", "b", "Care", "c", "Sanctity", "d", "Sanctity"), []string{"Care", "Sanctity"}, []string{"d: the 3 words of Sanctity_Vice are left out, as by the paper's code."}},
	} {
		d, err := dictionary(t, c.in, c.compat)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if !slices.Equal(d.Words, c.words) || !slices.Equal(d.Categories, c.categories) || !reflect.DeepEqual(d.Notes, c.notes) {
			t.Errorf("%s: %v of %q, %q\nwanted %v of %q, %q", c.name, d.Words, d.Categories, d.Notes, c.words, c.categories, c.notes)
		}
	}
	_, err := dictionary(t, "DicTerm,A,B\nx,X,X\ny,X,X\n", false)
	if err == nil || !strings.HasSuffix(err.Error(), "no words in one category, wanted two or more; words in two or more categories are left out: x, y") {
		t.Errorf("all words in both: %v", err)
	}
}

// TestDictionaryCategory: of the wildcards that match, the most particular counts, in any
// case; what several categories claim has none.
func TestDictionaryCategory(t *testing.T) {
	d, err := dictionary(t, "%\n1\tA\n2\tB\n%\nfree*\t1\nfreed*\t1 2\nun*able\t2\n*able\t1\nunfit\t1\nboth\t1\nboth\t2\nbo*\t1\nzeal\t2\n", false)
	if err != nil {
		t.Fatal(err)
	}
	for word, want := range map[string]string{"free": "A", "Freeze": "A", "freedom": "", "unable": "B", "table": "A", "unfit": "A", "both": "", "bow": "A", "zeal": "B", "zealous": "", "un able": ""} {
		if got, ok := d.Category(word); got != want || ok != (want != "") {
			t.Errorf("%s: %q, %v, wanted %q", word, got, ok, want)
		}
	}
}
