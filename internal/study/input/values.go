package input

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go"

	"github.com/implicitreward/implicitreward/internal/regular"
	"github.com/implicitreward/implicitreward/internal/study/cube"
	"github.com/implicitreward/implicitreward/internal/table"
)

// layout says which columns of a file of numbers are what: the values of a word are a
// row, and each column of numbers is a prompt.
type layout struct {
	words  []string // names that the column of words may have, best first
	ignore []string // columns to leave out
	unique bool     // refuse a repeated word
	what   string   // what a column of numbers is, in errors
}

// columns are the places of what a header names.
type columns struct {
	header  []string
	words   int
	numbers []int
}

// readValues reads a CSV file, or Parquet by the name's ending, as the cube of one model,
// whose name the caller knows. A missing column of words, no columns of numbers, what is
// no finite number, a repeated column and a file without rows are errors that name file,
// line and column (Parquet: the row).
func readValues(path string, l layout) (*cube.Scores, error) {
	data, err := regular.Read(path, regular.Scores)
	if err != nil {
		return nil, err
	}
	s := &cube.Scores{Files: []string{path}, Values: make([][][]float64, 1)}
	var where func(row int) string
	if strings.HasSuffix(path, ".parquet") {
		where, err = l.readParquet(data, s)
	} else {
		where, err = l.readCSV(data, s)
	}
	if err == nil && len(s.Words) == 0 {
		err = errors.New("no rows")
	}
	if err == nil && l.unique {
		err = unique(s.Words, where)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

func unique(words []string, where func(row int) string) error {
	seen := make(map[string]int, len(words))
	for i, text := range words {
		if before, ok := seen[text]; ok {
			return fmt.Errorf("%s: %q stands in %s already, wanted each once", where(i), text, where(before))
		}
		seen[text] = i
	}
	return nil
}

// of tells the columns of a header apart, and names the prompts.
func (l layout) of(header []string, s *cube.Scores) (columns, error) {
	c := columns{header: header, words: -1}
	for _, name := range l.words {
		if c.words = slices.Index(header, name); c.words >= 0 {
			break
		}
	}
	if c.words < 0 {
		return c, fmt.Errorf("no column %s, wanted it and one column a %s; there are %s",
			strings.Join(l.words, " or "), l.what, cube.Listed(header, 4))
	}
	for i, name := range header {
		switch {
		case i == c.words, slices.Contains(l.ignore, name), i == 0 && (name == "" || name == "Unnamed: 0"):
		case name == "":
			return c, &table.Error{Line: 1, Column: i + 1, Fact: "no name, wanted a " + l.what}
		case slices.Contains(header[:i], name):
			return c, &table.Error{Line: 1, Column: i + 1, Name: name, Fact: "a second column of this name"}
		default:
			c.numbers, s.Prompts = append(c.numbers, i), append(s.Prompts, name)
		}
	}
	if len(c.numbers) == 0 {
		return c, fmt.Errorf("no %s column, wanted at least one beside %s", l.what, header[c.words])
	}
	s.Values[0] = make([][]float64, len(c.numbers))
	return c, nil
}

// readCSV returns the place of a word in the file, as readParquet does.
func (l layout) readCSV(data []byte, s *cube.Scores) (where func(row int) string, err error) {
	in := table.NewCSVReader(bytes.NewReader(data))
	header, err := in.Header()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("empty file")
	}
	if err != nil {
		return nil, err
	}
	c, err := l.of(header, s)
	if err != nil {
		return nil, err
	}
	var lines []int
	for record, err := range records(in) {
		if err != nil {
			return nil, err
		}
		s.Words, lines = append(s.Words, string(record[c.words])), append(lines, in.Line(c.words))
		for k, i := range c.numbers {
			v, err := strconv.ParseFloat(string(record[i]), 64)
			switch {
			case err != nil && len(record[i]) == 0:
				return nil, in.Errorf(i, "empty, wanted a number")
			case err != nil && !errors.Is(err, strconv.ErrRange):
				return nil, in.Errorf(i, "%q, wanted a number", record[i])
			case math.IsNaN(v) || math.IsInf(v, 0):
				return nil, in.Errorf(i, "%s, wanted a finite number", record[i])
			}
			s.Values[0][k] = append(s.Values[0][k], v)
		}
	}
	return func(row int) string {
		return fmt.Sprintf("line %d, column %d (%s)", lines[row], c.words+1, header[c.words])
	}, nil
}

func (l layout) readParquet(data []byte, s *cube.Scores) (where func(row int) string, err error) {
	file, err := table.OpenParquet(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, err
	}
	leaves := file.Root().Columns()
	header := make([]string, len(leaves))
	for i, leaf := range leaves {
		header[i] = leaf.Name()
	}
	l.ignore = append(slices.Clone(l.ignore), table.PandasIndex)
	c, err := l.of(header, s)
	if err != nil {
		return nil, err
	}
	err = table.ReadColumn(leaves[c.words], func(_ int, v parquet.Value) error {
		if v.IsNull() || v.Kind() != parquet.ByteArray || !utf8.Valid(v.ByteArray()) {
			return errors.New("wanted text (missing values are those that pandas makes of \"NA\" and \"null\" " +
				"without keep_default_na=False)")
		}
		s.Words = append(s.Words, string(v.ByteArray()))
		return nil
	})
	if err != nil {
		return nil, err
	}
	for k, i := range c.numbers {
		values := make([]float64, 0, len(s.Words))
		err := table.ReadColumn(leaves[i], func(_ int, v parquet.Value) error {
			x, ok := table.Float(v)
			if !ok || math.IsNaN(x) || math.IsInf(x, 0) {
				return fmt.Errorf("%v, wanted a finite number", v)
			}
			values = append(values, x)
			return nil
		})
		if err != nil {
			return nil, err
		}
		if len(values) != len(s.Words) {
			return nil, fmt.Errorf("column %s: %d rows, wanted %d", header[i], len(values), len(s.Words))
		}
		s.Values[0][k] = values
	}
	return func(row int) string { return fmt.Sprintf("column %s, row %d", header[c.words], row) }, nil
}
