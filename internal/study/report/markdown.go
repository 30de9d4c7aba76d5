package report

import (
	"fmt"
	"net/url"
	"strings"
	"unicode"

	"github.com/implicitreward/implicitreward/internal/study/analysis"
)

// markdown is the report without the figures' bytes: they are links.
func (r *Report) markdown() []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n", plain(r.Title))
	for _, s := range r.settings() {
		fmt.Fprintf(&b, "- %s\n", plain(s))
	}
	for _, res := range r.Results {
		fmt.Fprintf(&b, "\n## %s\n\n", plain(res.Title))
		for _, s := range res.About {
			fmt.Fprintf(&b, "%s\n\n", plain(s))
		}
		for _, s := range res.Differs {
			fmt.Fprintf(&b, "> %s\n\n", plain(s))
		}
		for _, s := range res.Warnings {
			fmt.Fprintf(&b, "**Doubt:** %s\n\n", plain(s))
		}
		for _, f := range res.Figures {
			fmt.Fprintf(&b, "![%s](%s)\n\n%s\n\n", plain(f.Title), link("figures/"+f.Name+".svg"), plain(f.Caption))
		}
		if len(res.Tests) > 0 {
			rows, doubts := TestLines(res.Tests)
			b.WriteString("### Tests\n\n")
			markdownRows(&b, testHeader, rows)
			for i, d := range doubts {
				fmt.Fprintf(&b, "%d. %s\n", i+1, plain(d))
			}
			b.WriteString("\n")
		}
		for _, t := range res.Tables {
			fmt.Fprintf(&b, "### %s\n\n", plain(t.Title))
			if t.Shown() > 0 {
				markdownRows(&b, t.Header(), tableRows(t))
			}
			name := "tables/" + res.Name + "-" + t.Name
			fmt.Fprintf(&b, "%d rows: [CSV](%s), [Parquet](%s)\n\n", t.Len(), link(name+".csv"), link(name+".parquet"))
		}
	}
	b.WriteString("\n## Differences from the paper's code\n\n")
	markdownRows(&b, []string{"What", "The paper's code (compat: paper)", "Default"}, analysis.Differences())
	b.WriteString("## Inputs\n\n")
	var rows [][]string
	for _, f := range r.Inputs {
		rows = append(rows, []string{f.Path, f.What, fmt.Sprint(f.Bytes), f.Hash, f.Meta})
	}
	markdownRows(&b, []string{"File", "What", "Bytes", "sha256", "How it was made"}, rows)
	return []byte(b.String())
}

func markdownRows(b *strings.Builder, header []string, rows [][]string) {
	line := func(cells []string) {
		for _, c := range cells {
			b.WriteString("| " + plain(c) + " ")
		}
		b.WriteString("|\n")
	}
	line(header)
	b.WriteString(strings.Repeat("|---", len(header)) + "|\n")
	for _, r := range rows {
		line(r)
	}
	b.WriteString("\n")
}

// plain is text, in which names and words of users are, as Markdown that shows it as it
// stands, in one line: without HTML, links, emphasis, code, other cells or other lines. An
// underscore within a word is none of these and stays, as do signs that mean something at the
// beginning of a line alone, where no text of users stands.
func plain(text string) string {
	var b strings.Builder
	all := []rune(text)
	letter := func(i int) bool {
		return i >= 0 && i < len(all) && (unicode.IsLetter(all[i]) || unicode.IsDigit(all[i]))
	}
	for i, r := range all {
		switch {
		case r == '&':
			b.WriteString("&amp;")
		case r == '<':
			b.WriteString("&lt;")
		case r == '>':
			b.WriteString("&gt;")
		case r == '\n':
			b.WriteString(`\\n`)
		case r == '\r':
			b.WriteString(`\\r`)
		case r == '_' && letter(i-1) && letter(i+1):
			b.WriteRune(r)
		case strings.ContainsRune("\\`*_[]|~$", r):
			b.WriteString(`\` + string(r))
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// link is a path of the report's folder as the target of a link.
func link(path string) string {
	parts := strings.Split(path, "/")
	for i, p := range parts {
		parts[i] = strings.NewReplacer("(", "%28", ")", "%29").Replace(url.PathEscape(p))
	}
	return strings.Join(parts, "/")
}
