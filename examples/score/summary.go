package main

import (
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/implicitreward/implicitreward/implicit/words"
)

// summary counts what a run scored, to print it.
type summary struct {
	coverage words.Coverage
	rows     int
	flags    map[string]int // number of replies that have each flag
}

func (s *summary) add(w words.Word) {
	s.coverage.Add(w)
	if s.flags == nil {
		s.flags = map[string]int{}
	}
	for _, f := range w.Forms {
		for _, flag := range f.Flags {
			s.flags[flag]++
		}
	}
}

func (s *summary) print(w io.Writer, out string, prompts int) {
	entries := s.coverage.Entries
	var refused []words.EntryCoverage
	var forms, few, tuned, base, both, pooled int // few: not after every prompt
	var words [3]int                              // with a form of one token: tuned, base, both
	for _, e := range entries {
		if e.Refused() {
			refused = append(refused, e)
			continue
		}
		if e.Scored < e.Asked {
			few++
		}
		forms, tuned, base, both, pooled = forms+e.Forms, tuned+e.OneTuned, base+e.OneBase, both+e.OneBoth, pooled+e.Pooled
		for i, n := range []int{e.OneTuned, e.OneBase, e.OneBoth} {
			if n > 0 {
				words[i]++
			}
		}
	}
	name := out
	if out == "-" {
		name = "standard output"
	}
	fmt.Fprintf(w, "%s: %d rows: %d entries after %d prompts\n", name, s.rows, len(entries), prompts)
	fmt.Fprintf(w, "entries scored: %d, with a form of one token: %d in the tuned model, %d in the base model, %d in both\n", len(entries)-len(refused), words[0], words[1], words[2])
	fmt.Fprintf(w, "forms scored: %d, of one token: %d in the tuned model, %d in the base model, %d in both; pooled: %d\n", forms, tuned, base, both, pooled)
	if few > 0 {
		fmt.Fprintf(w, "entries scored after some of the prompts only: %d\n", few)
	}
	fmt.Fprintf(w, "entries refused: %d\n", len(refused))
	for i, e := range refused {
		if i == 10 {
			fmt.Fprintf(w, "  and %d more", len(refused)-i)
			if out != "-" {
				fmt.Fprintf(w, ": see %s", beside(out, "coverage"))
			}
			fmt.Fprintln(w)
			break
		}
		fmt.Fprintf(w, "  %q: %s\n", e.Term, e.Reason)
	}
	for _, flag := range slices.Sorted(maps.Keys(s.flags)) {
		fmt.Fprintf(w, "replies flagged %s: %d\n", flag, s.flags[flag])
	}
}
