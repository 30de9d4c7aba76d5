package analysis

import (
	"fmt"
	"math"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"github.com/implicitreward/implicitreward/internal/plot"
	"github.com/implicitreward/implicitreward/stats"
)

// Result is what one analysis of one set of inputs found.
type Result struct {
	Analysis string   // "fig1"
	Name     string   // begins the names of its files: "fig1-big2"
	Title    string   // heading in the report
	About    []string // paragraphs: what was done, in what units, and what it does not say
	Differs  []string // where this run differs from the paper's code, or follows it against good practice
	Inputs   []string // files it was made from
	Figures  []Figure
	Tables   []Table
	Tests    []Test
	Warnings []string
	Extra    []Extra // further files, such as LaTeX
}

// Figure is a drawing and the name of its files.
type Figure struct {
	Name string
	*plot.Figure
}

// Extra is a file that is neither figure nor table.
type Extra struct {
	Name string // with its ending
	Data []byte
}

// Table is a list of rows, all of one struct type. Its fields, and those of structs embedded
// in it, are the columns: WelchDF is the column welch_df, unless the tag parquet gives another
// name ("name", "name,dict" or ",dict", where dict is for few values that come often).
type Table struct {
	Name  string
	Title string
	Rows  any // a slice of structs
	Show  int // rows shown in the report; 0: all up to 40, -1: none
}

// Columns are the fields of the row type, none embedded, each with its name in the tag parquet.
func (t Table) Columns() []reflect.StructField {
	var columns []reflect.StructField
	for _, f := range reflect.VisibleFields(reflect.TypeOf(t.Rows).Elem()) {
		if f.Anonymous {
			continue
		}
		name, options, more := strings.Cut(f.Tag.Get("parquet"), ",")
		if name == "" {
			name = f.Name
			for _, r := range wordStarts {
				name = r.ReplaceAllString(name, "${1}_${2}")
			}
			name = strings.ToLower(name)
		}
		if more {
			name += "," + options
		}
		f.Tag = reflect.StructTag(fmt.Sprintf(`parquet:"%s"`, name))
		columns = append(columns, f)
	}
	return columns
}

// wordStarts are where words of a field's name begin: CI-Lo, Welch-P.
var wordStarts = []*regexp.Regexp{regexp.MustCompile(`([A-Z]+)([A-Z][a-z])`), regexp.MustCompile(`([a-z0-9])([A-Z])`)}

// Header returns the names of the columns.
func (t Table) Header() []string {
	var names []string
	for _, f := range t.Columns() {
		name, _, _ := strings.Cut(f.Tag.Get("parquet"), ",")
		names = append(names, name)
	}
	return names
}

// Len returns the number of rows.
func (t Table) Len() int { return reflect.ValueOf(t.Rows).Len() }

// Shown is how many rows the report shows.
func (t Table) Shown() int {
	n := t.Show
	if n == 0 {
		n = 40
	}
	return max(0, min(n, t.Len()))
}

// Cells returns row i; NaN, for "there is none", is an empty field. Full numbers have
// as many digits as it takes to read them back, others four.
func (t Table) Cells(i int, full bool) []string {
	row := reflect.ValueOf(t.Rows).Index(i)
	var cells []string
	for _, f := range t.Columns() {
		switch v := row.FieldByIndex(f.Index).Interface().(type) {
		case float64:
			cells = append(cells, number(v, full))
		default:
			cells = append(cells, fmt.Sprint(v))
		}
	}
	return cells
}

func number(v float64, full bool) string {
	switch {
	case math.IsNaN(v):
		return ""
	case full:
		return strconv.FormatFloat(v, 'g', -1, 64)
	case v != 0 && (math.Abs(v) < 1e-3 || math.Abs(v) >= 1e6):
		return strconv.FormatFloat(v, 'e', 2, 64)
	}
	return strings.TrimSuffix(strings.TrimRight(strconv.FormatFloat(v, 'f', 4, 64), "0"), ".")
}

// Thousands writes 85517 as 85,517.
func Thousands(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Test is one statistical test as the report shows it. NaN means that the test has no
// such number.
type Test struct {
	Name       string  `parquet:"test"` // "Agency, positive: Gemma - Llama"
	Method     string  // "Welch t, prompt medians taken as independent"
	Statistic  string  // "t"
	Value      float64 // of it
	DF1, DF2   float64 // of t DF1 alone, of F both
	P          float64
	PAdjusted  float64
	Adjustment string  // "Bonferroni, 4 tests"
	Estimate   float64 // with its interval, 95 %
	Lower      float64
	Upper      float64
	Effect     string // "Cohen d"
	EffectSize float64
	N          string // "108 / 162"
	Warnings   string
}

var nan = math.NaN()

// newTest is a test with nothing known yet.
func newTest(name, method, statistic string) Test {
	return Test{Name: name, Method: method, Statistic: statistic, Value: nan, DF1: nan, DF2: nan, P: nan, PAdjusted: nan,
		Estimate: nan, Lower: nan, Upper: nan, EffectSize: nan}
}

// counts are the sizes of one or two samples.
func counts(n1, n2 int) string {
	if n2 > 0 {
		return fmt.Sprintf("%d / %d", n1, n2)
	}
	return strconv.Itoa(n1)
}

// tTest is the Test of a TResult.
func tTest(name, method string, r stats.TResult) Test {
	t := newTest(name, method, "t")
	t.Value, t.DF1, t.P = r.T, r.DF, r.P
	t.Estimate, t.Lower, t.Upper = r.Estimate, r.Interval.Lower, r.Interval.Upper
	t.N, t.Warnings = counts(r.N1, r.N2), joinErrors(r.Warnings)
	if r.N2 == 0 && r.SD1 > 0 {
		t.Effect, t.EffectSize = "Cohen dz", r.Estimate/r.SD1
	}
	return t
}

// resampleTest is the Test of a ResampleResult.
func resampleTest(name, method string, r stats.ResampleResult) Test {
	t := newTest(name, method, "difference")
	t.Value, t.Estimate, t.P = r.Statistic, r.Estimate, r.P
	t.N, t.Warnings = counts(r.N1, r.N2), joinErrors(r.Warnings)
	if r.Exact {
		t.Method += fmt.Sprintf(", exact: %d of %d arrangements", r.Exceed, r.Arrangements)
	} else {
		t.Method += fmt.Sprintf(", %d random arrangements", r.Arrangements)
	}
	return t
}

// Paired is a paired t-test over prompts, as columns of a table.
type Paired struct {
	CILo, CIHi, PairedT, PairedDF, PairedP, CohenDz float64
}

func newPaired(t stats.TResult) Paired {
	return Paired{t.Interval.Lower, t.Interval.Upper, t.T, t.DF, t.P, t.Estimate / t.SD1}
}

// Cell is what two families are compared in, as columns of a table.
type Cell struct {
	Category         string `parquet:"Category"`
	PromptFraming    string
	Family1, Family2 string
}

func (c Cell) String() string {
	return fmt.Sprintf("%s, %s: %s - %s", c.Category, c.PromptFraming, c.Family1, c.Family2)
}

// estimate is an interval of a figure, of group k.
func estimate(k int, value, lower, upper float64) plot.Estimate {
	return plot.Estimate{Group: k, Value: value, Lower: lower, Upper: upper}
}

// addSection adds a section that has rows.
func addSection(c *plot.Intervals, s plot.IntervalSection) {
	if len(s.Rows) > 0 {
		c.Sections = append(c.Sections, s)
	}
}

// named are groups of a figure with the colours of its palette.
func named(names ...string) []plot.Group {
	var groups []plot.Group
	for _, name := range names {
		groups = append(groups, plot.Group{Name: name})
	}
	return groups
}

// stars marks a p-value: *** below .001, ** below .01, * below .05, else n.s.
func stars(p float64) string {
	switch {
	case p < .001:
		return "***"
	case p < .01:
		return "**"
	case p < .05:
		return "*"
	}
	return "n.s."
}
