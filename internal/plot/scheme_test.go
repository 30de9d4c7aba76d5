package plot

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

// TestBothSchemes: every colour has one for the dark, text with colours in it stays, and
// light is as it was.
func TestBothSchemes(t *testing.T) {
	f := &Figure{Title: `fill:#0072B2 "style=" <b>`, Caption: "#FFFFFF", Chart: &Intervals{XLabel: "x", Groups: []Group{{Name: "a"}, {Name: "b"}},
		Sections: []IntervalSection{{Name: "s", Rows: []IntervalRow{{Label: "#D55E00", Estimates: []Estimate{{0, 1, 0, 2}, {1, 2, 1, 3}}}}}}}}
	var b bytes.Buffer
	if err := f.WriteSVG(&b); err != nil {
		t.Fatal(err)
	}
	s := string(BothSchemes(b.Bytes()))
	for d := xml.NewDecoder(strings.NewReader(s)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	rules, rest, ok := strings.Cut(s, "</style>")
	if !ok {
		t.Fatal("no rules of colours")
	}
	_, rules, _ = strings.Cut(rules, "<style>")
	light, dark, ok := strings.Cut(rules, "@media (prefers-color-scheme:dark)")
	if !ok {
		t.Fatalf("%s: nothing for the dark", rules)
	}
	for _, style := range styles.FindAllString(rest, -1) {
		if inks.MatchString(style) {
			t.Errorf("%s: a colour that does not follow", style)
		}
	}
	for _, text := range []string{"fill:#0072B2 &#34;style=&#34;", ">#D55E00<", ">#FFFFFF<"} {
		if !strings.Contains(rest, text) {
			t.Errorf("the text %s is changed", text)
		}
	}
	back := strings.Replace(rest, "style=\"fill:var(--cFFFFFF)\"/>", `fill="#FFFFFF"/>`, 1)
	for _, rule := range strings.Split(strings.Trim(light, "svg{}"), ";") {
		name, color, ok := strings.Cut(rule, ":")
		if !ok {
			continue
		}
		if !strings.Contains(dark, name+":#") {
			t.Errorf("%s has no dark colour", name)
		}
		back = strings.ReplaceAll(back, "var("+name+")", color)
	}
	if _, want, _ := strings.Cut(b.String(), "<title>"); !strings.HasSuffix(back, want) {
		t.Errorf("in the light it is\n%s\nwanted\n%s", back, want)
	}
}

// TestAtNight: what can be told from white can be told from the dark page: contrasts of
// WCAG 2, 4.5 for text and 3 for the marks of data.
func TestAtNight(t *testing.T) {
	if white.atNight() != night || ink.atNight() != moonlight || Color(0).atNight() != moonlight {
		t.Errorf("white %06X, ink %06X", white.atNight(), ink.atNight())
	}
	for _, c := range []Color{Blue, Vermillion, Green, Purple, Orange, Sky, Grey, Yellow, PaperLove, PaperFreedom, PaperAgency, PaperCommunion} {
		if got := contrast(c.atNight(), night); got < 3 {
			t.Errorf("%06X: contrast %.2f", c, got)
		}
		if got := contrast(c.dark().atNight(), night); got < 4.5 {
			t.Errorf("text in %06X: contrast %.2f", c, got)
		}
	}
	if got := contrast(muted.atNight(), night); got < 4.5 {
		t.Errorf("tick labels: contrast %.2f", got)
	}
	if a, b := contrast(hair.atNight(), night), contrast(frame.atNight(), night); a > 1.5 || b < 1.8 || b > 4 {
		t.Errorf("grid lines: contrast %.2f, frames %.2f, wanted them in the background", a, b)
	}
}
