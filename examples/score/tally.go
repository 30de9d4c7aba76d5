package main

import (
	"fmt"
	"io"
)

// tally counts the pairs that were scored and refused.
type tally struct {
	scored, refused int
	reasons         []string // of the first that were refused
}

func (t *tally) refuse(q question, reason string) {
	if t.refused++; t.refused <= 10 {
		where := fmt.Sprintf("line %d", q.line)
		if q.sample.ID != nil {
			where += fmt.Sprintf(" (id %s)", q.sample.ID)
		}
		t.reasons = append(t.reasons, where+": "+reason)
	}
}

// print prints the counts, and why pairs were refused.
func (t *tally) print(w io.Writer, inspect bool) {
	where := "see \"error\" in their lines"
	if inspect {
		where = "they have no record"
	}
	fmt.Fprintf(w, "%d pairs scored, %d refused (%s)\n", t.scored, t.refused, where)
	for _, reason := range t.reasons {
		fmt.Fprintf(w, "  %s\n", reason)
	}
	if more := t.refused - len(t.reasons); more > 0 {
		fmt.Fprintf(w, "  and %d more\n", more)
	}
}
