package logprob

import (
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go"

	"github.com/implicitreward/implicitreward/internal/table"
	"github.com/implicitreward/implicitreward/tokenize"
)

// rowGroup is the number of rows of a row group, which WriteParquet holds in memory.
const rowGroup = 1 << 16

// maxRows bounds the memory that a damaged file can cost; the largest vocabularies have
// 300,000 tokens.
const maxRows = 1 << 24

// WriteParquet writes the columns token_id (int32), token_name, token_decoded (UTF-8
// strings) and one float32 column for each prompt, in order, with Meta as JSON in the
// key-value metadata under "implicitreward". Equal tables give equal bytes. pandas, pyarrow,
// R's arrow and DuckDB read it.
func (t *Table) WriteParquet(w io.Writer) error {
	if err := t.Check(); err != nil {
		return err
	}
	meta, err := table.WithMeta(t.Meta)
	if err != nil {
		return fmt.Errorf("logprob: Parquet: %w", err)
	}
	text := parquet.Compressed(parquet.String(), &parquet.Zstd)
	value := parquet.Compressed(parquet.Encoded(parquet.Leaf(parquet.FloatType), &parquet.ByteStreamSplit), &parquet.Zstd)
	columns := []parquet.Field{
		field{parquet.Compressed(parquet.Leaf(parquet.Int32Type), &parquet.Zstd), tokenColumns[0]},
		field{text, tokenColumns[1]}, field{text, tokenColumns[2]},
	}
	for _, name := range t.Prompts {
		columns = append(columns, field{value, name})
	}
	out := parquet.NewGenericWriter[any](w, parquet.NewSchema("table", group{fields: columns}),
		table.CreatedBy(""), meta)
	for from := 0; from < len(t.Tokens); from += rowGroup {
		if err := t.writeRows(out, from, min(from+rowGroup, len(t.Tokens))); err != nil {
			return fmt.Errorf("logprob: Parquet: %w", err)
		}
	}
	if err := out.Close(); err != nil {
		return fmt.Errorf("logprob: Parquet: %w", err)
	}
	return nil
}

// writeRows writes one row group.
func (t *Table) writeRows(out *parquet.GenericWriter[any], from, to int) error {
	values := make([]parquet.Value, 0, to-from)
	for i, column := range out.ColumnWriters() {
		values = values[:0]
		switch i {
		case 0:
			for _, tok := range t.Tokens[from:to] {
				values = append(values, parquet.Int32Value(tok.ID))
			}
		case 1:
			for _, tok := range t.Tokens[from:to] {
				values = append(values, parquet.ByteArrayValue([]byte(tok.Name)))
			}
		case 2:
			for _, tok := range t.Tokens[from:to] {
				values = append(values, parquet.ByteArrayValue([]byte(tok.Text)))
			}
		default:
			for _, v := range t.LogProb[i-len(tokenColumns)][from:to] {
				values = append(values, parquet.FloatValue(v))
			}
		}
		if _, err := column.WriteRowValues(values); err != nil {
			return err
		}
	}
	return out.Flush()
}

// group is a parquet.Group that keeps the order of its fields; parquet.Group itself sorts
// them by name.
type group struct {
	parquet.Group
	fields []parquet.Field
}

func (g group) Fields() []parquet.Field { return g.fields }

type field struct {
	parquet.Node
	name string
}

func (f field) Name() string { return f.name }

// Value is for writing by rows, which is not used.
func (f field) Value(row reflect.Value) reflect.Value { return row.MapIndex(reflect.ValueOf(f.name)) }

// ReadParquet reads what WriteParquet wrote, and the same columns as other programs write
// them: token_id as a 32- or 64-bit integer, strings, values as float or double (rounded to
// the nearest float32), nullable, dictionary-encoded, in any number of row groups. All other
// columns are prompts, in file order, except __index_level_0__, which pandas adds. Rows may
// be in any order and are returned in id order. size is the length of the file in bytes.
//
// Errors, with column and row (counted from 0), are missing values (pandas makes them of
// tokens such as "NA" when it reads a CSV without keep_default_na=False), NaN, values above
// 0, text that is not UTF-8, a repeated id or prompt, a missing column or one of another
// type, and a file without rows.
func ReadParquet(r io.ReaderAt, size int64) (*Table, error) {
	file, err := table.OpenParquet(r, size)
	if err != nil {
		return nil, fmt.Errorf("logprob: Parquet: %w", err)
	}
	t, err := readParquet(file)
	if err != nil {
		return nil, fmt.Errorf("logprob: Parquet: %w", err)
	}
	return t, nil
}

func readParquet(file *parquet.File) (*Table, error) {
	t := &Table{}
	tokens, prompts, err := t.columns(file)
	if err != nil {
		return nil, err
	}
	if err := t.readIDs(tokens[0]); err != nil {
		return nil, err
	}
	for _, c := range tokens[1:] {
		err := t.readColumn(c, func(row int, v parquet.Value) error { return t.setText(row, c.Name(), v) })
		if err != nil {
			return nil, err
		}
	}
	for _, c := range prompts {
		column := make([]float32, len(t.Tokens))
		err := t.readColumn(c, func(row int, v parquet.Value) (err error) {
			column[row], err = logProbOf(v)
			return err
		})
		if err != nil {
			return nil, err
		}
		t.LogProb = append(t.LogProb, column)
	}
	if err := table.ParquetMeta(file, &t.Meta); err != nil {
		return nil, err
	}
	return t, t.sortTokens(func(row int) string { return fmt.Sprintf("column token_id, row %d", row) })
}

// columns finds the columns of the tokens and of the prompts, and sets the prompts' names.
func (t *Table) columns(file *parquet.File) (tokens [len(tokenColumns)]*parquet.Column, prompts []*parquet.Column, err error) {
	seen := map[string]bool{}
	for i, c := range file.Root().Columns() {
		name := c.Name()
		if k := slices.Index(tokenColumns[:], name); k >= 0 && tokens[k] == nil {
			tokens[k] = c
			continue
		}
		if name == table.PandasIndex {
			continue
		}
		if err := checkPrompt(name, seen); err != nil {
			return tokens, nil, fmt.Errorf("column %d: %w", i+1, err)
		}
		t.Prompts, prompts = append(t.Prompts, name), append(prompts, c)
	}
	if len(prompts) == 0 {
		return tokens, nil, fmt.Errorf("no prompt's column, wanted at least one beside %s", strings.Join(tokenColumns[:], ", "))
	}
	if k := slices.Index(tokens[:], nil); k >= 0 {
		return tokens, nil, fmt.Errorf("no column %s, wanted %s and prompts", tokenColumns[k], strings.Join(tokenColumns[:], ", "))
	}
	return tokens, prompts, nil
}

// readIDs makes a token for every row.
func (t *Table) readIDs(c *parquet.Column) error {
	err := table.ReadColumn(c, func(row int, v parquet.Value) error {
		if row == maxRows {
			return fmt.Errorf("more than %d rows, wanted a vocabulary", maxRows)
		}
		id, ok := table.Integer(v)
		if !ok || id < 0 || id > math.MaxInt32 {
			return fmt.Errorf("%v, wanted a token id, 0 to %d", v, math.MaxInt32)
		}
		t.Tokens = append(t.Tokens, tokenize.Token{ID: int32(id)})
		return nil
	})
	if err == nil && len(t.Tokens) == 0 {
		err = errors.New("no rows, wanted one a token")
	}
	return err
}

// readColumn reads a column, which must have a row for each token.
func (t *Table) readColumn(c *parquet.Column, use func(row int, v parquet.Value) error) error {
	rows := 0
	err := table.ReadColumn(c, func(row int, v parquet.Value) error {
		if rows++; rows > len(t.Tokens) {
			return errors.New("more rows than token_id has")
		}
		return use(row, v)
	})
	if err == nil && rows < len(t.Tokens) {
		err = fmt.Errorf("column %s: %d rows, wanted %d as token_id has", c.Name(), rows, len(t.Tokens))
	}
	return err
}

// setText sets the name or the text of a token.
func (t *Table) setText(row int, name string, v parquet.Value) error {
	switch {
	case v.IsNull():
		return fmt.Errorf("missing value, wanted a token (pandas reads a token such as \"NA\" as missing without keep_default_na=False)")
	case v.Kind() != parquet.ByteArray:
		return fmt.Errorf("type %v, wanted a string", v.Kind())
	case !utf8.Valid(v.ByteArray()):
		return fmt.Errorf("%q is not valid UTF-8", v.ByteArray())
	}
	tok := &t.Tokens[row]
	if text := v.ByteArray(); name == tokenColumns[1] {
		tok.Name = string(text)
	} else if tok.Text = tok.Name; string(text) != tok.Name {
		tok.Text = string(text)
	}
	return nil
}

// logProbOf converts a value of a column of floats or doubles.
func logProbOf(v parquet.Value) (float32, error) {
	if v.IsNull() {
		return 0, errors.New("missing value, wanted a log-probability")
	}
	if v.Kind() != parquet.Float && v.Kind() != parquet.Double {
		return 0, fmt.Errorf("type %v, wanted float or double", v.Kind())
	}
	x, _ := table.Float(v)
	return float32(x), checkLogProb(float32(x))
}
