package preference

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"

	"github.com/implicitreward/implicitreward/internal/table"
)

// readParquet reads rows as if they were lines of JSON.
func readParquet(in io.Reader, use func(Row) bool) error {
	b, err := io.ReadAll(io.LimitReader(in, maxParquet+1))
	if err != nil {
		return err
	}
	if len(b) > maxParquet {
		return fmt.Errorf("more than %d bytes of Parquet, wanted less", maxParquet)
	}
	file, err := table.OpenParquet(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return err
	}
	var columns []string
	for _, f := range file.Schema().Fields() {
		columns = append(columns, f.Name())
	}
	for _, names := range [][]string{chosenNames, rejectedNames} {
		if !slices.ContainsFunc(names, func(name string) bool { return slices.Contains(columns, name) }) {
			return fmt.Errorf("no column %s, wanted prompt, chosen, rejected, found %q", names[0], columns)
		}
	}
	n := 0
	for values, err := range table.Rows[any](file, file.Schema()) {
		if err != nil {
			return err
		}
		if n++; n > maxRows {
			return fmt.Errorf("more than %d rows, wanted preferences", maxRows)
		}
		object, ok := values.(map[string]any)
		if !ok {
			return fmt.Errorf("damaged Parquet file: a row is %T, wanted columns", values)
		}
		row := parseValues(object, columns)
		if row.Number = n; !use(row) {
			return nil
		}
	}
	return nil
}

// parseValues makes a row of the values of its columns, converting those that are read to
// JSON.
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

// plain converts byte arrays that are not marked as text, and refuses text that is not
// UTF-8, which json.Marshal would change to U+FFFD.
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
