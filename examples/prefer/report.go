package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/implicit/preference"
	"github.com/implicitreward/implicitreward/implicit/rewardmodel"
	"github.com/implicitreward/implicitreward/internal/strictjson"
	"github.com/implicitreward/implicitreward/logprob"
)

// meta says how the numbers were made.
type meta struct {
	Tuned *logprob.Meta     `json:"tuned,omitempty"`
	Base  *logprob.Meta     `json:"base,omitempty"`
	RM    *rewardmodel.Meta `json:"rm,omitempty"`
	Data  string            `json:"data"` // sha256, hex, of the file of preferences
}

func (m meta) writeJSON(w io.Writer) error { return strictjson.Write(w, m, "  ") }

// report is what is printed.
type report struct {
	Meta meta `json:"meta"`
	preference.Summary
	rows   []preference.Scored
	models preference.Models
}

func (r *report) writeJSON(w io.Writer) error { return strictjson.Write(w, r, "  ") }

// rowsTo writes the rows as the name of their file ends.
func (r *report) rowsTo(name string) func(io.Writer) error {
	write := preference.WriteCSV
	if strings.HasSuffix(name, ".jsonl") {
		write = preference.WriteJSONL
	}
	return func(w io.Writer) error { return write(w, r.rows, r.models) }
}

// writeTable prints a line a subset and measure; all pairs come last.
func (r *report) writeTable(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "subset\tpairs\trefused\tmeasure\taccuracy\t95 % interval\tties\tmean margin")
	var ties []string
	lines := func(name string, s preference.Subset) {
		for _, a := range s.Measures {
			share, interval, margin := "-", "-", "-"
			if s.Pairs > 0 {
				share, interval = fmt.Sprintf("%.3f", a.Accuracy), fmt.Sprintf("%.3f to %.3f", a.Lower, a.Upper)
				margin = fmt.Sprintf("%+.4g", a.MeanMargin)
			}
			fmt.Fprintf(t, "%s\t%d\t%d\t%s\t%s\t%s\t%d\t%s\n", name, s.Pairs, s.Refused, a.Measure, share, interval, a.Ties, margin)
			if a.Score != nil {
				ties = append(ties, fmt.Sprintf("%s %.3f", a.Measure, a.Score.Score))
			}
		}
	}
	if len(r.Subsets) > 1 || r.Subsets[0].Subset != "" {
		for _, s := range r.Subsets {
			name := s.Subset
			if name == "" {
				name = "(none)"
			}
			lines(name, s)
		}
	}
	lines("(all)", r.All)
	unit := ", in nats"
	switch {
	case r.models.RM != nil && r.models.Pair.Tuned != nil:
		unit = ", in nats; of explicit_reward in the reward model's own unit"
	case r.models.RM != nil:
		unit = ", in the reward model's own unit"
	}
	fmt.Fprintf(t, "\nA tie counts as half. Margins are chosen - rejected%s.\n", unit)
	if slices.ContainsFunc(r.rows, func(s preference.Scored) bool { return len(s.Chosen)+len(s.Rejected) > 2 }) {
		fmt.Fprintln(t, "Of several replies the best counts, and where several are the best, the share of chosen ones among them.")
	}
	if ties != nil {
		fmt.Fprintf(t, "RewardBench 2's own score of its subset Ties: %s\n", strings.Join(ties, ", "))
	}
	return t.Flush()
}

// printRefused prints which pairs were refused, and what else was not read.
func (r *report) printRefused(w io.Writer) {
	fmt.Fprintf(w, "%d pairs scored, %d refused\n", r.All.Pairs, r.All.Refused)
	refused := 0
	flagged := map[string]int{} // rows, by flag
	var unread []string
	for _, s := range r.rows {
		for _, name := range s.Unread {
			if !slices.Contains(unread, name) {
				unread = append(unread, name)
			}
		}
		for _, flag := range []string{implicit.FlagTunedSpecial, explicit(rewardmodel.FlagSpecial), explicit(rewardmodel.FlagTrimmed), explicit(rewardmodel.FlagPooling)} {
			if flags := s.Flags(); slices.Contains(flags, "chosen:"+flag) || slices.Contains(flags, "rejected:"+flag) {
				flagged[flag]++
			}
		}
		if s.Err == nil {
			continue
		}
		if refused++; refused <= 10 {
			fmt.Fprintf(w, "  %d: %v\n", s.Number, s.Err)
		}
	}
	if refused > 10 {
		fmt.Fprintf(w, "  and %d more\n", refused-10)
	}
	if unread != nil {
		if len(unread) > 20 {
			unread = append(unread[:20], fmt.Sprintf("and %d more", len(unread)-20))
		}
		fmt.Fprintf(w, "members that are not read: %s\n", strings.Join(unread, ", "))
	}
	for _, f := range []struct{ flag, what string }{
		{implicit.FlagTunedSpecial, "spell out special tokens of the tuned model (prompts that are rendered already are read by -tuned-as raw)"},
		{explicit(rewardmodel.FlagSpecial), "spell out special tokens of the reward model (prompts that are rendered already are read by -rm-as raw)"},
		{explicit(rewardmodel.FlagTrimmed), "have a reply that begins or ends with white space, which the reward model's template trims"},
		{explicit(rewardmodel.FlagPooling), "have a text of which transformers, 5 or 4.43, would pool another token (-pooling)"},
	} {
		if n := flagged[f.flag]; n > 0 {
			fmt.Fprintf(w, "%d pairs %s\n", n, f.what)
		}
	}
}

// explicit is a reward model's flag as preference.Scored.Flags has it.
func explicit(flag string) string { return "explicit-" + flag }
