package lexicon

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/implicitreward/implicitreward/internal/table"
)

// Corpus is a list of value words with their categories.
type Corpus struct {
	Entries    []Entry  // in file order, duplicates included
	Categories []string // in file order
	Warnings   []error  // doubts about the file: repeated or empty words, unused columns ... (see ReadCorpus)
	Listed     int      // number of words that Expand matched wildcards against; 0 before Expand

	lines []int // line of each entry
}

// Entry is one word of a corpus.
type Entry struct {
	Term       string
	Categories []string // one or more in a dictionary, none in a plain list
	Wildcard   bool     // Term contains a "*" that matches any letters ("free*", "un*able"): it must be expanded before scoring
	From       string   // the wildcard that Expand made this entry from; "" for none
}

// Line returns the line of an entry of Entries, or of the wildcard that it was expanded
// from, in the file; 0 if unknown.
func (c *Corpus) Line(entry int) int {
	if entry < len(c.lines) {
		return c.lines[entry]
	}
	return 0
}

// ReadCorpus reads a dictionary or a word list. The first line determines the format:
//
//	Category,token_decoded             long CSV: one row for each word and category
//	DicTerm,Agency,Communion           wide CSV (.dicx): one column for each category, X for members, else empty or NA
//	%                                  LIWC (.dic): lines "1<tab>Agency" up to a second %, then lines "word<tab>1<tab>2"
//	token_decoded                      CSV with one column, no categories; unnamed columns (an index) are skipped
//	anything else                      plain list: one word per line, trimmed; no commas, no quotes
//
// The word column may be named token_decoded, DicTerm, word, term, token or entry, the
// category column category, class or dimension, in any case; in a file of one column only
// token_decoded and DicTerm are recognised as a header. Each unused column of a long file
// gives a warning. CSV fields are not trimmed, except categories, with a warning. Columns
// may be separated by tabs; semicolons are an error, since a decimal comma could not be told
// from a separator. A mark in a wide file may also be true, the category's name or a number:
// any number but 0 is membership, with a warning if there are numbers other than 0 and 1. A
// row of zeros is omitted, with a warning.
//
// Text is UTF-8, or UTF-16 with a byte order mark. Lines end in \n, \r\n or \r. Excel's line
// sep= is skipped, as are comments before the first line of content, and anywhere in plain
// lists and .dic files; a warning counts them. A comment begins with //, or with ; or #
// followed by a space, the same sign or nothing: ";)" and "#love" are words. Other file
// types (.xlsx, gzip, ...) are errors that name the type, and a plain list with separators
// in most lines is an error.
//
// "*" matches any letters, or none, anywhere in a word: "free*", "*able", "un*able". A
// backslash before it makes it literal. In a word of a list or long file without letters and
// digits, such as a token of code ("/**"), "*" is literal too.
//
// In .dic files spaces may replace tabs: the numbers at the end of a line are the word's.
// LIWC2007 has entries whose category depends on the neighbouring words ("like" with "(02
// 134)125/464": 125 after a word of 02 or 134, else 464; "kind" with "<of>131/125"). A word
// of a corpus has no neighbours, so it gets the last category, if there is one, with a
// warning.
//
// In a wide or .dic file a word in two categories is one entry with both. A word that is
// listed twice is kept twice, as in the paper's code, with a warning. Errors name the line:
// a wrong mark, a row without a category, text that is not UTF-8, an unknown category
// number, and a file without words.
func ReadCorpus(r io.Reader) (*Corpus, error) {
	in := corpusReader{Corpus: &Corpus{}, seen: map[string]int{}}
	if err := in.read(r); err != nil {
		return nil, fmt.Errorf("lexicon: corpus: %w", err)
	}
	if len(in.Entries) == 0 {
		return nil, fmt.Errorf("lexicon: corpus: empty, wanted at least one word")
	}
	in.doubts()
	return in.Corpus, nil
}

// corpusReader is the state of reading a corpus.
type corpusReader struct {
	*Corpus
	seen map[string]int // line of each word so far
	liwc bool           // a .dic or .dicx file, in which every "*" is a wildcard

	// counts for warnings given once
	comments, trimmed, weights, zeros, senses, hashtags, separated, brackets, repeated, returns tally
}

// tally counts the occurrences of a doubt and keeps the first.
type tally struct {
	n, line int
	text    string
}

func (t *tally) add(line int, text string) {
	if t.n++; t.n == 1 {
		t.line, t.text = line, text
	}
}

func (in *corpusReader) warn(format string, args ...any) {
	in.Warnings = append(in.Warnings, fmt.Errorf("lexicon: corpus: "+format, args...))
}

// doubts adds a warning for each tally.
func (in *corpusReader) doubts() {
	several := 0
	for _, e := range in.Entries {
		if len(e.Categories) > 1 {
			several++
		}
	}
	for _, d := range []struct {
		tally
		fact string
	}{
		{in.comments, "comments (of signs as ;, # and //), which are not words"},
		{in.trimmed, "names of columns and categories with spaces at their ends, which are read without"},
		{in.weights, fmt.Sprintf("numbers other than 0 and 1, read as membership whatever their size; of %d words %d are in two or more categories", len(in.Entries), several)},
		{in.zeros, "words with 0 in every category, which are left out"},
		{in.senses, "words with the number of a sense, which is part of the word"},
		{in.hashtags, "words that begin with #, which is part of the word"},
		{in.separated, "words with a separator inside, which is part of the word"},
		{in.brackets, "words with a part in brackets, which is part of the word"},
		{in.repeated, "words that name a category twice, which counts once"},
		{in.returns, "lines that end in a carriage return alone, among others"},
	} {
		if d.n > 0 {
			in.warn("line %d: %q: %d %s", d.line, d.text, d.n, d.fact)
		}
	}
}

func (in *corpusReader) read(src io.Reader) error {
	text, err := readText(src)
	if err != nil {
		return err
	}
	first, comma, text, err := skipHead(text, &in.comments)
	if err != nil {
		return err
	}
	if strings.HasPrefix(first, "%") {
		return in.readDic(text)
	}
	if comma == 0 {
		comma = ','
		if fields := strings.Split(first, "\t"); len(fields) > 1 && slices.ContainsFunc(fields, isTermHeader) {
			comma = '\t'
		}
	}
	r := table.NewCSVReader(strings.NewReader(first))
	r.Comma = comma
	names, err := r.Header()
	if err == nil && (len(names) > 1 || isHeader(names[0], "token_decoded", "dicterm")) {
		return in.readCSV(text, comma)
	}
	if fields := strings.Split(first, ";"); len(fields) > 1 && slices.ContainsFunc(fields, isTermHeader) {
		return fmt.Errorf("line %d: %q, wanted commas between the columns, not semicolons", 1+leadingLines(text), first)
	}
	if (first[:min(len(first), 1)] == "{" || first[:min(len(first), 1)] == "[") && json.Valid([]byte(text)) {
		return errors.New("JSON, wanted one word a line, or CSV with the header Category,token_decoded or DicTerm and one column a category")
	}
	return in.readList(text)
}

// skipHead blanks comments and Excel's sep= before the first line of content. It returns
// that line, trimmed, the separator that sep= names (0 for none), and the text with its line
// numbers unchanged.
func skipHead(text string, comments *tally) (first string, comma byte, rest string, err error) {
	skipped := 0
	for rest = text; rest != ""; skipped++ {
		end := strings.IndexAny(rest, "\r\n")
		if end < 0 {
			end = len(rest)
		}
		line := strings.TrimSpace(rest[:end])
		switch sep := excelSep(rest[:end]); {
		case sep == ',' || sep == '\t':
			comma = sep
		case sep == ';':
			return "", 0, "", fmt.Errorf("line %d: %q, wanted commas between the columns, not semicolons", skipped+1, line)
		case sep != 0:
			return "", 0, "", fmt.Errorf("line %d: %q, wanted commas or tabs between the columns", skipped+1, line)
		case isComment(line):
			comments.add(skipped+1, line)
		case line != "":
			return line, comma, strings.Repeat("\n", skipped) + rest, nil
		}
		if strings.HasPrefix(rest[end:], "\r\n") {
			end++
		}
		rest = rest[min(end+1, len(rest)):]
	}
	return "", comma, "", nil
}

// excelSep returns the separator that Excel's first line "sep=;" names, or 0.
func excelSep(line string) byte {
	line = strings.Trim(line, " \"")
	if len(line) != 5 || !strings.EqualFold(line[:4], "sep=") || isWordRune(rune(line[4])) {
		return 0
	}
	return line[4]
}

func leadingLines(text string) int { return len(text) - len(strings.TrimLeft(text, "\n")) }

// isComment reports whether a line is a comment; Hu and Liu's lexicon has them with ";".
func isComment(line string) bool {
	line = strings.TrimSpace(line)
	if strings.HasPrefix(line, "//") {
		return true
	}
	if line == "" || line[0] != ';' && line[0] != '#' {
		return false
	}
	return len(line) == 1 || line[1] == line[0] || line[1] == ' ' || line[1] == '\t'
}

var sense = regexp.MustCompile(`\pL#[0-9]+$`) // "ABOUT#1", a sense in the General Inquirer

// add appends an entry.
func (in *corpusReader) add(term string, categories []string, line int) {
	if term == "" {
		in.warn("line %d: an empty word, which cannot be scored", line)
	}
	if strings.TrimSpace(term) != term {
		in.warn("line %d: %q begins or ends with a space, which is part of the word", line, term)
	}
	if sense.MatchString(term) {
		in.senses.add(line, term)
	}
	e := Entry{Term: term, Categories: categories}
	if in.liwc && strings.Trim(term, "* ") != "" || strings.ContainsFunc(term, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }) {
		p := newPattern(term)
		if e.Wildcard = len(p.parts) > 1; !e.Wildcard {
			e.Term = p.parts[0] // without the backslash before a "*"
		}
	}
	if before, ok := in.seen[e.Term]; ok {
		in.warn("line %d: %q stands in line %d already, and counts twice", line, e.Term, before)
	} else {
		in.seen[e.Term] = line
	}
	in.Entries, in.lines = append(in.Entries, e), append(in.lines, line)
}

func isTermHeader(field string) bool { return isHeader(field, termNames...) }

func isHeader(field string, names ...string) bool {
	return slices.Contains(names, strings.ToLower(strings.TrimSpace(field)))
}

// maxLine is the longest line of a list or .dic file, in bytes.
const maxLine = 1 << 20

// eachLine calls use for every line of a list or .dic file.
func eachLine(text string, use func(n int, line string) error) error {
	n := 0
	for line := range strings.SplitSeq(lineEnds(text), "\n") {
		if n++; len(line) >= maxLine {
			return fmt.Errorf("line %d: longer than %d bytes", n, maxLine)
		}
		if err := use(n, line); err != nil {
			return err
		}
	}
	return nil
}
