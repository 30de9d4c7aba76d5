package study

import (
	"fmt"
	"math"
	"reflect"
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

// Table is a list of rows, all of one struct type whose fields name their columns in
// the tag parquet.
type Table struct {
	Name  string
	Title string
	Rows  any // a slice of structs
	Show  int // rows shown in the report; 0: all up to 40, -1: none
}

// header returns the names of the columns.
func (t Table) header() []string {
	typ := reflect.TypeOf(t.Rows).Elem()
	names := make([]string, typ.NumField())
	for i := range names {
		names[i], _, _ = strings.Cut(typ.Field(i).Tag.Get("parquet"), ",")
	}
	return names
}

// len returns the number of rows.
func (t Table) len() int { return reflect.ValueOf(t.Rows).Len() }

// cells returns row i; NaN, for "there is none", is an empty field. full numbers have
// as many digits as it takes to read them back, others four.
func (t Table) cells(i int, full bool) []string {
	row := reflect.ValueOf(t.Rows).Index(i)
	cells := make([]string, row.NumField())
	for k := range cells {
		switch v := row.Field(k).Interface().(type) {
		case float64:
			cells[k] = number4(v, full)
		default:
			cells[k] = fmt.Sprint(v)
		}
	}
	return cells
}

func number4(v float64, full bool) string {
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

// Test is one statistical test as the report shows it. NaN means that the test has no
// such number.
type Test struct {
	Name       string  `parquet:"test"`        // "Agency, positive: Gemma - Llama"
	Method     string  `parquet:"method"`      // "Welch t, prompt medians taken as independent"
	Statistic  string  `parquet:"statistic"`   // "t"
	Value      float64 `parquet:"value"`       //
	DF1        float64 `parquet:"df1"`         // of t: its degrees of freedom
	DF2        float64 `parquet:"df2"`         // of F
	P          float64 `parquet:"p"`           //
	PAdjusted  float64 `parquet:"p_adjusted"`  //
	Adjustment string  `parquet:"adjustment"`  // "Bonferroni, 4 tests"
	Estimate   float64 `parquet:"estimate"`    //
	Lower      float64 `parquet:"lower"`       // of the interval, 95 %
	Upper      float64 `parquet:"upper"`       //
	Effect     string  `parquet:"effect"`      // "Cohen d"
	EffectSize float64 `parquet:"effect_size"` //
	N          string  `parquet:"n"`           // "108 / 162"
	Warnings   string  `parquet:"warnings"`    //
}

var nan = math.NaN()

// newTest is a test with nothing known yet.
func newTest(name, method, statistic string) Test {
	return Test{Name: name, Method: method, Statistic: statistic, Value: nan, DF1: nan, DF2: nan, P: nan, PAdjusted: nan,
		Estimate: nan, Lower: nan, Upper: nan, EffectSize: nan}
}

// tTest is the Test of a TResult.
func tTest(name, method string, r stats.TResult) Test {
	t := newTest(name, method, "t")
	t.Value, t.DF1, t.P = r.T, r.DF, r.P
	t.Estimate, t.Lower, t.Upper = r.Estimate, r.Interval.Lower, r.Interval.Upper
	t.N = strconv.Itoa(r.N1)
	if r.N2 > 0 {
		t.N += " / " + strconv.Itoa(r.N2)
	} else if r.SD1 > 0 {
		t.Effect, t.EffectSize = "Cohen dz", r.Estimate/r.SD1
	}
	t.Warnings = joinErrors(r.Warnings)
	return t
}

// resampleTest is the Test of a ResampleResult.
func resampleTest(name, method string, r stats.ResampleResult) Test {
	t := newTest(name, method, "difference")
	t.Value, t.Estimate, t.P = r.Statistic, r.Estimate, r.P
	t.N = strconv.Itoa(r.N1)
	if r.N2 > 0 {
		t.N += " / " + strconv.Itoa(r.N2)
	}
	if r.Exact {
		t.Method += fmt.Sprintf(", exact: %d of %d arrangements", r.Exceed, r.Arrangements)
	} else {
		t.Method += fmt.Sprintf(", %d random arrangements", r.Arrangements)
	}
	t.Warnings = joinErrors(r.Warnings)
	return t
}

// adjust fills in PAdjusted of tests that belong together.
func adjust(tests []Test, name string, by func([]float64) ([]float64, error)) error {
	p := make([]float64, len(tests))
	for i, t := range tests {
		p[i] = t.P
	}
	adjusted, err := by(p)
	if err != nil {
		return err
	}
	for i := range tests {
		tests[i].PAdjusted = adjusted[i]
		tests[i].Adjustment = fmt.Sprintf("%s, %d tests", name, len(tests))
	}
	return nil
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

func meanSD(x []float64) (mean, sd float64) {
	for _, v := range x {
		mean += v
	}
	mean /= float64(len(x))
	for _, v := range x {
		sd += (v - mean) * (v - mean)
	}
	return mean, math.Sqrt(sd / float64(len(x)-1))
}
