package report

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"sync"

	"github.com/parquet-go/parquet-go"

	"github.com/implicitreward/implicitreward/internal/output"
	"github.com/implicitreward/implicitreward/internal/study/analysis"
	"github.com/implicitreward/implicitreward/internal/table"
	"github.com/implicitreward/implicitreward/logprob"
)

// Write writes a folder: report.html and report.md, figures/ as PNG and SVG, tables/
// as CSV and Parquet, tests.csv and tests.parquet with every test of all analyses, and
// SHA256SUMS of them. It appears under its name only when all of it is there. What of an
// earlier folder of that name becomes: see output.Folder.
func Write(ctx context.Context, dir output.Folder, r *Report) error {
	if err := dir.Check(); err != nil {
		return err
	}
	files, err := r.Files(ctx)
	if err != nil {
		return err
	}
	return dir.Write(files)
}

// Files renders everything, under names with slashes.
func (r *Report) Files(ctx context.Context) ([]output.Entry, error) {
	drawn, err := r.draw(ctx)
	if err != nil {
		return nil, err
	}
	files := slices.Clone(drawn)
	seen := map[string]bool{}
	for _, res := range r.Results {
		for _, t := range res.Tables {
			name := "tables/" + res.Name + "-" + t.Name
			if seen[name] {
				return nil, fmt.Errorf("study: two tables named %s", name)
			}
			seen[name] = true
			data, err := parquetOf(t)
			if err != nil {
				return nil, fmt.Errorf("study: %s.parquet: %w", name, err)
			}
			files = append(files, entry(name+".csv", csvOf(t)), entry(name+".parquet", data))
		}
		for _, e := range res.Extra {
			files = append(files, entry("tables/"+e.Name, e.Data))
		}
	}
	tests := analysis.Table{Name: "tests", Rows: r.tests()}
	data, err := parquetOf(tests)
	if err != nil {
		return nil, fmt.Errorf("study: tests.parquet: %w", err)
	}
	files = append(files, entry("tests.csv", csvOf(tests)), entry("tests.parquet", data))
	html, err := r.html(drawn)
	if err != nil {
		return nil, err
	}
	return append(files, entry("report.html", html), entry("report.md", r.markdown())), nil
}

func entry(name string, data []byte) output.Entry { return output.Entry{Name: name, Data: data} }

// draw renders the figures, on all processors, in order.
func (r *Report) draw(ctx context.Context) ([]output.Entry, error) {
	var figures []analysis.Figure
	for _, res := range r.Results {
		figures = append(figures, res.Figures...)
	}
	files, failed := make([]output.Entry, 2*len(figures)), make([]error, len(figures))
	turns := make(chan struct{}, runtime.GOMAXPROCS(0))
	var wait sync.WaitGroup
	for i, f := range figures {
		wait.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			var png, svg bytes.Buffer
			if failed[i] = ctx.Err(); failed[i] == nil {
				failed[i] = f.WritePNG(&png)
			}
			if failed[i] == nil {
				failed[i] = f.WriteSVG(&svg)
			}
			if failed[i] != nil {
				failed[i] = fmt.Errorf("study: figure %s: %w", f.Name, failed[i])
			}
			name := "figures/" + f.Name
			files[2*i], files[2*i+1] = entry(name+".png", png.Bytes()), entry(name+".svg", svg.Bytes())
		})
	}
	wait.Wait()
	return files, errors.Join(failed...)
}

// csvOf is the table with numbers in full; what is not there is empty.
func csvOf(t analysis.Table) []byte {
	b := table.AppendRecord(nil, t.Header()...)
	for i := range t.Len() {
		b = table.AppendRecord(b, t.Cells(i, true)...)
	}
	return b
}

// parquetOf is the table; what is not there is NaN.
func parquetOf(t analysis.Table) ([]byte, error) {
	var b bytes.Buffer
	rows, columns := reflect.ValueOf(t.Rows), t.Columns()
	row := reflect.New(flat(columns))
	schema := parquet.NewSchema(rows.Type().Elem().Name(), parquet.SchemaOf(row.Interface()))
	w := parquet.NewWriter(&b, schema, parquet.Compression(&parquet.Zstd), table.CreatedBy(logprob.Version))
	for i := range rows.Len() {
		for k, c := range columns {
			row.Elem().Field(k).Set(rows.Index(i).FieldByIndex(c.Index))
		}
		if err := w.Write(row.Interface()); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// flat is a struct of some columns, none of them embedded.
func flat(columns []reflect.StructField) reflect.Type {
	var fields []reflect.StructField
	for _, c := range columns {
		fields = append(fields, reflect.StructField{Name: c.Name, Type: c.Type, Tag: c.Tag})
	}
	return reflect.StructOf(fields)
}
