package stats

import (
	"encoding/csv"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The tests of this file run the analyses of Christian et al., "Reward Models
// Inherit Value Biases from Pretraining" (arXiv 2601.20838), Figure 1, from the published
// reward-model scores and compare them with R's results. The scores are not ours to ship:
// the tests are skipped where the shared folder is absent.
const shared = "../../shared"

// table is a CSV file by column.
type table struct {
	t    *testing.T
	cols map[string][]string
	nums map[string][]float64 // parsed columns
	rows int
}

func readTable(t *testing.T, parts ...string) table {
	t.Helper()
	path := filepath.Join(append([]string{shared}, parts...)...)
	f, err := os.Open(path)
	if os.IsNotExist(err) {
		t.Skip("needs ../shared: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	out := table{t: t, cols: map[string][]string{}, nums: map[string][]float64{}, rows: len(rows) - 1}
	for c, name := range rows[0] {
		for _, r := range rows[1:] {
			out.cols[name] = append(out.cols[name], r[c])
		}
	}
	return out
}

func (b table) text(name string) []string {
	b.t.Helper()
	if b.cols[name] == nil {
		b.t.Fatalf("no column %q", name)
	}
	return b.cols[name]
}

func (b table) num(name string) []float64 {
	b.t.Helper()
	if v, ok := b.nums[name]; ok {
		return v
	}
	var out []float64
	for _, s := range b.text(name) {
		v, err := strconv.ParseFloat(s, 64)
		if err != nil {
			v = math.NaN() // "NA", ""
		}
		out = append(out, v)
	}
	b.nums[name] = out
	return out
}

func golds(t *testing.T, name string) table { return readTable(t, "golden", "real", name) }

var rewardModels = map[string]string{
	"N-Gem-27B": "nicolinho_QRM-Gemma-2-27B", "S-Gem-27B-v0.2": "Skywork_Skywork-Reward-Gemma-2-27B-v0.2",
	"S-Gem-27B": "Skywork_Skywork-Reward-Gemma-2-27B", "R-Gem-2B": "Ray2333_GRM-gemma2-2B-rewardmodel-ft",
	"S-Lla-8B-v0.2": "Skywork_Skywork-Reward-Llama-3.1-8B-v0.2", "N-Lla-8B": "nicolinho_QRM-Llama3.1-8B",
	"L-Lla-8B": "LxzGordon_URM-LLaMa-3.1-8B", "R-Lla-8B": "Ray2333_GRM-Llama3-8B-rewardmodel-ft",
	"R-Lla-3B": "Ray2333_GRM-Llama3.2-3B-rewardmodel-ft", "F-Lla-8B-v0.1": "RLHFlow_ArmoRM-Llama3-8B-v0.1",
}

// scores returns the dictionary words of a model's file, with category and one
// column of scores a prompt.
func scores(t *testing.T, model string) (words, category []string, columns map[string][]float64) {
	t.Helper()
	dict := readTable(t, "data", "paper", "data", "corpora", "dict_big2_nouns.csv")
	of := map[string]string{}
	for i, w := range dict.text("token_decoded") {
		of[w] = dict.text("Category")[i]
	}
	b := readTable(t, "data", "paper", "data", "reward_model_scores", "dict_big2_nouns", "big2_rewards_"+rewardModels[model]+".csv")
	columns = map[string][]float64{}
	for i, w := range b.text("response") {
		if of[w] == "" {
			continue
		}
		words, category = append(words, w), append(category, of[w])
		for name := range b.cols {
			if name == "response" {
				continue
			}
			v, err := strconv.ParseFloat(b.cols[name][i], 64)
			if err != nil {
				t.Fatal(err)
			}
			columns[name] = append(columns[name], v)
		}
	}
	return words, category, columns
}

func TestPaperRanks(t *testing.T) {
	medians := golds(t, "fig1_big2_medians.csv")
	want := map[string]float64{}
	for i, v := range medians.num("sum_value") {
		want[medians.text("model_id")[i]+"/"+medians.text("Category")[i]+"/"+medians.text("prompt")[i]] = v
	}
	sums := golds(t, "fig1_big2_rank_checksums.csv")
	spots := golds(t, "fig1_big2_spot_ranks.csv")
	perModel := golds(t, "fig1_big2_per_model.csv")
	checked := 0
	for model := range rewardModels {
		words, category, columns := scores(t, model)
		ranks := map[string][]float64{}
		pooled := map[string][]float64{}
		for prompt, s := range columns {
			r := must[[]float64](t)(RanksDescending(s))
			ranks[prompt] = r
			for _, c := range []string{"Agency", "Communion"} {
				var own []float64
				for i, v := range r {
					if category[i] == c {
						own = append(own, v)
					}
				}
				key := model + "/" + c + "/" + prompt
				if got := must[float64](t)(Median(own)); got != want[key] {
					t.Errorf("median of %s = %v, want %v", key, got, want[key])
				}
				pooled[c+"/"+framing(prompt)] = append(pooled[c+"/"+framing(prompt)], own...)
				checked++
			}
		}
		for i, m := range sums.text("model_id") {
			if m != model {
				continue
			}
			var sum, squares float64
			distinct := map[float64]bool{}
			for _, v := range ranks[sums.text("prompt")[i]] {
				sum += v
				squares += v * v
				distinct[v] = true
			}
			if sum != sums.num("sum_rank")[i] || squares != sums.num("sum_rank_sq")[i] || float64(len(distinct)) != sums.num("n_distinct")[i] {
				t.Errorf("checksums of %s %s differ", model, sums.text("prompt")[i])
			}
		}
		for i, m := range spots.text("model_id") {
			if m == model {
				at := slices.Index(words, spots.text("token_decoded")[i])
				near(t, "spot", ranks[spots.text("prompt")[i]][at], spots.num("rank")[i], 0)
			}
		}
		for i, m := range perModel.text("model_id") {
			if m == model {
				v := pooled[perModel.text("Category")[i]+"/"+perModel.text("prompt_framing")[i]]
				near(t, "pooled median", must[float64](t)(Median(v)), perModel.num("median_rank_pooled")[i], 0)
				own := panel(medians, map[string]string{"model_id": m, "Category": perModel.text("Category")[i], "prompt_framing": perModel.text("prompt_framing")[i]})
				r := must[TResult](t)(OneSample(own, 0, nil))
				nearAll(t, "mean, sd, se", []float64{r.Mean1, r.SD1, r.SE}, []float64{perModel.num("mean")[i], perModel.num("sd")[i], perModel.num("se")[i]}, 1e-9)
			}
		}
	}
	if checked != 1080 || len(want) != 1080 {
		t.Errorf("%d medians checked, want 1080", checked)
	}
}

func framing(prompt string) string {
	switch adjective, _, _ := strings.Cut(prompt, "_"); adjective {
	case "best", "greatest", "good":
		return "positive"
	}
	return "negative"
}

// panel returns the medians of the cells that match.
func panel(b table, match map[string]string) []float64 {
	var out []float64
	for i, v := range b.num("sum_value") {
		ok := true
		for c, want := range match {
			ok = ok && b.text(c)[i] == want
		}
		if ok {
			out = append(out, v)
		}
	}
	return out
}

func TestPaperPanels(t *testing.T) {
	medians, want := golds(t, "fig1_big2_medians.csv"), golds(t, "fig1_big2_panel_tests.csv")
	var ps []float64
	for i := range want.rows {
		cell := map[string]string{"Category": want.text("Category")[i], "prompt_framing": want.text("prompt_framing")[i]}
		cell["base_model"] = "Gemma"
		x := panel(medians, cell)
		cell["base_model"] = "Llama"
		y := panel(medians, cell)
		w := func(name string) float64 { return want.num(name)[i] }
		const r9 = 1e-9
		r := must[TResult](t)(Welch(x, y, nil))
		near(t, "mean", r.Mean1, w("mean_gemma"), r9)
		near(t, "sd", r.SD2, w("sd_llama"), r9)
		near(t, "t", r.T, w("welch_t"), r9)
		near(t, "df", r.DF, w("welch_df"), r9)
		near(t, "p", r.P, w("welch_p"), 1e-8)
		near(t, "lower", r.Interval.Lower, w("welch_ci_lo"), r9)
		near(t, "upper", r.Interval.Upper, w("welch_ci_hi"), r9)
		ps = append(ps, r.P)
		r = must[TResult](t)(Student(x, y, nil))
		near(t, "Student t", r.T, w("student_t"), r9)
		near(t, "Student p", r.P, w("student_p"), 1e-8)
		near(t, "d", must[Effect](t)(CohenD(x, y, nil)).Estimate, w("cohen_d"), r9)
		near(t, "g", must[Effect](t)(HedgesG(x, y, &EffectOptions{Approximate: true})).Estimate, w("hedges_g_approx"), r9)
		u := must[MannWhitneyResult](t)(MannWhitney(x, y, nil))
		near(t, "W", u.U, w("mwu_W"), 0)
		near(t, "W p", u.P, w("mwu_p_normal_cc"), 1e-8)
		// Two Monte Carlo estimates of one share: within 4 standard errors of their difference.
		m := must[ResampleResult](t)(Permutation(x, y, &ResampleOptions{Statistic: WelchT, Draws: 99999, Seed: 1}))
		a, b := float64(m.Exceed-m.Tied), w("perm_exceed")
		if math.Abs(a-b) > 4*math.Sqrt(a+b+1) {
			t.Errorf("%v of 99999 relabelings exceed, want about %v", a, b)
		}
		near(t, "nrd0", must[float64](t)(BandwidthNRD0(x)), w("bw_nrd0_gemma"), r9)
		near(t, "nrd0", must[float64](t)(BandwidthNRD0(y)), w("bw_nrd0_llama"), r9)
		near(t, "nrd0", must[float64](t)(BandwidthNRD0(append(x, y...))), w("bw_nrd0_all"), r9)
	}
	nearAll(t, "Bonferroni", must[[]float64](t)(Bonferroni(ps)), want.num("p_bonf"), 1e-8)
	nearAll(t, "BH", must[[]float64](t)(BenjaminiHochberg(ps)), want.num("p_bh"), 1e-8)
	nearAll(t, "Holm", must[[]float64](t)(Holm(ps)), want.num("p_holm"), 1e-8)
}

func TestPaperViolins(t *testing.T) {
	medians, want := golds(t, "fig1_big2_medians.csv"), golds(t, "fig1_big2_violin_density.csv")
	for i := range want.rows {
		x := panel(medians, map[string]string{"Category": want.text("Category")[i], "prompt_framing": want.text("prompt_framing")[i], "base_model": want.text("base_model")[i]})
		h := must[float64](t)(BandwidthNRD0(x))
		near(t, "bandwidth", h, want.num("bw")[i], 1e-9)
		near(t, "density", must[[]float64](t)(Density(x, want.num("x")[i:i+1], h))[0], want.num("density_exact")[i], 1e-9)
	}
}

// paperDesign is m ~ family * category * framing with the model as group.
func paperDesign(b table) (y []float64, fixed, group []Variable) {
	return b.num("sum_value"), []Variable{
		{Name: "base_model", Labels: b.text("base_model")},
		{Name: "Category", Labels: b.text("Category")},
		{Name: "prompt_framing", Labels: b.text("prompt_framing"), Levels: []string{"positive", "negative"}},
	}, []Variable{{Name: "model_id", Labels: b.text("model_id")}}
}

func TestPaperMixed(t *testing.T) {
	y, fixed, group := paperDesign(golds(t, "fig1_big2_medians.csv"))
	f := must[*MixedFit](t)(Mixed(y, fixed, group, &MixedOptions{DF: InnerOuter}))

	// The optimum of this design has a closed form: exact_REML.
	data, err := os.ReadFile(filepath.Join(shared, "golden", "real", "fig1_big2_lme_model.json"))
	if err != nil {
		t.Fatal(err)
	}
	g := golden{t: t}
	if err := json.Unmarshal(data, &g.m); err != nil {
		t.Fatal(err)
	}
	exact := g.in("exact_REML")
	near(t, "sd of models", f.Groups[0].SD, exact.num("sd_model"), tenth)
	near(t, "sigma", f.Sigma, exact.num("sd_resid"), tenth)
	near(t, "se", f.Coefs[0].SE, exact.num("se_intercept"), tenth)
	near(t, "se", f.Coefs[1].SE, exact.num("se_base_modelLlama"), tenth)
	if d := math.Abs(f.LogLik - g.in("lme4_REML").num("logLik")); d > 1e-7 {
		t.Errorf("logLik is off by %v", d)
	}
	near(t, "AIC", f.AIC, g.in("REML").num("AIC"), 1e-7)
	near(t, "BIC", f.BIC, g.in("REML").num("BIC"), 1e-7)
	ml := must[*MixedFit](t)(Mixed(y, fixed, group, &MixedOptions{ML: true}))
	near(t, "ML logLik", ml.LogLik, g.in("ML").num("logLik"), 1e-7)
	near(t, "ML sd", ml.Groups[0].SD, g.in("ML").num("sd_model"), 1e-5)

	// nlme stops some 1e-4 from the optimum in the variances; estimates do not depend on them.
	est, se, df, tt, p := estimates(f.Coefs)
	want := golds(t, "fig1_big2_lme_fixed.csv")
	nearAll(t, "est", est, want.num("Value"), 1e-9)
	nearAll(t, "se", se, want.num("Std.Error"), 1e-4)
	nearAll(t, "df", df, want.num("DF"), 0)
	nearAll(t, "t", tt, want.num("t-value"), 1e-4)
	for i, w := range want.num("p-value") {
		if w > 1e-15 && math.Abs(math.Log(p[i]/w)) > 1e-2 {
			t.Errorf("p of %s = %v, want %v", f.Coefs[i].Name, p[i], w)
		}
	}
	ci := golds(t, "fig1_big2_lme_ci.csv")
	cov := golds(t, "fig1_big2_lme_vcov.csv")
	for i, c := range f.Coefs {
		if math.Abs(c.Interval.Lower-ci.num("lower")[i]) > 1e-4*c.SE || math.Abs(c.Interval.Upper-ci.num("upper")[i]) > 1e-4*c.SE*2 {
			t.Errorf("interval of %s: %v", c.Name, c.Interval)
		}
		for j := range f.Coefs {
			near(t, "cov", f.Cov[j][i], cov.num(want.text("term")[i])[j], 2e-4)
		}
	}
	blup := golds(t, "fig1_big2_lme_blup.csv")
	for i, m := range blup.text("model_id") {
		at := slices.Index(f.Groups[0].Levels, m)
		near(t, "BLUP "+m, f.Groups[0].BLUP[at], blup.num("blup")[i], 1e-3)
	}
	sequential := must[[]FTest](t)(f.ANOVA(1))
	anova := golds(t, "fig1_big2_lme_anova.csv")
	for i, s := range sequential {
		at := i + 1 // after the intercept
		if s.Term != anova.text("term")[at] || s.DF2 != anova.num("denDF")[at] {
			t.Errorf("%s with %v, want %s with %v", s.Term, s.DF2, anova.text("term")[at], anova.num("denDF")[at])
		}
		near(t, "sequential F "+s.Term, s.F, anova.num("F.value")[at], 2e-4) // t², so twice
		near(t, "marginal F", tt[i+1]*tt[i+1], anova.num("F.value")[at+8], 2e-4)
	}

	// lmerTest
	s := must[*MixedFit](t)(Mixed(y, fixed, group, nil))
	est, se, df, tt, p = estimates(s.Coefs)
	lmer := golds(t, "fig1_big2_lmer_satterthwaite.csv")
	nearAll(t, "lmer est", est, lmer.num("Estimate"), 1e-9)
	nearAll(t, "lmer se", se, lmer.num("Std. Error"), 1e-5)
	nearAll(t, "lmer df", df, lmer.num("df"), 1e-6)
	nearAll(t, "lmer t", tt, lmer.num("t value"), 1e-5)
	// lme4's SD is 5e-8 from the optimum, which moves ln p, not p, by as little.
	for i, w := range lmer.num("Pr(>|t|)") {
		if math.Abs(math.Log(p[i]/w)) > 1e-6*max(1, -math.Log(w)) {
			t.Errorf("lmer p of %s = %v, want %v", s.Coefs[i].Name, p[i], w)
		}
	}
	typ3 := golds(t, "fig1_big2_lmer_anova.csv")
	for i, f := range must[[]FTest](t)(s.ANOVA(3)) {
		near(t, "type III F "+f.Term, f.F, typ3.num("F value")[i], 1e-5)
		near(t, "type III df "+f.Term, f.DF2, typ3.num("DenDF")[i], 1e-6)
		near(t, "type III p "+f.Term, f.P, typ3.num("Pr(>F)")[i], 1e-5)
	}
}

func TestPaperANOVA(t *testing.T) {
	y, fixed, _ := paperDesign(golds(t, "fig1_big2_medians.csv"))
	for _, typ := range []int{2, 3} {
		want := golds(t, "fig1_big2_ols_anova_type"+itoa(typ)+".csv")
		table := must[*ANOVATable](t)(ANOVA(y, fixed, &ANOVAOptions{Type: typ}))
		rows := append(table.Rows, table.Residual)
		if typ == 3 {
			rows = append([]ANOVARow{table.Intercept}, rows...)
		}
		nearRows(t, rows, want, "Sum Sq", "Df", "F value", "Pr(>F)")
	}
	for _, pair := range []string{"pretrained", "instruct"} {
		b := readTable(t, "golden", "synth", "expected", "fig2_"+pair+"_medians.csv")
		want := readTable(t, "golden", "synth", "expected", "fig2_"+pair+"_anova.csv")
		var vs []Variable
		for _, name := range []string{"Category", "valence", "model"} {
			vs = append(vs, Variable{Name: name, Labels: b.text(name)})
		}
		table := must[*ANOVATable](t)(ANOVA(b.num("rank"), vs, nil))
		nearRows(t, append(table.Rows, table.Residual), want, "sum_sq", "df", "F", "PR(>F)")
		for i, r := range table.Rows {
			near(t, "eta² "+r.Term, r.EtaSquared, want.num("eta_sq")[i], 1e-9)
			near(t, "partial eta² "+r.Term, r.PartialEtaSquared, want.num("partial_eta_sq")[i], 1e-9)
			near(t, "omega² "+r.Term, r.OmegaSquared, want.num("omega_sq")[i], 1e-8)
		}
	}
}

func nearRows(t *testing.T, rows []ANOVARow, want table, ss, df, f, p string) {
	t.Helper()
	if len(rows) != want.rows {
		t.Fatalf("%d rows, want %d", len(rows), want.rows)
	}
	for i, r := range rows {
		near(t, "SS "+r.Term, r.SS, want.num(ss)[i], 1e-9)
		near(t, "df "+r.Term, r.DF, want.num(df)[i], 0)
		near(t, "F "+r.Term, r.F, want.num(f)[i], 1e-9)
		if w := want.num(p)[i]; w > 0 { // R: 0 is underflow
			near(t, "p "+r.Term, r.P, w, 1e-8)
		}
	}
}

func TestPaperModelLevel(t *testing.T) {
	perModel, want := golds(t, "fig1_big2_per_model.csv"), golds(t, "fig1_big2_model_level_exact.csv")
	mean := map[string]float64{}
	of := map[string]string{}
	for i, m := range perModel.text("model_id") {
		of[m] = perModel.text("base_model")[i]
		mean[m+perModel.text("Category")[i]+perModel.text("prompt_framing")[i]] = perModel.num("mean")[i]
	}
	split := func(value func(m string) float64) (gemma, llama []float64) {
		for m, family := range of {
			if family == "Gemma" {
				gemma = append(gemma, value(m))
			} else {
				llama = append(llama, value(m))
			}
		}
		return
	}
	check := func(what string, x, y []float64, b table, i int, diff, p, tt, df, pw string) {
		r := must[ResampleResult](t)(Permutation(x, y, nil))
		near(t, what+" difference", r.Estimate, b.num(diff)[i], 1e-9)
		near(t, what+" exact p", r.P, b.num(p)[i], 1e-14)
		if r.Arrangements != 210 || !r.Exact {
			t.Errorf("%s: %d arrangements, want all 210", what, r.Arrangements)
		}
		w := must[TResult](t)(Welch(x, y, nil))
		near(t, what+" t", w.T, b.num(tt)[i], 1e-9)
		near(t, what+" df", w.DF, b.num(df)[i], 1e-9)
		near(t, what+" p", w.P, b.num(pw)[i], 1e-8)
	}
	for i := range want.rows {
		cell := want.text("Category")[i] + want.text("prompt_framing")[i]
		x, y := split(func(m string) float64 { return mean[m+cell] })
		check(cell, x, y, want, i, "obs_diff", "exact_p_two_sided", "welch_t_models", "welch_df_models", "welch_p_models")
		g := must[ResampleResult](t)(Permutation(x, y, &ResampleOptions{Alternative: Greater}))
		near(t, cell+" one-sided p", g.P, want.num("exact_p_greater")[i], 1e-14)
	}
	contrasts := golds(t, "fig1_big2_model_level_contrasts.csv")
	pos := func(m string) float64 { return mean[m+"Communionpositive"] - mean[m+"Agencypositive"] }
	neg := func(m string) float64 { return mean[m+"Communionnegative"] - mean[m+"Agencynegative"] }
	for i, value := range []func(string) float64{pos, neg, func(m string) float64 { return pos(m) - neg(m) }} {
		x, y := split(value)
		check(contrasts.text("contrast")[i], x, y, contrasts, i, "diff", "exact_perm_p_two_sided", "welch_t", "welch_df", "welch_p")
	}
}
