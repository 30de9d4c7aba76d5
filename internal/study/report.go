package study

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html/template"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/implicitreward/implicitreward/internal/plot"
	"github.com/implicitreward/implicitreward/internal/regular"
	"github.com/implicitreward/implicitreward/logprob"
)

// Report is the results of a study and how they were made.
type Report struct {
	Title   string
	Config  *Config
	Inputs  []InputFile
	Results []*Result
	Groups  *Groups // of prompts
}

// InputFile is a file that the study read.
type InputFile struct {
	Path, What, Hash string // Hash: sha256, hex
	Bytes            int64
	Meta             string // how it was made, as it says itself; "" where it does not say
}

// NewReport puts results and their inputs together.
func NewReport(c *Config, in *Inputs, results []*Result) (*Report, error) {
	r := &Report{Title: "Value bias: a report", Config: c, Results: results, Groups: in.Groups}
	add := func(path, what string, meta any) error {
		if path == "" || slices.ContainsFunc(r.Inputs, func(f InputFile) bool { return f.Path == path }) {
			return nil
		}
		data, err := regular.Read(path, regular.Scores)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(data)
		f := InputFile{Path: path, What: what, Hash: hex.EncodeToString(sum[:]), Bytes: int64(len(data))}
		if meta != nil {
			text, err := json.Marshal(meta)
			if err != nil {
				return err
			}
			if s := string(text); s != "{}" {
				f.Meta = s
			}
		}
		r.Inputs = append(r.Inputs, f)
		return nil
	}
	if doubt := in.machines(); doubt != "" {
		for _, res := range results {
			res.Warnings = append(res.Warnings, doubt)
		}
	}
	err := firstError(add(c.Models, "models", nil), add(c.Groups, "groups of prompts", nil))
	for _, s := range in.Sets {
		err = firstError(err, add(s.Dict.File, "corpus "+s.Dict.Name, nil))
		for _, f := range s.Scores {
			var meta any
			if f.meta != nil {
				meta = f.meta
			}
			err = firstError(err, add(f.File, "scores of "+f.Model.ID+", "+f.Model.Family, meta))
		}
	}
	for _, l := range in.Languages {
		meta := l.Table.Meta
		meta.Rendered = nil // long, and in the file
		err = firstError(err, add(l.File, "table of "+l.Model.Name, meta))
	}
	for _, f := range in.Rewards {
		var meta any
		if f.Meta.Tuned.Model != "" {
			meta = f.Meta
		}
		err = firstError(err, add(f.File, "rewards of "+f.Name, meta))
	}
	for _, s := range in.Series {
		err = firstError(err, add(s.File, "series of "+s.Model.ID+", "+s.Model.Family, nil))
	}
	if len(in.Series) > 0 {
		err = firstError(err, add(c.Training, "dictionary of fig4", nil))
		err = firstError(err, add(c.Tokens, "tokens of fig4", nil))
	}
	for _, a := range in.Ablations {
		err = firstError(err, add(a.File, "training runs", nil))
	}
	return r, err
}

// machines says that some inputs were computed on other processors, or with other plugins,
// than the rest; "" where that is not known.
func (in *Inputs) machines() string {
	var all []logprob.Meta
	for _, l := range in.Languages {
		all = append(all, l.Table.Meta)
	}
	for _, f := range in.Rewards {
		all = append(all, f.Meta.Tuned, f.Meta.Base)
	}
	for _, s := range in.Sets {
		for _, f := range s.Scores {
			if f.meta != nil {
				all = append(all, f.meta.Tuned, f.meta.Base)
			}
		}
	}
	for i := range all {
		for _, m := range all[:i] {
			if d := m.Machine(all[i]); d != "" {
				return "Some of the files were computed " + d + ": the same input is rounded otherwise there."
			}
		}
	}
	return ""
}

func firstError(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// testRow is a Test of an analysis.
type testRow struct {
	Analysis   string  `parquet:"analysis"`
	Name       string  `parquet:"test"`
	Method     string  `parquet:"method"`
	Statistic  string  `parquet:"statistic"`
	Value      float64 `parquet:"value"`
	DF1        float64 `parquet:"df1"`
	DF2        float64 `parquet:"df2"`
	P          float64 `parquet:"p"`
	PAdjusted  float64 `parquet:"p_adjusted"`
	Adjustment string  `parquet:"adjustment"`
	Estimate   float64 `parquet:"estimate"`
	Lower      float64 `parquet:"lower"`
	Upper      float64 `parquet:"upper"`
	Effect     string  `parquet:"effect"`
	EffectSize float64 `parquet:"effect_size"`
	N          string  `parquet:"n"`
	Warnings   string  `parquet:"warnings"`
}

func (r *Report) tests() []testRow {
	rows := []testRow{}
	for _, res := range r.Results {
		for _, t := range res.Tests {
			rows = append(rows, testRow{res.Name, t.Name, t.Method, t.Statistic, t.Value, t.DF1, t.DF2, t.P, t.PAdjusted, t.Adjustment, t.Estimate, t.Lower, t.Upper, t.Effect, t.EffectSize, t.N, t.Warnings})
		}
	}
	return rows
}

// testHeader and testCells are a test as the reports show it.
var testHeader = []string{"Test", "Method", "Statistic", "p", "p adjusted", "Estimate [95 %]", "Effect size", "n", "Doubts"}

func testCells(t Test) []string {
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

// testRows are the tests as the reports show them, each with the numbers of its
// doubts, and these doubts.
func testRows(tests []Test) (rows [][]string, doubts []string) {
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
	s := []string{"implicitreward " + logprob.Version}
	if r.Config.Compat == "paper" {
		s = append(s, "compat: paper (see Differences)")
	} else {
		s = append(s, "compat: none, what is right (see Differences)")
	}
	o := Options{Draws: r.Config.Draws}
	if groups := r.Groups.about(); groups != "" {
		s = append(s, groups)
	}
	return append(s, fmt.Sprintf("seed: %d", r.Config.Seed), fmt.Sprintf("random draws a test: %d", o.draws()))
}

//go:embed report.html.tmpl
var page string

// html is the whole report as one file, figures inside.
func (r *Report) html(drawn []file) ([]byte, error) {
	pictures := map[string][]byte{}
	for _, f := range drawn {
		pictures[f.name] = f.data
	}
	t, err := template.New("report").Funcs(template.FuncMap{
		"picture": func(f Figure) template.URL {
			return template.URL("data:image/svg+xml;base64," + base64.StdEncoding.EncodeToString(plot.BothSchemes(pictures["figures/"+f.Name+".svg"])))
		},
		"width": func(f Figure) (string, error) {
			w, _, err := f.Size()
			return strconv.Itoa(int(math.Round(w * 96))), err
		},
		"testHeader": func() []string { return testHeader },
		"tests": func(tests []Test) map[string]any {
			rows, doubts := testRows(tests)
			return map[string]any{"Rows": rows, "Doubts": doubts}
		},
		"tableHead": func(t Table) []string { return t.header() },
		"tableRows": tableRows,
		"rest":      tableRest,
		"thousands": thousands,
	}).Parse(page)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = t.Execute(&b, map[string]any{"Report": r, "Settings": r.settings(), "Differences": Differences})
	return b.Bytes(), err
}

// shownRows is how many rows of a table the report shows.
func (t Table) shownRows() int {
	n := t.Show
	if n == 0 {
		n = 40
	}
	return max(0, min(n, t.len()))
}

func tableRows(t Table) [][]string {
	var rows [][]string
	for i := range t.shownRows() {
		rows = append(rows, t.cells(i, false))
	}
	return rows
}

func tableRest(t Table) int { return t.len() - t.shownRows() }
