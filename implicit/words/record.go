package words

import (
	"fmt"
	"io"
	"iter"
	"strings"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/implicit/lexicon"
	"github.com/implicitreward/implicitreward/internal/strictjson"
	"github.com/implicitreward/implicitreward/internal/table"
	"github.com/implicitreward/implicitreward/logprob"
)

// Record is a line of a rewards file: a word after a prompt, by one measure. Files of
// earlier versions end after the eighth column; their records are read as exact forms, with
// MWLR computed.
type Record struct {
	Prompt   string  `parquet:"prompt,dict"`   // name of the prompt
	Category string  `parquet:"category,dict"` // categories of the word, joined by ";"; "" for none
	Word     string  `parquet:"word,dict"`     // as in the corpus, or a word that matches a wildcard
	Form     string  `parquet:"form,dict"`     // the text scored; "" for several
	NTokens  int32   `parquet:"n_tokens"`      // tokens of the form in the tuned model; of several forms, the fewest
	Tuned    float64 `parquet:"logp_tuned"`    // ln P of the measure in the tuned model; of a form, ln p_tuned(form | prompt)
	Base     float64 `parquet:"logp_base"`     // ln P in the base model
	Reward   float64 `parquet:"reward"`        // beta * (Tuned - Base)
	Wildcard string  `parquet:"wildcard,dict"` // the entry that was expanded to the word; "" for none
	Measure  string  `parquet:"measure,dict"`  // a Measure
	Forms    int32   `parquet:"n_forms"`       // number of forms in the measure
	MWLR     float64 `parquet:"mwlr"`          // ½ (P + Q) (ln P − ln Q), see Score
	Rank     float64 `parquet:"rank"`          // among the words after the prompt, by the measure; 1 is the greatest reward, 0 unknown
}

// Records returns the word's lines of a rewards file: one for each measure, for Exact one
// for each form.
func (w Word) Records(beta float64) []Record {
	var records []Record
	for _, s := range w.Scores {
		records = append(records, Record{
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
	return records
}

// Provenance says how a rewards file was made.
type Provenance struct {
	Tuned    logprob.Meta   `json:"tuned"`
	Base     logprob.Meta   `json:"base"`
	Beta     float64        `json:"beta"`
	Corpus   string         `json:"corpus,omitempty"`    // SHA-256 of the corpus file, hex
	WordList string         `json:"word_list,omitempty"` // SHA-256 of the list that wildcards were matched against
	Forms    []lexicon.Form `json:"forms,omitempty"`     // forms in which words were scored
	Part     any            `json:"part,omitempty"`      // of a file that is one of many: see package shard
}

// WriteJSON writes p as indented JSON with a fixed order of keys.
func (p Provenance) WriteJSON(w io.Writer) error {
	if err := strictjson.Write(w, p, "  "); err != nil {
		return fmt.Errorf("words: provenance: %w", err)
	}
	return nil
}

// rewardsFile is the format of rewards files. Earlier versions have only the required
// columns.
var rewardsFile = table.Format[Record]{Name: "words: rewards", Version: logprob.Version, Required: 8, Check: (*Record).complete}

// WriteCSV writes records as they arrive, under the header
// prompt,category,word,form,n_tokens,logp_tuned,logp_base,reward,wildcard,measure,n_forms,mwlr,rank.
// Numbers have the digits needed to read them back exactly. An error in records ends the
// file and is returned. The provenance goes into a file beside it: see Provenance.WriteJSON.
func WriteCSV(w io.Writer, records iter.Seq2[Record, error]) error {
	return rewardsFile.WriteCSV(w, records)
}

// WriteParquet writes records as they arrive, with the columns of WriteCSV, and p as JSON in
// the file's metadata under "implicitreward".
func WriteParquet(w io.Writer, records iter.Seq2[Record, error], p Provenance) error {
	return rewardsFile.WriteParquet(w, records, p)
}

// ReadRecords reads a file of size bytes written by WriteCSV or WriteParquet of this or an
// earlier version; columns may be in any order. For a CSV file Provenance is empty.
func ReadRecords(r io.ReaderAt, size int64) (records []Record, p Provenance, err error) {
	records, err = rewardsFile.Read(r, size, &p)
	return records, p, err
}

// complete fills in what records of earlier versions lack.
func (r *Record) complete(in table.Record) error {
	if r.Measure == "" {
		r.Measure, r.Forms = string(Exact), 1
	}
	if !in.Has("mwlr") {
		r.MWLR = implicit.MWLR(r.Tuned, r.Base)
	}
	if _, err := Measure(r.Measure).definition(); err != nil {
		return in.Errorf("measure", "%s", strings.TrimPrefix(err.Error(), "measure "))
	}
	return nil
}
