package study

import (
	"errors"
	"regexp"
	"slices"
	"strings"

	"github.com/implicitreward/implicitreward/stats"
)

// says is what the errors of stats mean for a reader of the report, who knows neither our
// functions nor Go: the first pattern that matches counts. None has a semicolon, which
// parts the doubts of a test.
var says = []struct {
	pattern *regexp.Regexp
	words   string
}{
	{regexp.MustCompile(`^Paired: no variance`), "the two differ by the same amount every time, so that there is no spread to test against"},
	{regexp.MustCompile(`^OneSample: no variance`), "the value is the same every time, so that there is no spread to test against"},
	{regexp.MustCompile(`^SignFlip: no variance`), "all differences are 0, so that there is nothing to test"},
	{regexp.MustCompile(`no variance: the model fits y without a residual`), "the model fits the values exactly, so that there is no spread left to test against"},
	{regexp.MustCompile(`no variance: none is left within the levels of (.*)`), "the values do not differ within one and the same $1, so that there is no spread to test against"},
	{regexp.MustCompile(`no variance`), "the values that are compared do not differ, so that there is no spread to test against"},
	{regexp.MustCompile(`too few values: ([\d.e+]+) arrangements cannot give P < 0.05`), "there are only $1 ways to arrange so few values, so that p cannot fall below .05 whatever they are"},
	{regexp.MustCompile(`too few values: \S+ has (\d+), wanted at least (\d+)`), "there are too few values: $1, where the test needs $2 or more"},
	{regexp.MustCompile(`too few values: (\d+) observations for (\d+) coefficients`), "there are too few values: $1 for a model of $2 coefficients"},
	{regexp.MustCompile(`too few values: (\S+) has 1 level`), "there is only one $1, so that there is nothing to compare"},
	{regexp.MustCompile(`too few values`), "there are too few values for the test"},
	{regexp.MustCompile(`none of (\d+) draws is as extreme`), "none of $1 random arrangements is as extreme: p is the least that so many can give (-draws makes more)"},
	{regexp.MustCompile(`group (\S+) has (\d+) levels: its variance is hardly known`), "how much one $1 varies from another is hardly known from $2 of them"},
	{regexp.MustCompile(`the variance of group (\S+) is 0`), "no variation from one $1 to another is found beyond chance: the fit is as without it"},
	{regexp.MustCompile(`not estimable: the term (\S+) has (\d+) cells for (\d+) observations`), "there are too few values: $3 for the $2 combinations of $1"},
	{regexp.MustCompile(`not estimable: term (.*?): no observation in (.*)`), "some combinations have no values ($2), so that the effect of $1 cannot be told"},
	{regexp.MustCompile(`not estimable: (\S+) is a combination of the other columns`), "the part of $1 cannot be told from that of the others, with which it goes in step"},
	{regexp.MustCompile(`not estimable: group (\S+) has a level for each of (\d+) observations`), "there is one value a $1, so that variation from one $1 to another cannot be told from chance"},
	{regexp.MustCompile(`not estimable: the fixed terms tell the levels of group (\S+)`), "every $1 is told by what is compared, so that the two cannot be told apart"},
	{regexp.MustCompile(`not estimable`), "the effects cannot be told apart with so few or such values"},
	{regexp.MustCompile(`did not converge`), "the fit did not settle on an answer"},
	{regexp.MustCompile(`^Welch: [xy] is constant`), "one side has no spread: the test rests on that of the other"},
}

// origin is where an error comes from, as our packages say it first.
var origin = regexp.MustCompile(`^([a-z]+: )+`)

// plainly is an error as part of a sentence of the report: what it means, without names of
// packages and functions. What only the program knows, such as a file, stays.
func plainly(err error) string {
	text := err.Error()
	if _, of, ok := strings.Cut(text, "stats: "); ok {
		for _, s := range says {
			if at := s.pattern.FindStringSubmatchIndex(of); at != nil {
				return string(s.pattern.ExpandString(nil, s.words, of, at))
			}
		}
		_, what, _ := strings.Cut(of, ": ") // after the function's name
		return what
	}
	return origin.ReplaceAllString(text, "")
}

// untestable says that the numbers allow no test, which is a doubt and no fault of the
// input: too few values, none that differ, or columns that cannot be told apart.
func untestable(err error) bool {
	return errors.Is(err, stats.ErrSampleSize) || errors.Is(err, stats.ErrZeroVariance) || errors.Is(err, stats.ErrAliased)
}

// joinErrors makes warnings one line.
func joinErrors(list []error) string {
	var s []string
	for _, err := range list {
		s = append(s, plainly(err))
	}
	return strings.Join(s, "; ")
}

// doubt adds doubts to a result, each once.
func (r *Result) doubt(doubts ...string) {
	for _, d := range doubts {
		if !slices.Contains(r.Warnings, d) {
			r.Warnings = append(r.Warnings, d)
		}
	}
}

// untested doubts that something could be tested.
func (r *Result) untested(what string, err error) {
	r.doubt(what + ": not tested: " + plainly(err) + ".")
}
