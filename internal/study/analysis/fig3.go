package analysis

import (
	"cmp"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/internal/plot"
	"github.com/implicitreward/implicitreward/internal/study/cube"
	"github.com/implicitreward/implicitreward/logprob"
)

// LollipopRow is the MWLR of two words between two models.
type LollipopRow struct {
	Y                    int64 // 0 is the lowest row of the figure
	Label1, Label2       string
	Model1, Model2, Word string
	MWLR                 float64 // positive: Model2 prefers it
	Forms, NCommonTokens int64
}

// Fig3 draws the mean MWLR of the forms of some words between each model of family1
// and each of family2, over the tokens that all models have.
func Fig3(prompt string, words []string, family1, family2 []*cube.LogProbFile, o *Options) (*Result, error) {
	byVersion(family1)
	byVersion(family2)
	all := slices.Concat(family1, family2)
	res := &Result{Analysis: "fig3", Name: "fig3", Title: say("fig3.title", strings.Join(words, " and "))}
	var tables []*logprob.Table
	for _, l := range all {
		if _, ok := l.Table.Column(prompt); !ok {
			return nil, fmt.Errorf("%s: no prompt %s, wanted it in the tables of all models", l.File, prompt)
		}
		tables, res.Inputs = append(tables, l.Table), append(res.Inputs, l.File)
	}
	common := sharedTexts(o.Paper(), tables...)
	forms := make([]map[string]int, len(words)) // of each word
	first, second := family1[0].Model.Family, family2[0].Model.Family
	res.About = []string{say("fig3.about", second, first, prompt, len(common), len(all))}
	for k, w := range words {
		forms[k] = map[string]int{}
		for text := range common {
			if plainWord(text, false) == w {
				forms[k][text] = len(all)
			}
		}
		if len(forms[k]) == 0 {
			return nil, fmt.Errorf("study: fig3: no form of %q is a token of all %d models", w, len(all))
		}
		res.About = append(res.About, say("fig3.forms", w, sortedKeys(forms[k])))
	}
	if o.Paper() {
		res.Differs = append(res.Differs, say("fig3.paper"))
	}
	res.Differs = append(res.Differs, say("fig3.differs"))

	chart := lollipops(words, second)
	var rows []LollipopRow
	for j, l2 := range family2 {
		for i, l1 := range family1 {
			y := len(family1)*len(family2) - 1 - j*len(family1) - i
			label1, label2 := newLabel(l1.Model).name, newLabel(l2.Model).name
			row := plot.LollipopRow{Label: label1 + " \u2192 " + label2}
			for k, w := range words {
				mean, err := meanMWLR(prompt, l1, l2, forms[k])
				if err != nil {
					return nil, err
				}
				if math.IsInf(mean, 0) {
					return nil, fmt.Errorf("study: fig3: %s has probability 0 in one of %s and %s, wanted finite log-probabilities",
						w, l1.File, l2.File)
				}
				row.Values = append(row.Values, mean)
				rows = append(rows, LollipopRow{int64(y), label1, label2, l1.Model.Name, l2.Model.Name, w, mean,
					int64(len(forms[k])), int64(len(common))})
			}
			chart.Rows = append(chart.Rows, row)
		}
	}
	res.Tables = []Table{{"lollipop", "MWLR by pair and word", rows, 0}}
	res.Figures = []Figure{{"fig3", &plot.Figure{Title: strings.TrimSuffix(res.Title, " (Figure 3)"), Chart: chart,
		Caption: say("fig3.caption", prompt, len(common))}}}
	return res, nil
}

// meanMWLR is the mean MWLR, of model l2 against l1, of some tokens.
func meanMWLR(prompt string, l1, l2 *cube.LogProbFile, texts map[string]int) (float64, error) {
	only := func(l *cube.LogProbFile) *logprob.Table { return onlyTokens(l.Table, []string{prompt}, texts) }
	j, err := implicit.Join(only(l2), only(l1), nil)
	if err != nil {
		return 0, fmt.Errorf("%s and %s: %w", l1.File, l2.File, err)
	}
	of := map[string]float64{}
	for i, v := range j.MWLR(0) {
		of[j.Tokens[i].Text] = v
	}
	sum := 0.0
	for _, text := range sortedKeys(texts) { // the same sum whatever the models' order of tokens
		sum += of[text]
	}
	return sum / float64(len(texts)), nil
}

// lollipops is an empty chart of the words, of which a family prefers those to the right.
func lollipops(words []string, family string) *plot.Lollipop {
	chart := &plot.Lollipop{XLabel: "MWLR (right: " + family + " prefers it)"}
	colors := []plot.Color{plot.PaperLove, plot.PaperFreedom}
	for k, w := range words {
		g := plot.Group{Name: strings.ToUpper(w[:1]) + w[1:]}
		if k < len(colors) {
			g.Color = colors[k]
		}
		chart.Groups = append(chart.Groups, g)
	}
	return chart
}

// label is a model's short name in Figure 3, "G2-27b" or "L3.0-70b", with its version
// and size to sort by; other models keep their name.
type label struct {
	name          string
	version, size float64
}

var publishedName = regexp.MustCompile(`(?i)(gemma|llama)-(\d+(?:\.\d+)?)-(\d+)b`)

func newLabel(m cube.Model) label {
	f := publishedName.FindStringSubmatch(m.Name)
	if f == nil {
		return label{name: m.Display}
	}
	family, version, size := strings.ToUpper(f[1][:1]), f[2], f[3]
	l := label{}
	l.version, _ = strconv.ParseFloat(version, 64)
	l.size, _ = strconv.ParseFloat(size, 64)
	if family == "L" && !strings.Contains(version, ".") {
		version += ".0"
	}
	l.name = family + version + "-" + size + "b"
	return l
}

// byVersion sorts models by version, size and name.
func byVersion(list []*cube.LogProbFile) {
	slices.SortStableFunc(list, func(a, b *cube.LogProbFile) int {
		x, y := newLabel(a.Model), newLabel(b.Model)
		return cmp.Or(cmp.Compare(x.version, y.version), cmp.Compare(x.size, y.size), cmp.Compare(a.Model.Name, b.Model.Name))
	})
}
