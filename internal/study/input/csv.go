package input

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"

	"github.com/implicitreward/implicitreward/internal/regular"
	"github.com/implicitreward/implicitreward/internal/table"
)

// records are those of a CSV file after its header. One is valid until the next is read.
func records(in *table.CSVReader) iter.Seq2[[][]byte, error] {
	return func(yield func([][]byte, error) bool) {
		for {
			record, err := in.Read()
			if errors.Is(err, io.EOF) || !yield(record, err) || err != nil {
				return
			}
		}
	}
}

// readTokens reads the column token_decoded of a CSV file. compat drops "NA", as R does.
func readTokens(path string, compat bool) (map[string]bool, error) {
	const name = "token_decoded"
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
	keep := map[string]bool{}
	for record, err := range records(in) {
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if text := string(record[column]); !compat || text != "NA" {
			keep[text] = true
		}
	}
	return keep, nil
}
