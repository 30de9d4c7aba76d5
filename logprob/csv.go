package logprob

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/implicitreward/implicitreward/internal/table"
	"github.com/implicitreward/implicitreward/tokenize"
)

// ReadCSV reads the format of the paper's code: a header with token_id, token_name,
// token_decoded and one column a prompt, then one row a token, as WriteCSV, pandas or
// R write it. Values are rounded once, to the nearest float32, so files that print
// float32 as double give back the same bits; -inf (also -Inf, -Infinity) is ln 0.
// Rows may stand in any order and come back in id order.
//
// No token is missing: "NA", "null" and "" are tokens like others, and "\r\n", "\n"
// and "\r" inside quotes stay apart. Refused, with line and column, are NaN or empty
// values, values above 0, wrong quoting, text that is not UTF-8, rows of another
// length, an id or a prompt that stands twice, a missing column, and a file without
// rows. Meta is empty: see ReadMeta.
func ReadCSV(r io.Reader) (*Table, error) {
	t, err := readCSV(table.NewCSVReader(r))
	if err != nil {
		return nil, fmt.Errorf("logprob: CSV: %w", err)
	}
	return t, nil
}

func readCSV(r *table.CSVReader) (*Table, error) {
	header, err := r.Header()
	if errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("empty, wanted the header %s and prompts", strings.Join(tokenColumns[:], ","))
	}
	if err != nil {
		return nil, err
	}
	var at [len(tokenColumns)]int // where the token columns stand
	for k, name := range tokenColumns {
		if at[k] = slices.Index(header, name); at[k] < 0 {
			return nil, fmt.Errorf("line %d: no column %s, wanted the header %s and prompts", r.Line(0), name, strings.Join(tokenColumns[:], ","))
		}
	}
	t, seen := &Table{}, map[string]bool{}
	var columns []int // where the prompts stand
	for i, name := range header {
		if slices.Contains(at[:], i) {
			continue
		}
		if err := checkPrompt(name, seen); err != nil {
			return nil, r.Errorf(i, "%v", err)
		}
		t.Prompts, columns = append(t.Prompts, name), append(columns, i)
	}
	if len(columns) == 0 {
		return nil, fmt.Errorf("line %d: no prompt's column, wanted at least one beside %s", r.Line(0), strings.Join(tokenColumns[:], ","))
	}
	t.LogProb = make([][]float32, len(columns))
	var lines []int32
	for {
		rec, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		id, err := strconv.ParseInt(string(rec[at[0]]), 10, 32)
		if err != nil || id < 0 {
			return nil, r.Errorf(at[0], "%q, wanted a token id, 0 to %d", rec[at[0]], math.MaxInt32)
		}
		t.Tokens = append(t.Tokens, newToken(int32(id), rec[at[1]], rec[at[2]]))
		lines = append(lines, int32(r.Line(at[0])))
		for p, i := range columns {
			v, err := parseLogProb(rec[i])
			if err != nil {
				return nil, r.Errorf(i, "%v", err)
			}
			t.LogProb[p] = append(t.LogProb[p], v)
		}
	}
	if len(t.Tokens) == 0 {
		return nil, fmt.Errorf("no rows after the header, wanted one a token")
	}
	return t, t.sortTokens(func(row int) string { return fmt.Sprintf("line %d, column %d (token_id)", lines[row], at[0]+1) })
}

// newToken copies name and text, into one string where they are the same.
func newToken(id int32, name, text []byte) tokenize.Token {
	tok := tokenize.Token{ID: id, Name: string(name)}
	if tok.Text = tok.Name; string(text) != tok.Name {
		tok.Text = string(text)
	}
	return tok
}

func parseLogProb(field []byte) (float32, error) {
	v, ok := parseShort(field)
	if !ok {
		d, err := strconv.ParseFloat(string(field), 32)
		switch {
		case len(field) == 0:
			return 0, fmt.Errorf("empty (pandas writes NaN so), wanted a log-probability")
		case err != nil:
			return 0, fmt.Errorf("%q, wanted a log-probability", field)
		}
		v = float32(d)
	}
	return v, checkLogProb(v)
}

// parseShort rounds a number of digits and one point, such as -12.837289810180664, to
// the nearest float32, four times as fast as strconv. It gives up (false) on anything
// else. digits/10^k in float64 is off by at most two units in the last place: one for
// digits, when they exceed 2^53, and one for the quotient. Only when it lies so near
// to the middle between two float32 can the second rounding err.
func parseShort(field []byte) (float32, bool) {
	sign := uint64(0)
	if len(field) > 0 && field[0] == '-' {
		sign, field = 1<<63, field[1:]
	}
	digits, point := uint64(0), -1
	for i, c := range field {
		switch {
		case c-'0' <= 9:
			digits = digits*10 + uint64(c-'0')
		case c == '.' && point < 0:
			point = i
		default:
			return 0, false
		}
	}
	if point < 1 || len(field) > 20 || point == len(field)-1 { // at most 19 digits, below 10^19 < 2^64, and a digit on either side
		return 0, false
	}
	bits := math.Float64bits(float64(digits) / tens[len(field)-1-point])
	const cut, middle = 1<<29 - 1, 1 << 28 // the bits of a float64 that a float32 lacks
	if low := bits & cut; low >= middle-4 && low <= middle+4 || bits < 0x3810000000000000 && bits != 0 {
		return 0, false // too near to the middle, or below the normal numbers of float32
	}
	return float32(math.Float64frombits(bits | sign)), true
}

// tens are powers of ten, exact in float64.
var tens = [...]float64{1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18}

// WriteCSV writes the format that ReadCSV describes, with "\n" as line end and the
// fewest digits that give back the same float32. Fields are quoted where pandas
// quotes them. Meta is not written: see Meta.WriteJSON.
func (t *Table) WriteCSV(w io.Writer) error {
	if err := t.Check(); err != nil {
		return err
	}
	out := table.AppendRecord(nil, append(slices.Clone(tokenColumns[:]), t.Prompts...)...)
	for i, tok := range t.Tokens {
		out = strconv.AppendInt(out, int64(tok.ID), 10)
		out = append(out, ',')
		out = table.AppendField(out, tok.Name)
		out = append(out, ',')
		out = table.AppendField(out, tok.Text)
		for _, column := range t.LogProb {
			out = append(out, ',')
			out = appendLogProb(out, column[i])
		}
		out = append(out, '\n')
		if len(out) < 1<<18 && i < len(t.Tokens)-1 {
			continue
		}
		if _, err := w.Write(out); err != nil {
			return fmt.Errorf("logprob: CSV: %w", err)
		}
		out = out[:0]
	}
	return nil
}

func appendLogProb(dst []byte, v float32) []byte {
	if math.IsInf(float64(v), -1) {
		return append(dst, "-inf"...) // as pandas and numpy write it
	}
	return strconv.AppendFloat(dst, float64(v), 'g', -1, 32)
}
