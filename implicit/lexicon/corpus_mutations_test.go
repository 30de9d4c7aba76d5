package lexicon

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// TestCorpusMutations: of 2,400 dictionaries in which a sign is changed, lost or doubled none
// gives a word or a category that is not in the file. (Where the sign is one of a word or of a
// mark, another entry is right.)
func TestCorpusMutations(t *testing.T) {
	files := []string{
		"%\n1\tAgency\n2\tCommunion\n%\nlead\t1\nhelp*\t2\nable\t1\t2\n",
		"DicTerm,Agency,Communion\nlead,X,\nhelp*,,X\nable,X,X\n",
		"DicTerm\tAgency\tCommunion\nlead\t1\t0\nhelp*\t0\t1\nable\t1\t1\n",
		"Category,token_decoded\nAgency,lead\nCommunion,help\nAgency,able\nCommunion,able\n",
		"token_decoded\nlead\nhelp\nable\n",
		"lead\nhelp\nable\n",
	}
	show := func(c *Corpus) string {
		var lines []string
		for _, e := range c.Entries {
			lines = append(lines, e.Term+": "+strings.Join(e.Categories, " "))
		}
		return strings.Join(lines, "\n")
	}
	rng := rand.New(rand.NewPCG(13, 17))
	same, refused, warned := 0, 0, 0
	for i := range 2400 {
		file := files[i%len(files)]
		before, err := ReadCorpus(strings.NewReader(file))
		if err != nil {
			t.Fatal(err)
		}
		b, at := []byte(file), rng.IntN(len(file))
		switch rng.IntN(3) {
		case 0:
			b[at] = " \"\t,;%|\n\r0129Xx*-\\\x00\xff"[rng.IntN(20)]
		case 1:
			b = slices.Delete(b, at, at+1)
		case 2:
			b = slices.Insert(b, at, b[at])
		}
		c, err := ReadCorpus(strings.NewReader(string(b)))
		switch {
		case err != nil:
			refused++
			continue
		case len(c.Warnings) > len(before.Warnings):
			warned++
		case show(c) == show(before):
			same++
		}
		for _, e := range c.Entries {
			for _, s := range append(slices.Clone(e.Categories), e.Term) {
				plain := strings.ReplaceAll(strings.ReplaceAll(string(b), `""`, `"`), `\*`, "*")
				if !strings.Contains(plain, s) {
					t.Errorf("%q: %q is not in the file", b, s)
				}
			}
		}
	}
	t.Logf("%d same, %d refused, %d warned", same, refused, warned)
	if same < 50 || refused < 200 || warned < 20 {
		t.Errorf("%d the same, %d refused, %d with warnings, wanted some of each", same, refused, warned)
	}
}
