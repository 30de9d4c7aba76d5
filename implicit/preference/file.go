package preference

import (
	"bufio"
	"io"
	"strconv"
	"strings"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/internal/strictjson"
	"github.com/implicitreward/implicitreward/internal/table"
)

// WriteCSV writes one line for each row: its values by every measure, or why it was refused.
// The values of a refused row are empty, as are those that need a base model if there is
// none. If a side has several replies, their values share a cell, separated by semicolons.
func WriteCSV(w io.Writer, rows []Scored, reference bool) error {
	b := bufio.NewWriter(w)
	header := []string{"row", "id", "subset", "chosen_tokens", "rejected_tokens", "chosen_tuned", "rejected_tuned", "chosen_base", "rejected_base"}
	for _, m := range Measures(true) {
		header = append(header, "margin_"+m.Name)
	}
	header = append(header, "flags", "refused")
	line := table.AppendRecord(nil, header...)
	for i := range rows {
		s := &rows[i]
		cells := []string{strconv.Itoa(s.Number), s.ID, s.Subset}
		if s.Err == nil {
			for k, cell := range []func(implicit.Reward) string{
				func(r implicit.Reward) string { return strconv.Itoa(len(r.Tuned.LogProbs)) },
				func(r implicit.Reward) string { return decimal(r.Tuned.Sum()) },
				func(r implicit.Reward) string { return decimal(r.Base.Sum()) },
			} {
				for _, rewards := range s.Rewards {
					var values []string
					for _, r := range rewards {
						if k < 2 || reference {
							values = append(values, cell(r))
						}
					}
					cells = append(cells, strings.Join(values, ";"))
				}
			}
			for _, m := range Measures(true) {
				margin := ""
				if reference || !m.Reference {
					margin = decimal(s.Margin(m))
				}
				cells = append(cells, margin)
			}
			cells = append(cells, strings.Join(s.Flags(), ";"), "")
		} else {
			for len(cells) < len(header)-1 {
				cells = append(cells, "")
			}
			cells = append(cells, s.Err.Error())
		}
		line = table.AppendRecord(line, cells...)
		if _, err := b.Write(line); err != nil {
			return err
		}
		line = line[:0]
	}
	return b.Flush()
}

// decimal formats with every digit, and infinity as in pandas.
func decimal(x float64) string { return string(table.AppendFloat(nil, x, 64)) }

// reply is the models' values for a reply; null for -Inf.
type reply struct {
	Tokens int     `json:"tokens"` // of the tuned model
	Tuned  Number  `json:"tuned"`  // ln p
	Base   *Number `json:"base,omitempty"`
}

// WriteJSONL writes one object for each row. chosen and rejected are objects if each is one
// reply, and lists if either is several; numbers that are not finite are null.
func WriteJSONL(w io.Writer, rows []Scored, reference bool) error {
	b := bufio.NewWriter(w)
	for i := range rows {
		s := &rows[i]
		line := struct {
			Row      int               `json:"row"`
			ID       string            `json:"id,omitempty"`
			Subset   string            `json:"subset,omitempty"`
			Chosen   any               `json:"chosen,omitempty"`
			Rejected any               `json:"rejected,omitempty"`
			Margins  map[string]Number `json:"margins,omitempty"` // null if infinite
			Flags    []string          `json:"flags,omitempty"`
			Refused  string            `json:"refused,omitempty"`
		}{Row: s.Number, ID: s.ID, Subset: s.Subset}
		if s.Err == nil {
			line.Chosen, line.Rejected = s.replies(0, reference), s.replies(1, reference)
			line.Flags, line.Margins = s.Flags(), map[string]Number{}
			for _, m := range Measures(reference) {
				line.Margins[m.Name] = Number(s.Margin(m))
			}
		} else {
			line.Refused = s.Err.Error()
		}
		if err := strictjson.Write(b, line, ""); err != nil {
			return err
		}
	}
	return b.Flush()
}

// replies returns those of a side as a list, or the one reply of a pair.
func (s *Scored) replies(side int, reference bool) any {
	list := []reply{}
	for _, r := range s.Rewards[side] {
		one := reply{Tokens: len(r.Tuned.LogProbs), Tuned: Number(r.Tuned.Sum())}
		if reference {
			base := Number(r.Base.Sum())
			one.Base = &base
		}
		list = append(list, one)
	}
	if len(s.Chosen) == 1 && len(s.Rejected) == 1 {
		return list[0]
	}
	return list
}
