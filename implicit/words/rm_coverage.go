package words

import (
	"io"
	"slices"
)

// AddScored counts one result of Scores.
func (c *Coverage) AddScored(w ScoredWord) {
	e, first := c.count(w.Index, w.Entry, w.Err)
	if !first {
		return
	}
	for _, f := range w.Forms {
		if f.Err != nil {
			e.RefusedForms++
			e.because(f.Err)
			continue
		}
		e.Forms++
		if slices.Contains(f.Flags, FlagSameText) {
			e.SameText++
		}
	}
}

// ScoreCoverageColumns is the header of the file that Coverage.WriteScoresCSV writes.
const ScoreCoverageColumns = "entry,wildcard,category,status,reason,prompts,forms,refused_forms,same_text\n"

// WriteScoresCSV is WriteCSV for what Scores yields, under the header
// entry,wildcard,category,status,reason,prompts,forms,refused_forms,same_text.
func (c *Coverage) WriteScoresCSV(w io.Writer) error {
	return c.write(w, ScoreCoverageColumns, func(e EntryCoverage) []int {
		return []int{e.Scored, e.Forms, e.RefusedForms, e.SameText}
	})
}
