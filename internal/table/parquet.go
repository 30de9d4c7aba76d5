package table

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

// OpenParquet opens a file of size bytes, without its page index and bloom filters. Errors
// are a file that is not Parquet or is truncated, a footer that claims more metadata than
// the file has, for which parquet-go would allocate memory, and columns compressed with LZ4,
// for which parquet-go's decoder doubles its buffer on damaged data until memory runs out. A
// panic of parquet-go is an error here, and in ReadColumn and Rows, which read the file.
func OpenParquet(r io.ReaderAt, size int64) (file *parquet.File, err error) {
	if size < 12 {
		return nil, fmt.Errorf("%d bytes, wanted a Parquet file", size)
	}
	var tail [8]byte
	if _, err := r.ReadAt(tail[:], size-8); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if string(tail[4:]) != "PAR1" {
		return nil, fmt.Errorf("the file ends in %q, wanted PAR1 (is it cut off, or no Parquet?)", tail[4:])
	}
	if n := binary.LittleEndian.Uint32(tail[:4]); int64(n) > size-12 {
		return nil, fmt.Errorf("%d bytes of metadata in a file of %d bytes", n, size)
	}
	err = guard(func() error {
		file, err = parquet.OpenFile(r, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, group := range file.Metadata().RowGroups {
		for _, column := range group.Columns {
			if codec := column.MetaData.Codec; codec == format.Lz4Raw {
				return nil, fmt.Errorf("column %v is compressed with %v, wanted Snappy, Zstandard, gzip, Brotli or none", column.MetaData.PathInSchema, codec)
			}
		}
	}
	return file, nil
}

// guard calls f and turns a panic of parquet-go, as damaged files can cause, into an error.
func guard(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("damaged Parquet file: %v", p)
		}
	}()
	return f()
}

// ReadColumn calls use with every value of a column and its row, counted from 0. Errors name
// column and row.
func ReadColumn(c *parquet.Column, use func(row int, v parquet.Value) error) error {
	if !c.Leaf() || c.Repeated() {
		return fmt.Errorf("column %s: nested, wanted one value a row", c.Name())
	}
	return guard(func() error { return readColumn(c, use) })
}

func readColumn(c *parquet.Column, use func(row int, v parquet.Value) error) error {
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

// Integer returns the value of an integer column; ok is false if it is null or of another
// type.
func Integer(v parquet.Value) (n int64, ok bool) {
	switch {
	case v.IsNull():
	case v.Kind() == parquet.Int32:
		return int64(v.Int32()), true
	case v.Kind() == parquet.Int64:
		return v.Int64(), true
	}
	return 0, false
}

// Float returns the value of a numeric column, including integers; ok is false if it is null
// or of another type.
func Float(v parquet.Value) (x float64, ok bool) {
	switch {
	case v.IsNull():
	case v.Kind() == parquet.Float:
		return float64(v.Float()), true
	case v.Kind() == parquet.Double:
		return v.Double(), true
	}
	n, ok := Integer(v)
	return float64(n), ok
}

// Rows reads rows a few hundred at a time, since a damaged file may claim any number. schema
// is the file's for rows of type any, and omitted for a struct with parquet tags.
func Rows[T any](file *parquet.File, schema ...parquet.ReaderOption) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var in *parquet.GenericReader[T]
		err := guard(func() error { in = parquet.NewGenericReader[T](file, schema...); return nil })
		if err == nil {
			defer guard(func() error { return in.Close() })
		}
		rows, n := make([]T, 256), 0
		for err == nil {
			clear(rows)
			err = guard(func() (err error) { n, err = in.Read(rows); return err })
			if n == 0 && err == nil {
				err = errors.New("damaged Parquet file: no row where one is promised")
			}
			for _, row := range rows[:n] {
				if !yield(row, nil) {
					return
				}
			}
		}
		if !errors.Is(err, io.EOF) {
			var none T
			yield(none, err)
		}
	}
}
