package study

import (
	"bytes"
	"encoding/base64"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/implicitreward/implicitreward/internal/output"
	"github.com/implicitreward/implicitreward/internal/study/report"
	"github.com/implicitreward/implicitreward/internal/testdata/synth"
)

// config asks for all that a folder allows.
func config(dir string, draws int) *Config {
	c := &Config{}
	c.Data, c.Draws, c.Seed = dir, draws, 1
	return c
}

// TestSameBytes: all of the synthetic study, twice.
func TestSameBytes(t *testing.T) {
	if testing.Short() {
		t.Skip("long: draws all figures twice")
	}
	var runs [2][]output.Entry
	dir := synth.Dir(t)
	for i := range runs {
		c := config(dir, 199)
		in, err := Read(c)
		if err != nil {
			t.Fatal(err)
		}
		results, err := Run(t.Context(), c, in)
		if err != nil {
			t.Fatal(err)
		}
		r := NewReport(c, in, results)
		for _, res := range results {
			for _, f := range res.Figures {
				f.DPI = 40 // the pixels are not looked at, and 300 take long under the race detector
			}
		}
		if runs[i], err = r.Files(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if len(runs[0]) != len(runs[1]) {
		t.Fatalf("%d and %d files", len(runs[0]), len(runs[1]))
	}
	for i, f := range runs[0] {
		if f.Name != runs[1][i].Name || !bytes.Equal(f.Data, runs[1][i].Data) {
			t.Errorf("%s: not the same bytes", f.Name)
		}
		if len(f.Data) == 0 {
			t.Errorf("%s is empty", f.Name)
		}
	}
}

// TestWrite: the folder appears whole, replaces an earlier report, and nothing else.
func TestWrite(t *testing.T) {
	r, err := runFiles(t, small(), nil)
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "deep", "report")
	for range 2 {
		if err := Write(t.Context(), output.Folder{Path: out}, r); err != nil {
			t.Fatal(err)
		}
	}
	html, err := os.ReadFile(filepath.Join(out, "report.html"))
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"prefers-color-scheme: dark", "data:image/svg&#43;xml;base64,", "Hedges g", "words.csv", "Differences from the paper"} {
		if !strings.Contains(string(html), part) {
			t.Errorf("report.html: no %q", part)
		}
	}
	for _, part := range []string{"src=\"http", "<script", "<link", "url(http"} {
		if strings.Contains(string(html), part) {
			t.Errorf("report.html: %q, wanted one file that needs nothing else", part)
		}
	}
	_, figure, _ := strings.Cut(string(html), "data:image/svg&#43;xml;base64,")
	figure, _, _ = strings.Cut(figure, "\"")
	svg, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(figure, "&#43;", "+"))
	if err != nil || !strings.Contains(string(svg), "@media (prefers-color-scheme:dark)") {
		t.Errorf("a figure of report.html has no dark colours: %v", err)
	}
	if svg, err := os.ReadFile(filepath.Join(out, "figures", "fig1-c.svg")); err != nil || strings.Contains(string(svg), "prefers-color-scheme") || !strings.Contains(string(svg), `fill="#FFFFFF"`) {
		t.Errorf("figures/fig1-c.svg is not light: %v", err)
	}
	md, err := os.ReadFile(filepath.Join(out, "report.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range strings.Split(string(md), "](")[1:] {
		link, _, _ = strings.Cut(link, ")")
		if _, err := os.Stat(filepath.Join(out, link)); err != nil {
			t.Errorf("report.md links to %s, which is not there", link)
		}
	}
	others, err := os.ReadDir(filepath.Dir(out))
	if err != nil || len(others) != 1 {
		t.Errorf("beside the report: %v, %v", others, err)
	}
	foreign := t.TempDir()
	if err := os.WriteFile(filepath.Join(foreign, "thesis.tex"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Write(t.Context(), output.Folder{Path: foreign}, r); err == nil {
		t.Error("a folder with other things in it was replaced")
	}
}

// TestOnlyAblation: a figure of two analyses under one name, without the other.
func TestOnlyAblation(t *testing.T) {
	dir := "../../../shared/data/paper"
	if _, err := os.Stat(dir); err != nil {
		t.Skip("needs ../shared: ", err)
	}
	c := &Config{}
	c.Data, c.Only = dir, []string{"fig4b"}
	in, err := Read(c)
	if err != nil {
		t.Fatal(err)
	}
	results, err := Run(t.Context(), c, in)
	if err != nil || len(results) != 1 || len(results[0].Figures) != 1 || results[0].Figures[0].Name != "fig4b" {
		t.Errorf("%d results, %v", len(results), err)
	}
}

// TestOnly: a figure can be had alone.
func TestOnly(t *testing.T) {
	for only, want := range map[string]string{"fig1": "fig1-c a1-c", "a1": "a1-c", "crossed": "crossed-c", "controls": "controls-c"} {
		r, err := runFiles(t, small(), func(c *Config, _ string) { c.Only = []string{only} })
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, res := range r.Results {
			for _, f := range res.Figures {
				names = append(names, f.Name)
			}
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("only %s: figures %s, want %s", only, got, want)
		}
	}
}

// TestReportEscapes: names that users chose stand in report.md as they are, wherever they are
// shown: headings, doubts, cells, figures' titles.
func TestReportEscapes(t *testing.T) {
	files := small()
	const evil = "W&<script>alert(7)<[x](y)|*b*"
	files["words.csv"] = strings.ReplaceAll(files["words.csv"], "A,", "<b>A</b>|,")
	files["models.csv"] = strings.ReplaceAll(files["models.csv"], ",X", ",<img src=x>")
	r, err := runFiles(t, files, func(c *Config, _ string) { c.Corpora[0].Name = evil; c.Only = []string{"fig1", "controls"} })
	if err != nil {
		t.Fatal(err)
	}
	r.Results[0].Warnings = append(r.Results[0].Warnings, "a doubt about <i>"+evil)
	dir := filepath.Join(t.TempDir(), "report")
	if err := Write(t.Context(), output.Folder{Path: dir}, r); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"report.md", "report.html"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		text := string(b)
		for _, part := range []string{"<script", "<b>A", "<img src=x", "<i>W"} {
			if strings.Contains(text, part) {
				t.Errorf("%s has %q", name, part)
			}
		}
		if name == "report.md" && (!strings.Contains(text, `W&amp;&lt;script&gt;alert(7)&lt;\[x\](y)\|\*b\*`) || strings.Contains(text, "[x](y)")) {
			t.Errorf("%s does not show %q", name, evil)
		}
	}
}

// gibberish is what a reader who knows neither our packages nor Go cannot read.
var gibberish = regexp.MustCompile(`(stats|study|implicit|logprob|corpus|join): |%!|map\[|\bErr[A-Z]|\bx has|\by has|not estimable|Paired|OneSample|SignFlip|Permutation:|\bx and y\b|%v`)

// TestDoubtsArePlain: a study of little and odd data doubts much, in sentences, in both
// reports and tests.csv.
func TestDoubtsArePlain(t *testing.T) {
	files := small()
	files["models.csv"] = "name,family\nm1,X\nm2,X\nm3,Y\nm4,Y\n"
	same := "response,best,käse,emoji\none,1,1,1\ntwo,2,2,2\nthree,3,3,3\nfour,4,4,4\n"
	files["scores/m1.csv"], files["scores/m2.csv"] = same, same
	files["scores/m3.csv"], files["scores/m4.csv"] = same, same
	r, err := runFiles(t, files, nil)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, res := range r.Results {
		for _, w := range res.Warnings {
			if n++; !strings.HasSuffix(w, ".") || gibberish.MatchString(w) {
				t.Errorf("%s: %q is no sentence for a reader", res.Name, w)
			}
		}
		for _, test := range res.Tests {
			if gibberish.MatchString(test.Warnings) {
				t.Errorf("%s: %q is nothing for a reader", test.Name, test.Warnings)
			}
		}
		_, doubts := report.TestLines(res.Tests)
		for _, d := range doubts {
			if n++; !strings.HasSuffix(d, ".") || gibberish.MatchString(d) {
				t.Errorf("%s: %q is no sentence for a reader", res.Name, d)
			}
		}
	}
	if n < 5 {
		t.Errorf("%d doubts, wanted more of such data", n)
	}
}

func BenchmarkSynthetic(b *testing.B) {
	dir := synth.Dir(b)
	for b.Loop() {
		c := config(dir, 0)
		in, err := Read(c)
		if err != nil {
			b.Fatal(err)
		}
		results, err := Run(b.Context(), c, in)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := NewReport(c, in, results).Files(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
