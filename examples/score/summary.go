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
	for _, f := range w.Forms {
		s.flag(f.Flags)
	}
}

// addScored is add under a reward model.
func (s *summary) addScored(w words.ScoredWord) {
	s.coverage.AddScored(w)
	for _, f := range w.Forms {
		s.flag(f.Flags)
	}
}

// flag counts a reply's flags.
func (s *summary) flag(flags []string) {
	if s.flags == nil {
		s.flags = map[string]int{}
	}
	for _, flag := range flags {
		s.flags[flag]++
	}
}

func (s *summary) print(w io.Writer, out string, prompts int) {
	var forms, tuned, base, both, pooled, scored int
	var words [3]int // with a form of one token: tuned, base, both
	for _, e := range s.coverage.Entries {
		if e.Refused() {
			continue
		}
		scored++
		forms, tuned, base, both, pooled = forms+e.Forms, tuned+e.OneTuned, base+e.OneBase, both+e.OneBoth, pooled+e.Pooled
		for i, n := range []int{e.OneTuned, e.OneBase, e.OneBoth} {
			if n > 0 {
				words[i]++
			}
		}
	}
	s.printRows(w, out, prompts)
	fmt.Fprintf(w, "entries scored: %d, with a form of one token: %d in the tuned model, %d in the base model, %d in both\n", scored, words[0], words[1], words[2])
	fmt.Fprintf(w, "forms scored: %d, of one token: %d in the tuned model, %d in the base model, %d in both; pooled: %d\n", forms, tuned, base, both, pooled)
	s.printRefused(w, out)
}

func (s *summary) printRows(w io.Writer, out string, prompts int) {
	name := out
	if out == "-" {
		name = "standard output"
	}
	fmt.Fprintf(w, "%s: %d rows: %d entries after %d prompts\n", name, s.rows, len(s.coverage.Entries), prompts)
}

// printRefused prints which entries were refused, and the flags.
func (s *summary) printRefused(w io.Writer, out string) {
	var refused []words.EntryCoverage
	few := 0 // not after every prompt
	for _, e := range s.coverage.Entries {
		switch {
		case e.Refused():
			refused = append(refused, e)
		case e.Scored < e.Asked:
			few++
		}
	}
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
