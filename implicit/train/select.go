package train

import (
	"fmt"
	"slices"
	"strings"
)

// Select says which rows are used. The zero value is all. In this order: refused rows are left
// out, Where chooses rows by what their columns hold, Every every k-th of these, and Limit the
// first of those.
type Select struct {
	// Refused leaves refused rows out, and those that the tokenizer or the chat template
	// refuses in Run; they are counted. Without it either is an error of Run.
	Refused bool
	// Where are conditions "column=value", all of which must hold. Text is equal byte by byte,
	// numbers as numbers; a column that is absent or null equals nothing.
	Where []string
	Every int // the 1st, the (k+1)th, ...; 0: all
	Limit int // at most so many; 0: all
}

// Select returns the data that s chooses; d stays as it is. It is an error if no row is left, or
// if a condition names a column that no row has.
func (d *Data) Select(s Select) (*Data, error) {
	if s.Every < 0 || s.Limit < 0 {
		return nil, fmt.Errorf("train: every %d, limit %d, wanted numbers from 0", s.Every, s.Limit)
	}
	c := *d
	c.selected = slices.Clone(d.selected)
	note := func(format string, args ...any) { c.selected = append(c.selected, fmt.Sprintf(format, args...)) }
	if s.Refused {
		c.skip = true
		c.left, c.refused = c.left+len(c.refused), nil
		note("refused rows left out")
	}
	rows := d.rows
	for _, condition := range s.Where {
		column, want, ok := strings.Cut(condition, "=")
		if !ok || column == "" {
			return nil, fmt.Errorf("train: where %q, wanted column=value", condition)
		}
		has := func(e example) bool { _, ok := e.column(column); return ok }
		if !slices.ContainsFunc(d.rows, has) {
			return nil, fmt.Errorf("train: where %q: no row has a column %q of text, numbers or booleans, found %s", condition, column, d.columns())
		}
		var chosen []example
		for _, e := range rows {
			if got, ok := e.column(column); ok && got.equals(want) {
				chosen = append(chosen, e)
			}
		}
		rows = chosen
		note("where %s", condition)
	}
	if s.Every > 1 {
		var chosen []example
		for i := 0; i < len(rows); i += s.Every {
			chosen = append(chosen, rows[i])
		}
		rows = chosen
		note("every %d", s.Every)
	}
	if s.Limit > 0 {
		rows = rows[:min(s.Limit, len(rows))]
		note("limit %d", s.Limit)
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf("train: no row of %d is left: %s", len(d.rows), strings.Join(c.selected, ", "))
	}
	c.rows = slices.Clip(rows)
	return &c, nil
}

// Selected says in words what Select chose, in order.
func (d *Data) Selected() []string { return slices.Clone(d.selected) }

// columns lists the columns of the first rows, for errors.
func (d *Data) columns() string {
	var names []string
	for _, e := range d.rows[:min(len(d.rows), 100)] {
		for _, v := range e.values {
			if !slices.Contains(names, v.column) {
				names = append(names, v.column)
			}
		}
	}
	if len(names) == 0 {
		return "none"
	}
	return fmt.Sprintf("%.40q", names[:min(len(names), 20)])
}
