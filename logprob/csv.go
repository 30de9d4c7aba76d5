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
// token_decoded and one column for each prompt, then one row for each token, as written by
// WriteCSV, pandas or R. Values are rounded once, to the nearest float32, so files that
// print float32 as double restore the same bits; -inf (also -Inf, -Infinity) is ln 0. Rows
// may be in any order and are returned in id order.
//
// No token is taken for a missing value: "NA", "null" and "" are ordinary tokens, and
// "\r\n", "\n" and "\r" inside quotes are distinct. Errors, with line and column, are NaN or
// empty values, values above 0, wrong quoting, text that is not UTF-8, rows of different
// lengths, a repeated id or prompt, a missing column, and a file without rows. Meta is
// empty: see ReadMeta.
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
	var at [len(tokenColumns)]int // indices of the token columns
	for k, name := range tokenColumns {
		if at[k] = slices.Index(header, name); at[k] < 0 {
			return nil, fmt.Errorf("line %d: no column %s, wanted the header %s and prompts", r.Line(0), name, strings.Join(tokenColumns[:], ","))
		}
	}
	t, seen := &Table{}, map[string]bool{}
	var columns []int // indices of the prompts' columns
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

// newToken copies name and text, into one string if they are equal.
func newToken(id int32, name, text []byte) tokenize.Token {
	tok := tokenize.Token{ID: id, Name: string(name)}
	if tok.Text = tok.Name; string(text) != tok.Name {
		tok.Text = string(text)
	}
	return tok
}

func parseLogProb(field []byte) (float32, error) {
	v, err := strconv.ParseFloat(string(field), 32)
	switch {
	case len(field) == 0:
		return 0, errors.New("empty (pandas writes NaN so), wanted a log-probability")
	case err != nil:
		return 0, fmt.Errorf("%q, wanted a log-probability", field)
	}
	return float32(v), checkLogProb(float32(v))
}

// WriteCSV writes the format that ReadCSV describes, with "\n" as line end, the fewest
// digits that restore the same float32, and pandas' quoting. Meta is not written: see
// Meta.WriteJSON.
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
			out = table.AppendFloat(out, float64(column[i]), 32)
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
