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

// column is a number of every reply, in a CSV file.
type column struct {
	name string
	of   func(Models) bool
	cell func(s *Scored, side, reply int) string
}

var (
	pairColumns = []column{
		{"tokens", Models.pair, func(s *Scored, side, i int) string { return strconv.Itoa(len(s.Rewards[side][i].Tuned.LogProbs)) }},
		{"tuned", Models.pair, func(s *Scored, side, i int) string { return decimal(s.Rewards[side][i].Tuned.Sum()) }},
		{"base", Models.base, func(s *Scored, side, i int) string { return decimal(s.Rewards[side][i].Base.Sum()) }},
	}
	rmColumns = []column{
		{"explicit_tokens", Models.rm, func(s *Scored, side, i int) string { return strconv.Itoa(len(s.Explicit[side][i].Text.IDs)) }},
		{"explicit", Models.rm, func(s *Scored, side, i int) string { return decimal(s.Explicit[side][i].Reward) }},
	}
)

// columns returns the columns and margins of a file. Those of a pair stand there with and
// without a base model.
func (m Models) columns() (columns []column, margins []Measure) {
	if m.pair() {
		columns = append(columns, pairColumns...)
		margins = Models{Pair: implicit.Pair{Tuned: m.Pair.Tuned, Base: m.Pair.Tuned}}.Measures()
	}
	if m.rm() {
		columns = append(columns, rmColumns...)
		margins = append(margins, Models{RM: m.RM}.Measures()...)
	}
	return columns, margins
}

// WriteCSV writes one line for each row: its values by every measure of the models, or why it
// was refused. The values of a refused row are empty, as are those that need a base model if
// there is none. If a side has several replies, their values share a cell, separated by
// semicolons.
func WriteCSV(w io.Writer, rows []Scored, m Models) error {
	b := bufio.NewWriter(w)
	columns, margins := m.columns()
	header := []string{"row", "id", "subset"}
	for _, c := range columns {
		header = append(header, sides[0]+"_"+c.name, sides[1]+"_"+c.name)
	}
	for _, x := range margins {
		header = append(header, "margin_"+x.Name)
	}
	header = append(header, "flags", "refused")
	line := table.AppendRecord(nil, header...)
	for i := range rows {
		s := &rows[i]
		cells := []string{strconv.Itoa(s.Number), s.ID, s.Subset}
		if s.Err == nil {
			for _, c := range columns {
				for side := range sides {
					var values []string
					for k := 0; c.of(m) && k < s.replies(side); k++ {
						values = append(values, c.cell(s, side, k))
					}
					cells = append(cells, strings.Join(values, ";"))
				}
			}
			for _, x := range margins {
				margin := ""
				if x.of(m) {
					margin = decimal(s.Margin(x))
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
	Tokens         *int     `json:"tokens,omitempty"` // of the tuned model
	Tuned          *Number  `json:"tuned,omitempty"`  // ln p
	Base           *Number  `json:"base,omitempty"`
	ExplicitTokens *int     `json:"explicit_tokens,omitempty"` // of the whole text that the reward model reads
	Explicit       *Number  `json:"explicit,omitempty"`
	Outputs        []Number `json:"outputs,omitempty"` // of a head with several, in the order of RM.Outputs
}

// WriteJSONL writes one object for each row. chosen and rejected are objects if each is one
// reply, and lists if either is several; numbers that are not finite are null.
func WriteJSONL(w io.Writer, rows []Scored, m Models) error {
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
			line.Chosen, line.Rejected = s.side(0, m), s.side(1, m)
			line.Flags, line.Margins = s.Flags(), map[string]Number{}
			for _, x := range m.Measures() {
				line.Margins[x.Name] = Number(s.Margin(x))
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

// side returns the replies of a side as a list, or the one reply of a pair.
func (s *Scored) side(side int, m Models) any {
	list := make([]reply, s.replies(side))
	for i := range list {
		if m.pair() {
			r := s.Rewards[side][i]
			list[i].Tokens, list[i].Tuned = new(len(r.Tuned.LogProbs)), new(Number(r.Tuned.Sum()))
			if m.base() {
				list[i].Base = new(Number(r.Base.Sum()))
			}
		}
		if m.rm() {
			r := s.Explicit[side][i]
			list[i].ExplicitTokens, list[i].Explicit = new(len(r.Text.IDs)), new(Number(r.Reward))
			for k := 0; len(r.Outputs) > 1 && k < len(r.Outputs); k++ {
				list[i].Outputs = append(list[i].Outputs, Number(r.Outputs[k]))
			}
		}
	}
	if len(s.Chosen) == 1 && len(s.Rejected) == 1 {
		return list[0]
	}
	return list
}
