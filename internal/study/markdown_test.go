package study

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/implicitreward/implicitreward/internal/output"
)

func TestPlain(t *testing.T) {
	for text, want := range map[string]string{
		"greatest_ever_one":         "greatest_ever_one",
		"_so_ __not__":              `\_so\_ \_\_not\_\_`,
		"<script>alert(7)</script>": "&lt;script&gt;alert(7)&lt;/script&gt;",
		"a & b &amp; c":             "a &amp; b &amp;amp; c",
		"[x](javascript:1) ![y]":    `\[x\](javascript:1) !\[y\]`,
		"a|b\n# c\r":                `a\|b\\n# c\\r`,
		"*a* `b` ~~c~~ $d$ \\":      "\\*a\\* \\`b\\` \\~\\~c\\~\\~ \\$d\\$ \\\\",
		"käse 🙂 5 - 3 (see 2.1)":    "käse 🙂 5 - 3 (see 2.1)",
	} {
		if got := plain(text); got != want {
			t.Errorf("%q: %q, wanted %q", text, got, want)
		}
	}
	if got := link("figures/a b(c)<d>&%.svg"); got != "figures/a%20b%28c%29%3Cd%3E&%25.svg" {
		t.Errorf("link %s", got)
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
