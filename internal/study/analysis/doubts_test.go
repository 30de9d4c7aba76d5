package analysis

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"

	"github.com/implicitreward/implicitreward/implicit/lexicon"
	"github.com/implicitreward/implicitreward/internal/plot"
	"github.com/implicitreward/implicitreward/internal/study/cube"
	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/stats"
	"github.com/implicitreward/implicitreward/tokenize"
)

// gibberish is what a reader who knows neither our packages nor Go cannot read.
var gibberish = regexp.MustCompile(`(stats|study|implicit|logprob|corpus|join): |%!|map\[|\bErr[A-Z]|\bx has|\by has|not estimable|Paired|OneSample|SignFlip|Permutation:|\bx and y\b|%v`)

// TestPlainly: errors of stats, as its functions make them, in words.
func TestPlainly(t *testing.T) {
	err := func(_ any, err error) error { return err }
	warned := func(r stats.ResampleResult, _ error) error { return r.Warnings[0] }
	label := func(l ...string) stats.Variable { return stats.Variable{Name: "model", Labels: l} }
	equal, two := []float64{1, 1, 1}, []float64{1, 2}
	for _, c := range []struct {
		err  error
		want string
	}{
		{err(stats.Paired(equal, []float64{2, 2, 2}, nil)), "the two differ by the same amount every time"},
		{err(stats.Paired([]float64{1}, []float64{2}, nil)), "there are too few values: 1, where the test needs 2 or more"},
		{err(stats.OneSample(equal, 0, nil)), "the value is the same every time"},
		{err(stats.SignFlip([]float64{0, 0}, nil)), "all differences are 0"},
		{err(stats.Permutation(equal, equal, nil)), "the values that are compared do not differ"},
		{err(stats.Welch(equal, equal, nil)), "the values that are compared do not differ"},
		{warned(stats.Permutation(two, []float64{3, 4}, nil)), "there are only 6 ways to arrange so few values"},
		{err(stats.ANOVA([]float64{1, 2, 3}, []stats.Variable{label("a", "b", "c")}, nil)), "there are too few values"},
		{err(stats.ANOVA([]float64{1, 2, 3}, []stats.Variable{label("a", "a", "a")}, nil)), "there is only one model"},
		{err(stats.OLS([]float64{1, 2, 4, 3, 5}, []stats.Variable{{Name: "base", Numbers: []float64{1, 2, 3, 4, 5}}, {Name: "implicit", Numbers: []float64{2, 4, 6, 8, 10}}}, &stats.OLSOptions{Terms: []string{"base", "implicit"}})), "the part of implicit cannot be told from that of the others"},
		{err(stats.Mixed([]float64{1, 2, 3}, nil, []stats.Variable{label("a", "b", "c")}, nil)), "there is one value a model"},
		{fmt.Errorf("study: one: all: %w", err(stats.Paired(equal, equal, nil))), "the two differ by the same amount every time"},
		{errors.New("implicit: join: p was computed in f32, q in bf16: the rounding differs"), "p was computed in f32"},
		{errors.New("L.csv: 0 words of category A of w.csv, wanted two or more"), "L.csv: 0 words"},
	} {
		if c.err == nil {
			t.Errorf("%s: there is no error", c.want)
			continue
		}
		got := plainly(c.err)
		if !strings.HasPrefix(got, c.want) || gibberish.MatchString(got) || strings.Contains(got, ";") {
			t.Errorf("%v: %q, wanted %q", c.err, got, c.want)
		}
	}
}

// TestLittleIsDoubted: one prompt in a group is a doubt of Figure 2, which draws it and
// tests the rest, and no error.
func TestLittleIsDoubted(t *testing.T) {
	corpus, err := lexicon.ReadCorpus(strings.NewReader("%\n1\tB\n2\tA\n%\none\t2\ntwo\t2\nthree\t1\nfour\t1\nfive\t1\n"))
	if err != nil {
		t.Fatal(err)
	}
	dict, err := cube.NewDictionary("d", "d.dic", corpus, false)
	if err != nil {
		t.Fatal(err)
	}
	model := func(name string, seed int) *cube.LogProbFile {
		table := &logprob.Table{Prompts: []string{"best_x", "worst_x", "worst_y", "worst_z"}}
		for i, w := range []string{"one", "two", "three", "four", "five"} {
			table.Tokens = append(table.Tokens, tokenize.Token{ID: int32(i), Name: w, Text: w})
		}
		for p := range table.Prompts {
			var lp []float32
			for i := range table.Tokens {
				lp = append(lp, -float32((seed*i+p*i*i+3*p)%7)-float32(i)/10)
			}
			table.LogProb = append(table.LogProb, lp)
		}
		return &cube.LogProbFile{Model: cube.Model{Name: name, Display: name}, File: name + ".csv", Table: table}
	}
	res, err := Fig2(dict, "x", model("one", 1), model("two", 3), &Options{Draws: 99})
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Join(res.Warnings, " ")
	if !strings.Contains(all, "B, positive prompts: not tested: there are too few values: 1, where the test needs 2 or more.") || strings.Contains(all, "negative") {
		t.Errorf("doubts %q, wanted the positive prompts alone", res.Warnings)
	}
	chart := res.Figures[0].Chart.(*plot.Violins)
	if got := strings.Join(append(chart.Rows, chart.Columns...), ", "); got != "positive prompts, negative prompts, B, A" {
		t.Errorf("rows and columns %s, wanted the categories in the file's order", got)
	}
	if err := res.Figures[0].WriteSVG(io.Discard); err != nil {
		t.Error(err)
	}
}
