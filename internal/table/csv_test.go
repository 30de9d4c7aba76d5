package table

import (
	stdcsv "encoding/csv"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
)

// readAll copies the records of a file, checking each field count against the first
// record when header is set.
func readAll(src io.Reader, header bool) (recs [][]string, err error) {
	r := NewCSVReader(src)
	if header {
		names, err := r.Header()
		if err != nil {
			return nil, err
		}
		recs = append(recs, names)
	}
	for {
		rec, err := r.Read()
		if err == io.EOF {
			return recs, nil
		}
		if err != nil {
			return recs, err
		}
		var fields []string
		for _, f := range rec {
			fields = append(fields, string(f))
		}
		recs = append(recs, fields)
	}
}

func TestRead(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     [][]string
	}{
		{"plain", "a,b\nc,d\n", [][]string{{"a", "b"}, {"c", "d"}}},
		{"no last line end", "a,b\nc,d", [][]string{{"a", "b"}, {"c", "d"}}},
		{"CRLF", "a,b\r\nc,d\r\n", [][]string{{"a", "b"}, {"c", "d"}}},
		{"CRLF at the end of the file only", "a,b\r", [][]string{{"a", "b"}}},
		{"byte order mark", "\ufeffa,b\n", [][]string{{"a", "b"}}},
		{"line ends in quotes survive", "1,\"\r\n\"\n2,\"\n\"\n3,\"\r\"\n", [][]string{{"1", "\r\n"}, {"2", "\n"}, {"3", "\r"}}},
		{"quotes", "1,\"\"\"\"\n2,\"a\"\"b\"\"\",\"c,d\"\r\n", [][]string{{"1", `"`}, {"2", `a"b"`, "c,d"}}},
		{"quoted at the end of the file", "1,\"\"", [][]string{{"1", ""}}},
		{"quoted and CR at the end of the file", "1,\"x\"\r", [][]string{{"1", "x"}}},
		{"empty fields", ",\n,\"\"\n", [][]string{{"", ""}, {"", ""}}},
		{"blank lines", "\na\n\r\n\"\"\n", [][]string{{"a"}, {""}}},
		{"spaces and NUL stay", " a ,\x00\n", [][]string{{" a ", "\x00"}}},
		{"quoted first, plain last", "\"a\",b\r\n", [][]string{{"a", "b"}}},
		{"CR that ends no line", "a\rb,c\r\n\r,\"d\"\n", [][]string{{"a\rb", "c"}, {"\r", "d"}}},
		{"nothing", "", nil},
	} {
		for kind, src := range map[string]io.Reader{"whole": strings.NewReader(c.in), "byte by byte": iotest.OneByteReader(strings.NewReader(c.in)),
			"data with EOF": iotest.DataErrReader(strings.NewReader(c.in))} {
			got, err := readAll(src, false)
			if err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("%s, %s: %q, %v, want %q", c.name, kind, got, err, c.want)
			}
		}
	}
}

func TestReadErrors(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"quote inside", "id,text\n1,a\"b\"\n", `line 2, column 2 (text): a quote inside a field without quotes, wanted the field in quotes and the quote doubled`},
		{"text after quote", "id,text\n\"1\"x,a\n", `line 2, column 1 (id): text after the closing quote, wanted a comma or a line end (a quote inside quotes is doubled)`},
		{"open quote", "id,text\n1,\"\n\n", `line 2, column 2 (text): the file ends inside quotes`},
		{"few columns", "id,text\n1\n", `line 2: 1 columns, wanted 2 as in line 1`},
		{"UTF-8", "id,text\n1,\xff\n", `line 2, column 2 (text): not valid UTF-8`},
		{"UTF-8 in quotes", "id,text\n1,\"\xc3\"\n", `line 2, column 2 (text): not valid UTF-8`},
		{"line count", "id,text\n1,\"\n\r\n\"\n\n2,\"x\n\",\"\"\n", `line 6: 3 columns, wanted 2 as in line 1`},
		{"line of a later field", "id,text\n\"\n\",a\"\n", `line 3, column 2 (text): a quote inside a field without quotes, wanted the field in quotes and the quote doubled`},
		{"too long", "id,text\n1,\"" + strings.Repeat("x", maxRecord), `line 2: record longer than 16777216 bytes, wanted a closing quote or a line end`},
	} {
		_, err := readAll(strings.NewReader(c.in), true)
		if err == nil || err.Error() != c.want {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
	_, err := readAll(io.MultiReader(strings.NewReader("a,b\nc"), iotest.ErrReader(errors.New("disk gone"))), true)
	if err == nil || err.Error() != "line 2: disk gone" {
		t.Errorf("read error: %v", err)
	}
}

func TestAppend(t *testing.T) {
	got := string(AppendRecord(AppendRecord(nil, "", "a", " b ", `"`, "\r", "\n", "x,y", `a"b`), ""))
	want := ",a, b ,\"\"\"\",\"\r\",\"\n\",\"x,y\",\"a\"\"b\"\n\"\"\n"
	if got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// FuzzRead: what is written is read back, and what is read encoding/csv reads too, except
// for the "\r" that it drops.
func FuzzRead(f *testing.F) {
	for _, s := range []string{"a,b\n", "\"\r\n\",\"\"\"\"", "\ufeff\"a\"\r\n\r", "\n\n\"\"", "a\rb", "\"x", ",\"\r\",\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		recs, err := readAll(strings.NewReader(s), false)
		if err != nil {
			return
		}
		var out []byte
		for _, rec := range recs {
			out = AppendRecord(out, rec...)
		}
		again, err := readAll(strings.NewReader(string(out)), false)
		if err != nil || !reflect.DeepEqual(recs, again) && !(len(recs) > 0 && strings.HasPrefix(recs[0][0], "\ufeff")) {
			t.Fatalf("%q read as %q, written as %q, read as %q, %v", s, recs, out, again, err)
		}
		std := stdcsv.NewReader(strings.NewReader(strings.TrimPrefix(s, "\ufeff")))
		std.FieldsPerRecord = -1
		theirs, err := std.ReadAll()
		if err != nil {
			t.Fatalf("%q read as %q, encoding/csv: %v", s, recs, err)
		}
		for _, rec := range recs {
			for i := range rec {
				rec[i] = strings.ReplaceAll(rec[i], "\r\n", "\n")
			}
		}
		if len(recs)+len(theirs) > 0 && !reflect.DeepEqual(recs, theirs) {
			t.Fatalf("%q read as %q, by encoding/csv as %q", s, recs, theirs)
		}
	})
}
