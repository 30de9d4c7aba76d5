package main

import (
	"bufio"
	"encoding/json"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/implicitreward/implicitreward/internal/csv"
)

// writeCSV writes a line a pair. Empty are the numbers of a pair that was refused, and
// those that need a base model where there is none.
func writeCSV(w io.Writer, list []pair, reference bool) error {
	b := bufio.NewWriter(w)
	header := []string{"row", "id", "subset", "chosen_tokens", "rejected_tokens", "chosen_tuned", "rejected_tuned", "chosen_base", "rejected_base"}
	for _, m := range measures {
		header = append(header, "margin_"+m.name)
	}
	header = append(header, "flags", "refused")
	line := csv.AppendRecord(nil, header...)
	for i := range list {
		p := &list[i]
		cells := []string{strconv.Itoa(p.number), p.id, p.subset}
		if p.refused == "" {
			c, r := p.scored[0], p.scored[1]
			cells = append(cells, strconv.Itoa(len(c.Tuned.LogProb)), strconv.Itoa(len(r.Tuned.LogProb)), decimal(c.Tuned.Sum()), decimal(r.Tuned.Sum()))
			if reference {
				cells = append(cells, decimal(c.Base.Sum()), decimal(r.Base.Sum()))
			} else {
				cells = append(cells, "", "")
			}
			for _, m := range measures {
				margin := ""
				if reference || !m.reference {
					margin = decimal(p.margin(m))
				}
				cells = append(cells, margin)
			}
			cells = append(cells, strings.Join(p.flags(), ";"), "")
		} else {
			for len(cells) < len(header)-1 {
				cells = append(cells, "")
			}
			cells = append(cells, p.refused)
		}
		line = csv.AppendRecord(line, cells...)
		if _, err := b.Write(line); err != nil {
			return err
		}
		line = line[:0]
	}
	return b.Flush()
}

// decimal has every digit, and infinity as pandas writes it.
func decimal(x float64) string {
	if math.IsInf(x, 0) {
		return strings.TrimPrefix(strings.ToLower(strconv.FormatFloat(x, 'g', -1, 64)), "+")
	}
	return strconv.FormatFloat(x, 'g', -1, 64)
}

// side is what the models say of a reply; null where that is -Inf.
type side struct {
	Tokens int     `json:"tokens"` // of the tuned model
	Tuned  number  `json:"tuned"`  // ln p
	Base   *number `json:"base,omitempty"`
}

// line is a pair's in a JSON Lines file.
type line struct {
	Row      int               `json:"row"`
	ID       string            `json:"id,omitempty"`
	Subset   string            `json:"subset,omitempty"`
	Chosen   *side             `json:"chosen,omitempty"`
	Rejected *side             `json:"rejected,omitempty"`
	Margins  map[string]number `json:"margins,omitempty"` // null where infinite
	Flags    []string          `json:"flags,omitempty"`
	Refused  string            `json:"refused,omitempty"`
}

func writeJSONL(w io.Writer, list []pair, reference bool) error {
	b := bufio.NewWriter(w)
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	for i := range list {
		p := &list[i]
		l := line{Row: p.number, ID: p.id, Subset: p.subset, Refused: p.refused}
		if p.refused == "" {
			for k, to := range []**side{&l.Chosen, &l.Rejected} {
				r := p.scored[k]
				*to = &side{Tokens: len(r.Tuned.LogProb), Tuned: number(r.Tuned.Sum())}
				if reference {
					base := number(r.Base.Sum())
					(*to).Base = &base
				}
			}
			l.Flags, l.Margins = p.flags(), map[string]number{}
			for _, m := range measuresOf(reference) {
				l.Margins[m.name] = number(p.margin(m))
			}
		}
		if err := e.Encode(l); err != nil {
			return err
		}
	}
	return b.Flush()
}
