package study

import (
	"math"
	"os"
	"path/filepath"
	"testing"
)

// FuzzMatrix: no CSV file makes the reader panic, or gives what is not finite or not square.
func FuzzMatrix(f *testing.F) {
	f.Add([]byte("response,a,b\none,1,2\ntwo,3,-4e-3\n"))
	f.Add([]byte("\"\",response,a\n1,\"x\r\ny\",0\n"))
	f.Add([]byte("\ufeffresponse,a\n\"\"\"\",inf\n"))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(dir, "m.csv")
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		m, err := readMatrix(path, matrixOptions{text: []string{"response"}, unique: true, what: "prompt"})
		if err != nil {
			return
		}
		if len(m.Columns) != len(m.Values) || len(m.Columns) == 0 || len(m.Texts) == 0 {
			t.Fatalf("%d columns, %d of values, %d rows", len(m.Columns), len(m.Values), len(m.Texts))
		}
		for _, column := range m.Values {
			if len(column) != len(m.Texts) {
				t.Fatalf("%d values, %d rows", len(column), len(m.Texts))
			}
			for _, v := range column {
				if math.IsNaN(v) || math.IsInf(v, 0) {
					t.Fatalf("%v", v)
				}
			}
		}
	})
}
