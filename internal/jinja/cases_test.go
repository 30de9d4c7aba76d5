package jinja

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"
)

// TestPublished renders published chat templates (and a probe of what Jinja can do)
// with the cases of the shared folder, which is not part of the repository.
func TestPublished(t *testing.T) {
	data, err := os.ReadFile("../../shared/data/chat/cases.json")
	if err != nil {
		t.Skip("needs ../shared: ", err)
	}
	var cases []struct {
		Tpl, Case, Src, Vars string
		Exp, Err             *string
	}
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		all, err := FromJSON([]byte(c.Vars))
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
