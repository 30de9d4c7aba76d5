package table_test

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/implicitreward/implicitreward/internal/table"
)

type line struct {
	Word string  `parquet:"word,dict"`
	N    int32   `parquet:"n_words"`
	X    float64 `parquet:"x"`
	Y    float64 `parquet:"y"` // not in files of the first version
}

var lines = table.Format[line]{Name: "test: lines", Version: "1", Required: 3, Check: func(l *line, in table.Record) error {
	if !in.Has("y") {
		l.Y = -1
	}
	if l.Word == "bad" {
		return in.Errorf("word", "%q, wanted a good one", l.Word)
	}
	return nil
}}

var someLines = []line{{"a,\r\n\"", 2, math.Inf(-1), 0.1}, {"", 0, -1e-300, math.Inf(1)}}

func all(list []line, last error) iter.Seq2[line, error] {
	return func(yield func(line, error) bool) {
		for _, l := range list {
			if !yield(l, nil) {
				return
			}
		}
		if last != nil {
			yield(line{}, last)
		}
	}
}

func read(data string) ([]line, map[string]int, error) {
	meta := map[string]int{}
	got, err := lines.Read(strings.NewReader(data), int64(len(data)), &meta)
	return got, meta, err
}

// TestFormat: records come back from both kinds of file as they went in.
func TestFormat(t *testing.T) {
	var text, file bytes.Buffer
	if err := errors.Join(lines.WriteCSV(&text, all(someLines, nil)), lines.WriteParquet(&file, all(someLines, nil), map[string]int{"beta": 3})); err != nil {
		t.Fatal(err)
	}
	if want := "word,n_words,x,y\n\"a,\r\n\"\"\",2,-inf,0.1\n,0,-1e-300,inf\n"; text.String() != want {
		t.Errorf("%q, wanted %q", text.String(), want)
	}
	for _, data := range []string{text.String(), file.String()} {
		got, meta, err := read(data)
		if err != nil || !slices.Equal(got, someLines) || (data[:4] == "PAR1") != (meta["beta"] == 3) {
			t.Errorf("%v, %v, %v, wanted %v", got, meta, err, someLines)
		}
	}
	if !table.IsOurs(bytes.NewReader(file.Bytes()), int64(file.Len())) || table.IsOurs(bytes.NewReader(text.Bytes()), int64(text.Len())) {
		t.Error("a file of ours is not, or another is")
	}
	failed := errors.New("failed")
	if a, b := lines.WriteCSV(&text, all(someLines, failed)), lines.WriteParquet(&file, all(someLines, failed), nil); a != failed || b != failed {
		t.Errorf("%v, %v, wanted %v", a, b, failed)
	}
}

func TestFormatErrors(t *testing.T) {
	type old struct {
		X    float64 `parquet:"x"`
		Word string  `parquet:"word"`
		N    int32   `parquet:"n_words"`
	}
	write := func(rows ...old) string {
		var b bytes.Buffer
		if err := parquet.Write(&b, rows); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	for data, want := range map[string]string{
		"x,word,n_words\n1,a,2\n":               "[{a 2 1 -1}]",
		write(old{1, "a", 2}):                   "[{a 2 1 -1}]",
		"x,word\n1,a\n":                         "test: lines: no column n_words, wanted word,n_words,x",
		"":                                      "test: lines: EOF",
		"x,word,n_words\n1,a,-2\n":              `test: lines: line 2, column 3 (n_words): "-2", wanted a number of words`,
		"x,word,n_words\nNaN,a,2\n":             `test: lines: line 2, column 1 (x): "NaN", wanted a number`,
		"x,word,n_words\n1,bad,2\n":             `test: lines: line 2, column 2 (word): "bad", wanted a good one`,
		"PAR1":                                  "test: lines: 4 bytes, wanted a Parquet file",
		write(old{1, "a", 2}, old{1, "bad", 2}): `test: lines: column word, row 1: "bad", wanted a good one`,
		write(old{1, "a", 2}, old{math.NaN(), "", 2}): `test: lines: column x, row 1: NaN, wanted a number`,
	} {
		got, _, err := read(data)
		if s := fmt.Sprint(got); err != nil && err.Error() != want || err == nil && s != want {
			t.Errorf("%.60q: %v, %v, wanted %s", data, got, err, want)
		}
	}
}

// TestFormatDamaged: of 3,000 Parquet files with some bytes changed or cut none panics.
func TestFormatDamaged(t *testing.T) {
	var file bytes.Buffer
	many := slices.Repeat(someLines, 300)
	if err := lines.WriteParquet(&file, all(many, nil), nil); err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	good := 0
	for range 3000 {
		b := bytes.Clone(file.Bytes())
		for range 1 + rng.IntN(3) {
			b[4+rng.IntN(len(b)-4)] ^= 1 << rng.IntN(8)
		}
		if rng.IntN(4) == 0 {
			b = slices.Delete(b, 4+rng.IntN(8), 12+rng.IntN(8))
		}
		if _, _, err := read(string(b)); err == nil {
			good++
		}
	}
	if good > 2000 {
		t.Errorf("%d of 3000 damaged files were read, wanted few", good)
	}
}

// TestRowsStop: a loop over rows may end early, and its own panic is not the file's.
func TestRowsStop(t *testing.T) {
	var file bytes.Buffer
	if err := lines.WriteParquet(&file, all(someLines, nil), nil); err != nil {
		t.Fatal(err)
	}
	opened, err := table.OpenParquet(bytes.NewReader(file.Bytes()), int64(file.Len()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if p := recover(); p != "ours" {
			t.Errorf("panic %v, wanted our own", p)
		}
	}()
	for range table.Rows[line](opened) {
		break
	}
	for range table.Rows[line](opened) {
		panic("ours")
	}
}

func TestReadMeta(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.csv")
	meta := map[string]int{"beta": 3}
	if err := table.ReadMeta(path, &meta); err != nil || meta["beta"] != 3 {
		t.Errorf("%v, %v", meta, err)
	}
	for text, want := range map[string]string{`{"beta": 2}`: "", `{`: table.MetaPath(path) + ": unexpected end of JSON input"} {
		if err := os.WriteFile(path+".meta.json", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := table.ReadMeta(path, &meta); (err != nil || want != "") && (err == nil || err.Error() != want) {
			t.Errorf("%s: %v, wanted %q", text, err, want)
		}
	}
}

func TestPandas(t *testing.T) {
	if !table.PandasMissing("NA") || !table.PandasMissing("") || table.PandasMissing("none") {
		t.Error("pandas' missing values are others")
	}
}
