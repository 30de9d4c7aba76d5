package study

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/internal/plot"
)

// LollipopRow is the MWLR of two words between two models.
type LollipopRow struct {
	Y       int64   `parquet:"y"` // 0 is the lowest row of the figure
	Label1  string  `parquet:"label1"`
	Label2  string  `parquet:"label2"`
	Model1  string  `parquet:"model1"`
	Model2  string  `parquet:"model2"`
	Word    string  `parquet:"word"`
	MWLR    float64 `parquet:"mwlr"` // positive: Model2 prefers it
	Forms   int64   `parquet:"forms"`
	NCommon int64   `parquet:"n_common_tokens"`
}

// paperPrompt is the one of Figure 3 and Table 1.
const paperPrompt = "greatest_ever_one"

// Fig3 draws the mean MWLR of the forms of some words between each model of family1
// and each of family2, over the tokens that all models have.
func Fig3(prompt string, words []string, family1, family2 []*Language, o *Options) (*Result, error) {
	byVersion(family1)
	byVersion(family2)
	all := append(slices.Clone(family1), family2...)
	res := &Result{Analysis: "fig3", Name: "fig3", Title: "Mean-weighted log-ratio of " + strings.Join(words, " and ") + " between model pairs (Figure 3)"}
	values := make([]map[string]float32, len(all))
	var common map[string]int
	for i, l := range all {
		column, ok := l.Table.Column(prompt)
		if !ok {
			return nil, fmt.Errorf("%s: no prompt %s, wanted it in the tables of all models", l.File, prompt)
		}
		best, _ := likeliest(l.Table, column, o.Compat)
		values[i] = best
		next := make(map[string]int, len(best))
		for text := range best {
			if i == 0 || common[text] == i {
				next[text] = i + 1
			}
		}
		common = next
		res.Inputs = append(res.Inputs, l.File)
	}
	forms := make([][]string, len(words))
	for text := range common {
		for k, w := range words {
			if strings.ToLower(strings.TrimSpace(text)) == w {
				forms[k] = append(forms[k], text)
			}
		}
	}
	for k, w := range words {
		slices.Sort(forms[k])
		if len(forms[k]) == 0 {
			return nil, fmt.Errorf("study: fig3: no form of %q is a token of all %d models", w, len(all))
		}
		res.About = append(res.About, fmt.Sprintf("Forms of %s: %q.", w, forms[k]))
	}
	res.About = append([]string{fmt.Sprintf("MWLR = (p + q)/2 (ln p - ln q) of a model of %s (p) against one of %s (q), after the prompt %s, mean over the forms of the word among the %d tokens of all %d models. "+
		"Above 0: %s prefers it. One prompt and no test, as in the paper.", family2[0].Model.Family, family1[0].Model.Family, prompt, len(common), len(all), family2[0].Model.Family)}, res.About...)
	if o.Compat {
		res.Differs = append(res.Differs, "Tokens that pandas reads as missing (\"\", NA, null ...) are left out, as by the paper's code.")
	}
	res.Differs = append(res.Differs, "Of several tokens with the same text the likeliest counts, as in the paper.")

	chart := &plot.Lollipop{XLabel: "MWLR (right: " + family2[0].Model.Family + " prefers it)"}
	colors := []plot.Color{plot.PaperLove, plot.PaperFreedom}
	for k, w := range words {
		g := plot.Group{Name: strings.ToUpper(w[:1]) + w[1:]}
		if k < len(colors) {
			g.Color = colors[k]
		}
		chart.Groups = append(chart.Groups, g)
	}
	var rows []LollipopRow
	y := len(family1)*len(family2) - 1
	for j, l2 := range family2 {
		for i, l1 := range family1 {
			label1, _, _ := label(l1.Model)
			label2, _, _ := label(l2.Model)
			row := plot.LollipopRow{Label: label1 + " \u2192 " + label2}
			for k, w := range words {
				sum := 0.0
				for _, form := range forms[k] {
					sum += implicit.MWLR(float64(values[len(family1)+j][form]), float64(values[i][form]))
				}
				mean := sum / float64(len(forms[k]))
				if math.IsInf(mean, 0) {
					return nil, fmt.Errorf("study: fig3: %s has probability 0 in one of %s and %s, wanted finite log-probabilities", w, l1.File, l2.File)
				}
				row.Values = append(row.Values, mean)
				rows = append(rows, LollipopRow{int64(y), label1, label2, l1.Model.Name, l2.Model.Name, w, mean, int64(len(forms[k])), int64(len(common))})
			}
			chart.Rows = append(chart.Rows, row)
			y--
		}
	}
	res.Tables = []Table{{"lollipop", "MWLR by pair and word", rows, 0}}
	res.Figures = []Figure{{"fig3", &plot.Figure{Title: res.Title[:strings.Index(res.Title, " (")], Chart: chart,
		Caption: fmt.Sprintf("After the prompt %s; %d common tokens.", prompt, len(common))}}}
	return res, nil
}
