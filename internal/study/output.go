package study

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
	"github.com/implicitreward/implicitreward/internal/table"
	"github.com/implicitreward/implicitreward/logprob"
)

// file is one of the output folder.
type file struct {
	name string // with slashes
	data []byte
}

// Write writes a folder: report.html and report.md, figures/ as PNG and SVG, tables/
// as CSV and Parquet, tests.csv and tests.parquet with every test of all analyses, and
// SHA256SUMS of them. It appears under its name only when all of it is there. What of an
// earlier folder of that name becomes: see output.Folder.
func Write(ctx context.Context, dir output.Folder, r *Report) error {
	if err := dir.Check(); err != nil {
		return err
	}
	files, err := r.files(ctx)
	if err != nil {
		return err
	}
	entries := make([]output.Entry, len(files))
	for i, f := range files {
		entries[i] = output.Entry{Name: f.name, Data: f.data}
	}
	return dir.Write(entries)
}

// files renders everything.
func (r *Report) files(ctx context.Context) ([]file, error) {
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
			data, err := t.parquet()
			if err != nil {
				return nil, fmt.Errorf("study: %s.parquet: %w", name, err)
			}
			files = append(files, file{name + ".csv", t.csv()}, file{name + ".parquet", data})
		}
		for _, e := range res.Extra {
			files = append(files, file{"tables/" + e.Name, e.Data})
		}
	}
	tests := Table{Name: "tests", Rows: r.tests()}
	data, err := tests.parquet()
	if err != nil {
		return nil, fmt.Errorf("study: tests.parquet: %w", err)
	}
	files = append(files, file{"tests.csv", tests.csv()}, file{"tests.parquet", data})
	html, err := r.html(drawn)
	if err != nil {
		return nil, err
	}
	return append(files, file{"report.html", html}, file{"report.md", r.markdown()}), nil
}

// draw renders the figures, on all processors, in order.
func (r *Report) draw(ctx context.Context) ([]file, error) {
	var figures []Figure
	for _, res := range r.Results {
		figures = append(figures, res.Figures...)
	}
	files, failed := make([]file, 2*len(figures)), make([]error, len(figures))
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
			files[2*i], files[2*i+1] = file{"figures/" + f.Name + ".png", png.Bytes()}, file{"figures/" + f.Name + ".svg", svg.Bytes()}
		})
	}
	wait.Wait()
	return files, errors.Join(failed...)
}

// csv is the table with numbers in full; what is not there is empty.
func (t Table) csv() []byte {
	b := table.AppendRecord(nil, t.header()...)
	for i := range t.len() {
		b = table.AppendRecord(b, t.cells(i, true)...)
	}
	return b
}

// parquet is the table; what is not there is NaN.
func (t Table) parquet() ([]byte, error) {
	var b bytes.Buffer
	rows := reflect.ValueOf(t.Rows)
	w := parquet.NewWriter(&b, parquet.SchemaOf(reflect.New(rows.Type().Elem()).Interface()), parquet.Compression(&parquet.Zstd),
		table.CreatedBy(logprob.Version))
	for i := range rows.Len() {
		if err := w.Write(rows.Index(i).Addr().Interface()); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
