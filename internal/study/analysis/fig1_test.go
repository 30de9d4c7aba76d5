package analysis

import (
	"path/filepath"
	"slices"
	"testing"

	"gonum.org/v1/gonum/stat"

	"github.com/implicitreward/implicitreward/internal/study/cube"
	"github.com/implicitreward/implicitreward/internal/study/input"
)

func paperScores(t testing.TB, folder string) []*cube.Scores {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(paper(t), "data", "reward_model_scores", folder, "*.csv"))
	if err != nil || len(files) != 10 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	var all []*cube.Scores
	for _, f := range files {
		s, err := input.ReadScores(f, nil)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	return all
}

func paperDictionary(t testing.TB, name, file string, compat bool) *cube.Dictionary {
	t.Helper()
	d, err := input.ReadDictionary(name, filepath.Join(paper(t), "data", "corpora", file), compat)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestFig1 holds the Big Two figure to R's numbers.
func TestFig1(t *testing.T) {
	dict := paperDictionary(t, "big2", "dict_big2_nouns.csv", true)
	all := paperScores(t, "dict_big2_nouns")
	res, err := Fig1(dict, all, &Options{Compat: "paper", Draws: 999})
	if err != nil {
		t.Fatal(err)
	}
	medians := map[string]record{}
	for _, r := range rowsOf(t, res, "medians") {
		medians[r.key("model_id", "Category", "prompt")] = r
	}
	for _, w := range golden(t, "real/fig1_big2_medians.csv") {
		k := w.key("model_id", "Category", "prompt")
		got, ok := medians[k]
		if !ok {
			t.Fatalf("no median of %s", k)
		}
		for _, c := range []string{"sum_value", "n_tok"} {
			if got.num(t, c) != w.num(t, c) {
				t.Errorf("%s %s = %s, want %s", k, c, got[c], w[c])
			}
		}
		if got["base_model"] != w["base_model"] || got["prompt_framing"] != w["prompt_framing"] {
			t.Errorf("%s: %v, want %v", k, got, w)
		}
	}
	if len(medians) != 1080 {
		t.Errorf("%d medians, want 1080", len(medians))
	}
	models := map[string]record{}
	for _, r := range rowsOf(t, res, "per-model") {
		models[r.key("model_id", "Category", "prompt_framing")] = r
	}
	for _, w := range golden(t, "real/fig1_big2_per_model.csv") {
		k := w.key("model_id", "Category", "prompt_framing")
		for _, c := range []string{"n", "mean", "sd", "se", "median_rank_pooled"} {
			near(t, k+" "+c, models[k].num(t, c), w.num(t, c), 1e-9)
		}
	}
	families := map[string]record{}
	for _, r := range rowsOf(t, res, "families") {
		families[r.key("prompt_framing", "Category", "base_model")] = r
	}
	for _, w := range golden(t, "real/fig1_big2_avg_ranks_by_family.csv") {
		for _, f := range []string{"Gemma", "Llama"} {
			k := w.key("prompt_framing", "Category") + "/" + f
			near(t, k, families[k].num(t, "mean_median_rank"), w.num(t, f), 1e-9)
		}
	}
	for _, w := range golden(t, "real/fig1_big2_summary_by_framing.csv") {
		var all []float64
		for _, r := range medians {
			if r["prompt_framing"] == w["prompt_framing"] {
				all = append(all, r.num(t, "sum_value"))
			}
		}
		slices.Sort(all) // a map's order would change the last digits
		mean, sd := stat.MeanStdDev(all, nil)
		near(t, "mean of "+w["prompt_framing"], mean, w.num(t, "mean"), 1e-9)
		near(t, "sd of "+w["prompt_framing"], sd, w.num(t, "sd"), 1e-9)
	}
	panels := map[string]record{}
	for _, r := range rowsOf(t, res, "panels") {
		panels[r.key("Category", "prompt_framing")] = r
	}
	same := map[string]string{"n1": "n_gemma", "n2": "n_llama", "mean1": "mean_gemma", "mean2": "mean_llama", "sd1": "sd_gemma", "sd2": "sd_llama",
		"diff": "diff_gemma_minus_llama", "welch_t": "welch_t", "welch_df": "welch_df", "welch_ci_lo": "welch_ci_lo", "welch_ci_hi": "welch_ci_hi",
		"student_t": "student_t", "student_df": "student_df", "cohen_d": "cohen_d", "mwu_w": "mwu_W"}
	for _, w := range golden(t, "real/fig1_big2_panel_tests.csv") {
		k := w.key("Category", "prompt_framing")
		for got, want := range same {
			near(t, k+" "+got, panels[k].num(t, got), w.num(t, want), 1e-9)
		}
		for got, want := range map[string]string{"welch_p": "welch_p", "student_p": "student_p", "mwu_p": "mwu_p_normal_cc", "p_bonferroni": "p_bonf", "p_bh": "p_bh", "p_holm": "p_holm"} {
			nearP(t, k+" "+got, panels[k].num(t, got), w.num(t, want), 1e-8)
		}
		if panels[k]["stars"] != w["stars"] {
			t.Errorf("%s: %s, want %s", k, panels[k]["stars"], w["stars"])
		}
	}
	fixed := rowsOf(t, res, "mixed")
	for i, w := range golden(t, "real/fig1_big2_lme_fixed.csv") { // nlme stops 1e-4 short of the optimum
		near(t, w["term"], fixed[i].num(t, "estimate"), w.num(t, "Value"), 1e-9)
		near(t, w["term"]+" SE", fixed[i].num(t, "se"), w.num(t, "Std.Error"), 1e-4)
		near(t, w["term"]+" t", fixed[i].num(t, "t"), w.num(t, "t-value"), 1e-4)
		if fixed[i].num(t, "df") != w.num(t, "DF") {
			t.Errorf("%s: df %s, want %s", w["term"], fixed[i]["df"], w["DF"])
		}
	}
	levels := map[string]record{}
	for _, r := range rowsOf(t, res, "models-level") {
		levels[r.key("Category", "prompt_framing")] = r
	}
	for _, w := range golden(t, "real/fig1_big2_model_level_exact.csv") {
		k := w.key("Category", "prompt_framing")
		near(t, k, levels[k].num(t, "diff"), w.num(t, "obs_diff"), 1e-9)
		nearP(t, k, levels[k].num(t, "exact_p"), w.num(t, "exact_p_two_sided"), 1e-12)
		near(t, k, levels[k].num(t, "welch_p"), w.num(t, "welch_p_models"), 1e-9)
	}
	contrasts := map[string]string{"d_pos": "Communion - Agency/positive", "d_neg": "Communion - Agency/negative", "dd": "Communion - Agency/positive - negative"}
	for _, w := range golden(t, "real/fig1_big2_model_level_contrasts.csv") {
		got := levels[contrasts[w["contrast"]]]
		near(t, w["contrast"], got.num(t, "diff"), w.num(t, "diff"), 1e-9)
		near(t, w["contrast"], got.num(t, "welch_p"), w.num(t, "welch_p"), 1e-9)
		nearP(t, w["contrast"], got.num(t, "exact_p"), w.num(t, "exact_perm_p_two_sided"), 1e-12)
	}
}

// TestFig1Ranks holds ranks and scores to the check sums and spots of R.
func TestFig1Ranks(t *testing.T) {
	r, err := newRanked(paperDictionary(t, "big2", "dict_big2_nouns.csv", true), paperScores(t, "dict_big2_nouns"), nil)
	if err != nil {
		t.Fatal(err)
	}
	at := func(list []string, name string) int {
		for i, s := range list {
			if s == name {
				return i
			}
		}
		t.Fatalf("no %s", name)
		return -1
	}
	var ids []string
	for _, m := range r.Models {
		ids = append(ids, m.ID)
	}
	for _, w := range golden(t, "real/fig1_big2_rank_checksums.csv") {
		m, p := at(ids, w["model_id"]), at(r.Prompts, w["prompt"])
		sum, squares, distinct := 0.0, 0.0, map[float64]bool{}
		for i, v := range r.ranks[m][p] {
			sum += v
			squares += v * v
			distinct[r.Values[m][p][i]] = true
		}
		if float64(len(r.ranks[m][p])) != w.num(t, "n") || float64(len(distinct)) != w.num(t, "n_distinct") || sum != w.num(t, "sum_rank") || squares != w.num(t, "sum_rank_sq") {
			t.Errorf("%s %s: %d distinct, sum %v, squares %v, want %v", w["model_id"], w["prompt"], len(distinct), sum, squares, w)
		}
	}
	for _, w := range golden(t, "real/fig1_big2_spot_ranks.csv") {
		m, p, i := at(ids, w["model_id"]), at(r.Prompts, w["prompt"]), at(r.Words, w["token_decoded"])
		if r.Values[m][p][i] != w.num(t, "score") || r.ranks[m][p][i] != w.num(t, "rank") {
			t.Errorf("%s %s %s: score %v, rank %v, want %v", w["model_id"], w["prompt"], w["token_decoded"], r.Values[m][p][i], r.ranks[m][p][i], w)
		}
	}
}

// TestFig1Moral holds the Moral Foundations figure to the numbers of R that the
// project's notes on the paper's statistics list (section 3).
func TestFig1Moral(t *testing.T) {
	all := paperScores(t, "dict_MFD_20")
	res, err := Fig1(paperDictionary(t, "mfd", "moral-foundations-dictionary-20.dicx", true), all, &Options{Compat: "paper", Draws: 99})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]struct {
		diff  float64
		stars string
	}{
		"Authority/positive": {54.3, "***"}, "Authority/negative": {17.5, "***"}, "Care/positive": {-40.3, "***"}, "Care/negative": {43.5, "***"},
		"Fairness/positive": {47.0, "***"}, "Fairness/negative": {-22.5, "n.s."}, "Loyalty/positive": {-97.6, "***"}, "Loyalty/negative": {-74.6, "***"},
		"Sanctity/positive": {-47.1, "***"}, "Sanctity/negative": {-31.0, "**"},
	}
	for _, r := range rowsOf(t, res, "panels") {
		k := r.key("Category", "prompt_framing")
		near(t, k, r.num(t, "diff"), want[k].diff, 0.05/16) // listed to one digit
		if r["stars"] != want[k].stars {
			t.Errorf("%s: %s, want %s", k, r["stars"], want[k].stars)
		}
		delete(want, k)
	}
	if len(want) > 0 {
		t.Errorf("no panels %v", want)
	}
	// All 2040 words: two panels of negative prompts lose their stars (section 0.2).
	if res, err = Fig1(paperDictionary(t, "mfd", "moral-foundations-dictionary-20.dicx", false), all, &Options{Draws: 99}); err != nil {
		t.Fatal(err)
	}
	for _, r := range rowsOf(t, res, "panels") {
		switch k := r.key("Category", "prompt_framing"); k {
		case "Authority/negative":
			near(t, k, r.num(t, "p_bonferroni"), .70, .005)
		case "Sanctity/negative":
			near(t, k, r.num(t, "p_bonferroni"), 1, 0)
		}
	}
}

func BenchmarkFig1Moral(b *testing.B) {
	for b.Loop() {
		all := paperScores(b, "dict_MFD_20")
		if _, err := Fig1(paperDictionary(b, "mfd", "moral-foundations-dictionary-20.dicx", true), all, &Options{Compat: "paper"}); err != nil {
			b.Fatal(err)
		}
	}
}
