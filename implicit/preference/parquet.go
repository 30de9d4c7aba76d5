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

// readParquet reads rows as if they were lines of JSON. pairs refuses files without replies,
// and leaves out the values that Row does not read.
func readParquet(in io.Reader, pairs bool, use func(Object) bool) error {
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
		if pairs && !slices.ContainsFunc(names, func(name string) bool { return slices.Contains(columns, name) }) {
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
		row, ok := values.(map[string]any)
		if !ok {
			return fmt.Errorf("damaged Parquet file: a row is %T, wanted columns", values)
		}
		text, err := marshal(row, columns, pairs)
		o := Object{Number: n, err: err}
		if err == nil {
			o = object(n, text)
		}
		if !use(o) {
			return nil
		}
	}
	return nil
}

// marshal makes JSON of a row's columns. Those that Row does not read are null if pairs is set, or
// if they have no JSON.
func marshal(values map[string]any, columns []string, pairs bool) ([]byte, error) {
	object := []byte{'{'}
	for _, name := range columns {
		v := values[name]
		known := slices.Contains(knownNames, name)
		if !known && pairs {
			v = nil
		}
		key, err := json.Marshal(name)
		if err != nil {
			return nil, fmt.Errorf("column %q: %w", name, err)
		}
		v, err = plain(v)
		var b []byte
		if err == nil {
			b, err = json.Marshal(v)
		}
		switch {
		case err != nil && known:
			return nil, fmt.Errorf("column %s: %w", name, err)
		case err != nil:
			b = []byte("null")
		}
		if len(object) > 1 {
			object = append(object, ',')
		}
		object = append(append(append(object, key...), ':'), b...)
	}
	return append(object, '}'), nil
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
