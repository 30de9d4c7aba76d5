package cli

import (
	"io"
	"strings"
	"testing"
)

// TestPairFlags: which renderings, betas and flags about chats are taken.
func TestPairFlags(t *testing.T) {
	for _, c := range []struct {
		same       bool
		args, more string // more: a further rendering of the program
		want       string
	}{
		{false, "", "", ""},
		{false, "-tuned-as raw -base-as chat -beta 0.1", "", ""},
		{false, "-tuned-as same", "", `-tuned-as "same", wanted raw or chat`},
		{false, "-base-as same", "", `-base-as "same", wanted raw or chat`},
		{true, "-base-as same", "", ""},
		{true, "-base-as raw", "", ""},
		{true, "-base-as text", "", `-base-as "text", wanted same, chat or raw`},
		{false, "-beta 0", "", "-beta 0, wanted a number above 0"},
		{false, "-beta NaN", "", "-beta NaN, wanted a number above 0"},
		{false, "-beta Inf", "", "-beta +Inf, wanted a number above 0"},
		{false, "-system x", "", ""},
		{false, "-system x -tuned-as raw", "", "-system is about chats, and every prompt is read raw: wanted a rendering as chat"},
		{true, "-system x -tuned-as raw", "", "-system is about chats, and every prompt is read raw: wanted a rendering as chat"},
		{false, "-system x -tuned-as raw", "chat", ""},
	} {
		f := NewFlags("p", "", "")
		p := PairFlags{Same: c.same}
		p.RegisterBeta(f)
		p.Register(f)
		if err := f.Parse(strings.Fields(c.args), io.Discard); err != nil {
			t.Fatal(err)
		}
		got := ""
		if err := p.Check(f, strings.Fields(c.more)...); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s: %q, wanted %q", c.args, got, c.want)
		}
	}
}
