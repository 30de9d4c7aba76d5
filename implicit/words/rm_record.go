package words

import (
	"fmt"
	"io"
	"iter"
	"math"
	"strings"

	"github.com/implicitreward/implicitreward/implicit/lexicon"
	"github.com/implicitreward/implicitreward/implicit/rewardmodel"
	"github.com/implicitreward/implicitreward/internal/strictjson"
	"github.com/implicitreward/implicitreward/internal/table"
	"github.com/implicitreward/implicitreward/logprob"
)

// ScoreRecord is a line of a scores file: a word after a prompt, scored by a reward model, by
// one measure.
type ScoreRecord struct {
	Prompt   string  `parquet:"prompt,dict"`   // name of the prompt
	Category string  `parquet:"category,dict"` // categories of the word, joined by ";"; "" for none
	Word     string  `parquet:"word,dict"`     // as in the corpus, or a word that matches a wildcard
	Form     string  `parquet:"form,dict"`     // the text scored; "" for several
	NTokens  int32   `parquet:"n_tokens"`      // tokens of the form, without the end of the turn; of several forms, the fewest
	Reward   float64 `parquet:"reward"`        // in the reward model's own unit
	Wildcard string  `parquet:"wildcard,dict"` // the entry that was expanded to the word; "" for none
	Measure  string  `parquet:"measure,dict"`  // a ScoreMeasure
	Forms    int32   `parquet:"n_forms"`       // number of forms in the measure that differ to the model
	Rank     float64 `parquet:"rank"`          // among the words after the prompt, by the measure; 1 is the greatest reward
	Flags    string  `parquet:"flags,dict"`    // of WordScore.Flags, joined by ";"; "" for none
	Outputs  string  `parquet:"outputs"`       // JSON object of the head's outputs by their names; "" for a head with one
}

// Records returns the word's lines of a scores file: one for each measure, for ExactForm one
// for each form.
func (w ScoredWord) Records() []ScoreRecord {
	var records []ScoreRecord
	for _, s := range w.Scores {
		r := ScoreRecord{
			Prompt:   w.PromptName,
			Category: strings.Join(w.Categories, ";"),
			Word:     w.Term,
			Form:     s.Text,
			NTokens:  int32(s.Tokens),
			Reward:   s.Reward,
			Wildcard: w.From,
			Measure:  string(s.Measure),
			Forms:    int32(s.Forms),
			Rank:     s.Rank,
			Flags:    strings.Join(s.Flags, ";"),
		}
		if len(w.Outputs) > 1 {
			b, err := strictjson.Marshal(strictjson.Numbers{Names: w.Outputs, Values: s.Outputs})
			if err != nil {
				panic(err) // the names are the model's, as the values are
			}
			r.Outputs = string(b)
		}
		records = append(records, r)
	}
	return records
}

// ScoreProvenance says how a scores file was made.
type ScoreProvenance struct {
	RM       rewardmodel.Meta `json:"rm"`
	Corpus   string           `json:"corpus,omitempty"`    // SHA-256 of the corpus file, hex
	WordList string           `json:"word_list,omitempty"` // SHA-256 of the list that wildcards were matched against
	Forms    []lexicon.Form   `json:"forms,omitempty"`     // forms in which words were scored
	Measures []ScoreMeasure   `json:"measures,omitempty"`  // in the file
	Part     any              `json:"part,omitempty"`      // of a file that is one of many: see package shard
}

// WriteJSON writes p as indented JSON with a fixed order of keys.
func (p ScoreProvenance) WriteJSON(w io.Writer) error {
	if err := strictjson.Write(w, p, "  "); err != nil {
		return fmt.Errorf("words: provenance: %w", err)
	}
	return nil
}

var scoresFile = table.Format[ScoreRecord]{Name: "words: scores", Version: logprob.Version, Required: 8, Check: (*ScoreRecord).check}

// WriteScoresCSV writes records as they arrive, under the header
// prompt,category,word,form,n_tokens,reward,wildcard,measure,n_forms,rank,flags,outputs.
// Numbers have the digits needed to read them back exactly. An error in records ends the
// file and is returned. The provenance goes into a file beside it: see
// ScoreProvenance.WriteJSON.
func WriteScoresCSV(w io.Writer, records iter.Seq2[ScoreRecord, error]) error {
	return scoresFile.WriteCSV(w, records)
}

// WriteScoresParquet writes records as they arrive, with the columns of WriteScoresCSV, and p
// as JSON in the file's metadata under "implicitreward".
func WriteScoresParquet(w io.Writer, records iter.Seq2[ScoreRecord, error], p ScoreProvenance) error {
	return scoresFile.WriteParquet(w, records, p)
}

// ReadScores reads a file of size bytes written by WriteScoresCSV or WriteScoresParquet;
// columns may be in any order. For a CSV file ScoreProvenance is empty.
func ReadScores(r io.ReaderAt, size int64) (records []ScoreRecord, p ScoreProvenance, err error) {
	records, err = scoresFile.Read(r, size, &p)
	return records, p, err
}

// check refuses an unknown measure and an infinite reward.
func (r *ScoreRecord) check(in table.Record) error {
	if err := checkNames([]ScoreMeasure{ScoreMeasure(r.Measure)}, ScoreMeasures()); err != nil {
		return in.Errorf("measure", "%s", strings.TrimPrefix(err.Error(), "words: measure "))
	}
	if math.IsInf(r.Reward, 0) {
		return in.Errorf("reward", "%v, wanted a finite number", r.Reward)
	}
	return nil
}
