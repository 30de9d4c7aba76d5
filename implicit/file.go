package implicit

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"math"
	"strconv"
	"strings"

	"github.com/parquet-go/parquet-go"

	"github.com/implicitreward/implicitreward/internal/csv"
	"github.com/implicitreward/implicitreward/logprob"
)

// Row is a line of a rewards file: one reply to one prompt.
type Row struct {
	Prompt   string  `parquet:"prompt,dict"`   // name of the prompt
	Category string  `parquet:"category,dict"` // categories of the word, joined by ";"; "" for none
	Word     string  `parquet:"word,dict"`     // as the corpus has it
	Form     string  `parquet:"form,dict"`     // the text that was scored
	NTokens  int32   `parquet:"n_tokens"`      // tokens of the form as the tuned model cuts it
	Tuned    float64 `parquet:"logp_tuned"`    // ln p_tuned(form | prompt)
	Base     float64 `parquet:"logp_base"`     // ln p_base(form | prompt)
	Reward   float64 `parquet:"reward"`        // beta * (Tuned - Base)
}

// Row is the reward's line in a rewards file.
func (r Reward) Row(beta float64) Row {
	return Row{
		Prompt:   r.PromptName,
		Category: strings.Join(r.Categories, ";"),
		Word:     r.Word,
		Form:     r.Reply,
		NTokens:  int32(len(r.Tuned.LogProb)),
		Tuned:    r.Tuned.Sum(),
		Base:     r.Base.Sum(),
		Reward:   r.Value(beta),
	}
}

// Meta says how a rewards file was made.
type Meta struct {
	Tuned  logprob.Meta `json:"tuned"`
	Base   logprob.Meta `json:"base"`
	Beta   float64      `json:"beta"`
	Corpus string       `json:"corpus,omitempty"` // sha256, hex, of the corpus file
	Form   string       `json:"form,omitempty"`   // how a word becomes a reply; {} is the word
}

// WriteJSON writes m, indented, keys in a fixed order.
func (m Meta) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(m); err != nil {
		return fmt.Errorf("implicit: meta: %w", err)
	}
	return nil
}

var rowColumns = []string{"prompt", "category", "word", "form", "n_tokens", "logp_tuned", "logp_base", "reward"}

// WriteCSV writes rows as they come, under the header
// prompt,category,word,form,n_tokens,logp_tuned,logp_base,reward. Numbers have as many
// digits as it takes to read them back exactly. An error in rows ends the file there and
// is returned.
func WriteCSV(w io.Writer, rows iter.Seq2[Row, error]) error {
	b := bufio.NewWriter(w)
	line := csv.AppendRecord(nil, rowColumns...)
	if _, err := b.Write(line); err != nil {
		return fmt.Errorf("implicit: rewards: %w", err)
	}
	for r, err := range rows {
		if err != nil {
			return err
		}
		line = csv.AppendRecord(line[:0], r.Prompt, r.Category, r.Word, r.Form, strconv.Itoa(int(r.NTokens)),
			number(r.Tuned), number(r.Base), number(r.Reward))
		if _, err := b.Write(line); err != nil {
			return fmt.Errorf("implicit: rewards: %w", err)
		}
	}
	if err := b.Flush(); err != nil {
		return fmt.Errorf("implicit: rewards: %w", err)
	}
	return nil
}

func number(x float64) string {
	if math.IsInf(x, 0) { // as pandas writes and reads it
		return strings.TrimPrefix(strings.ToLower(strconv.FormatFloat(x, 'g', -1, 64)), "+")
	}
	return strconv.FormatFloat(x, 'g', -1, 64)
}

// ReadCSV reads what WriteCSV wrote; columns may be in any order. Errors name line and
// column, and end the rows.
func ReadCSV(r io.Reader) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		in := csv.NewReader(r)
		header, err := in.Header()
		if err != nil {
			yield(Row{}, fmt.Errorf("implicit: rewards: %w", err))
			return
		}
		at := make([]int, len(rowColumns))
		for i, name := range rowColumns {
			at[i] = -1
			for j, column := range header {
				if column == name {
					at[i] = j
				}
			}
			if at[i] < 0 {
				yield(Row{}, fmt.Errorf("implicit: rewards: no column %s, wanted %s", name, strings.Join(rowColumns, ",")))
				return
			}
		}
		for {
			record, err := in.Read()
			if err == io.EOF {
				return
			}
			var row Row
			if err == nil {
				row, err = parseRow(in, record, at)
			}
			if err != nil {
				yield(Row{}, fmt.Errorf("implicit: rewards: %w", err))
				return
			}
			if !yield(row, nil) {
				return
			}
		}
	}
}

func parseRow(in *csv.Reader, record [][]byte, at []int) (Row, error) {
	text := func(i int) string { return string(record[at[i]]) }
	row := Row{Prompt: text(0), Category: text(1), Word: text(2), Form: text(3)}
	n, err := strconv.ParseInt(text(4), 10, 32)
	if err != nil || n < 0 {
		return row, in.Errorf(at[4], "%q, wanted a number of tokens", text(4))
	}
	row.NTokens = int32(n)
	for i, to := range []*float64{&row.Tuned, &row.Base, &row.Reward} {
		x, err := strconv.ParseFloat(text(5+i), 64)
		if err != nil || math.IsNaN(x) {
			return row, in.Errorf(at[5+i], "%q, wanted a number", text(5+i))
		}
		*to = x
	}
	return row, nil
}

// metaKey is where a Parquet file holds its Meta.
const metaKey = "implicitreward"

// WriteParquet writes rows as they come, with the columns of WriteCSV, and m as JSON in
// the file's metadata under "implicitreward".
func WriteParquet(w io.Writer, rows iter.Seq2[Row, error], m Meta) error {
	meta, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("implicit: meta: %w", err)
	}
	out := parquet.NewGenericWriter[Row](w, parquet.KeyValueMetadata(metaKey, string(meta)),
		parquet.Compression(&parquet.Zstd), parquet.CreatedBy("implicitreward", logprob.Version, ""))
	for r, err := range rows {
		if err != nil {
			return err
		}
		if _, err := out.Write([]Row{r}); err != nil {
			return fmt.Errorf("implicit: rewards: %w", err)
		}
	}
	if err := out.Close(); err != nil {
		return fmt.Errorf("implicit: rewards: %w", err)
	}
	return nil
}

// ReadParquet reads what WriteParquet wrote.
func ReadParquet(r io.ReaderAt, size int64) (rows []Row, m Meta, err error) {
	defer func() { // the library panics at some broken files
		if p := recover(); p != nil {
			rows, err = nil, fmt.Errorf("implicit: rewards: broken Parquet file: %v", p)
		}
	}()
	file, err := parquet.OpenFile(r, size)
	if err != nil {
		return nil, m, fmt.Errorf("implicit: rewards: %w", err)
	}
	for _, name := range rowColumns {
		if _, ok := file.Schema().Lookup(name); !ok {
			return nil, m, fmt.Errorf("implicit: rewards: no column %s, wanted %s", name, strings.Join(rowColumns, ","))
		}
	}
	if text, ok := file.Lookup(metaKey); ok {
		if err := json.Unmarshal([]byte(text), &m); err != nil {
			return nil, m, fmt.Errorf("implicit: rewards: metadata %s: %w", metaKey, err)
		}
	}
	rows, err = parquet.Read[Row](r, size)
	if err != nil {
		return nil, m, fmt.Errorf("implicit: rewards: %w", err)
	}
	for i, row := range rows {
		if math.IsNaN(row.Tuned) || math.IsNaN(row.Base) || math.IsNaN(row.Reward) {
			return nil, m, fmt.Errorf("implicit: rewards: row %d: NaN, wanted a number", i)
		}
	}
	return rows, m, nil
}
