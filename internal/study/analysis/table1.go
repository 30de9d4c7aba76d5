package analysis

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/internal/study/cube"
	"github.com/implicitreward/implicitreward/logprob"
)

// TokenRow is a token's place in the order of MWLR between two models.
type TokenRow struct {
	Model1   string  `parquet:"model1,dict"`
	Model2   string  `parquet:"model2,dict"`
	Rank     int64   `parquet:"rank"` // 1: preferred most by Model2
	Token    string  `parquet:"token_decoded"`
	LogProb2 float64 `parquet:"logprob2"`
	LogProb1 float64 `parquet:"logprob1"`
	MWLR     float64 `parquet:"mwlr"`
	NCommon  int64   `parquet:"n_common"`
}

// tableEnds is how many tokens of each end Table 1 shows.
const tableEnds = 15

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
	res.Tables = []Table{{"ends", "First and last tokens by MWLR", shown, len(shown)}, {"tokens", "All common tokens by MWLR", full, -1}}
	res.Extra = []Extra{{"table1.tex", []byte(latexTable(shown, model2))}, {"table1.md", []byte(markdownTable(shown, model2))}}
	return res, nil
}

func tokenRows(j *implicit.Joined, model1, model2 string) []TokenRow {
	p, q := j.LogProb(0)
	rows := make([]TokenRow, len(j.Tokens))
	for i, v := range j.MWLR(0) {
		rows[i] = TokenRow{model1, model2, 0, j.Tokens[i].Text, float64(p[i]), float64(q[i]), v, int64(len(j.Tokens))}
	}
	slices.SortFunc(rows, func(a, b TokenRow) int { return cmp.Or(cmp.Compare(b.MWLR, a.MWLR), cmp.Compare(a.Token, b.Token)) })
	for i := range rows {
		rows[i].Rank = int64(i + 1)
	}
	return rows
}

// blocks calls use for the rows of each pair.
func blocks(rows []TokenRow, use func(rows []TokenRow)) {
	for i := 0; i < len(rows); {
		j := i
		for j < len(rows) && rows[j].Model1 == rows[i].Model1 {
			j++
		}
		use(rows[i:j])
		i = j
	}
}

func latexTable(rows []TokenRow, model2 *cube.LogProbFile) string {
	var b strings.Builder
	b.WriteString("% needs \\usepackage{booktabs}; CJK characters are wrapped in \\begin{CJK}{UTF8}{gbsn}\n")
	blocks(rows, func(rows []TokenRow) {
		fmt.Fprintf(&b, "\\begin{table}\n\\centering\n\\caption{Tokens by MWLR, %s against %s; %s common tokens.}\n", latex(model2.Model.Display), latex(rows[0].Model1), Thousands(rows[0].NCommon))
		b.WriteString("\\begin{tabular}{rlr}\n\\toprule\nRank & Token & MWLR \\\\\n\\midrule\n")
		for i, r := range rows {
			if i == tableEnds && len(rows) > tableEnds {
				b.WriteString("\\midrule\n")
			}
			fmt.Fprintf(&b, "%s & %s & %.5f \\\\\n", Thousands(r.Rank), latexToken(r.Token), r.MWLR)
		}
		b.WriteString("\\bottomrule\n\\end{tabular}\n\\end{table}\n")
	})
	return b.String()
}

var latexSpecial = strings.NewReplacer("\\", "\\textbackslash{}", "{", "\\{", "}", "\\}", "$", "\\$", "&", "\\&", "#", "\\#", "%", "\\%", "_", "\\_", "~", "\\textasciitilde{}", "^", "\\textasciicircum{}")

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

func markdownTable(rows []TokenRow, model2 *cube.LogProbFile) string {
	var b strings.Builder
	blocks(rows, func(rows []TokenRow) {
		fmt.Fprintf(&b, "Tokens by MWLR, %s against %s; %s common tokens.\n\n| Rank | Token | MWLR |\n|---:|---|---:|\n", model2.Model.Display, rows[0].Model1, Thousands(rows[0].NCommon))
		for _, r := range rows {
			fmt.Fprintf(&b, "| %s | %s | %.5f |\n", Thousands(r.Rank), markdownToken(r.Token), r.MWLR)
		}
		b.WriteString("\n")
	})
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
