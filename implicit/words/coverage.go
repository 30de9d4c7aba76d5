package words

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/implicit/lexicon"
	"github.com/implicitreward/implicitreward/internal/table"
)

// Coverage reports for every entry of a corpus whether it was scored, in how many forms and
// tokens, or why not. The zero value is empty; Add what Rewards yields, or AddScored what
// Scores yields, of which the counts of tokens and Pooled stay 0.
type Coverage struct {
	Entries []EntryCoverage // in corpus order
}

// EntryCoverage is an entry's part of a Coverage. Forms and tokens are counted after the
// first prompt for which the entry was scored.
type EntryCoverage struct {
	lexicon.Entry
	Scored, Asked int    // prompts for which it was scored, and for which that was requested
	Reason        string // first reason why it, or one of its forms, could not be scored; "" for none
	Forms         int    // distinct texts scored
	RefusedForms  int    // distinct texts that could not be scored
	SameText      int    // of Forms, those that are the same text to a reward model as an earlier one
	OneTuned      int    // forms that are one token in the tuned model
	OneBase       int    // in the base model
	OneBoth       int    // in both, as tables of next-token probabilities require
	Several       int    // forms of several tokens in one model or both
	Pooled        int    // forms that Pooled or WholeWord sum over; 0 if neither was requested
}

// Refused reports whether the entry was scored for no prompt.
func (e EntryCoverage) Refused() bool { return e.Scored == 0 }

// Add counts one result of Rewards.
func (c *Coverage) Add(w Word) {
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
		tuned, base := len(f.TunedIDs) == 1, len(f.BaseIDs) == 1
		e.Forms++
		for _, count := range []struct {
			on bool
			to *int
		}{{tuned, &e.OneTuned}, {base, &e.OneBase}, {tuned && base, &e.OneBoth}, {!tuned || !base, &e.Several}} {
			if count.on {
				*count.to++
			}
		}
	}
	if i := slices.IndexFunc(w.Scores, func(s Score) bool { return s.Measure == Pooled || s.Measure == WholeWord }); i >= 0 {
		e.Pooled = w.Scores[i].Forms
	}
}

// count counts an entry after a prompt, and reports whether it is the first one for which the
// entry was scored.
func (c *Coverage) count(index int, entry lexicon.Entry, err error) (e *EntryCoverage, first bool) {
	for len(c.Entries) <= index {
		c.Entries = append(c.Entries, EntryCoverage{})
	}
	e = &c.Entries[index]
	e.Entry = entry
	e.Asked++
	if err != nil {
		e.because(err)
		return e, false
	}
	e.Scored++
	return e, e.Scored == 1
}

// because keeps the first reason.
func (e *EntryCoverage) because(err error) {
	if e.Reason != "" {
		return
	}
	e.Reason = err.Error()
	if item, ok := errors.AsType[*implicit.ItemError](err); ok {
		e.Reason = item.Cause().Error()
	}
}

// CoverageColumns is the header of the file that Coverage.WriteCSV writes.
const CoverageColumns = "entry,wildcard,category,status,reason,prompts,forms,refused_forms," +
	"one_token_tuned,one_token_base,one_token_both,several_tokens,pooled\n"

// WriteCSV writes one row for each entry, under the header
// entry,wildcard,category,status,reason,prompts,forms,refused_forms,one_token_tuned,one_token_base,one_token_both,several_tokens,pooled.
// status is "scored" or "refused", wildcard the entry of the corpus from which this one was
// expanded, prompts the number for which it was scored; the others are the fields of
// EntryCoverage.
func (c *Coverage) WriteCSV(w io.Writer) error {
	return c.write(w, CoverageColumns, func(e EntryCoverage) []int {
		return []int{e.Scored, e.Forms, e.RefusedForms, e.OneTuned, e.OneBase, e.OneBoth, e.Several, e.Pooled}
	})
}

func (c *Coverage) write(w io.Writer, header string, counts func(EntryCoverage) []int) error {
	b := bufio.NewWriter(w)
	line := []byte(header)
	b.Write(line) // Flush returns an error
	for _, e := range c.Entries {
		status := "scored"
		if e.Refused() {
			status = "refused"
		}
		fields := []string{e.Term, e.From, strings.Join(e.Categories, ";"), status, e.Reason}
		for _, n := range counts(e) {
			fields = append(fields, strconv.Itoa(n))
		}
		line = table.AppendRecord(line[:0], fields...)
		b.Write(line)
	}
	if err := b.Flush(); err != nil {
		return fmt.Errorf("words: coverage: %w", err)
	}
	return nil
}
