package table

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"reflect"
	"strconv"
	"strings"

	"github.com/parquet-go/parquet-go"
)

// Format is a kind of file whose rows are structs T: one column for each field, named by its
// parquet tag. Fields are string, int32 (a count, n_things) or float64 (not NaN).
type Format[T any] struct {
	Name     string                 // prefix of errors, "package: thing"
	Version  string                 // of this library, in Parquet files
	Required int                    // number of leading columns that a file must have
	Check    func(*T, Record) error // completes a record that was read, or returns an error
}

// Record is the place from which a record was read.
type Record interface {
	Has(column string) bool                          // reports whether the file has the column
	Errorf(column, format string, args ...any) error // names the column and its place in the file
}

// Columns returns the names of the columns, in order.
func (f Format[T]) Columns() []string {
	var names []string
	for field := range reflect.TypeFor[T]().Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("parquet"), ",")
		names = append(names, name)
	}
	return names
}

// WriteCSV writes records as they arrive, under a header. Numbers have the digits needed to
// read them back exactly. An error in records ends the file and is returned.
func (f Format[T]) WriteCSV(w io.Writer, records iter.Seq2[T, error]) error {
	b := bufio.NewWriter(w)
	line := AppendRecord(nil, f.Columns()...)
	b.Write(line) // the next Write or Flush returns an error
	for record, err := range records {
		if err != nil {
			return err
		}
		line = line[:0]
		fields := reflect.ValueOf(&record).Elem()
		for i := range fields.NumField() {
			if i > 0 {
				line = append(line, ',')
			}
			switch field := fields.Field(i); field.Kind() {
			case reflect.String:
				line = AppendField(line, field.String())
			case reflect.Int32:
				line = strconv.AppendInt(line, field.Int(), 10)
			default:
				line = AppendFloat(line, field.Float(), 64)
			}
		}
		if _, err := b.Write(append(line, '\n')); err != nil {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
	}
	if err := b.Flush(); err != nil {
		return fmt.Errorf("%s: %w", f.Name, err)
	}
	return nil
}

// WriteParquet writes records as they arrive, with the columns of WriteCSV, and meta, their
// provenance. An error in records ends the file and is returned.
func (f Format[T]) WriteParquet(w io.Writer, records iter.Seq2[T, error], meta any) error {
	how, err := WithMeta(meta)
	if err != nil {
		return fmt.Errorf("%s: %w", f.Name, err)
	}
	out := parquet.NewGenericWriter[T](w, how, parquet.Compression(&parquet.Zstd), CreatedBy(f.Version))
	for record, err := range records {
		if err != nil {
			return err
		}
		if _, err := out.Write([]T{record}); err != nil {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
	}
	if err := out.Close(); err != nil {
		return fmt.Errorf("%s: %w", f.Name, err)
	}
	return nil
}

// Read reads a file of size bytes: Parquet if it begins like one, else CSV, with columns in
// any order. The provenance in a Parquet file is decoded into meta, which is otherwise
// unchanged.
func (f Format[T]) Read(r io.ReaderAt, size int64, meta any) ([]T, error) {
	var magic [4]byte
	_, err := r.ReadAt(magic[:], 0)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	records := []T{}
	switch {
	case err != nil:
	case string(magic[:]) == "PAR1":
		records, err = f.readParquet(r, size, meta)
	default:
		records, err = f.readCSV(io.NewSectionReader(r, 0, size))
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name, err)
	}
	return records, nil
}

// lacks returns an error if the file lacks a required column.
func (f Format[T]) lacks(in Record) error {
	required := f.Columns()[:f.Required]
	for _, name := range required {
		if !in.Has(name) {
			return fmt.Errorf("no column %s, wanted %s", name, strings.Join(required, ","))
		}
	}
	return nil
}

func (f Format[T]) readCSV(r io.Reader) ([]T, error) {
	in := csvRecord{NewCSVReader(r), map[string]int{}}
	header, err := in.Header()
	if err != nil {
		return nil, err
	}
	for i, name := range header {
		in.at[name] = i
	}
	if err := f.lacks(in); err != nil {
		return nil, err
	}
	columns, records := f.Columns(), []T{}
	for {
		cells, err := in.Read()
		if errors.Is(err, io.EOF) {
			return records, nil
		}
		if err != nil {
			return nil, err
		}
		var record T
		fields := reflect.ValueOf(&record).Elem()
		for i, name := range columns {
			at, ok := in.at[name]
			if !ok {
				continue
			}
			if wanted := set(fields.Field(i), string(cells[at]), name); wanted != "" {
				return nil, in.Errorf(name, "%q, wanted %s", cells[at], wanted)
			}
		}
		if err := f.Check(&record, in); err != nil {
			return nil, err
		}
		records = append(records, record)
	}
}

// set parses a cell into a field, or returns what was wanted instead.
func set(field reflect.Value, cell, column string) (wanted string) {
	switch field.Kind() {
	case reflect.String:
		field.SetString(cell)
	case reflect.Int32:
		n, err := strconv.ParseInt(cell, 10, 32)
		if err != nil || n < 0 {
			return "a number of " + strings.TrimPrefix(column, "n_")
		}
		field.SetInt(n)
	default:
		x, err := strconv.ParseFloat(cell, 64)
		if err != nil || math.IsNaN(x) {
			return "a number"
		}
		field.SetFloat(x)
	}
	return ""
}

// csvRecord is the last record read from a CSV file.
type csvRecord struct {
	*CSVReader
	at map[string]int // column name -> index
}

func (r csvRecord) Has(column string) bool { _, ok := r.at[column]; return ok }

func (r csvRecord) Errorf(column, format string, args ...any) error {
	return r.CSVReader.Errorf(r.at[column], format, args...)
}

func (f Format[T]) readParquet(r io.ReaderAt, size int64, meta any) ([]T, error) {
	file, err := OpenParquet(r, size)
	if err != nil {
		return nil, err
	}
	in := parquetRecord{file: file}
	if err := f.lacks(in); err != nil {
		return nil, err
	}
	if err := ParquetMeta(file, meta); err != nil {
		return nil, err
	}
	columns, records := f.Columns(), []T{}
	for record, err := range Rows[T](file) {
		if err != nil {
			return nil, err
		}
		fields := reflect.ValueOf(&record).Elem()
		for i, name := range columns {
			if field := fields.Field(i); field.Kind() == reflect.Float64 && math.IsNaN(field.Float()) {
				return nil, in.Errorf(name, "NaN, wanted a number")
			}
		}
		if err := f.Check(&record, in); err != nil {
			return nil, err
		}
		records = append(records, record)
		in.row++
	}
	return records, nil
}

// parquetRecord is the last record read from a Parquet file.
type parquetRecord struct {
	file *parquet.File
	row  int
}

func (r parquetRecord) Has(column string) bool { _, ok := r.file.Schema().Lookup(column); return ok }

func (r parquetRecord) Errorf(column, format string, args ...any) error {
	return fmt.Errorf("column %s, row %d: %s", column, r.row, fmt.Sprintf(format, args...))
}
