package study

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
	"github.com/implicitreward/implicitreward/internal/table"
)

// Matrix is a file of numbers with a text to each row: scores of replies after
// prompts, or of tokens at checkpoints.
type Matrix struct {
	File    string
	Texts   []string
	Columns []string
	Values  [][]float64 // Values[column][row]

	where func(row int) string // place of a row's text in the file
}

// matrixOptions says which columns of a file are what.
type matrixOptions struct {
	text   []string // names that the column of texts may have, best first
	ignore []string // columns to leave out
	unique bool     // refuse a text that stands twice
	what   string   // what a column of numbers is, in errors
}

// readMatrix reads a CSV file, or Parquet by the name's ending. A missing text column,
// no columns of numbers, what is no finite number, a column that stands twice and a
// file without rows are errors that name file, line and column (Parquet: the row).
func readMatrix(path string, o matrixOptions) (*Matrix, error) {
	data, err := regular.Read(path, regular.Scores)
	if err != nil {
		return nil, err
	}
	m := &Matrix{File: path}
	if strings.HasSuffix(path, ".parquet") {
		err = m.readParquet(data, o)
	} else {
		err = m.readCSV(data, o)
	}
	if err == nil && len(m.Texts) == 0 {
		err = errors.New("no rows")
	}
	if err == nil && o.unique {
		err = m.unique()
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

func (m *Matrix) unique() error {
	seen := make(map[string]int, len(m.Texts))
	for i, text := range m.Texts {
		if before, ok := seen[text]; ok {
			return fmt.Errorf("%s: %q stands in %s already, wanted each once", m.where(i), text, m.where(before))
		}
		seen[text] = i
	}
	return nil
}

// split tells the columns apart: the place of the text, and for each other column
// whether it holds numbers.
func (o matrixOptions) split(header []string) (text int, numbers []int, err error) {
	text = -1
	for _, name := range o.text {
		if text = slices.Index(header, name); text >= 0 {
			break
		}
	}
	if text < 0 {
		return 0, nil, fmt.Errorf("no column %s, wanted it and one column a %s; there are %s", strings.Join(o.text, " or "), o.what, listed(header, 4))
	}
	for i, name := range header {
		switch {
		case i == text, slices.Contains(o.ignore, name), i == 0 && (name == "" || name == "Unnamed: 0"):
		case name == "":
			return 0, nil, &table.Error{Line: 1, Column: i + 1, Fact: "no name, wanted a " + o.what}
		case slices.Contains(header[:i], name):
			return 0, nil, &table.Error{Line: 1, Column: i + 1, Name: name, Fact: "a second column of this name"}
		default:
			numbers = append(numbers, i)
		}
	}
	if len(numbers) == 0 {
		return 0, nil, fmt.Errorf("no %s column, wanted at least one beside %s", o.what, header[text])
	}
	return text, numbers, nil
}

func (m *Matrix) readCSV(data []byte, o matrixOptions) error {
	in := table.NewCSVReader(bytes.NewReader(data))
	header, err := in.Header()
	if errors.Is(err, io.EOF) {
		return errors.New("empty file")
	}
	if err != nil {
		return err
	}
	text, numbers, err := o.split(header)
	if err != nil {
		return err
	}
	for _, i := range numbers {
		m.Columns = append(m.Columns, header[i])
	}
	m.Values = make([][]float64, len(numbers))
	var lines []int
	m.where = func(row int) string {
		return fmt.Sprintf("line %d, column %d (%s)", lines[row], text+1, header[text])
	}
	for {
		rec, err := in.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		m.Texts, lines = append(m.Texts, string(rec[text])), append(lines, in.Line(text))
		for k, i := range numbers {
			v, err := strconv.ParseFloat(string(rec[i]), 64)
			switch {
			case err != nil && len(rec[i]) == 0:
				return in.Errorf(i, "empty, wanted a number")
			case err != nil && !errors.Is(err, strconv.ErrRange):
				return in.Errorf(i, "%q, wanted a number", rec[i])
			case math.IsNaN(v) || math.IsInf(v, 0):
				return in.Errorf(i, "%s, wanted a finite number", rec[i])
			}
			m.Values[k] = append(m.Values[k], v)
		}
	}
}

func (m *Matrix) readParquet(data []byte, o matrixOptions) error {
	file, err := table.OpenParquet(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return err
	}
	columns := file.Root().Columns()
	header := make([]string, len(columns))
	for i, c := range columns {
		header[i] = c.Name()
	}
	o.ignore = append(slices.Clone(o.ignore), table.PandasIndex)
	text, numbers, err := o.split(header)
	if err != nil {
		return err
	}
	m.where = func(row int) string { return fmt.Sprintf("column %s, row %d", header[text], row) }
	err = table.ReadColumn(columns[text], func(_ int, v parquet.Value) error {
		if v.IsNull() || v.Kind() != parquet.ByteArray || !utf8.Valid(v.ByteArray()) {
			return errors.New("wanted text (missing values are those that pandas makes of \"NA\" and \"null\" without keep_default_na=False)")
		}
		m.Texts = append(m.Texts, string(v.ByteArray()))
		return nil
	})
	for _, i := range numbers {
		if err != nil {
			return err
		}
		values := make([]float64, 0, len(m.Texts))
		err = table.ReadColumn(columns[i], func(_ int, v parquet.Value) error {
			x, ok := table.Float(v)
			if !ok || math.IsNaN(x) || math.IsInf(x, 0) {
				return fmt.Errorf("%v, wanted a finite number", v)
			}
			values = append(values, x)
			return nil
		})
		if err == nil && len(values) != len(m.Texts) {
			err = fmt.Errorf("column %s: %d rows, wanted %d", header[i], len(values), len(m.Texts))
		}
		m.Columns, m.Values = append(m.Columns, header[i]), append(m.Values, values)
	}
	return err
}

// listed joins at most n names.
func listed(names []string, n int) string {
	if len(names) > n {
		return strings.Join(names[:n], ", ") + fmt.Sprintf(" and %d more", len(names)-n)
	}
	return strings.Join(names, ", ")
}

// readTexts reads one column of a CSV file.
func readTexts(path, name string) ([]string, error) {
	data, err := regular.Read(path, regular.Scores)
	if err != nil {
		return nil, err
	}
	in := table.NewCSVReader(bytes.NewReader(data))
	header, err := in.Header()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	column := slices.Index(header, name)
	if column < 0 {
		return nil, fmt.Errorf("%s: line 1: no column %s", path, name)
	}
	var texts []string
	for {
		rec, err := in.Read()
		if errors.Is(err, io.EOF) {
			return texts, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		texts = append(texts, string(rec[column]))
	}
}
