package input

import (
	"math"
	"os"
	"path/filepath"
	"testing"
)

// FuzzValues: no CSV file makes the reader panic, or gives what is not finite or not square.
func FuzzValues(f *testing.F) {
	f.Add([]byte("response,a,b\none,1,2\ntwo,3,-4e-3\n"))
	f.Add([]byte("\"\",response,a\n1,\"x\r\ny\",0\n"))
	f.Add([]byte("\ufeffresponse,a\n\"\"\"\",inf\n"))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(dir, "m.csv")
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		m, err := readValues(path, layout{words: []string{"response"}, unique: true, what: "prompt"})
		if err != nil {
			return
		}
		if len(m.Prompts) != len(m.Values[0]) || len(m.Prompts) == 0 || len(m.Words) == 0 {
			t.Fatalf("%d columns, %d of values, %d rows", len(m.Prompts), len(m.Values[0]), len(m.Words))
		}
		for _, column := range m.Values[0] {
			if len(column) != len(m.Words) {
				t.Fatalf("%d values, %d rows", len(column), len(m.Words))
			}
			for _, v := range column {
				if math.IsNaN(v) || math.IsInf(v, 0) {
					t.Fatalf("%v", v)
				}
			}
		}
	})
}
