package analysis

import (
	"path/filepath"
	"sync"
	"testing"

	"github.com/implicitreward/implicitreward/internal/plot"
	"github.com/implicitreward/implicitreward/internal/study/cube"
	"github.com/implicitreward/implicitreward/internal/study/input"
	"github.com/implicitreward/implicitreward/internal/testdata/synth"
	"github.com/implicitreward/implicitreward/stats"
)

var synthInputs struct {
	sync.Mutex
	*cube.Inputs
}

// readSynth reads the synthetic inputs once for all tests, as the paper's code would.
func readSynth(t *testing.T) *cube.Inputs {
	t.Helper()
	synthInputs.Lock()
	defer synthInputs.Unlock()
	if synthInputs.Inputs == nil {
		o := &Options{Compat: "paper"}
		in, err := input.Read(&input.Config{Data: synth.Dir(t)}, o.Reads(), true)
		if err != nil {
			t.Fatal(err)
		}
		synthInputs.Inputs = in
	}
	return synthInputs.Inputs
}

// synthResult runs one analysis on them.
func synthResult(t *testing.T, name string) []*Result {
	t.Helper()
	all, err := Run(t.Context(), &Options{Compat: "paper", Only: []string{name}, Draws: 99}, readSynth(t))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestFig2(t *testing.T) {
	all := synthResult(t, "fig2")
	if len(all) != 2 {
		t.Fatalf("%d results, want 2", len(all))
	}
	for _, res := range all {
		name := res.Name[len("fig2-"):]
		medians := map[string]record{}
		for _, r := range rowsOf(t, res, "medians") {
			medians[r.key("prompt", "Category", "model", "valence")] = r
		}
		want := golden(t, "fig2_"+name+"_medians.csv")
		if len(want) != 216 || len(medians) != 216 {
			t.Fatalf("%s: %d medians, want %d", name, len(medians), len(want))
		}
		for _, w := range want {
			k := w.key("prompt", "Category", "model", "valence")
			if medians[k].num(t, "rank") != w.num(t, "rank") || medians[k].num(t, "logprob") != w.num(t, "logprob") {
				t.Errorf("%s: %v, want %v", k, medians[k], w)
			}
		}
		rows := rowsOf(t, res, "anova")
		for i, w := range golden(t, "fig2_"+name+"_anova.csv") {
			near(t, w["term"]+" SS", rows[i].num(t, "sum_sq"), w.num(t, "sum_sq"), 1e-8)
			if w["term"] == "Residual" {
				continue
			}
			for got, want := range map[string]string{"df": "df", "F": "F", "mean_sq": "mean_sq", "eta_sq": "eta_sq", "partial_eta_sq": "partial_eta_sq", "omega_sq": "omega_sq"} {
				near(t, w["term"]+" "+got, rows[i].num(t, got), w.num(t, want), 1e-9)
			}
			nearP(t, w["term"], rows[i].num(t, "p"), w.num(t, "PR(>F)"), 1e-8)
		}
		cells := map[string]record{}
		for _, r := range rowsOf(t, res, "cells") {
			cells[r["Category"]+"_"+r["valence"]] = r
		}
		for _, w := range golden(t, "fig2_"+name+"_welch.csv") {
			got := cells[w["cell"]]
			for _, c := range []string{"mean1", "mean2", "sd1", "sd2", "t", "df", "ci_lo", "ci_hi", "cohen_d"} {
				near(t, w["cell"]+" "+c, got.num(t, c), w.num(t, c), 1e-9)
			}
			nearP(t, w["cell"], got.num(t, "p"), w.num(t, "p"), 1e-8)
			nearP(t, w["cell"], got.num(t, "p_bh"), w.num(t, "p_bh"), 1e-8)
			if got["stars"] != w["stars"] {
				t.Errorf("%s: %s, want %s", w["cell"], got["stars"], w["stars"])
			}
		}
	}
}

// TestFig2Violins: the values that go into each half of a violin, and seaborn's density.
func TestFig2Violins(t *testing.T) {
	samples := map[string][]float64{}
	for _, res := range synthResult(t, "fig2") {
		chart := res.Figures[0].Chart.(*plot.Violins)
		for i, row := range chart.Cells {
			for k, cell := range row {
				for g, s := range cell.Samples {
					valence := map[string]string{"positive prompts": "good", "negative prompts": "bad"}[chart.Rows[i]]
					samples[res.Name[len("fig2-"):]+"/"+chart.Columns[k]+"/"+valence+"/"+chart.Groups[g].Name] = s.Values
				}
			}
		}
	}
	for _, w := range golden(t, "fig2_violins.csv") {
		k := w.key("pair", "Category", "valence", "model")
		v := samples[k]
		q, err := stats.Quantiles(v, 0, .25, .5, .75, 1)
		if err != nil {
			t.Fatalf("%s: %v", k, err)
		}
		for i, c := range []string{"min", "q1", "median", "q3", "max"} {
			near(t, k+" "+c, q[i], w.num(t, c), 1e-9)
		}
		h, err := stats.BandwidthScott(v)
		if err != nil {
			t.Fatal(err)
		}
		near(t, k+" bandwidth", h, w.num(t, "kde_bw"), 1e-9)
		lo, hi := w.num(t, "grid_lo"), w.num(t, "grid_hi")
		near(t, k+" grid", lo, q[0]-2*h, 1e-9)
		near(t, k+" grid", hi, q[4]+2*h, 1e-9)
		at := []float64{lo, lo + 25*(hi-lo)/99, lo + 50*(hi-lo)/99, lo + 75*(hi-lo)/99, hi}
		y, err := stats.Density(v, at, h)
		if err != nil {
			t.Fatal(err)
		}
		for i, c := range []string{"y0", "y25", "y50", "y75", "y99"} {
			nearP(t, k+" "+c, y[i], w.num(t, c), 1e-9)
		}
	}
}

func TestFig3(t *testing.T) {
	res := synthResult(t, "fig3")[0]
	got := map[string]record{}
	for _, r := range rowsOf(t, res, "lollipop") {
		got[r["y"]+"/"+r["word"]] = r
	}
	want := golden(t, "fig3_lollipop.csv")
	if len(want) != 21 || len(got) != 42 {
		t.Fatalf("%d rows, want 2 x %d", len(got), len(want))
	}
	for _, w := range want {
		for _, word := range []string{"love", "freedom"} {
			r := got[w["y"]+"/"+word]
			if r["label1"] != w["gemma_label"] || r["label2"] != w["llama_label"] || r["model1"] != w["gemma_model"] || r["model2"] != w["llama_model"] || r["n_common_tokens"] != w["n_common_tokens"] {
				t.Errorf("row %s: %v, want %v", w["y"], r, w)
			}
			if d := r.num(t, "mwlr") - w.num(t, word+"_mwlr"); d > 1e-12 || d < -1e-12 {
				t.Errorf("row %s, %s: %s, want %s", w["y"], word, r["mwlr"], w[word+"_mwlr"])
			}
		}
	}
}

// TestTable1 holds values place by place, and each token's own: the order among equal
// values is free.
func TestTable1(t *testing.T) {
	res := synthResult(t, "table1")[0]
	own := map[string]record{}
	for _, r := range rowsOf(t, res, "tokens") {
		own[r.key("model1", "token_decoded")] = r
	}
	place := map[string]record{}
	for _, r := range rowsOf(t, res, "ends") {
		place[r.key("model1", "rank")] = r
	}
	check := func(w record, model string) {
		t.Helper()
		r, ok := own[model+"/"+w["token_decoded"]]
		if !ok {
			t.Fatalf("%s: no token %q", model, w["token_decoded"])
		}
		for got, want := range map[string]string{"mwlr": "mwlr", "logprob2": "logprob_llama", "logprob1": "logprob_gemma"} {
			if d := r.num(t, got) - w.num(t, want); d > 1e-12 || d < -1e-12 {
				t.Errorf("%s: %q: %s = %s, want %s", model, w["token_decoded"], got, r[got], w[want])
			}
		}
	}
	for _, w := range golden(t, "table1_top_bottom.csv") {
		check(w, w["gemma_model"])
		r := place[w.key("gemma_model", "rank")]
		if d := r.num(t, "mwlr") - w.num(t, "mwlr"); d > 1e-12 || d < -1e-12 || r["n_common"] != w["n_common"] {
			t.Errorf("place %s: %v, want %v", w["rank"], r, w)
		}
	}
	full := golden(t, "table1_full_gemma-2-2b-it.csv")
	for _, w := range full {
		check(w, "google/gemma-2-2b-it")
	}
	if len(full) < 1000 || len(place) != 90 {
		t.Errorf("%d tokens and %d places", len(full), len(place))
	}
}

func TestFig4(t *testing.T) {
	res := synthResult(t, "fig4")[0]
	got := map[string]record{}
	for _, r := range rowsOf(t, res, "checkpoints") {
		got[r.key("model_id", "Category", "checkpoint")] = r
	}
	want := golden(t, "fig4a_checkpoint_medians.csv")
	if len(want) != 60 || len(got) != 60 {
		t.Fatalf("%d rows, want %d", len(got), len(want))
	}
	for _, w := range want {
		r := got[w.key("model_id", "Category", "checkpoint")]
		for c := range w {
			if r[c] != w[c] {
				t.Errorf("%s: %s = %s, want %s", w.key("model_id", "Category", "checkpoint"), c, r[c], w[c])
			}
		}
	}
}

func TestFig4b(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(paper(t), "data", "reward_model_training", "rank_results_*.csv"))
	if err != nil || len(files) != 6 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	var all []*cube.Ablation
	for _, f := range files {
		a, err := input.ReadAblation(f)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, a)
	}
	res, err := Fig4b(all, &Options{Compat: "paper"})
	if err != nil {
		t.Fatal(err)
	}
	points := map[string]record{}
	for _, r := range rowsOf(t, res, "points") {
		points[r.key("data_size", "data_source", "method", "base_model", "Category")] = r
	}
	for _, w := range golden(t, "real/fig4b_points.csv") {
		k := w.key("data_size", "data_source", "method", "base_model", "Category")
		for c := range w {
			if points[k][c] != w[c] {
				t.Errorf("%s: %s = %s, want %s", k, c, points[k][c], w[c])
			}
		}
	}
	gaps := map[string]record{}
	for _, r := range rowsOf(t, res, "gaps") {
		gaps[r.key("data_size", "data_source", "method", "Category")] = r
	}
	want := golden(t, "real/fig4b_gaps.csv")
	if len(gaps) != len(want) {
		t.Errorf("%d gaps, want %d", len(gaps), len(want))
	}
	for _, w := range want {
		k := w.key("data_size", "data_source", "method", "Category")
		if gaps[k]["llama_minus_gemma"] != w["llama_minus_gemma"] {
			t.Errorf("%s: %v, want %v", k, gaps[k], w)
		}
	}
	// The two files with the same bytes are one run, whose models are named 27k.
	if res, err = Fig4b(all, &Options{}); err != nil {
		t.Fatal(err)
	}
	for _, r := range rowsOf(t, res, "points") {
		if r["data_size"] == "13" {
			t.Errorf("the copy is still there: %v", r)
		}
	}
}

func TestFig5(t *testing.T) {
	res := synthResult(t, "fig5")[0]
	short := map[string]string{"google--gemma-2b-it": "gemma", "meta-llama--Llama-3.2-3B": "llama", "qwen": "qwen"}
	got := map[string][]record{}
	for _, r := range rowsOf(t, res, "changes") {
		got[short[r["model"]]] = append(got[short[r["model"]]], r)
	}
	at := map[string]int{}
	for _, w := range golden(t, "fig5_rank_changes.csv") {
		m := w["model"]
		r := got[m][at[m]]
		at[m]++
		for _, c := range []string{"token_norm", "category", "rank_change", "rank_first", "rank_last"} {
			if r[c] != w[c] {
				t.Errorf("%s, line %d: %s = %s, want %s", m, at[m], c, r[c], w[c])
			}
		}
		near(t, w["token_norm"], r.num(t, "mean_score_first"), w.num(t, "mean_score_first"), 1e-9)
		near(t, w["token_norm"], r.num(t, "mean_score_last"), w.num(t, "mean_score_last"), 1e-9)
	}
	for _, m := range short {
		if at[m] != 85 || len(got[m]) != 85 {
			t.Errorf("%s: %d words, want %d", m, len(got[m]), at[m])
		}
	}
}

func TestImplicit(t *testing.T) {
	res := synthResult(t, "implicit")[0]
	name := map[string]string{
		"gemma_base_to_it": "Gemma 2 2B \u2192 Gemma 2 IT 2B", "llama_base_to_it": "Llama 3.2 3B \u2192 Llama 3.2 3B Instruct",
		"gemma_it_to_llama_it": "Gemma 2 IT 2B \u2192 Llama 3.2 3B Instruct", "gemma_base_to_llama_base": "Gemma 2 2B \u2192 Llama 3.2 3B",
	}
	medians := map[string]record{}
	for _, r := range rowsOf(t, res, "medians") {
		medians[r.key("pair", "prompt", "score", "Category")] = r
	}
	want := golden(t, "implicit_big2_medians.csv")
	if len(want) != 864 || len(medians) != 864 {
		t.Fatalf("%d medians, want %d", len(medians), len(want))
	}
	for _, w := range want {
		r := medians[name[w["pair"]]+"/"+w.key("prompt", "score", "Category")]
		if r["n_words"] != w["n_words"] || r.num(t, "median_rank") != w.num(t, "median_rank") {
			t.Errorf("%v, want %v", r, w)
		}
		near(t, w["pair"]+" mean", r.num(t, "mean_score"), w.num(t, "mean_score"), 1e-12)
	}
	gaps := map[string]record{}
	for _, r := range rowsOf(t, res, "gaps") {
		gaps[r.key("pair", "valence", "score")] = r
	}
	for _, w := range golden(t, "implicit_big2_paired_tests.csv") {
		k := name[w["pair"]] + "/" + w.key("valence", "score")
		for got, want := range map[string]string{"mean1": "mean_agency", "mean2": "mean_communion", "mean_diff": "mean_diff", "paired_t": "paired_t", "paired_df": "paired_df", "cohen_dz": "cohen_dz"} {
			near(t, k+" "+got, gaps[k].num(t, got), w.num(t, want), 1e-9)
		}
		nearP(t, k, gaps[k].num(t, "paired_p"), w.num(t, "paired_p"), 1e-8)
	}
}

// TestLatexToken: what would break a table, or not be seen.
func TestLatexToken(t *testing.T) {
	for token, want := range map[string]string{
		" Freedom": "\\_Freedom", "  two": "\\_ two", "a_b%$&#{}": "a\\_b\\%\\$\\&\\#\\{\\}", "\r\n": "\\textbackslash{}r\\textbackslash{}n",
		"\u81ea\u7531": "\\begin{CJK}{UTF8}{gbsn}\u81ea\u7531\\end{CJK}", "\u200b": "\\textbackslash{}u200b", "~^": "\\textasciitilde{}\\textasciicircum{}",
	} {
		if got := latexToken(token); got != want {
			t.Errorf("%q: %s, want %s", token, got, want)
		}
	}
	if got, want := markdownToken(" a|`b`\n"), "`` \u2423a\\|`b`\\n ``"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
