package logprob

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"math/big"
	"math/rand/v2"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/implicitreward/implicitreward/tokenize"
)

var update = flag.Bool("update", false, "write the golden files")

// pandasTable is the table that testdata/pandas/tables.py wrote with pandas and pyarrow: tokens that readers like to change, and floats
// at the edges.
func pandasTable(t *testing.T) *Table {
	t.Helper()
	var want struct {
		Prompts, Names, Texts []string
		Bits                  [][]uint32
	}
	data, err := os.ReadFile("testdata/pandas/want.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatal(err)
	}
	table := &Table{Prompts: want.Prompts, LogProb: make([][]float32, len(want.Prompts))}
	for i, row := range want.Bits {
		table.Tokens = append(table.Tokens, tokenize.Token{ID: int32(2 * i), Name: want.Names[i], Text: want.Texts[i]})
		for p, b := range row {
			table.LogProb[p] = append(table.LogProb[p], math.Float32frombits(b))
		}
	}
	return table
}

// compare is reflect.DeepEqual with floats by their bits, so that -0 is not 0, and with a message.
func compare(t *testing.T, what string, got, want *Table) {
	t.Helper()
	if !reflect.DeepEqual(got.Prompts, want.Prompts) {
		t.Errorf("%s: prompts %q, want %q", what, got.Prompts, want.Prompts)
	}
	if !reflect.DeepEqual(got.Meta, want.Meta) {
		t.Errorf("%s: meta %+v, want %+v", what, got.Meta, want.Meta)
	}
	if len(got.Tokens) != len(want.Tokens) || len(got.LogProb) != len(want.LogProb) {
		t.Fatalf("%s: %d x %d, want %d x %d", what, len(got.Tokens), len(got.LogProb), len(want.Tokens), len(want.LogProb))
	}
	for i, tok := range want.Tokens {
		if got.Tokens[i] != tok {
			t.Errorf("%s: row %d: %+q, want %+q", what, i, got.Tokens[i], tok)
		}
		for p := range want.Prompts {
			if g, w := got.LogProb[p][i], want.LogProb[p][i]; math.Float32bits(g) != math.Float32bits(w) {
				t.Errorf("%s: row %d, prompt %d: %v, want %v", what, i, p, g, w)
			}
		}
	}
}

func TestPandas(t *testing.T) {
	want := pandasTable(t)
	file, err := os.Open("testdata/pandas/pandas.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	got, err := ReadCSV(file)
	if err != nil {
		t.Fatal(err)
	}
	compare(t, "pandas.csv", got, want)
	for _, name := range []string{"pandas.parquet", "arrow.parquet"} {
		data, err := os.ReadFile("testdata/pandas/" + name)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ReadParquet(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		compare(t, name, got, want)
	}
}

// TestWrite holds the bytes of both formats (tables.py check has pandas and pyarrow read these files) and that they come back the same.
func TestWrite(t *testing.T) {
	want := pandasTable(t)
	var text bytes.Buffer
	if err := want.WriteCSV(&text); err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/table.csv", text.Bytes())
	got, err := ReadCSV(iotest.OneByteReader(bytes.NewReader(text.Bytes())))
	if err != nil {
		t.Fatal(err)
	}
	compare(t, "CSV", got, want)

	want.Meta = Meta{Model: "test/model", ModelType: "llama", WeightsHash: "00", TokenizerHash: "11", DType: "f32", Backend: "go", Rendering: "chat", Date: "2024-07-26",
		Version: "v0", VocabRows: 100, Rendered: map[string]string{"zeta": "<bos>Why?\n", "alpha": "a & <b>"}}
	var file bytes.Buffer
	if err := want.WriteParquet(&file); err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/table.parquet", file.Bytes())
	got, err = ReadParquet(bytes.NewReader(file.Bytes()), int64(file.Len()))
	if err != nil {
		t.Fatal(err)
	}
	compare(t, "Parquet", got, want)

	text.Reset()
	if err := want.Meta.WriteJSON(&text); err != nil {
		t.Fatal(err)
	}
	meta, err := ReadMeta(&text)
	if err != nil || !reflect.DeepEqual(meta, want.Meta) {
		t.Errorf("meta %+v, %v, want %+v", meta, err, want.Meta)
	}
}

func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s: other bytes than before (-update writes them)", path)
	}
}

// TestRowGroups round-trips more rows than one row group holds.
func TestRowGroups(t *testing.T) {
	want := &Table{Prompts: []string{"p", "q"}, LogProb: make([][]float32, 2)}
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range rowGroup + 100 {
		want.Tokens = append(want.Tokens, tokenize.Token{ID: int32(i), Name: fmt.Sprint("▁", i), Text: fmt.Sprint(" ", i)})
		for p := range want.LogProb {
			want.LogProb[p] = append(want.LogProb[p], float32(-rng.ExpFloat64()*10))
		}
	}
	var file, text bytes.Buffer
	if err := want.WriteParquet(&file); err != nil {
		t.Fatal(err)
	}
	if err := want.WriteCSV(&text); err != nil {
		t.Fatal(err)
	}
	got, err := ReadParquet(bytes.NewReader(file.Bytes()), int64(file.Len()))
	if err != nil {
		t.Fatal(err)
	}
	compare(t, "Parquet", got, want)
	if got, err = ReadCSV(&text); err != nil {
		t.Fatal(err)
	}
	compare(t, "CSV", got, want)
}

// TestParse holds the parser to one rounding, to the nearest float32, over decimals near the middle of two.
func TestParse(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	check := func(s string) {
		exact, _, err := big.ParseFloat(s, 10, 1000, big.ToNearestEven)
		if err != nil {
			t.Fatal(err)
		}
		want, _ := exact.Float32()
		if got, err := parseLogProb([]byte(s)); err != nil || math.Float32bits(got) != math.Float32bits(want) {
			t.Errorf("%s: %v, %v, want %v", s, got, err, want)
		}
	}
	for range 5_000 {
		v := math.Float32frombits(rng.Uint32()&0x07ffffff | 0xbc000000) // -0.008 to -500 and more
		for _, d := range []float64{float64(v), float64(v) * (1 + 0x1p-24), float64(v) + float64(math.Nextafter32(v, 0)-v)/2} {
			check(strconv.FormatFloat(d, 'f', -1, 64))
		}
		check(strconv.FormatFloat(float64(v), 'f', 1+rng.IntN(20), 64))
	}
	for _, s := range []string{"0.0", "-0.0", "-0.0000000000000000001", "-9999999999999999999", "-9.999999999999999999", "-1e-30", "-0", "0", "-000.50", "-1180591620717411303424.0", "-.5", "-5."} {
		check(s)
	}
	for _, s := range []string{"", "-", ".", "1.2.3", "1,5", "nan", "-1e39"} {
		if v, err := parseLogProb([]byte(s)); err == nil {
			t.Errorf("%q: %v, want an error", s, v)
		}
	}
}

func TestReadCSVForms(t *testing.T) {
	for name, in := range map[string]string{
		"other order of columns and rows": "p,token_decoded,token_id,token_name\n-2,b,9,B\n-1.5,a,3,A\n",
		"BOM, CRLF, quotes everywhere":    "\ufeff\"token_id\",\"token_name\",\"token_decoded\",\"p\"\r\n\"3\",\"A\",\"a\",\"-1.5\"\r\n\"9\",\"B\",\"b\",\"-2\"\r\n",
		"exponent, no last line end":      "token_id,token_name,token_decoded,p\n3,A,a,-1.5e0\n9,B,b,-2E+00",
	} {
		got, err := ReadCSV(strings.NewReader(in))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		compare(t, name, got, &Table{Prompts: []string{"p"}, Tokens: []tokenize.Token{{ID: 3, Name: "A", Text: "a"}, {ID: 9, Name: "B", Text: "b"}}, LogProb: [][]float32{{-1.5, -2}}})
	}
	for _, inf := range []string{"-inf", "-Inf", "-Infinity"} {
		got, err := ReadCSV(strings.NewReader("token_id,token_name,token_decoded,p\n0,,," + inf))
		if err != nil || !math.IsInf(float64(got.LogProb[0][0]), -1) {
			t.Errorf("%s: %v", inf, err)
		}
	}
}

func TestReadCSVErrors(t *testing.T) {
	const head = "token_id,token_name,token_decoded,p,q\n"
	for _, c := range []struct{ in, want string }{
		{"", "empty, wanted the header token_id,token_name,token_decoded and prompts"},
		{"token_id,token_decoded,p\n", "line 1: no column token_name, wanted the header token_id,token_name,token_decoded and prompts"},
		{"token_id,token_name,token_decoded\n", "line 1: no prompt's column, wanted at least one beside token_id,token_name,token_decoded"},
		{head, "no rows after the header, wanted one a token"},
		{",token_id,token_name,token_decoded,p\n", "line 1, column 1: no name, wanted a prompt's name (an index column is written away with index=False)"},
		{"token_id,token_name,token_decoded,p,p\n", `line 1, column 5 (p): a second column "p", wanted each prompt once`},
		{"token_id,token_name,token_decoded,p,token_id\n", `line 1, column 5 (token_id): a second column "token_id", wanted a prompt's name`},
		{head + "0,a,a,-1\n", "line 2: 4 columns, wanted 5 as in line 1"},
		{head + "x,a,a,-1,-1\n", `line 2, column 1 (token_id): "x", wanted a token id, 0 to 2147483647`},
		{head + "-1,a,a,-1,-1\n", `line 2, column 1 (token_id): "-1", wanted a token id, 0 to 2147483647`},
		{head + "0,\"\n\",a,-1,NaN\n", "line 3, column 5 (q): NaN, wanted a log-probability"},
		{head + "0,a,a,,-1\n", "line 2, column 4 (p): empty (pandas writes NaN so), wanted a log-probability"},
		{head + "0,a,a,-1,0.25\n", "line 2, column 5 (q): 0.25, wanted a log-probability, at most 0"},
		{head + "0,a,a,inf,-1\n", "line 2, column 4 (p): +Inf, wanted a log-probability, at most 0"},
		{head + "0,a,a,-1e99,-1\n", `line 2, column 4 (p): "-1e99", wanted a log-probability`},
		{head + "0,a,a,NA,-1\n", `line 2, column 4 (p): "NA", wanted a log-probability`},
		{head + "7,a,a,-1,-1\n3,b,\"\n\",-1,-1\n7,c,c,-1,-1\n", "line 5, column 1 (token_id): 7 stands in line 2, column 1 (token_id) already, wanted each id once"},
		{head + "0,a,\"b,-1,-1\n", "line 2, column 3 (token_decoded): the file ends inside quotes"},
	} {
		_, err := ReadCSV(strings.NewReader(c.in))
		if want := "logprob: CSV: " + c.want; err == nil || err.Error() != want {
			t.Errorf("%q:\n got %v\nwant %s", c.in, err, want)
		}
	}
}

func TestCheck(t *testing.T) {
	good := func() *Table {
		return &Table{Prompts: []string{"p", "q"}, Tokens: []tokenize.Token{{ID: 0, Name: "a", Text: "a"}, {ID: 2, Name: "b", Text: "b"}}, LogProb: [][]float32{{-1, 0}, {-2, -3}}}
	}
	if err := good().Check(); err != nil {
		t.Fatal(err)
	}
	for want, spoil := range map[string]func(*Table){
		"0 tokens and 2 prompts, wanted at least one of each":                                          func(t *Table) { t.Tokens = nil },
		"1 columns, wanted 2, one a prompt":                                                            func(t *Table) { t.LogProb = t.LogProb[:1] },
		"row 1: token id 0 after 0, wanted ascending ids":                                              func(t *Table) { t.Tokens[1].ID = 0 },
		"row 0: token id -1, wanted 0 or more":                                                         func(t *Table) { t.Tokens[0].ID = -1 },
		`token 2: name "b", text "\xff": not valid UTF-8`:                                              func(t *Table) { t.Tokens[1].Text = "\xff" },
		`prompt 1: a second column "p", wanted each prompt once`:                                       func(t *Table) { t.Prompts[1] = "p" },
		`prompt 1: a second column "token_name", wanted a prompt's name`:                               func(t *Table) { t.Prompts[1] = "token_name" },
		`prompt 0: name "\xff" is not valid UTF-8`:                                                     func(t *Table) { t.Prompts[0] = "\xff" },
		"prompt q: 1 values, wanted 2, one a token":                                                    func(t *Table) { t.LogProb[1] = t.LogProb[1][:1] },
		"prompt q: token 2: NaN, wanted a log-probability":                                             func(t *Table) { t.LogProb[1][1] = float32(math.NaN()) },
		"prompt p: token 0: 0.5, wanted a log-probability, at most 0":                                  func(t *Table) { t.LogProb[0][0] = 0.5 },
		"prompt 0: no name, wanted a prompt's name (an index column is written away with index=False)": func(t *Table) { t.Prompts[0] = "" },
	} {
		table := good()
		spoil(table)
		for _, err := range []error{table.Check(), table.WriteCSV(&bytes.Buffer{}), table.WriteParquet(&bytes.Buffer{})} {
			if err == nil || err.Error() != "logprob: table: "+want {
				t.Errorf("%v, want logprob: table: %s", err, want)
			}
		}
	}
}

func TestScore(t *testing.T) {
	s := Result{LogProbs: []float32{-1.5, -0.1, -2}}
	if got, want := s.Sum(), -1.5+float64(float32(-0.1))-2; got != want {
		t.Errorf("Sum %v, want %v, the float32 values added in float64", got, want)
	}
	if got := s.Mean(); got != s.Sum()/3 {
		t.Errorf("Mean %v", got)
	}
	if got := (Result{}).Sum(); got != 0 {
		t.Errorf("Sum of no tokens %v, want 0 = ln 1", got)
	}
	if got := (Result{}).Mean(); !math.IsNaN(got) {
		t.Errorf("Mean of no tokens %v, want NaN", got)
	}
}

func FuzzReadCSV(f *testing.F) {
	f.Add("token_id,token_name,token_decoded,p\n3,A,\"\r\n\",-1.5\n9,B,b,-inf\n")
	f.Add("token_id,token_name,token_decoded,p,q\n3,,NA,-1.5e3,-0.0\n1,\r,\"\"\"\",0,-12.837289810180664\n")
	f.Fuzz(func(t *testing.T, in string) {
		got, err := ReadCSV(strings.NewReader(in))
		if err != nil {
			return
		}
		var out bytes.Buffer
		if err := got.WriteCSV(&out); err != nil {
			t.Fatalf("%q: read and cannot be written: %v", in, err)
		}
		again, err := ReadCSV(&out)
		if err != nil {
			t.Fatal(err)
		}
		compare(t, strconv.Quote(in), again, got)
	})
}

func FuzzReadParquet(f *testing.F) {
	for _, name := range []string{"table.parquet", "pandas/arrow.parquet"} {
		data, err := os.ReadFile("testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, uint(100), byte(1))
		f.Add(data, uint(len(data)-20), byte(0x80))
	}
	f.Fuzz(func(t *testing.T, data []byte, at uint, flip byte) {
		if len(data) > 0 {
			data = bytes.Clone(data)
			data[at%uint(len(data))] ^= flip
		}
		got, err := ReadParquet(bytes.NewReader(data), int64(len(data)))
		if err == nil && got.Check() != nil {
			t.Errorf("read without error: %v", got.Check())
		}
	})
}

// BenchmarkTable measures both formats on a table as the paper's are: float32 printed as double, 54 prompts.
func BenchmarkTable(b *testing.B) {
	t := &Table{LogProb: make([][]float32, 54)}
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range 20_000 {
		t.Tokens = append(t.Tokens, tokenize.Token{ID: int32(i), Name: fmt.Sprint("▁token", i), Text: fmt.Sprint(" token", i)})
	}
	for p := range t.LogProb {
		t.Prompts = append(t.Prompts, fmt.Sprint("prompt", p))
		norm := float32(rng.Float64())
		for range t.Tokens {
			t.LogProb[p] = append(t.LogProb[p], -float32(rng.IntN(200))/8-norm) // bf16 logits less a float32 norm
		}
	}
	var text, doubles, file bytes.Buffer
	if err := errors.Join(t.WriteCSV(&text), t.WriteParquet(&file)); err != nil {
		b.Fatal(err)
	}
	for i, line := range strings.Split(strings.TrimSpace(text.String()), "\n") {
		fields := strings.Split(line, ",")
		for k := range fields {
			if i > 0 && k > 2 {
				v, _ := strconv.ParseFloat(fields[k], 32)
				fields[k] = strconv.FormatFloat(v, 'f', -1, 64)
			}
		}
		fmt.Fprintln(&doubles, strings.Join(fields, ","))
	}
	b.Run("ReadCSV", func(b *testing.B) {
		b.SetBytes(int64(doubles.Len()))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := ReadCSV(bytes.NewReader(doubles.Bytes())); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("WriteCSV", func(b *testing.B) {
		b.SetBytes(int64(text.Len()))
		for b.Loop() {
			t.WriteCSV(io.Discard)
		}
	})
	b.Run("ReadParquet", func(b *testing.B) {
		b.SetBytes(int64(file.Len()))
		for b.Loop() {
			if _, err := ReadParquet(bytes.NewReader(file.Bytes()), int64(file.Len())); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("WriteParquet", func(b *testing.B) {
		b.SetBytes(int64(file.Len()))
		for b.Loop() {
			t.WriteParquet(io.Discard)
		}
	})
}
