package logprob

import (
	"encoding/json"
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

// metaKey is the key of the file's metadata under which Meta stands, as JSON.
const metaKey = "implicitreward"

// rowGroup is the number of rows after which WriteParquet starts a new row group, so
// that it holds no more than that in memory.
const rowGroup = 1 << 16

// maxRows bounds the memory that a damaged file can cost; the largest vocabularies
// have 300,000 tokens.
const maxRows = 1 << 24

// WriteParquet writes the columns token_id (int32), token_name, token_decoded (UTF-8
// strings) and one float32 column a prompt, in order, with Meta as JSON in the
// key-value metadata under "implicitreward". The same table gives the same bytes.
// pandas, pyarrow, R's arrow and DuckDB read it.
func (t *Table) WriteParquet(w io.Writer) error {
	if err := t.Check(); err != nil {
		return err
	}
	meta, err := json.Marshal(t.Meta)
	if err != nil {
		return fmt.Errorf("logprob: Parquet: meta: %w", err)
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
		parquet.CreatedBy("implicitreward", "", ""), parquet.KeyValueMetadata(metaKey, string(meta)))
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

// group is a parquet.Group whose fields stand in the order given; the map of
// parquet.Group sorts them by name.
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

// Value is for writing rows; we write columns.
func (f field) Value(row reflect.Value) reflect.Value { return row.MapIndex(reflect.ValueOf(f.name)) }

// ReadParquet reads what WriteParquet wrote, and the same columns as others write
// them: token_id as a 32- or 64-bit integer, strings, values as float or double
// (rounded to the nearest float32), nullable, dictionary-encoded, in any number of
// row groups. Columns that are not among the token's are prompts, in the file's
// order; __index_level_0__, which pandas adds, is skipped. Rows may stand in any
// order and come back in id order. size is the length of the file in bytes.
//
// Refused, by column and row (counted from 0), are missing values (pandas makes them
// of tokens such as "NA" when it reads a CSV without keep_default_na=False), NaN,
// values above 0, text that is not UTF-8, an id or a prompt that stands twice, a
// missing column or one of another type, and a file without rows.
func ReadParquet(r io.ReaderAt, size int64) (t *Table, err error) {
	defer func() { // parquet-go panics on some damaged files
		if p := recover(); p != nil {
			t, err = nil, fmt.Errorf("logprob: Parquet: damaged file: %v", p)
		}
	}()
	file, err := table.OpenParquet(r, size)
	if err != nil {
		return nil, fmt.Errorf("logprob: Parquet: %w", err)
	}
	if t, err = readParquet(file); err != nil {
		return nil, fmt.Errorf("logprob: Parquet: %w", err)
	}
	return t, nil
}

func readParquet(file *parquet.File) (*Table, error) {
	t, seen, tokens := &Table{}, map[string]bool{}, map[string]*parquet.Column{}
	var prompts []*parquet.Column
	for i, c := range file.Root().Columns() {
		name := c.Name()
		switch {
		case tokens[name] == nil && slices.Contains(tokenColumns[:], name):
			tokens[name] = c
			continue
		case name == "__index_level_0__":
			continue
		}
		if err := checkPrompt(name, seen); err != nil {
			return nil, fmt.Errorf("column %d: %w", i+1, err)
		}
		t.Prompts, prompts = append(t.Prompts, name), append(prompts, c)
	}
	if len(prompts) == 0 {
		return nil, fmt.Errorf("no prompt's column, wanted at least one beside %s", strings.Join(tokenColumns[:], ", "))
	}
	for k, name := range tokenColumns {
		if tokens[name] == nil {
			return nil, fmt.Errorf("no column %s, wanted %s and prompts", name, strings.Join(tokenColumns[:], ", "))
		}
		rows := 0
		err := readColumn(tokens[name], func(row int, v parquet.Value) error {
			if k == 0 {
				if row == maxRows {
					return fmt.Errorf("more than %d rows, wanted a vocabulary", maxRows)
				}
				id, ok := integer(v)
				if !ok {
					return fmt.Errorf("%v, wanted a token id, 0 to %d", v, math.MaxInt32)
				}
				t.Tokens = append(t.Tokens, tokenize.Token{ID: id})
				return nil
			}
			rows++
			return t.setText(row, name, v)
		})
		if err == nil && k > 0 && rows < len(t.Tokens) {
			err = fmt.Errorf("column %s: %d rows, wanted %d as token_id has", name, rows, len(t.Tokens))
		}
		if err != nil {
			return nil, err
		}
	}
	if len(t.Tokens) == 0 {
		return nil, fmt.Errorf("no rows, wanted one a token")
	}
	for _, c := range prompts {
		column := make([]float32, 0, len(t.Tokens))
		err := readColumn(c, func(row int, v parquet.Value) error {
			if row == len(t.Tokens) {
				return fmt.Errorf("more rows than token_id has")
			}
			x, err := float(v)
			column = append(column, x)
			return err
		})
		if err == nil && len(column) < len(t.Tokens) {
			err = fmt.Errorf("column %s: %d rows, wanted %d as token_id has", c.Name(), len(column), len(t.Tokens))
		}
		if err != nil {
			return nil, err
		}
		t.LogProb = append(t.LogProb, column)
	}
	if meta, ok := file.Lookup(metaKey); ok {
		if err := json.Unmarshal([]byte(meta), &t.Meta); err != nil {
			return nil, fmt.Errorf("metadata %s: %w", metaKey, err)
		}
	}
	return t, t.sortTokens(func(row int) string { return fmt.Sprintf("column token_id, row %d", row) })
}

// setText sets the name or the text of a token.
func (t *Table) setText(row int, name string, v parquet.Value) error {
	switch {
	case row >= len(t.Tokens):
		return fmt.Errorf("more rows than token_id has")
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

func integer(v parquet.Value) (int32, bool) {
	n := int64(-1)
	switch {
	case v.IsNull():
	case v.Kind() == parquet.Int32:
		n = int64(v.Int32())
	case v.Kind() == parquet.Int64:
		n = v.Int64()
	}
	return int32(n), n >= 0 && n <= math.MaxInt32
}

func float(v parquet.Value) (float32, error) {
	var x float32
	switch {
	case v.IsNull():
		return 0, fmt.Errorf("missing value, wanted a log-probability")
	case v.Kind() == parquet.Float:
		x = v.Float()
	case v.Kind() == parquet.Double:
		x = float32(v.Double())
	default:
		return 0, fmt.Errorf("type %v, wanted float or double", v.Kind())
	}
	return x, checkLogProb(x)
}

// readColumn hands every value of a column to use, with its row.
func readColumn(c *parquet.Column, use func(row int, v parquet.Value) error) error {
	if !c.Leaf() || c.Repeated() {
		return fmt.Errorf("column %s: nested, wanted one value a row", c.Name())
	}
	pages := c.Pages()
	defer pages.Close()
	row, values := 0, make([]parquet.Value, 1024)
	for {
		page, err := pages.ReadPage()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("column %s: %w", c.Name(), err)
		}
		in := page.Values()
		for done := false; !done; {
			n, err := in.ReadValues(values)
			if done = errors.Is(err, io.EOF); err != nil && !done {
				return fmt.Errorf("column %s, row %d: %w", c.Name(), row, err)
			}
			for _, v := range values[:n] {
				if err := use(row, v); err != nil {
					return fmt.Errorf("column %s, row %d: %w", c.Name(), row, err)
				}
				row++
			}
		}
		parquet.Release(page)
	}
}
