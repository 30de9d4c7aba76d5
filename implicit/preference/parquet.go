package preference

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go"

	"github.com/implicitreward/implicitreward/internal/table"
)

// readParquet reads rows as if they were lines.
func readParquet(in io.Reader, use func(Row) bool) (err error) {
	b, err := io.ReadAll(io.LimitReader(in, maxParquet+1))
	if err != nil {
		return err
	}
	if len(b) > maxParquet {
		return fmt.Errorf("more than %d bytes of Parquet, wanted less", maxParquet)
	}
	rows, err := openParquet(b)
	if err != nil {
		return err
	}
	defer rows.close()
	for n := 1; ; n++ {
		values, err := rows.next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if n > maxRows {
			return fmt.Errorf("more than %d rows, wanted preferences", maxRows)
		}
		row := parseValues(values, rows.columns)
		if row.Number = n; !use(row) {
			return nil
		}
	}
}

// parquetRows reads a Parquet file row by row, without panics: the library has some at
// broken files.
type parquetRows struct {
	reader  *parquet.GenericReader[any]
	columns []string
	rows    []any
	at, n   int
	err     error // after the rows
}

func openParquet(b []byte) (p *parquetRows, err error) {
	defer broken(&err)
	file, err := table.OpenParquet(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return nil, err
	}
	p = &parquetRows{rows: make([]any, 64)}
	for _, f := range file.Schema().Fields() {
		p.columns = append(p.columns, f.Name())
	}
	for _, names := range [][]string{chosenNames, rejectedNames} {
		if !slices.ContainsFunc(names, func(name string) bool { return slices.Contains(p.columns, name) }) {
			return nil, fmt.Errorf("no column %s, wanted prompt, chosen, rejected, found %q", names[0], p.columns)
		}
	}
	p.reader = parquet.NewGenericReader[any](file, file.Schema())
	return p, nil
}

// next returns a row's values, and io.EOF after the last.
func (p *parquetRows) next() (values map[string]any, err error) {
	defer broken(&err)
	for p.at == p.n {
		if p.err != nil {
			return nil, p.err
		}
		clear(p.rows)
		p.at = 0
		p.n, p.err = p.reader.Read(p.rows)
		if p.n == 0 && p.err == nil {
			p.err = errors.New("broken Parquet file: no row where one is promised")
		}
	}
	values, ok := p.rows[p.at].(map[string]any)
	if !ok {
		return nil, fmt.Errorf("broken Parquet file: a row is %T, wanted columns", p.rows[p.at])
	}
	p.at++
	return values, nil
}

func (p *parquetRows) close() {
	var err error // what it says is of no use
	defer broken(&err)
	p.reader.Close()
}

func broken(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("broken Parquet file: %v", p)
	}
}

// parseValues makes a row of the values of its columns: of those that are read, JSON.
func parseValues(values map[string]any, columns []string) Row {
	object := []byte{'{'}
	var unread []string
	for _, name := range columns {
		v := values[name]
		if !slices.Contains(knownNames, name) {
			unread = append(unread, name)
			v = nil
		}
		v, err := plain(v)
		if err != nil {
			return Row{Err: fmt.Errorf("column %s: %w", name, err)}
		}
		key, err := json.Marshal(name)
		if err != nil {
			return Row{Err: fmt.Errorf("column %q: %w", name, err)}
		}
		b, err := json.Marshal(v)
		if err != nil {
			return Row{Err: fmt.Errorf("column %s: %w", name, err)}
		}
		if len(object) > 1 {
			object = append(object, ',')
		}
		object = append(append(append(object, key...), ':'), b...)
	}
	row := parse(append(object, '}'))
	row.Unread = unread
	return row
}

// plain makes text of byte arrays that are not marked as such, and refuses text that is not
// UTF-8, of which json.Marshal would make U+FFFD.
func plain(v any) (any, error) {
	switch v := v.(type) {
	case []byte:
		return plain(string(v))
	case string:
		if !utf8.ValidString(v) {
			return nil, errors.New("not valid UTF-8")
		}
	case []any:
		list := make([]any, len(v))
		for i, e := range v {
			var err error
			if list[i], err = plain(e); err != nil {
				return nil, err
			}
		}
		return list, nil
	case map[string]any:
		object := make(map[string]any, len(v))
		for name, e := range v {
			var err error
			if object[name], err = plain(e); err != nil {
				return nil, err
			}
		}
		return object, nil
	}
	return v, nil
}
