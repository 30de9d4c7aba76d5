package analysis

import (
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/implicitreward/implicitreward/internal/table"
)

// shared holds the paper's data and R's numbers for them, which are not ours to ship.
// synthetic holds what is: made-up inputs, and what the paper's scripts make of them.
const (
	shared    = "../../../../shared"
	synthetic = "../../testdata/synth"
)

// paper returns the folder of the paper's data.
func paper(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(shared, "data", "paper")
	if _, err := os.Stat(dir); err != nil {
		t.Skip("needs ../shared: ", err)
	}
	return dir
}

// record is a row of a golden file by column.
type record map[string]string

func (r record) num(t testing.TB, column string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(r[column], 64)
	if err != nil {
		t.Fatalf("column %s: %v", column, err)
	}
	return v
}

func (r record) key(columns ...string) string {
	var s []string
	for _, c := range columns {
		if _, ok := r[c]; !ok {
			panic("no column " + c)
		}
		s = append(s, r[c])
	}
	return strings.Join(s, "/")
}

// golden reads an expected file: of the synthetic inputs, or "real/..." of the paper's data.
func golden(t testing.TB, name string) []record {
	t.Helper()
	path := filepath.Join(synthetic, "expected", name)
	if strings.HasPrefix(name, "real/") {
		path = filepath.Join(shared, "golden", name)
		if _, err := os.Stat(path); err != nil {
			t.Skip("needs ../shared: ", err)
		}
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var rows [][]string
	for in := table.NewCSVReader(f); ; {
		rec, err := in.Read()
		if errors.Is(err, io.EOF) {
			return records(rows)
		}
		if err != nil {
			t.Fatal(err)
		}
		var row []string
		for _, field := range rec {
			row = append(row, string(field))
		}
		rows = append(rows, row)
	}
}

func records(rows [][]string) []record {
	var list []record
	for _, row := range rows[1:] {
		r := record{}
		for i, name := range rows[0] {
			r[name] = row[i]
		}
		list = append(list, r)
	}
	return list
}

// rowsOf returns a table of a result by column, as its CSV file has it.
func rowsOf(t testing.TB, res *Result, table string) []record {
	t.Helper()
	for _, tab := range res.Tables {
		if tab.Name == table {
			rows := [][]string{tab.Header()}
			for i := range tab.Len() {
				rows = append(rows, tab.Cells(i, true))
			}
			return records(rows)
		}
	}
	t.Fatalf("no table %s", table)
	return nil
}

// near compares numbers: relative to the wanted one, and absolute where that is below 1.
func near(t testing.TB, what string, got, want, tolerance float64) {
	t.Helper()
	if math.IsNaN(got) || math.Abs(got-want) > tolerance*max(math.Abs(want), 1) && got != want {
		t.Errorf("%s = %.15g, want %.15g", what, got, want)
	}
}

// nearP compares p-values, of any size, relatively.
func nearP(t testing.TB, what string, got, want, tolerance float64) {
	t.Helper()
	if math.IsNaN(got) || math.Abs(got-want) > tolerance*want && got != want {
		t.Errorf("%s = %.15g, want %.15g", what, got, want)
	}
}
