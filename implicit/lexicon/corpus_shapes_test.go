package lexicon

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
)

// littleUTF16 is a text as Excel's "Unicode text" has it: little-endian, with a byte order mark.
func littleUTF16(text string) string { return inUTF16(text, binary.LittleEndian) }

func inUTF16(text string, order binary.AppendByteOrder) string {
	var out []byte
	for _, u := range utf16.Encode([]rune("\ufeff" + text)) {
		out = order.AppendUint16(out, u)
	}
	return string(out)
}

// TestCorpusShapes reads word lists in the shapes in which they are published, small ones of
// our own: what counts is the words, their categories and wildcards (w/W: a wildcard), and
// what is said.
func TestCorpusShapes(t *testing.T) {
	const big2 = "able:Agency|care*:Communion:w|act as:Agency:Communion"
	for _, c := range []struct{ name, in, want, warnings string }{
		// Line ends. Two public copies (the MFD 2.0 and the General Inquirer of
		// quanteda.dictionaries) have those of old Macs.
		{"dic, CR", "%\r1\tcare.virtue\r2\tcare.vice\r%\rcompassion\t1\rcruelty\t2\r", "compassion:care.virtue|cruelty:care.vice", ""},
		{"dic, mixed", "%\r\n1\ta\r2\tb\n%\rx\t1\r\ny\t2", "x:a|y:b", ""},
		{"wide, CR", "Entry,Positiv,Negativ\rABANDON,,Negativ\rABILITY,Positiv,\r", "ABANDON:Negativ|ABILITY:Positiv", ""},
		{"wide, CR and CRLF", "DicTerm,A,B\r\nx,X,\ry,,X\r\nz,X,\r\n", "x:A|y:B|z:A", `line 1: "DicTerm,A,B": 1 lines that end in a carriage return alone, among others`},
		{"long, CR, quotes", "Category,token_decoded\rA,\"x\"\"\r,y\"\rB,z\r", "x\"\r,y:A|z:B", ""},
		{"the token of a carriage return", "Category,token_decoded,n\nA,\r,1\nB,z,2\n", "\r:A|z:B", `column 3 (n): not used
line 2: "\r" begins or ends with a space, which is part of the word`},
		{"list, CR", "love\rhate\r\rfree will\r", "love|hate|free will", ""},
		{"list, mixed", "love\rhate\r\nfree\n", "love|hate|free", ""},

		// Spreadsheets.
		{"Excel's sep=", "sep=,\r\nCategory,token_decoded\r\nA,love\r\n", "love:A", ""},
		{"Excel's sep= and a tab", "SEP=\t\r\nCategory\ttoken_decoded\r\nA\tlove\r\n", "love:A", ""},
		{"tabs", "DicTerm\tA\tB\nx, y\tX\t\n\"z\tz\"\t\tX\n", "x, y:A|z\tz:B", ""},
		{"Unicode text", littleUTF16("Category\ttoken_decoded\r\nGüte\tlieben\r\nA\t日本😀\r\n"), "lieben:Güte|日本😀:A", ""},
		{"UTF-16, the other order", inUTF16("love\nhate\n", binary.BigEndian), "love|hate", ""},
		{"stray spaces", "Category, token_decoded\nA,love\nB,war\nB ,hate\n", "love:A|war:B|hate:B", `line 1: " token_decoded": 2 names of columns and categories with spaces at their ends, which are read without`},
		{"stray spaces, wide", "DicTerm, A ,B\nx,X,\ny,, X\n", "x:A|y:B", `line 1: " A ": 1 names of columns and categories with spaces at their ends, which are read without`},

		// LIWC-22 writes weights, pandas 0 and 1, R TRUE and FALSE.
		{"weights", "DicTerm,Stress,Rest\ntired,2,\nslept,,0.5\nslow,-1,1e-3\n", "tired:Stress|slept:Rest|slow:Stress:Rest",
			`line 2: "2": 4 numbers other than 0 and 1, read as membership whatever their size; of 3 words 1 are in two or more categories`},
		{"0 and 1", "word,A,B\nx,1,0\ny,0,1.0\nz,0,0\n", "x:A|y:B", `line 4: "z": 1 words with 0 in every category, which are left out`},
		{"TRUE and FALSE", "word,A,B\nx,TRUE,FALSE\ny,False,True\n", "x:A|y:B", ""},
		{"senses", "Entry,Positiv\nABOUT#1,Positiv\nABOUT#2,Positiv\n", "ABOUT#1:Positiv|ABOUT#2:Positiv", `line 2: "ABOUT#1": 2 words with the number of a sense, which is part of the word`},

		// LIWC. The original Moral Foundations Dictionary has spaces for tabs, and between numbers.
		{"MFD 1", "%\n01                    HarmVirtue\n07                    AuthorityVirtue\n09                    PurityVirtue\n%\nsafety\t\t\t01\nshelter        \t01\npreserve\t\t01 07 09\nwar crime*\t01\n",
			"safety:HarmVirtue|shelter:HarmVirtue|preserve:HarmVirtue:AuthorityVirtue:PurityVirtue|war crime*:HarmVirtue:w", ""},
		{"spaces for the tab", "%\n1   noun\n2   verb\n%\nriver     1\nstand 2\npay back 1 2\n", "river:noun|stand:verb|pay back:noun:verb", ""},
		{"Big Two, dic", "%\n1\tAgency\n2\tCommunion\n%\nable\t1\ncare*\t2\nact as\t1\t2\n", big2, ""},
		{"Big Two, dicx", "\ufeff\"DicTerm\",\"Agency\",\"Communion\"\n\"able\",\"X\",NA\n\"care*\",NA,\"X\"\n\"act as\",\"X\",\"X\"\n", big2, ""},
		{"LIWC2007", "%\n1\tfunct\n125\taffect\n126\tposemo\n131\tcogmech\n135\ttentat\n253\tassent\n464\tfiller\n%\nlike\t(02 134)125/464\t(02 134)126\t253\nkind\t<of>131/125\t<of>135/126\n",
			"like:filler:assent|kind:affect:posemo",
			`line 10: like: categories that depend on the words beside it ((02 134)125/464 (02 134)126); as words stand alone here, it is in filler, assent
line 11: kind: categories that depend on the words beside it (<of>131/125 <of>135/126); as words stand alone here, it is in affect, posemo`},
		{"LIWC2007, spaces", "%\n125 affect\n464 filler\n%\nlike (02 134)125/464\nkind (of) 464/125\nonly (2)125\n", "like:filler|kind:affect",
			`line 5: like: categories that depend on the words beside it ((02 134)125/464); as words stand alone here, it is in filler
line 6: kind: categories that depend on the words beside it ((of) 464/125); as words stand alone here, it is in affect
line 7: only: in a category only beside other words ((2)125), and left out, as words stand alone here`},
		{"a number twice", "%\n131\tcogmech\n%\nnormal\t131\t131\n", "normal:cogmech", `line 4: "normal": 1 words that name a category twice, which counts once`},
		{"brackets", "%\n1\ta\n%\nkind (of)\t1\n:)\t1\n", "kind (of):a|:):a", `line 4: "kind (of)": 1 words with a part in brackets, which is part of the word`},
		{"wildcards", "%\n1\tA\n%\nself-*\t1\n*able\t1\nun*able\t1\n100%*\t1\nlove\t1\n:*\t1\nf\\*ck\t1\n:\\*\t1\n**\t1\n", "self-*:A:w|*able:A:w|un*able:A:w|100%*:A:w|love:A|:*:A:w|f*ck:A|:*:A|**:A",
			`line 11: ":*" stands in line 9 already, and counts twice`},
		{"wildcards in a list", "un*able\n/**\n*\n\\*\nf\\*ck\n", "un*able:w|/**|*|\\*|f*ck", ""},

		// Hu and Liu's opinion lexicon has comments with ";".
		{"comments", ";;;;;;\n;\n; Opinion lexicon, words\n# positive words\n\nlove\n// sep;arated\n;)\n#love\n", "love|;)|#love",
			"line 1: \";;;;;;\": 5 comments (of signs as ;, # and //), which are not words\nline 9: \"#love\": 1 words that begin with #, which is part of the word"},
		{"comments before CSV", "# from, the web\n\nCategory,token_decoded\nA,# x\n", "# x:A", `line 1: "# from, the web": 1 comments (of signs as ;, # and //), which are not words`},
		{"comments in dic", "; mine\n%\n1\ta\n# more\n%\n# words\n#\t1\nx\t1\n", "#:a|x:a", `line 1: "; mine": 3 comments (of signs as ;, # and //), which are not words`},
		{"a separator or two", "love\nhate\nand;or\nratio 3:1\nnine to 5\n", "love|hate|and;or|ratio 3:1|nine to 5", `line 3: "and;or": 1 words with a separator inside, which is part of the word`},
	} {
		got, err := ReadCorpus(strings.NewReader(c.in))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		var entries []string
		for _, e := range got.Entries {
			s := strings.Join(append([]string{e.Term}, e.Categories...), ":")
			if e.Wildcard {
				s += ":w"
			}
			entries = append(entries, s)
		}
		if text := strings.Join(entries, "|"); text != c.want {
			t.Errorf("%s:\n got %q\nwant %q", c.name, text, c.want)
		}
		var warnings []string
		for _, w := range got.Warnings {
			warnings = append(warnings, strings.TrimPrefix(w.Error(), "lexicon: corpus: "))
		}
		if text := strings.Join(warnings, "\n"); text != c.warnings {
			t.Errorf("%s: warnings\n got %s\nwant %s", c.name, text, c.warnings)
		}
	}
}

// TestCorpusRefused: what cannot be a list of words is an error of one short line, that
// names what it is.
func TestCorpusRefused(t *testing.T) {
	archive := func(names ...string) string {
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		for _, name := range names {
			w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
			if err != nil {
				t.Fatal(err)
			}
			if name == "mimetype" {
				fmt.Fprint(w, "application/vnd.oasis.opendocument.spreadsheet")
			}
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	var zipped bytes.Buffer
	g := gzip.NewWriter(&zipped)
	fmt.Fprint(g, "love\nhate\n")
	g.Close()
	for _, c := range []struct{ in, want string }{
		{archive("[Content_Types].xml", "xl/workbook.xml"), "an Excel workbook (.xlsx): save the sheet as CSV UTF-8, wanted text"},
		{archive("mimetype", "content.xml"), "an OpenDocument spreadsheet (.ods): save the sheet as CSV UTF-8, wanted text"},
		{archive("word/document.xml"), "a Word document (.docx): save it as plain text in UTF-8, wanted text"},
		{archive("words.txt"), "a zip archive: unpack it, wanted text"},
		{"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1xls", "an old Excel or Word file (.xls, .doc): save the sheet as CSV UTF-8"},
		{zipped.String(), "gzip: unpack it (gunzip), wanted text"},
		{"%PDF-1.7\n", "a PDF document, wanted text"},
		{"\n<!DOCTYPE html>\n<html>", "a web page (HTML): download the file itself, wanted text"},
		{"l\x00o\x00v\x00e\x00\n\x00", "NUL bytes, as text in UTF-16 without a byte order mark has them, wanted UTF-8 (save it as CSV UTF-8"},
		{"\xff\xfel\x00o", "UTF-16 with half a unit at its end"},
		{"\xff\xfel\x00\n\x00\x00\xd8a\x00", "line 2: UTF-16 with half of a surrogate pair"},
		{"Category,token_decoded\nA,gr\xfc\xdfen\n", "line 2: not valid UTF-8: byte 0xfc, as in Latin-1 and other old encodings, wanted UTF-8 (save it as CSV UTF-8"},
		{"Words;Category\nlove;A\nhate;B\n", `line 1: "Words;Category": semicolons in 3 of 3 lines, wanted one word a line`},
		{"love;A\nhate;B\npeace\n", `line 1: "love;A": semicolons in 2 of 3 lines, wanted one word a line`},
		{"sep=;\nCategory;token_decoded\nA;love\n", `line 1: "sep=;", wanted commas between the columns, not semicolons`},
		{"sep=|\nCategory|token_decoded\n", `line 1: "sep=|", wanted commas or tabs between the columns`},
		{"Category;token_decoded\nA;love\n", `line 1: "Category;token_decoded", wanted commas between the columns, not semicolons`},
		{"; mine\nCategory;token_decoded\nA;love\n", `line 2: "Category;token_decoded", wanted commas between the columns, not semicolons`},
		{"love | A\nhate | B\n", `line 1: "love | A": bars in 2 of 2 lines`},
		{"love: 1\nhate: 2\npeace: 1\n", `line 1: "love: 1": colons in 3 of 3 lines`},
		{"love 1\nhate -2\npeace 0.5\n", `line 1: "love 1": a number after the word in 3 of 3 lines`},
		{"agency:\n- able\n- win\n- do\n", `line 2: "- able": dashes as YAML's in 3 of 4 lines`},
		{"abandon\tfear\t1\nabandon\tjoy\t0\n", `line 1: "abandon\tfear\t1", wanted one word a line`}, // the NRC lexicon
		{`{"agency": ["able"]}`, "JSON, wanted one word a line"},
		{"[\n\"able\"\n]\n", "JSON, wanted one word a line"},
		{"word\temotion\tassociation\nabandon\tfear\t1\n", `line 2, column 2 (emotion): "fear", wanted X, a number, or nothing`},
		{"Entry\tSource\tPositiv\nA\tH4Lvd\t\n", `line 2, column 2 (Source): "H4Lvd", wanted X, a number, or nothing`},
		{"DicTerm,A\nx,X\r\"y,X\n", "line 3, column 1 (DicTerm): the file ends inside quotes"},
		{"%\n1\ta\n%\ncatch 22 1\n", `line 4: catch: category "22", wanted one of the numbers between the % lines`},
		{"%\n1\ta\n%\nlove\t1/2\n", `line 4: love: category "1/2", wanted one of the numbers between the % lines`},
		{"%\n1\ta\n%\nlove\t(3)4/1\t(3)5/4\n", `line 4: love: category "4", wanted one of the numbers between the % lines`},
		{"%\n\n1\n%\nlove\t1\n", `line 3: "1", wanted a category's number, a tab and its name`},
	} {
		got, err := ReadCorpus(strings.NewReader(c.in))
		if err == nil || !strings.HasPrefix(err.Error(), "lexicon: corpus: "+c.want) {
			t.Errorf("%.40q: %v, %+v, wanted %s", c.in, err, got, c.want)
		} else if len(err.Error()) > 300 {
			t.Errorf("%.40q: %d bytes of error", c.in, len(err.Error()))
		}
	}
}

// TestCorpusLines: an entry's line is that of the file, whatever stood before it, and an
// expanded one's that of its wildcard.
func TestCorpusLines(t *testing.T) {
	for name, in := range map[string]string{
		"list": "# words\n\nfree*\r\nlove\n", "CR": "; words\r\rfree*\rlove", "CSV": "sep=,\r\ntoken_decoded\rfree*\rlove\r", "dic": "%\n%\nfree*\t1\nlove\t1\n", "quotes": "token_decoded\n\nfree*\n\"love\"\n",
	} {
		c, err := ReadCorpus(strings.NewReader(strings.Replace(in, "%\n%", "%\n1\ta\n%", 1)))
		if err != nil {
			t.Fatal(name, err)
		}
		first := 3
		if name == "dic" {
			first = 4
		}
		expanded := c.Expand([]string{"free", "freedom"})
		got := []int{c.Line(0), c.Line(1), expanded.Line(0), expanded.Line(1), expanded.Line(2), expanded.Line(3)}
		if want := []int{first, first + 1, first, first, first + 1, 0}; !slices.Equal(got, want) {
			t.Errorf("%s: lines %d, wanted %d", name, got, want)
		}
	}
}

// TestCorpusEncodings: one text in every encoding and with every line end is one corpus.
func TestCorpusEncodings(t *testing.T) {
	for _, text := range []string{
		"Category,token_decoded\nGüte,lie ben\nA,\"x,\"\"y\"\nA,\"日\"\n", "DicTerm,A,B\n\"x\",X,\ny,,X\n", "%\n1\tA\n%\nx y\t1\n*z\t1\n", "love\nüber\n;)\n",
	} {
		want, err := ReadCorpus(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		for end, name := range map[string]string{"\n": "LF", "\r\n": "CRLF", "\r": "CR"} {
			ended := strings.ReplaceAll(text, "\n", end)
			for i, in := range []string{ended, "\ufeff" + ended, littleUTF16(ended), inUTF16(ended, binary.BigEndian), strings.TrimSuffix(ended, end)} {
				if got, err := ReadCorpus(strings.NewReader(in)); err != nil || !reflect.DeepEqual(got, want) {
					t.Errorf("%q, %s, %d: %+v, %v, wanted %+v", text, name, i, got, err, want)
				}
			}
		}
	}
}
