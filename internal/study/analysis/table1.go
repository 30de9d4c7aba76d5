package analysis

import (
	"bytes"
	"cmp"
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"text/template"
	"unicode"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/internal/study/cube"
	"github.com/implicitreward/implicitreward/logprob"
)

// TokenRow is a token's place in the order of MWLR between two models.
type TokenRow struct {
	Model1, Model2 string  `parquet:",dict"`
	Rank           int64   // 1: preferred most by Model2
	Token          string  `parquet:"token_decoded"`
	LogProb2       float64 `parquet:"logprob2"`
	LogProb1       float64 `parquet:"logprob1"`
	MWLR           float64
	NCommon        int64
}

// tableEnds is how many tokens of each end Table 1 shows.
const tableEnds = 15

// table1Files are Table 1 as LaTeX and as Markdown.
//
//go:embed table1.tmpl
var table1File string

var table1Files = template.Must(template.New("table1").Funcs(template.FuncMap{"thousands": Thousands,
	"latex": latex, "latexToken": latexToken, "markdownToken": markdownToken}).Parse(table1File))

// byPair parts rows by their pair of models.
func byPair(rows []TokenRow) [][]TokenRow {
	var pairs [][]TokenRow
	for _, r := range rows {
		if n := len(pairs); n == 0 || pairs[n-1][0].Model1 != r.Model1 {
			pairs = append(pairs, nil)
		}
		last := &pairs[len(pairs)-1]
		*last = append(*last, r)
	}
	return pairs
}

// Table1 lists the tokens at both ends of MWLR, of model2 against each of others,
// after one prompt.
func Table1(prompt string, others []*cube.LogProbFile, model2 *cube.LogProbFile, o *Options) (*Result, error) {
	byVersion(others)
	res := &Result{Analysis: "table1", Name: "table1", Title: say("table1.title"), Inputs: []string{model2.File}}
	res.About = []string{say("table1.about", model2.Model.Display, prompt, model2.Model.Display)}
	if o.Paper() {
		res.Differs = append(res.Differs, say("table1.paper"))
	}
	// one prompt, so that Join has no other to warn of
	only := func(l *cube.LogProbFile) (*logprob.Table, error) {
		column, ok := l.Table.Column(prompt)
		if !ok {
			return nil, fmt.Errorf("%s: no prompt %s", l.File, prompt)
		}
		t := l.Table
		return &logprob.Table{Prompts: []string{prompt}, Tokens: t.Tokens, LogProb: [][]float32{column}, Meta: t.Meta}, nil
	}
	var shown, full []TokenRow
	for _, l := range others {
		q, err := only(l)
		if err != nil {
			return nil, err
		}
		p, err := only(model2)
		if err != nil {
			return nil, err
		}
		j, err := implicit.Join(p, q, &implicit.JoinOptions{DropNA: o.Paper()})
		if err != nil {
			return nil, fmt.Errorf("%s and %s: %w", model2.File, l.File, err)
		}
		res.Inputs = append(res.Inputs, l.File)
		for _, w := range j.Warnings {
			res.doubt(plainly(w) + ".")
		}
		rows := tokenRows(j, l.Model.Name, model2.Model.Name)
		full = append(full, rows...)
		if len(rows) > 2*tableEnds {
			rows = slices.Concat(rows[:tableEnds], rows[len(rows)-tableEnds:])
		}
		shown = append(shown, rows...)
	}
	res.Tables = []Table{{"ends", "First and last tokens by MWLR", shown, len(shown)},
		{"tokens", "All common tokens by MWLR", full, -1}}
	data := map[string]any{"Model": model2.Model.Display, "Pairs": byPair(shown), "Ends": tableEnds}
	for _, name := range []string{"table1.tex", "table1.md"} {
		var b bytes.Buffer
		if err := table1Files.ExecuteTemplate(&b, name, data); err != nil {
			return nil, fmt.Errorf("study: %s: %w", name, err)
		}
		res.Extra = append(res.Extra, Extra{name, b.Bytes()})
	}
	return res, nil
}

func tokenRows(j *implicit.Joined, model1, model2 string) []TokenRow {
	p, q := j.LogProb(0)
	rows := make([]TokenRow, len(j.Tokens))
	for i, v := range j.MWLR(0) {
		rows[i] = TokenRow{model1, model2, 0, j.Tokens[i].Text, float64(p[i]), float64(q[i]), v, int64(len(j.Tokens))}
	}
	slices.SortFunc(rows, func(a, b TokenRow) int {
		return cmp.Or(cmp.Compare(b.MWLR, a.MWLR), cmp.Compare(a.Token, b.Token))
	})
	for i := range rows {
		rows[i].Rank = int64(i + 1)
	}
	return rows
}

var latexSpecial = strings.NewReplacer(`\`, `\textbackslash{}`, "{", `\{`, "}", `\}`, "$", `\$`, "&", `\&`, "#", `\#`,
	"%", `\%`, "_", `\_`, "~", `\textasciitilde{}`, "^", `\textasciicircum{}`)

func latex(s string) string { return latexSpecial.Replace(s) }

// latexToken shows a token: one leading space as \_, line ends and tabs by name, CJK
// in its environment.
func latexToken(s string) string {
	lead := ""
	if rest, ok := strings.CutPrefix(s, " "); ok {
		lead, s = "\\_", rest
	}
	s = latex(visible(s))
	if strings.ContainsFunc(s, func(r rune) bool {
		return unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul)
	}) {
		s = "\\begin{CJK}{UTF8}{gbsn}" + s + "\\end{CJK}"
	}
	return lead + s
}

// visible writes line ends and tabs as \n, \r and \t, and other characters that are not
// seen as \uXXXX.
func visible(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\n':
			b.WriteString("\\n")
		case r == '\r':
			b.WriteString("\\r")
		case r == '\t':
			b.WriteString("\\t")
		case unicode.IsGraphic(r):
			b.WriteRune(r)
		default:
			fmt.Fprintf(&b, "\\u%04x", r)
		}
	}
	return b.String()
}

// markdownToken shows a token as code, with a mark for a leading space.
func markdownToken(s string) string {
	if rest, ok := strings.CutPrefix(s, " "); ok {
		s = "\u2423" + rest
	}
	s = strings.ReplaceAll(visible(s), "|", "\\|")
	if strings.Contains(s, "`") {
		return "`` " + s + " ``"
	}
	return "`" + s + "`"
}
