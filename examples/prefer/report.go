package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"text/tabwriter"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/stats"
)

// measure is a value of a reply by which the two are compared.
type measure struct {
	name      string
	reference bool // it needs a base model
	value     func(r implicit.Reward) float64
}

var measures = []measure{
	{"reward", true, implicit.Reward.LogRatio},
	{"reward_per_token", true, implicit.Reward.MeanLogRatio},
	{"reward_per_byte", true, implicit.Reward.PerByte},
	{"tuned", false, func(r implicit.Reward) float64 { return r.Tuned.Sum() }},
	{"tuned_per_token", false, func(r implicit.Reward) float64 { return r.Tuned.Mean() }},
	{"tuned_per_byte", false, func(r implicit.Reward) float64 { return r.Tuned.Sum() / float64(len(r.Reply)) }},
}

// measuresOf are those that there are with or without a base model.
func measuresOf(reference bool) []measure {
	return slices.DeleteFunc(slices.Clone(measures), func(m measure) bool { return m.reference && !reference })
}

// margin is chosen - rejected, 0 where both are the same infinity.
func (p *pair) margin(m measure) float64 {
	a, b := m.value(p.scored[0]), m.value(p.scored[1])
	if a == b {
		return 0
	}
	return a - b
}

// flags are those of the replies, each with the side before it.
func (p *pair) flags() []string {
	all := []string{}
	for side, r := range p.scored {
		for _, f := range r.Flags() {
			all = append(all, sides[side]+":"+f)
		}
	}
	return all
}

// meta says how the numbers were made.
type meta struct {
	Tuned logprob.Meta  `json:"tuned"`
	Base  *logprob.Meta `json:"base,omitempty"`
	Data  string        `json:"data"` // sha256, hex, of the file of preferences
}

func (m meta) writeJSON(w io.Writer) error { return writeJSON(w, m) }

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// report is what is printed.
type report struct {
	Meta    meta     `json:"meta"`
	All     subset   `json:"all"`
	Subsets []subset `json:"subsets"` // in the order of the file
}

// subset is the accuracy on the pairs of a subset.
type subset struct {
	Subset   string     `json:"subset"`  // "" where a pair names none, and for all
	Pairs    int        `json:"pairs"`   // scored
	Refused  int        `json:"refused"` // not scored
	Measures []accuracy `json:"measures"`
}

// accuracy is the share of pairs with the greater value for the chosen reply.
type accuracy struct {
	Measure  string  `json:"measure"`
	Accuracy number  `json:"accuracy"` // (Wins + Ties/2) / pairs
	Lower    number  `json:"lower"`    // Wilson's interval
	Upper    number  `json:"upper"`
	Level    float64 `json:"level"`
	Wins     int     `json:"wins"` // pairs with a margin above 0
	Ties     int     `json:"ties"` // with a margin of 0
	Margin   number  `json:"mean_margin"`
}

// number is a JSON number, null where it is no finite one.
type number float64

func (x number) MarshalJSON() ([]byte, error) {
	if math.IsInf(float64(x), 0) || math.IsNaN(float64(x)) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(x))
}

// level is that of the intervals.
const level = 0.95

// summarize counts.
func summarize(list []pair, reference bool) report {
	r := report{All: summary("", list, reference)}
	var names []string
	of := map[string][]pair{}
	for _, p := range list {
		if _, ok := of[p.subset]; !ok {
			names = append(names, p.subset)
		}
		of[p.subset] = append(of[p.subset], p)
	}
	r.Subsets = []subset{}
	for _, name := range names {
		r.Subsets = append(r.Subsets, summary(name, of[name], reference))
	}
	return r
}

func summary(name string, list []pair, reference bool) subset {
	s := subset{Subset: name, Pairs: count(list)}
	s.Refused = len(list) - s.Pairs
	for _, m := range measuresOf(reference) {
		a := accuracy{Measure: m.name, Level: level}
		sum := 0.0
		for i := range list {
			if list[i].refused != "" {
				continue
			}
			margin := list[i].margin(m)
			switch sum += margin; {
			case margin > 0:
				a.Wins++
			case margin == 0:
				a.Ties++
			}
		}
		a.Margin = number(sum / float64(s.Pairs))
		share, err := stats.Wilson(float64(a.Wins)+float64(a.Ties)/2, s.Pairs, &stats.TestOptions{Level: level})
		if err != nil { // no pairs
			share = stats.ProportionResult{Estimate: math.NaN(), Interval: stats.Interval{Lower: math.NaN(), Upper: math.NaN()}}
		}
		a.Accuracy, a.Lower, a.Upper = number(share.Estimate), number(share.Interval.Lower), number(share.Interval.Upper)
		s.Measures = append(s.Measures, a)
	}
	return s
}

func (r report) writeJSON(w io.Writer) error { return writeJSON(w, r) }

// writeTable prints a line a subset and measure; all pairs come last.
func (r report) writeTable(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "subset\tpairs\trefused\tmeasure\taccuracy\t95 % interval\tties\tmean margin")
	lines := func(name string, s subset) {
		for _, a := range s.Measures {
			share, interval, margin := "-", "-", "-"
			if s.Pairs > 0 {
				share, interval = fmt.Sprintf("%.3f", a.Accuracy), fmt.Sprintf("%.3f to %.3f", a.Lower, a.Upper)
				margin = fmt.Sprintf("%+.4g", a.Margin)
			}
			fmt.Fprintf(t, "%s\t%d\t%d\t%s\t%s\t%s\t%d\t%s\n", name, s.Pairs, s.Refused, a.Measure, share, interval, a.Ties, margin)
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
	fmt.Fprintln(t, "\nA tie counts as half. Margins are chosen - rejected, in nats.")
	return t.Flush()
}

// tell says which pairs were refused.
func tell(w io.Writer, list []pair) {
	refused := len(list) - count(list)
	fmt.Fprintf(w, "%d pairs scored, %d refused\n", len(list)-refused, refused)
	told := 0
	for _, p := range list {
		if p.refused == "" {
			continue
		}
		if told++; told > 10 {
			fmt.Fprintf(w, "  and %d more\n", refused-10)
			return
		}
		fmt.Fprintf(w, "  %d: %s\n", p.number, p.refused)
	}
}
