package lexicon

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/implicitreward/implicitreward/internal/table"
)

// termNames are the accepted names of the word column, by decreasing priority; "Entry" is
// the General Inquirer's.
var termNames = []string{"token_decoded", "dicterm", "word", "term", "token", "entry"}

// columns describes the columns of a CSV corpus.
type columns struct {
	header         []string // trimmed
	term, category int      // -1 for none
	marks          []int    // category columns of the wide form
}

// readCSV reads the long, the wide and the one-column form.
func (in *corpusReader) readCSV(text string, comma byte) error {
	ended, returns := csvLineEnds(text, comma)
	r := table.NewCSVReader(strings.NewReader(ended))
	r.Comma = comma
	header, err := r.Header()
	if err != nil {
		return err
	}
	cols, err := in.columns(r, header)
	if err != nil {
		return err
	}
	if returns > 0 && strings.Contains(text[leadingLines(text):], "\n") {
		in.returns = tally{returns, 1 + leadingLines(text), strings.Join(header, string(comma))}
	}
	in.liwc = isHeader(header[cols.term], "dicterm")
	for {
		rec, err := r.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		categories, out, err := in.row(r, rec, cols)
		if err != nil {
			return err
		}
		if out {
			in.zeros.add(r.Line(cols.term), string(rec[cols.term]))
			continue
		}
		in.add(string(rec[cols.term]), categories, r.Line(cols.term))
	}
}

func (in *corpusReader) columns(r *table.CSVReader, header []string) (columns, error) {
	cols := columns{}
	for i, h := range header {
		name := strings.TrimSpace(h)
		if cols.header = append(cols.header, name); name != h {
			in.trimmed.add(r.Line(i), h)
		}
	}
	find := func(names ...string) int {
		for _, name := range names {
			if i := slices.IndexFunc(header, func(h string) bool { return isHeader(h, name) }); i >= 0 {
				return i
			}
		}
		return -1
	}
	cols.term, cols.category = find(termNames...), find("category", "class", "dimension")
	if cols.term < 0 {
		return cols, fmt.Errorf("line %d: header %q, wanted Category,token_decoded or DicTerm and one column a category (or a plain list, one word a line, without commas)", r.Line(0), header)
	}
	for i, h := range cols.header {
		switch {
		case i == cols.term || i == cols.category || h == "":
		case cols.category >= 0:
			in.warn("column %d (%s): not used", i+1, h)
		case slices.Contains(cols.header[:i], h):
			return cols, r.Errorf(i, "a second column %q, wanted each category once", h)
		default:
			cols.marks = append(cols.marks, i)
			in.Categories = append(in.Categories, h)
		}
	}
	return cols, nil
}

// row returns the categories of a row; zeros reports a row whose marks are zeros, so that
// the word is in no category.
func (in *corpusReader) row(r *table.CSVReader, rec [][]byte, cols columns) (categories []string, zeros bool, err error) {
	if i := cols.category; i >= 0 {
		name := strings.TrimSpace(string(rec[i]))
		if name == "" {
			return nil, false, r.Errorf(i, "no category, wanted one a row")
		}
		if name != string(rec[i]) {
			in.trimmed.add(r.Line(i), string(rec[i]))
		}
		if !slices.Contains(in.Categories, name) {
			in.Categories = append(in.Categories, name)
		}
		return []string{name}, false, nil
	}
	for _, i := range cols.marks {
		switch weight, ok := mark(string(rec[i]), cols.header[i]); {
		case !ok:
			return nil, false, r.Errorf(i, "%q, wanted X, a number, or nothing", rec[i])
		case weight == 0:
			zeros = true
		case !math.IsNaN(weight):
			if categories = append(categories, cols.header[i]); weight != 1 {
				in.weights.add(r.Line(i), string(rec[i]))
			}
		}
	}
	if len(cols.marks) > 0 && len(categories) == 0 && !zeros {
		return nil, false, r.Errorf(cols.term, "%s is in no category, wanted an X in its row", rec[cols.term])
	}
	return categories, len(cols.marks) > 0 && len(categories) == 0, nil
}

// mark parses a word's mark in a category's column: a weight other than 0 for a member, 0
// for none, NaN for an empty field.
func mark(text, category string) (weight float64, ok bool) {
	text = strings.TrimSpace(text)
	switch {
	case text == "" || text == "NA":
		return math.NaN(), true
	case text == "X" || text == "x" || strings.EqualFold(text, "true") || strings.EqualFold(text, category):
		return 1, true
	case strings.EqualFold(text, "false"):
		return 0, true
	}
	weight, err := strconv.ParseFloat(text, 64)
	return weight, err == nil && !math.IsNaN(weight) && !math.IsInf(weight, 0)
}
