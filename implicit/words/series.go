package words

import (
	"cmp"
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"

	"github.com/implicitreward/implicitreward/implicit/lexicon"
	"github.com/implicitreward/implicitreward/implicit/rewardmodel"
	"github.com/implicitreward/implicitreward/internal/strictjson"
	"github.com/implicitreward/implicitreward/logprob"
)

// Series is the file of a training run that the paper's figures 4 and 5 are made from: the
// rewards of texts after one prompt, a row a text and a column a checkpoint. It holds one
// measure: for Exact and ExactForm a row is a form as it was scored (" love"), for others a
// word. The zero value is empty.
type Series struct {
	Texts []string // of the rows, in corpus order; one may stand several times

	columns []checkpoint
}

// checkpoint is a column.
type checkpoint struct {
	step   int
	values []float64
}

// Add adds the rewards at a step of training: what Rewards yields for one prompt and measure,
// times beta. Under Paper they are the MWLR, by which it ranks words. It is an error if the
// texts are not those of the checkpoints before.
func (s *Series) Add(step int, scored iter.Seq2[Word, error], beta float64) error {
	return addTo(s, step, scored, func(w Word) (texts []string, values []float64) {
		for _, r := range w.Records(beta) {
			text, value := r.Word, r.Reward
			switch Measure(r.Measure) {
			case Exact:
				text = r.Form
			case Paper:
				value = r.MWLR
			}
			texts, values = append(texts, text), append(values, value)
		}
		return texts, values
	})
}

// AddScored is Add for what Scores yields for one prompt and measure.
func (s *Series) AddScored(step int, scored iter.Seq2[ScoredWord, error]) error {
	return addTo(s, step, scored, func(w ScoredWord) (texts []string, values []float64) {
		for _, of := range w.Scores {
			text := w.Term
			if of.Measure == ExactForm {
				text = of.Text
			}
			texts, values = append(texts, text), append(values, of.Reward)
		}
		return texts, values
	})
}

func addTo[W any](s *Series, step int, scored iter.Seq2[W, error], rows func(W) (texts []string, values []float64)) error {
	c := checkpoint{step: step}
	var texts []string
	for w, err := range scored {
		if err != nil {
			return err
		}
		t, v := rows(w)
		texts, c.values = append(texts, t...), append(c.values, v...)
	}
	if len(s.columns) == 0 {
		s.Texts = texts
	}
	if !slices.Equal(s.Texts, texts) {
		return fmt.Errorf("words: series: step %d has %d texts, step %d %d or others, wanted the same texts: have the checkpoints one tokenizer and template?", step, len(texts), s.columns[0].step, len(s.Texts))
	}
	s.columns = append(s.columns, c)
	return nil
}

// WriteCSV writes the series under the header token_decoded and step-N for each checkpoint, the
// first step first. Numbers have the digits needed to read them back exactly.
func (s *Series) WriteCSV(w io.Writer) error {
	columns := slices.SortedFunc(slices.Values(s.columns), func(a, b checkpoint) int { return cmp.Compare(a.step, b.step) })
	var names []string
	for _, c := range columns {
		names = append(names, "step-"+strconv.Itoa(c.step))
	}
	return writeWide(w, "token_decoded", names, s.Texts, func(row, column int) float64 { return columns[column].values[row] })
}

// SeriesProvenance says how the file of a Series was made.
type SeriesProvenance struct {
	Tuned    []logprob.Meta     `json:"tuned,omitempty"` // of the checkpoints, in the order in which they were scored
	Base     *logprob.Meta      `json:"base,omitempty"`
	Beta     float64            `json:"beta,omitempty"`
	RM       []rewardmodel.Meta `json:"rm,omitempty"` // of reward models, likewise
	Steps    []int              `json:"steps"`        // of training, likewise
	Prompt   lexicon.Prompt     `json:"prompt"`
	Corpus   string             `json:"corpus"`              // SHA-256 of the corpus file, hex
	WordList string             `json:"word_list,omitempty"` // SHA-256 of the list that wildcards were matched against
	Forms    []lexicon.Form     `json:"forms"`
	Measure  string             `json:"measure"`
}

// WriteJSON writes p as indented JSON with a fixed order of keys.
func (p SeriesProvenance) WriteJSON(w io.Writer) error {
	if err := strictjson.Write(w, p, "  "); err != nil {
		return fmt.Errorf("words: provenance: %w", err)
	}
	return nil
}
