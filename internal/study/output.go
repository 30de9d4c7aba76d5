package study

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"sync"

	"github.com/parquet-go/parquet-go"

	"github.com/implicitreward/implicitreward/internal/csv"
	"github.com/implicitreward/implicitreward/logprob"
)

// file is one of the output folder.
type file struct {
	name string // with slashes
	data []byte
}

// Write writes a folder: report.html and report.md, figures/ as PNG and SVG, tables/
// as CSV and Parquet, tests.csv and tests.parquet with every test of all analyses. It
// appears under its name only when all of it is there. A folder of that name is
// replaced if it is empty or a report of this program, and refused otherwise.
func Write(ctx context.Context, dir string, r *Report) error {
	if err := replaceable(dir); err != nil {
		return err
	}
	files, err := r.files(ctx)
	if err != nil {
		return err
	}
	parent := filepath.Dir(filepath.Clean(dir))
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return fmt.Errorf("output %s: %w", dir, err)
	}
	made, err := os.MkdirTemp(parent, ".study-")
	if err != nil {
		return fmt.Errorf("output %s: %w", dir, err)
	}
	defer os.RemoveAll(made)
	if err := os.Chmod(made, 0o755); err != nil {
		return fmt.Errorf("output %s: %w", dir, err)
	}
	for _, f := range files {
		path := filepath.Join(made, filepath.FromSlash(f.name))
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		if err == nil {
			err = os.WriteFile(path, f.data, 0o644)
		}
		if err != nil {
			return fmt.Errorf("output %s: %w", dir, err)
		}
	}
	old := made + "-old"
	if err := os.Rename(dir, old); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("output %s: %w", dir, err)
	}
	if err := os.Rename(made, dir); err != nil {
		return errors.Join(fmt.Errorf("output %s: %w", dir, err), os.Rename(old, dir))
	}
	if err := os.RemoveAll(old); err != nil {
		return fmt.Errorf("output %s: %w", dir, err)
	}
	return nil
}

func replaceable(dir string) error {
	if dir == "" {
		return errors.New("study: no output folder")
	}
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("output %s: %w, wanted a folder", dir, err)
	case len(entries) == 0:
		return nil
	}
	for _, name := range []string{"report.html", "report.md", "tests.csv"} {
		if !exists(filepath.Join(dir, name)) {
			return fmt.Errorf("output %s: a folder with other things in it, wanted a new one, an empty one or an earlier report", dir)
		}
	}
	return nil
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
	b := csv.AppendRecord(nil, t.header()...)
	for i := range t.len() {
		b = csv.AppendRecord(b, t.cells(i, true)...)
	}
	return b
}

// parquet is the table; what is not there is NaN.
func (t Table) parquet() ([]byte, error) {
	var b bytes.Buffer
	rows := reflect.ValueOf(t.Rows)
	w := parquet.NewWriter(&b, parquet.SchemaOf(reflect.New(rows.Type().Elem()).Interface()), parquet.Compression(&parquet.Zstd),
		parquet.CreatedBy("implicitreward", logprob.Version, ""))
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
