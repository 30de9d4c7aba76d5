package analysis

import (
	_ "embed"
	"errors"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/implicitreward/implicitreward/stats"
)

// doubtsFile is what the errors of stats mean for a reader of the report, who knows neither
// our functions nor Go: a line has a pattern, a tab and words. The first that matches counts.
// None has a semicolon, which parts the doubts of a test.
//
//go:embed doubts.tsv
var doubtsFile string

// meaning is a line of doubtsFile.
type meaning struct {
	pattern *regexp.Regexp
	words   string
}

var meanings = sync.OnceValue(func() []meaning {
	var all []meaning
	for line := range strings.Lines(doubtsFile) {
		pattern, words, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		all = append(all, meaning{regexp.MustCompile(pattern), words})
	}
	return all
})

// origin is where an error comes from, as our packages say it first.
var origin = regexp.MustCompile(`^([a-z]+: )+`)

// plainly is an error as part of a sentence of the report: what it means, without names of
// packages and functions. What only the program knows, such as a file, stays.
func plainly(err error) string {
	text := err.Error()
	if _, of, ok := strings.Cut(text, "stats: "); ok {
		for _, m := range meanings() {
			if at := m.pattern.FindStringSubmatchIndex(of); at != nil {
				return string(m.pattern.ExpandString(nil, m.words, of, at))
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
