package study

import (
	"bytes"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/implicitreward/implicitreward/internal/output"
)

// TestSameBytes: all of the synthetic study, twice.
func TestSameBytes(t *testing.T) {
	if testing.Short() {
		t.Skip("long: draws all figures twice")
	}
	var runs [2][]file
	for i := range runs {
		c := &Config{Data: synth(t), Draws: 199, Seed: 1}
		in, err := Read(c)
		if err != nil {
			t.Fatal(err)
		}
		results, err := Run(t.Context(), c, in)
		if err != nil {
			t.Fatal(err)
		}
		r, err := NewReport(c, in, results)
		if err != nil {
			t.Fatal(err)
		}
		for _, res := range results {
			for _, f := range res.Figures {
				f.DPI = 40 // the pixels are not looked at, and 300 take long under the race detector
			}
		}
		if runs[i], err = r.files(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if len(runs[0]) != len(runs[1]) {
		t.Fatalf("%d and %d files", len(runs[0]), len(runs[1]))
	}
	for i, f := range runs[0] {
		if f.name != runs[1][i].name || !bytes.Equal(f.data, runs[1][i].data) {
			t.Errorf("%s: not the same bytes", f.name)
		}
		if len(f.data) == 0 {
			t.Errorf("%s is empty", f.name)
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
	c := &Config{Data: paper(t), Only: []string{"fig4b"}}
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
