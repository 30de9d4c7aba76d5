// Package report writes the results of a study: as a folder of figures, tables,
// report.html and report.md.
package report

import (
	"bytes"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/implicitreward/implicitreward/internal/output"
	"github.com/implicitreward/implicitreward/internal/plot"
	"github.com/implicitreward/implicitreward/internal/study/analysis"
	"github.com/implicitreward/implicitreward/internal/study/cube"
	"github.com/implicitreward/implicitreward/logprob"
)

// Report is the results of a study and how they were made.
type Report struct {
	Title   string
	Options *analysis.Options
	Inputs  []cube.File
	Results []*analysis.Result
	Groups  *cube.Groups // of prompts
	// Families says whose family is that of an architecture; "" for none.
	Families string
}

// New puts results and their inputs together. It doubts results of inputs that were
// computed on different machines.
func New(o *analysis.Options, in *cube.Inputs, results []*analysis.Result) *Report {
	if doubt := in.Machines(); doubt != "" {
		for _, res := range results {
			res.Warnings = append(res.Warnings, doubt)
		}
	}
	return &Report{Title: "Value bias: a report", Options: o, Inputs: in.Files, Results: results, Groups: in.Groups,
		Families: in.Architectures()}
}

// testRow is a Test of an analysis.
type testRow struct {
	Analysis string
	analysis.Test
}

func (r *Report) tests() []testRow {
	rows := []testRow{}
	for _, res := range r.Results {
		for _, t := range res.Tests {
			rows = append(rows, testRow{res.Name, t})
		}
	}
	return rows
}

// testHeader and testCells are a test as the reports show it.
var testHeader = strings.Split("Test,Method,Statistic,p,p adjusted,Estimate [95 %],Effect size,n,Doubts", ",")

func testCells(t analysis.Test) []string {
	statistic := t.Statistic
	switch {
	case !math.IsNaN(t.DF2):
		statistic += fmt.Sprintf("(%s, %s)", short(t.DF1), short(t.DF2))
	case !math.IsNaN(t.DF1):
		statistic += "(" + short(t.DF1) + ")"
	}
	statistic += " = " + short(t.Value)
	adjusted := ""
	if !math.IsNaN(t.PAdjusted) {
		adjusted = shortP(t.PAdjusted) + " (" + t.Adjustment + ")"
	}
	estimate := short(t.Estimate)
	if !math.IsNaN(t.Lower) {
		estimate += fmt.Sprintf(" [%s, %s]", short(t.Lower), short(t.Upper))
	}
	effect := ""
	if !math.IsNaN(t.EffectSize) {
		effect = t.Effect + " = " + short(t.EffectSize)
	}
	return []string{t.Name, t.Method, statistic, shortP(t.P), adjusted, estimate, effect, t.N}
}

// TestLines are the tests as the reports show them, each with the numbers of its
// doubts, and these doubts.
func TestLines(tests []analysis.Test) (rows [][]string, doubts []string) {
	for _, t := range tests {
		var marks []string
		for _, w := range strings.Split(t.Warnings, "; ") {
			if w == "" {
				continue
			}
			w = strings.ToUpper(w[:1]) + w[1:] + "."
			i := slices.Index(doubts, w)
			if i < 0 {
				i = len(doubts)
				doubts = append(doubts, w)
			}
			marks = append(marks, strconv.Itoa(i+1))
		}
		rows = append(rows, append(testCells(t), strings.Join(marks, ", ")))
	}
	return rows, doubts
}

// short has three digits after the point, or three in all where that shows nothing.
func short(v float64) string {
	switch a := math.Abs(v); {
	case math.IsNaN(v):
		return ""
	case math.Abs(v-math.Round(v)) <= 1e-6*a && a < 1e6: // degrees of freedom are whole but for rounding
		return strconv.FormatFloat(math.Round(v), 'f', 0, 64)
	case a != 0 && (a < 0.01 || a >= 1e6):
		return strconv.FormatFloat(v, 'e', 2, 64)
	case a >= 100:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 3, 64)
}

func shortP(p float64) string {
	switch {
	case math.IsNaN(p):
		return ""
	case p < 1e-3:
		return strconv.FormatFloat(p, 'e', 2, 64)
	}
	return strconv.FormatFloat(p, 'f', 4, 64)
}

// settings are how the study was asked for.
func (r *Report) settings() []string {
	s := []string{"implicitreward " + logprob.Version, "compat: none, what is right (see Differences)"}
	if r.Options.Paper() {
		s[1] = "compat: paper (see Differences)"
	}
	if groups := r.Groups.About(); groups != "" {
		s = append(s, groups)
	}
	if r.Families != "" {
		s = append(s, r.Families)
	}
	return append(s, fmt.Sprintf("seed: %d", r.Options.Seed),
		fmt.Sprintf("random draws a test: %d", r.Options.Arrangements()))
}

//go:embed report.html.tmpl
var page string

// html is the whole report as one file, figures inside.
func (r *Report) html(drawn []output.Entry) ([]byte, error) {
	pictures := map[string][]byte{}
	for _, f := range drawn {
		pictures[f.Name] = f.Data
	}
	t, err := template.New("report").Funcs(template.FuncMap{
		"picture": func(f analysis.Figure) template.URL {
			svg := plot.BothSchemes(pictures["figures/"+f.Name+".svg"])
			return template.URL("data:image/svg+xml;base64," + base64.StdEncoding.EncodeToString(svg))
		},
		"width": func(f analysis.Figure) (string, error) {
			w, _, err := f.Size()
			return strconv.Itoa(int(math.Round(w * 96))), err
		},
		"testHeader": func() []string { return testHeader },
		"tests": func(tests []analysis.Test) map[string]any {
			rows, doubts := TestLines(tests)
			return map[string]any{"Rows": rows, "Doubts": doubts}
		},
		"tableHead": analysis.Table.Header,
		"tableRows": tableRows,
		"rest":      func(t analysis.Table) int { return t.Len() - t.Shown() },
		"thousands": analysis.Thousands,
	}).Parse(page)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = t.Execute(&b, map[string]any{"Report": r, "Settings": r.settings(), "Differences": analysis.Differences()})
	return b.Bytes(), err
}

// tableRows are the rows of a table that the report shows.
func tableRows(t analysis.Table) [][]string {
	var rows [][]string
	for i := range t.Shown() {
		rows = append(rows, t.Cells(i, false))
	}
	return rows
}
