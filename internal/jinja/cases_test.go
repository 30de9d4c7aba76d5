package jinja

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"
)

// published is one rendering of a published template, or the error that it raises.
type published struct {
	Tpl, Case, Src string
	Vars           any // a JSON text, or the place of one
	Exp, Err       *string
}

// TestPublished renders the published chat templates of testdata/published (and a probe of
// what Jinja can do) as transformers does, and, where the shared folder is at hand, those
// whose licences keep them out of the repository.
func TestPublished(t *testing.T) {
	var all struct {
		Vars  []string
		Cases []published
	}
	readJSON(t, "testdata/published/cases.json", &all)
	for _, c := range all.Cases {
		src, err := os.ReadFile("testdata/published/" + c.Tpl)
		if err != nil {
			t.Fatal(err)
		}
		c.Src = string(src)
		c.check(t, all.Vars[int(c.Vars.(float64))])
	}
	if len(all.Cases) < 150 {
		t.Errorf("%d cases, wanted at least 150", len(all.Cases))
	}
	const shared = "../../../shared/data/chat/cases.json"
	if _, err := os.Stat(shared); err != nil {
		t.Logf("without the templates that may not be given on: %v", err)
		return
	}
	var more []published
	readJSON(t, shared, &more)
	for _, c := range more {
		c.check(t, c.Vars.(string))
	}
}

func readJSON(t *testing.T, path string, into any) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(data, into)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (c *published) check(t *testing.T, text string) {
	t.Helper()
	all, err := FromJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	vars := map[string]any{}
	for _, k := range all.(*Dict).keys {
		vars[k.(string)], _ = all.(*Dict).get(k)
	}
	// The day on which the cases were made.
	vars["strftime_now"] = Func("strftime_now", func(format string) (string, error) {
		return Strftime(time.Date(2026, 11, 5, 0, 0, 0, 0, time.UTC), format)
	})
	got, err := render(c.Src, vars)
	switch {
	case c.Err != nil:
		var e *Error
		kind, message, _ := strings.Cut(*c.Err, ": ")
		if !errors.As(err, &e) || e.Kind != kind || e.Message != message {
			t.Errorf("%s %s: error %v, wanted %s", c.Tpl, c.Case, err, *c.Err)
		}
	case err != nil || got != *c.Exp:
		t.Errorf("%s %s:\n   got %q %v\nwanted %q", c.Tpl, c.Case, got, err, *c.Exp)
	}
}

// TestStrftime compares with testdata/strftime.json, which Python 3.11 wrote with
// datetime.strftime and LC_ALL=C on Linux.
func TestStrftime(t *testing.T) {
	data, err := os.ReadFile("testdata/strftime.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct{ Date, Format, Out string }
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	// What no published template uses is refused by name.
	refused := map[string]string{
		"%c": "%c", "%C %d %D %e": "%C", "%f": "%f", "%g %G %V": "%g", "%H %I %j %k %l": "%k", "%m %M %n %p %P": "%n",
		"%r|%R|%S|%t|%T": "%r", "%u %U %w %W": "%u", "%x %X %y %Y": "%x", "%z|%Z|%%": "%z", "%_d %_m %_H %_j": "%_",
		"%0e %^a %^B %#p %^p %#a %#B": "%0", "%_e|%-k|%-l|%0k": "%_",
	}
	for _, c := range cases {
		date, err := time.Parse("2006-01-02T15:04:05", c.Date)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Strftime(date, c.Format)
		if directive := refused[c.Format]; directive != "" {
			if want := "strftime: the directive " + directive + " is not supported"; err == nil || err.Error() != want {
				t.Errorf("%q: got %q %v, wanted %s", c.Format, got, err, want)
			}
		} else if err != nil || got != c.Out {
			t.Errorf("%s %q: got %q %v, wanted %q", c.Date, c.Format, got, err, c.Out)
		}
	}
	for _, bad := range []string{"%", "%-", "%Q", "%5d", "%-f"} {
		if got, err := Strftime(time.Unix(0, 0), bad); err == nil {
			t.Errorf("%q: got %q, wanted an error", bad, got)
		}
	}
}
