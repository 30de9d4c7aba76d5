package study

import (
	"fmt"
	"slices"
	"strings"

	"github.com/implicitreward/implicitreward/internal/plot"
	"github.com/implicitreward/implicitreward/internal/table"
	"github.com/implicitreward/implicitreward/stats"
)

// PairMedianRow is the median rank, and log-probability, of a category's words for one
// of two models after one prompt.
type PairMedianRow struct {
	Prompt   string  `parquet:"prompt,dict"`
	Category string  `parquet:"Category,dict"`
	Model    string  `parquet:"model,dict"`
	Valence  string  `parquet:"valence,dict"`
	Rank     float64 `parquet:"rank"`
	LogProb  float64 `parquet:"logprob"`
}

// CellRow compares two models in one cell, over the prompts of a framing: as
// independent samples (Welch, the paper's test) and as pairs, since the same prompts
// serve both.
type CellRow struct {
	Category  string  `parquet:"Category"`
	Valence   string  `parquet:"valence"`
	N         int64   `parquet:"n"`
	Mean1     float64 `parquet:"mean1"`
	Mean2     float64 `parquet:"mean2"`
	SD1       float64 `parquet:"sd1"`
	SD2       float64 `parquet:"sd2"`
	T         float64 `parquet:"t"`
	DF        float64 `parquet:"df"`
	P         float64 `parquet:"p"`
	Lower     float64 `parquet:"ci_lo"`
	Upper     float64 `parquet:"ci_hi"`
	CohenD    float64 `parquet:"cohen_d"`
	PBH       float64 `parquet:"p_bh"`
	Stars     string  `parquet:"stars"`
	PairedT   float64 `parquet:"paired_t"`
	PairedDF  float64 `parquet:"paired_df"`
	PairedP   float64 `parquet:"paired_p"`
	PairedLo  float64 `parquet:"paired_ci_lo"`
	PairedHi  float64 `parquet:"paired_ci_hi"`
	CohenDz   float64 `parquet:"cohen_dz"`
	PairedBH  float64 `parquet:"paired_p_bh"`
	SignFlipP float64 `parquet:"sign_flip_p"`
}

// VarianceRow is a line of an analysis of variance.
type VarianceRow struct {
	Term       string  `parquet:"term"`
	SS         float64 `parquet:"sum_sq"`
	DF         float64 `parquet:"df"`
	F          float64 `parquet:"F"`
	P          float64 `parquet:"p"`
	MS         float64 `parquet:"mean_sq"`
	EtaSq      float64 `parquet:"eta_sq"`
	PartialEta float64 `parquet:"partial_eta_sq"`
	OmegaSq    float64 `parquet:"omega_sq"`
}

// pairWords are the words of a dictionary that two vocabularies have as single tokens,
// with both log-probabilities: words[prompt] is in the order of category.
type pairWords struct {
	category []string
	words    []string
	prompts  []string
	lp       [2][][]float64 // lp[model][prompt][word]
}

// sharedWords finds them, by the exact text. Of several tokens with one text the
// likeliest counts; the paper's code keeps each, in every combination.
func sharedWords(dict *Dictionary, a, b *Language, compat bool) (*pairWords, error) {
	rows := func(l *Language) map[string][]int {
		at := map[string][]int{}
		for i, tok := range l.Table.Tokens {
			if _, ok := dict.category[tok.Text]; ok && !(compat && table.PandasMissing(tok.Text)) {
				at[tok.Text] = append(at[tok.Text], i)
			}
		}
		return at
	}
	inA, inB := rows(a), rows(b)
	w := &pairWords{}
	type pick struct{ a, b []int }
	var picks []pick
	seen := map[string]bool{}
	for _, word := range dict.Words {
		ra, rb := inA[word.Text], inB[word.Text]
		if len(ra) == 0 || len(rb) == 0 || seen[word.Text] {
			continue
		}
		seen[word.Text] = true
		if !compat {
			picks = append(picks, pick{ra, rb})
			w.category, w.words = append(w.category, word.Category), append(w.words, word.Text)
			continue
		}
		for _, i := range ra {
			for _, j := range rb {
				picks = append(picks, pick{[]int{i}, []int{j}})
				w.category, w.words = append(w.category, word.Category), append(w.words, word.Text)
			}
		}
	}
	for _, c := range dict.Categories {
		n := 0
		for _, own := range w.category {
			if own == c {
				n++
			}
		}
		if n < 2 {
			return nil, fmt.Errorf("%s and %s: %d words of category %s of %s are tokens of both, wanted two or more", a.File, b.File, n, c, dict.File)
		}
	}
	likeliest := func(column []float32, rows []int) float64 {
		best := column[rows[0]]
		for _, i := range rows[1:] {
			best = max(best, column[i])
		}
		return float64(best)
	}
	for p, prompt := range a.Table.Prompts {
		other, ok := b.Table.Column(prompt)
		if !ok {
			continue
		}
		w.prompts = append(w.prompts, prompt)
		va, vb := make([]float64, len(picks)), make([]float64, len(picks))
		for i, k := range picks {
			va[i], vb[i] = likeliest(a.Table.LogProb[p], k.a), likeliest(other, k.b)
		}
		w.lp[0], w.lp[1] = append(w.lp[0], va), append(w.lp[1], vb)
	}
	if len(w.prompts) == 0 {
		return nil, fmt.Errorf("%s and %s: no prompt in both", a.File, b.File)
	}
	return w, nil
}

// medianBy ranks values, greatest first, and returns the median rank and median value
// of each category.
func medianBy(values []float64, category, categories []string) (ranks, mid, mean []float64, err error) {
	all, err := stats.RanksDescending(values)
	if err != nil {
		return nil, nil, nil, err
	}
	for _, c := range categories {
		var r, v []float64
		sum := 0.0
		for i := range values {
			if category[i] == c {
				r, v = append(r, all[i]), append(v, values[i])
				sum += values[i]
			}
		}
		mean = append(mean, sum/float64(len(v)))
		ranks, mid = append(ranks, median(r)), append(mid, median(v))
	}
	return ranks, mid, mean, nil
}

// Fig2 compares the log-probabilities that two models, of two families, give to the
// words of a dictionary that both have as single tokens.
func Fig2(dict *Dictionary, name string, a, b *Language, o *Options) (*Result, error) {
	w, err := sharedWords(dict, a, b, o.Compat)
	if err != nil {
		return nil, err
	}
	models := []string{a.Model.Display, b.Model.Display}
	res := &Result{Analysis: "fig2", Name: "fig2-" + name, Title: fmt.Sprintf("Log-probabilities of %s words: %s and %s (Figure 2)", dict.Name, models[0], models[1]), Inputs: []string{dict.File, a.File, b.File}}
	res.About = []string{fmt.Sprintf("%d of the %d words of %s are single tokens, written so, of both models. Within each model and prompt they have midranks, 1 for the greatest log-probability; "+
		"the unit is the median rank of a category's words, over %d prompts. Words of several tokens are not in it: see the analysis of all words.", len(w.words), dict.Size(""), dict.Name, len(w.prompts))}
	if o.Compat {
		res.Differs = append(res.Differs, "Stars are those of the paper: Welch's test of two independent samples, Benjamini-Hochberg over the cells.")
	} else {
		res.Differs = append(res.Differs, "The same prompts serve both models, so stars are those of the paired test (Benjamini-Hochberg); the paper's, of Welch's unpaired test, are in the table of cells.")
	}
	var rows []PairMedianRow
	for m := range models {
		for p, prompt := range w.prompts {
			ranks, mid, _, err := medianBy(w.lp[m][p], w.category, dict.Categories)
			if err != nil {
				return nil, fmt.Errorf("%s: prompt %s: %w", []string{a.File, b.File}[m], prompt, err)
			}
			for k, c := range dict.Categories {
				rows = append(rows, PairMedianRow{prompt, c, models[m], o.Groups.valence(o.Groups.group(prompt)), ranks[k], mid[k]})
			}
		}
	}
	if err := pairANOVA(res, rows, models); err != nil {
		return nil, err
	}
	cells, err := cellTests(res, dict, rows, models, w.prompts, o)
	if err != nil {
		return nil, err
	}
	for i, c := range cells {
		t := newTest(fmt.Sprintf("%s, %s: %s - %s", c.Category, c.Valence, models[0], models[1]), "paired over prompts", "t")
		t.Value, t.DF1, t.P, t.PAdjusted, t.Adjustment = c.PairedT, c.PairedDF, c.PairedP, c.PairedBH, fmt.Sprintf("Benjamini-Hochberg, %d tests", len(cells))
		t.Estimate, t.Lower, t.Upper, t.Effect, t.EffectSize, t.N = c.Mean1-c.Mean2, c.PairedLo, c.PairedHi, "Cohen dz", c.CohenDz, fmt.Sprint(c.N)
		res.Tests = append(res.Tests, t)
		t.Method, t.Value, t.DF1, t.P, t.PAdjusted = "Welch, prompts taken as different for each model", c.T, c.DF, c.P, c.PBH
		t.Lower, t.Upper, t.Effect, t.EffectSize, t.N = c.Lower, c.Upper, "Cohen d", c.CohenD, fmt.Sprintf("%d / %d", c.N, c.N)
		t.Warnings = "the same prompts serve both models"
		res.Tests = append(res.Tests, t)
		if !o.Compat {
			cells[i].Stars = stars(c.PairedBH)
		}
	}
	res.Tables = append(res.Tables, Table{"cells", "The two models in each cell, unpaired and paired", cells, 0}, Table{"medians", "Medians by prompt, category and model", rows, -1})
	res.Figures = append(res.Figures, pairFigure(res, dict, rows, cells, models, len(w.words), o.Groups.in(w.prompts), o.Groups))
	return res, nil
}

// pairANOVA adds the type II analysis of variance of the medians.
func pairANOVA(res *Result, rows []PairMedianRow, models []string) error {
	var y []float64
	variables := []stats.Variable{{Name: "Category"}, {Name: "valence"}, {Name: "model", Levels: models}}
	for _, r := range rows {
		y = append(y, r.Rank)
		for i, label := range []string{r.Category, r.Valence, r.Model} {
			variables[i].Labels = append(variables[i].Labels, label)
		}
	}
	variables = slices.DeleteFunc(variables, func(v stats.Variable) bool { return len(slices.Compact(slices.Sorted(slices.Values(v.Labels)))) < 2 })
	a, err := stats.ANOVA(y, variables, nil)
	if untestable(err) {
		res.doubt("The analysis of variance is not made: " + plainly(err) + ".")
		return nil
	}
	if err != nil {
		return fmt.Errorf("study: %s: analysis of variance: %w", res.Name, err)
	}
	var table []VarianceRow
	for _, r := range append(slices.Clone(a.Rows), a.Residual) {
		if r.Term == "" {
			r.Term = "Residual"
		}
		table = append(table, VarianceRow{r.Term, r.SS, r.DF, r.F, r.P, r.MS, r.EtaSquared, r.PartialEtaSquared, r.OmegaSquared})
	}
	for _, r := range a.Rows {
		t := newTest(r.Term, "ANOVA of prompt medians, type II", "F")
		t.Value, t.DF1, t.DF2, t.P, t.Effect, t.EffectSize, t.N = r.F, r.DF, a.Residual.DF, r.P, "partial eta squared", r.PartialEtaSquared, fmt.Sprint(a.N)
		t.Warnings = "prompts shared by the models are taken as different ones"
		res.Tests = append(res.Tests, t)
	}
	res.Tables = append(res.Tables, Table{"anova", "Analysis of variance, type II, of the medians", table, 0})
	return nil
}

func cellTests(res *Result, dict *Dictionary, rows []PairMedianRow, models, prompts []string, o *Options) ([]CellRow, error) {
	at := map[[3]string]float64{}
	for _, r := range rows {
		at[[3]string{r.Prompt, r.Category, r.Model}] = r.Rank
	}
	var cells []CellRow
	for _, framing := range o.Groups.in(prompts) {
		own, v := o.Groups.members(framing, prompts), o.Groups.valence(framing)
		for _, c := range dict.Categories {
			var x, y []float64
			for _, p := range own {
				x, y = append(x, at[[3]string{p, c, models[0]}]), append(y, at[[3]string{p, c, models[1]}])
			}
			row, err := cell(x, y, o)
			if untestable(err) {
				res.untested(fmt.Sprintf("%s, %s", c, groupLabel(framing)), err)
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("study: fig2: %s, %s: %w", c, framing, err)
			}
			row.Category, row.Valence = c, v
			cells = append(cells, row)
		}
	}
	p, paired := make([]float64, len(cells)), make([]float64, len(cells))
	for i, c := range cells {
		p[i], paired[i] = c.P, c.PairedP
	}
	bh, err := stats.BenjaminiHochberg(p)
	if err != nil {
		return nil, err
	}
	pairedBH, err := stats.BenjaminiHochberg(paired)
	for i := range cells {
		if err == nil {
			cells[i].PBH, cells[i].PairedBH, cells[i].Stars = bh[i], pairedBH[i], stars(bh[i])
		}
	}
	return cells, err
}

func cell(x, y []float64, o *Options) (CellRow, error) {
	w, err := stats.Welch(x, y, nil)
	if err != nil {
		return CellRow{}, err
	}
	d, err := stats.CohenD(x, y, nil)
	if err != nil {
		return CellRow{}, err
	}
	p, err := stats.Paired(x, y, nil)
	if err != nil {
		return CellRow{}, err
	}
	flip, err := stats.SignFlip(minus(x, y), &stats.ResampleOptions{Draws: o.draws(), Seed: o.Seed, ExactLimit: 1 << 16})
	return CellRow{N: int64(w.N1), Mean1: w.Mean1, Mean2: w.Mean2, SD1: w.SD1, SD2: w.SD2, T: w.T, DF: w.DF, P: w.P, Lower: w.Interval.Lower, Upper: w.Interval.Upper,
		CohenD: d.Estimate, PairedT: p.T, PairedDF: p.DF, PairedP: p.P, PairedLo: p.Interval.Lower, PairedHi: p.Interval.Upper, CohenDz: p.Estimate / p.SD1, SignFlipP: flip.P}, err
}

func pairFigure(res *Result, dict *Dictionary, rows []PairMedianRow, cells []CellRow, models []string, words int, groups []string, g *Groups) Figure {
	v := &plot.Violins{YLabel: fmt.Sprintf("median rank (1 = best, %d = worst)", words), Reverse: true, Split: true, Columns: dict.Categories,
		Groups: []plot.Group{{Name: models[0]}, {Name: models[1]}}, Bandwidth: plot.Scott, Cut: 2, Box: true, Points: plot.Jitter}
	for _, group := range groups {
		val := g.valence(group)
		var row []plot.Cell
		for _, c := range dict.Categories {
			cell := plot.Cell{Samples: make([]plot.Sample, 2)}
			for _, r := range rows {
				if r.Valence == val && r.Category == c {
					k := slices.Index(models, r.Model)
					cell.Samples[k].Values = append(cell.Samples[k].Values, r.Rank)
				}
			}
			for _, t := range cells {
				if t.Category == c && t.Valence == val {
					cell.Mark = t.Stars
				}
			}
			row = append(row, cell)
		}
		v.Rows, v.Cells = append(v.Rows, groupLabel(group)), append(v.Cells, row)
	}
	return Figure{res.Name, &plot.Figure{Title: strings.TrimSuffix(res.Title, " (Figure 2)"), Chart: v,
		Caption: fmt.Sprintf("Median rank of %d words by log-probability; each dot a prompt; box: quartiles. %s", words, res.Differs[0])}}
}
