package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go"

	"github.com/implicitreward/implicitreward/internal/parquetfile"
)

// columns are those that are read.
var columns = []string{"prompt", "chosen", "rejected", "subset", "id"}

// maxRows bounds the memory that a damaged file can cost.
const maxRows = 1 << 22

// readParquet reads rows as if they were lines.
func readParquet(in io.Reader) (list []pair, err error) {
	defer func() { // the library panics at some broken files
		if p := recover(); p != nil {
			list, err = nil, fmt.Errorf("broken Parquet file: %v", p)
		}
	}()
	b, err := io.ReadAll(in)
	if err != nil {
		return nil, err
	}
	file, err := parquetfile.Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return nil, err
	}
	for _, name := range sides {
		if !slices.ContainsFunc(file.Schema().Fields(), func(f parquet.Field) bool { return f.Name() == name }) {
			return nil, fmt.Errorf("no column %s, wanted prompt, chosen, rejected", name)
		}
	}
	r := parquet.NewGenericReader[any](file, file.Schema())
	defer r.Close()
	rows := make([]any, 64)
	for {
		n, err := r.Read(rows)
		for _, row := range rows[:n] {
			if len(list) == maxRows {
				return nil, fmt.Errorf("more than %d rows, wanted preferences", maxRows)
			}
			p, err := parseRow(row)
			if p.number = len(list) + 1; err != nil {
				return nil, fmt.Errorf("row %d: %w", p.number, err)
			}
			list = append(list, p)
		}
		if errors.Is(err, io.EOF) {
			return list, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

func parseRow(row any) (pair, error) {
	values, ok := row.(map[string]any)
	if !ok {
		return pair{}, fmt.Errorf("%T, wanted columns", row)
	}
	members := map[string]json.RawMessage{}
	for _, name := range columns {
		v, ok := values[name]
		if !ok {
			continue
		}
		if !text(v) {
			return pair{}, fmt.Errorf("column %s: not valid UTF-8", name)
		}
		b, err := json.Marshal(v)
		if err != nil {
			return pair{}, fmt.Errorf("column %s: %w", name, err)
		}
		members[name] = b
	}
	return parse(members)
}

// text tells whether all strings of a value are UTF-8; json.Marshal would make them so.
func text(v any) bool {
	switch v := v.(type) {
	case string:
		return utf8.ValidString(v)
	case []any:
		return !slices.ContainsFunc(v, func(e any) bool { return !text(e) })
	case map[string]any:
		for _, e := range v {
			if !text(e) {
				return false
			}
		}
	}
	return true
}
