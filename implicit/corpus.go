package implicit

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/implicitreward/implicitreward/internal/csv"
)

// Corpus is a list of value words with their categories.
type Corpus struct {
	Entries    []Entry  // in the order of the file, duplicates included
	Categories []string // in the order of the file
	Warnings   []error  // a word that stands twice, is empty or has spaces at its ends, a column that was not used
	Listed     int      // words of the list against which Expand has expanded wildcards, 0 for none
}

// Entry is one line of a corpus.
type Entry struct {
	Term       string
	Categories []string // one or more in a dictionary, none in a plain list
	Wildcard   bool     // Term ends in "*" and stands for every word that begins so; it cannot be scored as it stands
	From       string   // the wildcard that Term was expanded from (see Expand), "" for none
}

// Items returns every entry after every prompt, prompt by prompt, the reply being the
// word as it stands. Wildcards are among them, and Rewards refuses each by name.
func (c *Corpus) Items(prompts []NamedPrompt) iter.Seq[Item] {
	return func(yield func(Item) bool) {
		for _, p := range prompts {
			for _, e := range c.Entries {
				if !yield(Item{Prompt: p.Prompt, Reply: e.Term, PromptName: p.Name, Word: e.Term, Categories: e.Categories, Wildcard: e.Wildcard}) {
					return
				}
			}
		}
	}
}

// ReadCorpus reads a dictionary or a word list. The first line tells which of these
// it is:
//
//	Category,token_decoded             long CSV: one row a word and category
//	DicTerm,Agency,Communion           wide CSV (.dicx): one column a category, X where the word belongs to it, else empty or NA
//	%                                  LIWC (.dic): lines "1<tab>Agency" up to a second %, then lines "word<tab>1<tab>2"
//	token_decoded                      CSV with one column, no categories; other unnamed columns (an index) are skipped
//	anything else                      plain list: one word a line, trimmed; no commas, no quotes
//
// The word column may be called token_decoded, DicTerm, word, term or token, the
// category column category, class or dimension, in any case; in a file of one column
// only token_decoded and DicTerm are taken for a header. Long files with more columns
// give a warning for each that is not used. CSV fields are not trimmed.
//
// A word in two categories is one entry with both in a wide or .dic file. A word that
// stands twice is kept twice, as the paper's code does, with a warning. Errors name
// the line: a wrong mark, a row without a category, text that is not UTF-8, an
// unknown category number, and no words at all.
func ReadCorpus(r io.Reader) (*Corpus, error) {
	c := &Corpus{}
	if err := c.read(r); err != nil {
		return nil, fmt.Errorf("implicit: corpus: %w", err)
	}
	if len(c.Entries) == 0 {
		return nil, fmt.Errorf("implicit: corpus: empty, wanted at least one word")
	}
	return c, nil
}

func (c *Corpus) read(src io.Reader) error {
	b := bufio.NewReaderSize(src, 1<<16)
	if bom, _ := b.Peek(3); string(bom) == "\ufeff" {
		b.Discard(3)
	}
	head, err := b.Peek(b.Size())
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	first, _, _ := bytes.Cut(head, []byte("\n"))
	if bytes.HasPrefix(bytes.TrimSpace(first), []byte("%")) {
		return c.readDic(b)
	}
	names, err := csv.NewReader(bytes.NewReader(first)).Header()
	if err == nil && (len(names) > 1 || isHeader(names[0], "token_decoded", "dicterm")) {
		return c.readCSV(b)
	}
	if fields := strings.Split(string(bytes.TrimSpace(first)), ";"); len(fields) > 1 && slices.ContainsFunc(fields, isTermHeader) {
		return fmt.Errorf("line 1: %q, wanted commas between the columns, not semicolons", first)
	}
	return c.readList(b)
}

// termNames are what the column of words may be called, the surest first.
var termNames = []string{"token_decoded", "dicterm", "word", "term", "token"}

// readCSV reads the long, the wide and the one-column form.
func (c *Corpus) readCSV(src io.Reader) error {
	r := csv.NewReader(src)
	header, err := r.Header()
	if err != nil {
		return err
	}
	find := func(names ...string) int {
		for _, name := range names {
			if i := slices.IndexFunc(header, func(h string) bool { return isHeader(h, name) }); i >= 0 {
				return i
			}
		}
		return -1
	}
	term, category := find(termNames...), find("category", "class", "dimension")
	if term < 0 {
		return fmt.Errorf("line %d: header %q, wanted Category,token_decoded or DicTerm and one column a category (or a plain list, one word a line, without commas)", r.Line(0), header)
	}
	var marks []int // columns of marks, in the wide form
	for i, h := range header {
		switch {
		case i == term || i == category || h == "":
		case category >= 0:
			c.Warnings = append(c.Warnings, fmt.Errorf("implicit: corpus: column %d (%s): not used", i+1, h))
		case slices.Contains(header[:i], h):
			return r.Errorf(i, "a second column %q, wanted each category once", h)
		default:
			marks = append(marks, i)
			c.Categories = append(c.Categories, h)
		}
	}
	seen := map[string]int{}
	for {
		rec, err := r.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		var in []string
		if category >= 0 {
			if in = []string{string(rec[category])}; in[0] == "" {
				return r.Errorf(category, "no category, wanted one a row")
			}
			if !slices.Contains(c.Categories, in[0]) {
				c.Categories = append(c.Categories, in[0])
			}
		}
		for _, i := range marks {
			switch string(rec[i]) {
			case "X", "x":
				in = append(in, header[i])
			case "", "NA":
			default:
				return r.Errorf(i, "%q, wanted X, or nothing", rec[i])
			}
		}
		if len(marks) > 0 && len(in) == 0 {
			return r.Errorf(term, "%s is in no category, wanted an X in its row", rec[term])
		}
		c.add(string(rec[term]), in, r.Line(term), seen)
	}
}

// readDic reads LIWC's format of 2007 and 2015.
func (c *Corpus) readDic(src io.Reader) error {
	names := map[int]string{} // category number -> name
	percent := 0
	seen := map[string]int{}
	return eachLine(src, func(n int, line string) error {
		fields := strings.FieldsFunc(line, func(r rune) bool { return r == '\t' })
		for i, f := range fields {
			fields[i] = strings.TrimSpace(f)
		}
		switch {
		case strings.TrimSpace(line) == "":
		case len(fields) == 1 && fields[0] == "%":
			percent++
		case percent == 1:
			if len(fields) < 2 {
				fields = strings.SplitN(strings.TrimSpace(line), " ", 2) // spaces for the tab
			}
			number, err := strconv.Atoi(fields[0])
			if err != nil || len(fields) != 2 || strings.TrimSpace(fields[1]) == "" {
				return fmt.Errorf("line %d: %q, wanted a category's number, a tab and its name", n, line)
			}
			if old, ok := names[number]; ok {
				return fmt.Errorf("line %d: category %d is %s already", n, number, old)
			}
			names[number] = strings.TrimSpace(fields[1])
			c.Categories = append(c.Categories, names[number])
		case percent == 2:
			var in []string
			for _, f := range fields[1:] {
				number, err := strconv.Atoi(f)
				if name, ok := names[number]; err == nil && ok {
					in = append(in, name)
					continue
				}
				return fmt.Errorf("line %d: %s: category %q, wanted one of the numbers between the %% lines", n, fields[0], f)
			}
			if len(in) == 0 {
				return fmt.Errorf("line %d: %q, wanted a word, tabs and the numbers of its categories", n, line)
			}
			c.add(fields[0], in, n, seen)
		default:
			return fmt.Errorf("line %d: %q, wanted two lines of %% around the categories, then words", n, line)
		}
		return nil
	})
}

func (c *Corpus) readList(src io.Reader) error {
	seen := map[string]int{}
	return eachLine(src, func(n int, line string) error {
		word := strings.TrimSpace(line)
		switch {
		case word == "":
		case strings.Contains(word, "\r"):
			return fmt.Errorf("line %d: a carriage return inside, wanted lines that end in \\n or \\r\\n", n)
		case strings.ContainsAny(word, ",\"\t"):
			return fmt.Errorf("line %d: %q, wanted one word a line, or CSV with the header Category,token_decoded or DicTerm and one column a category", n, line)
		default:
			c.add(word, nil, n, seen)
		}
		return nil
	})
}

// add appends an entry. seen holds the line of each word so far.
func (c *Corpus) add(term string, in []string, line int, seen map[string]int) {
	if term == "" {
		c.Warnings = append(c.Warnings, fmt.Errorf("implicit: corpus: line %d: an empty word, which cannot be scored", line))
	}
	if strings.TrimSpace(term) != term {
		c.Warnings = append(c.Warnings, fmt.Errorf("implicit: corpus: line %d: %q begins or ends with a space, which is part of the word", line, term))
	}
	if before, ok := seen[term]; ok {
		c.Warnings = append(c.Warnings, fmt.Errorf("implicit: corpus: line %d: %q stands in line %d already, and counts twice", line, term, before))
	} else {
		seen[term] = line
	}
	stem, star := strings.CutSuffix(term, "*")
	last, _ := utf8.DecodeLastRuneInString(stem)
	wild := star && (unicode.IsLetter(last) || unicode.IsDigit(last)) // "abandon*", but not the token "**"
	c.Entries = append(c.Entries, Entry{Term: term, Categories: in, Wildcard: wild})
}

func isTermHeader(field string) bool { return isHeader(field, termNames...) }

func isHeader(field string, names ...string) bool {
	return slices.Contains(names, strings.ToLower(strings.TrimSpace(field)))
}

// maxLine bounds a line of a list or a .dic file, in bytes.
const maxLine = 1 << 20

func eachLine(src io.Reader, use func(n int, line string) error) error {
	s := bufio.NewScanner(src)
	s.Buffer(nil, maxLine)
	n := 0
	for s.Scan() {
		n++
		if !utf8.Valid(s.Bytes()) {
			return fmt.Errorf("line %d: not valid UTF-8", n)
		}
		if err := use(n, strings.TrimSuffix(s.Text(), "\r")); err != nil {
			return err
		}
	}
	if err := s.Err(); errors.Is(err, bufio.ErrTooLong) {
		return fmt.Errorf("line %d: longer than %d bytes", n+1, maxLine)
	} else if err != nil {
		return fmt.Errorf("line %d: %w", n+1, err)
	}
	return nil
}
