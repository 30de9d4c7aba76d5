package implicit

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"strconv"
	"strings"

	"github.com/parquet-go/parquet-go"

	"github.com/implicitreward/implicitreward/implicit/lexicon"
	"github.com/implicitreward/implicitreward/internal/table"
	"github.com/implicitreward/implicitreward/logprob"
)

// Row is a line of a rewards file: a word after a prompt, by one measure. The columns
// after the eighth are not in the files of earlier versions, whose rows are read as
// exact forms, with MWLR computed.
type Row struct {
	Prompt   string  `parquet:"prompt,dict"`   // name of the prompt
	Category string  `parquet:"category,dict"` // categories of the word, joined by ";"; "" for none
	Word     string  `parquet:"word,dict"`     // as the corpus has it, or a word that a wildcard stands for
	Form     string  `parquet:"form,dict"`     // the text that was scored; "" where it is several
	NTokens  int32   `parquet:"n_tokens"`      // tokens of the form as the tuned model cuts it; of several, the fewest
	Tuned    float64 `parquet:"logp_tuned"`    // ln P of the measure by the tuned model; of a form, ln p_tuned(form | prompt)
	Base     float64 `parquet:"logp_base"`     // ln P by the base model
	Reward   float64 `parquet:"reward"`        // beta * (Tuned - Base)
	Wildcard string  `parquet:"wildcard,dict"` // the corpus' entry that was expanded to the word; "" for none
	Measure  string  `parquet:"measure,dict"`  // a Measure
	Forms    int32   `parquet:"n_forms"`       // forms that went into the measure
	MWLR     float64 `parquet:"mwlr"`          // ½ (P + Q) (ln P − ln Q), see WordScore
	Rank     float64 `parquet:"rank"`          // among the words after the prompt by the measure, 1 the greatest reward; 0 where it is not known
}

// Rows are the word's lines in a rewards file: one a measure, of MeasureExact one a form.
func (w WordReward) Rows(beta float64) []Row {
	var rows []Row
	for _, s := range w.Scores {
		rows = append(rows, Row{
			Prompt:   w.PromptName,
			Category: strings.Join(w.Categories, ";"),
			Word:     w.Term,
			Form:     s.Text,
			NTokens:  int32(s.Tokens),
			Tuned:    s.Tuned,
			Base:     s.Base,
			Reward:   beta * s.LogRatio(),
			Wildcard: w.From,
			Measure:  string(s.Measure),
			Forms:    int32(s.Forms),
			MWLR:     s.MWLR,
			Rank:     s.Rank,
		})
	}
	return rows
}

// Row is the reward's line in a rewards file, as an exact form without a rank.
func (r Reward) Row(beta float64) Row {
	return Row{
		Prompt:   r.PromptName,
		Category: strings.Join(r.Categories, ";"),
		Word:     r.Word,
		Form:     r.Reply,
		NTokens:  int32(len(r.Tuned.LogProbs)),
		Tuned:    r.Tuned.Sum(),
		Base:     r.Base.Sum(),
		Reward:   r.Value(beta),
		Measure:  string(MeasureExact),
		Forms:    1,
		MWLR:     MWLR(r.Tuned.Sum(), r.Base.Sum()),
	}
}

// Meta says how a rewards file was made.
type Meta struct {
	Tuned    logprob.Meta   `json:"tuned"`
	Base     logprob.Meta   `json:"base"`
	Beta     float64        `json:"beta"`
	Corpus   string         `json:"corpus,omitempty"`    // sha256, hex, of the corpus file
	WordList string         `json:"word_list,omitempty"` // likewise, of the list against which wildcards were expanded
	Forms    []lexicon.Form `json:"forms,omitempty"`     // in which words were scored
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

// rowColumns are the columns of a rewards file; of an earlier version's the first
// oldColumns.
var rowColumns = []string{"prompt", "category", "word", "form", "n_tokens", "logp_tuned", "logp_base", "reward",
	"wildcard", "measure", "n_forms", "mwlr", "rank"}

const oldColumns = 8

// WriteCSV writes rows as they come, under the header
// prompt,category,word,form,n_tokens,logp_tuned,logp_base,reward,wildcard,measure,n_forms,mwlr,rank.
// Numbers have as many digits as it takes to read them back exactly. An error in rows
// ends the file there and is returned.
func WriteCSV(w io.Writer, rows iter.Seq2[Row, error]) error {
	b := bufio.NewWriter(w)
	line := table.AppendRecord(nil, rowColumns...)
	if _, err := b.Write(line); err != nil {
		return fmt.Errorf("implicit: rewards: %w", err)
	}
	for r, err := range rows {
		if err != nil {
			return err
		}
		line = table.AppendRecord(line[:0], r.Prompt, r.Category, r.Word, r.Form, strconv.Itoa(int(r.NTokens)),
			number(r.Tuned), number(r.Base), number(r.Reward), r.Wildcard, r.Measure, strconv.Itoa(int(r.Forms)), number(r.MWLR), number(r.Rank))
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

// ReadCSV reads what WriteCSV wrote, now or in earlier versions; columns may be in any
// order. Errors name line and column, and end the rows.
func ReadCSV(r io.Reader) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		in := table.NewCSVReader(r)
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
			if at[i] < 0 && i < oldColumns {
				yield(Row{}, fmt.Errorf("implicit: rewards: no column %s, wanted %s", name, strings.Join(rowColumns[:oldColumns], ",")))
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

func parseRow(in *table.CSVReader, record [][]byte, at []int) (Row, error) {
	text := func(i int) string {
		if at[i] < 0 {
			return ""
		}
		return string(record[at[i]])
	}
	row := Row{Prompt: text(0), Category: text(1), Word: text(2), Form: text(3), Wildcard: text(8), Measure: text(9)}
	for _, n := range []struct {
		column int
		to     *int32
		what   string
	}{{4, &row.NTokens, "tokens"}, {10, &row.Forms, "forms"}} {
		if at[n.column] < 0 {
			continue
		}
		v, err := strconv.ParseInt(text(n.column), 10, 32)
		if err != nil || v < 0 {
			return row, in.Errorf(at[n.column], "%q, wanted a number of %s", text(n.column), n.what)
		}
		*n.to = int32(v)
	}
	for _, x := range []struct {
		column int
		to     *float64
	}{{5, &row.Tuned}, {6, &row.Base}, {7, &row.Reward}, {11, &row.MWLR}, {12, &row.Rank}} {
		if at[x.column] < 0 {
			continue
		}
		v, err := strconv.ParseFloat(text(x.column), 64)
		if err != nil || math.IsNaN(v) {
			return row, in.Errorf(at[x.column], "%q, wanted a number", text(x.column))
		}
		*x.to = v
	}
	row.complete(at[11] >= 0)
	if err := checkMeasures([]Measure{Measure(row.Measure)}); err != nil {
		return row, in.Errorf(at[9], "%q, wanted exact, pooled, ended or paper", row.Measure)
	}
	return row, nil
}

// complete fills in what a row of an earlier version does not say.
func (r *Row) complete(mwlr bool) {
	if r.Measure == "" {
		r.Measure, r.Forms = string(MeasureExact), 1
	}
	if !mwlr {
		r.MWLR = MWLR(r.Tuned, r.Base)
	}
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

// ReadParquet reads what WriteParquet wrote, now or in earlier versions.
func ReadParquet(r io.ReaderAt, size int64) (rows []Row, m Meta, err error) {
	defer func() { // the library panics at some broken files
		if p := recover(); p != nil {
			rows, err = nil, fmt.Errorf("implicit: rewards: broken Parquet file: %v", p)
		}
	}()
	file, err := table.OpenParquet(r, size)
	if err != nil {
		return nil, m, fmt.Errorf("implicit: rewards: %w", err)
	}
	for _, name := range rowColumns[:oldColumns] {
		if _, ok := file.Schema().Lookup(name); !ok {
			return nil, m, fmt.Errorf("implicit: rewards: no column %s, wanted %s", name, strings.Join(rowColumns[:oldColumns], ","))
		}
	}
	_, mwlr := file.Schema().Lookup("mwlr")
	if text, ok := file.Lookup(metaKey); ok {
		if err := json.Unmarshal([]byte(text), &m); err != nil {
			return nil, m, fmt.Errorf("implicit: rewards: metadata %s: %w", metaKey, err)
		}
	}
	if rows, err = readRows(file); err != nil {
		return nil, m, fmt.Errorf("implicit: rewards: %w", err)
	}
	for i := range rows {
		row := &rows[i]
		row.complete(mwlr)
		if math.IsNaN(row.Tuned) || math.IsNaN(row.Base) || math.IsNaN(row.Reward) || math.IsNaN(row.MWLR) || math.IsNaN(row.Rank) {
			return nil, m, fmt.Errorf("implicit: rewards: row %d: NaN, wanted a number", i)
		}
		if err := checkMeasures([]Measure{Measure(row.Measure)}); err != nil {
			return nil, m, fmt.Errorf("implicit: rewards: row %d: measure %q, wanted exact, pooled, ended or paper", i, row.Measure)
		}
	}
	return rows, m, nil
}

// readRows reads all rows, a thousand at a time: a damaged file may promise any number.
func readRows(file *parquet.File) ([]Row, error) {
	r := parquet.NewGenericReader[Row](file)
	defer r.Close()
	all, some := []Row{}, make([]Row, 1000)
	for {
		clear(some)
		n, err := r.Read(some)
		all = append(all, some[:n]...)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
	}
}
