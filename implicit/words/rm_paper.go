package words

import (
	"bufio"
	"fmt"
	"io"
	"iter"
	"slices"

	"github.com/implicitreward/implicitreward/implicit/lexicon"
	"github.com/implicitreward/implicitreward/internal/table"
)

// ScoreTable is the file of a reward model's scores that the paper publishes: a row a response,
// which is a word in lower case, and a column a prompt. It holds one measure, and neither
// ranks nor flags.
type ScoreTable struct {
	Prompts   []string // names of the columns
	Responses []string // words in lower case, each once, in corpus order
	Partly    []string // responses that were scored after some of the prompts only, which have no row

	rows map[string]*tableRow // by response
}

// tableRow is a response's values by prompt; a prompt after which it was not scored has none.
type tableRow struct {
	word   string
	values map[string]float64
}

// NewScoreTable collects what Scores yields for a corpus after prompts, with one measure. A
// word that could not be scored has no row. Two entries that are the same word in lower case
// are one response; it is an error if their rewards differ, as in forms other than {lower},
// and if a word has several scores, as by ExactForm in several forms.
func NewScoreTable(scored iter.Seq2[ScoredWord, error], prompts []lexicon.Prompt) (*ScoreTable, error) {
	t := &ScoreTable{rows: map[string]*tableRow{}}
	for _, p := range prompts {
		t.Prompts = append(t.Prompts, p.Name)
	}
	for w, err := range scored {
		if err == nil && w.Err == nil {
			err = t.add(w)
		}
		if err != nil {
			return nil, err
		}
	}
	t.Responses = slices.DeleteFunc(t.Responses, func(response string) bool {
		partly := len(t.rows[response].values) < len(t.Prompts)
		if partly {
			t.Partly = append(t.Partly, response)
		}
		return partly
	})
	return t, nil
}

func (t *ScoreTable) add(w ScoredWord) error {
	if len(w.Scores) != 1 {
		return fmt.Errorf("words: table: %q has %d scores after %s, wanted one: one form, or the measure %s or %s", w.Term, len(w.Scores), w.PromptName, BestForm, MeanForm)
	}
	response := lexicon.Form("{lower}").Of(w.Term)
	row := t.rows[response]
	if row == nil {
		row = &tableRow{w.Term, map[string]float64{}}
		t.rows[response] = row
		t.Responses = append(t.Responses, response)
	}
	reward := w.Scores[0].Reward
	if before, ok := row.values[w.PromptName]; ok && before != reward {
		return fmt.Errorf("words: table: %q and %q are one response, %q, with rewards %g and %g after %s, wanted the same: score them in the form {lower}", row.word, w.Term, response, before, reward, w.PromptName)
	}
	row.values[w.PromptName] = reward
	return nil
}

// WriteCSV writes the table under the header response and the prompts' names. Numbers have the
// digits needed to read them back exactly, where the paper's files have nine.
func (t *ScoreTable) WriteCSV(w io.Writer) error {
	return writeWide(w, "response", t.Prompts, t.Responses, func(response, prompt int) float64 {
		return t.rows[t.Responses[response]].values[t.Prompts[prompt]]
	})
}

// writeWide writes a CSV file of a row a text, named in the first column, and a column of
// numbers a name.
func writeWide(w io.Writer, first string, names, texts []string, value func(row, column int) float64) error {
	b := bufio.NewWriter(w)
	line := table.AppendRecord(nil, append([]string{first}, names...)...)
	b.Write(line) // Flush returns an error
	for row, text := range texts {
		line = table.AppendField(line[:0], text)
		for column := range names {
			line = table.AppendFloat(append(line, ','), value(row, column), 64)
		}
		b.Write(append(line, '\n'))
	}
	if err := b.Flush(); err != nil {
		return fmt.Errorf("words: table: %w", err)
	}
	return nil
}
