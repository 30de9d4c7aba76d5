package stats

import (
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"
)

// golden is a part of testdata/procedures.json: small vectors for each procedure,
// computed with R 4.2.2 (stats, car 3.1-1, nlme 3.1-162, lme4 1.1-31, lmerTest 3.1-3) and
// confirmed with scipy 1.17.1 and statsmodels 0.15.0; 15 digits.
type golden struct {
	t *testing.T
	m map[string]any
}

func readGolden(t *testing.T, path ...string) golden {
	t.Helper()
	data, err := os.ReadFile("testdata/procedures.json")
	if err != nil {
		t.Fatal(err)
	}
	g := golden{t: t}
	if err := json.Unmarshal(data, &g.m); err != nil {
		t.Fatal(err)
	}
	return g.in(path...)
}

func (g golden) in(path ...string) golden {
	g.t.Helper()
	for _, p := range path {
		m, ok := g.m[p].(map[string]any)
		if !ok {
			g.t.Fatalf("no %q in the golden file", p)
		}
		g.m = m
	}
	return g
}

func (g golden) num(key string) float64 {
	g.t.Helper()
	v, ok := g.m[key].(float64)
	if !ok {
		g.t.Fatalf("no number %q in the golden file", key)
	}
	return v
}

// nums reads numbers; the string "NA" is NaN.
func (g golden) nums(key string) []float64 {
	g.t.Helper()
	list, ok := g.m[key].([]any)
	if !ok {
		g.t.Fatalf("no list %q in the golden file", key)
	}
	out := make([]float64, len(list))
	for i, v := range list {
		if f, ok := v.(float64); ok {
			out[i] = f
		} else {
			out[i] = math.NaN()
		}
	}
	return out
}

func (g golden) strings(key string) []string {
	g.t.Helper()
	list, ok := g.m[key].([]any)
	if !ok {
		g.t.Fatalf("no list %q in the golden file", key)
	}
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = v.(string)
	}
	return out
}

// near fails unless got is want within a relative tolerance.
func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if math.IsNaN(got) && math.IsNaN(want) {
		return
	}
	if !(relative(got, want) <= tolerance) && !(want == 0 && math.Abs(got) <= tolerance) {
		t.Errorf("%s = %.15g, want %.15g (relative error %.1e)", what, got, want, relative(got, want))
	}
}

func nearAll(t *testing.T, what string, got, want []float64, tolerance float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	for i := range got {
		near(t, what+"["+itoa(i)+"]", got[i], want[i], tolerance)
	}
}

func itoa(i int) string { b, _ := json.Marshal(i); return string(b) }

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func estimates(c []Coefficient) (est, se, df, tt, p []float64) {
	for _, v := range c {
		est, se, df = append(est, v.Estimate), append(se, v.SE), append(df, v.DF)
		tt, p = append(tt, v.T), append(p, v.P)
	}
	return
}

const tenth = 1e-10 // the tolerance of procedures.json

func mixedGolden(t *testing.T) (g golden, fixed, groups []Variable) {
	g = readGolden(t, "lme_unbalanced")
	fixed = []Variable{
		{Name: "family", Labels: g.strings("family")},
		{Name: "category", Labels: g.strings("category")},
		{Name: "framing", Labels: g.strings("framing"), Levels: []string{"positive", "negative"}},
	}
	return g, fixed, []Variable{{Name: "model", Labels: g.strings("model")}}
}

func TestMixedGolden(t *testing.T) {
	g, fixed, groups := mixedGolden(t)
	y := g.nums("y")
	for _, ml := range []bool{false, true} {
		name := map[bool]string{false: "REML", true: "ML"}[ml]
		h := g.in(name)
		f := must[*MixedFit](t)(Mixed(y, fixed, groups, &MixedOptions{ML: ml}))
		o := h.in("independent_optimum")
		est, se, df, _, p := estimates(f.Coefs)
		nearAll(t, name+" est", est, o.nums("est"), 1e-6)
		nearAll(t, name+" se", se, o.nums("se"), 1e-6)
		near(t, name+" sd", f.Groups[0].SD, o.num("sd_model"), 1e-6)
		near(t, name+" sigma", f.Sigma, o.num("sd_resid"), 1e-6)
		if d := math.Abs(f.LogLik - o.num("logLik")); d > 1e-8 {
			t.Errorf("%s logLik is off by %v", name, d)
		}
		near(t, name+" AIC", f.AIC, h.num("AIC"), tenth)
		near(t, name+" BIC", f.BIC, h.num("BIC"), tenth)
		for i, l := range f.Groups[0].Levels {
			near(t, name+" BLUP "+l, f.Groups[0].BLUP[i], o.in("blup").num(l), 1e-6)
		}
		if !ml {
			near(t, "ICC", f.Groups[0].ICC, h.num("icc"), 1e-6)
			nearAll(t, "Satterthwaite df", df, h.nums("satterthwaite_df"), 1e-5)
			nearAll(t, "Satterthwaite p", p, h.nums("satterthwaite_p"), 1e-5)
			n := must[*MixedFit](t)(Mixed(y, fixed, groups, &MixedOptions{DF: InnerOuter}))
			_, _, df, tt, p := estimates(n.Coefs)
			nearAll(t, "nlme df", df, h.nums("nlme_df"), 0)
			nearAll(t, "nlme t", tt, h.nums("nlme_t"), 1e-5)
			nearAll(t, "nlme p", p, h.nums("nlme_p"), 1e-4)
		}
	}
}

func TestANOVAGolden(t *testing.T) {
	g := readGolden(t, "anova_unbalanced")
	variables := []Variable{{Name: "A", Labels: g.strings("A")}, {Name: "Bf", Labels: g.strings("B")}, {Name: "C", Labels: g.strings("C")}}
	y := g.nums("y")
	for typ, key := range []string{1: "type1", 2: "type2", 3: "type3_sum_contrasts"} {
		if key == "" {
			continue
		}
		h := g.in(key)
		table := must[*ANOVATable](t)(ANOVA(y, variables, &ANOVAOptions{Type: typ}))
		rows := append(table.Rows, table.Residual)
		if typ == 3 {
			rows = append([]ANOVARow{table.Intercept}, rows...)
		}
		for i, term := range h.strings("term") {
			if got := strings.Replace(rows[i].Term, "Residual", "Residuals", 1); got != term {
				t.Errorf("type %d: row %d is %s, want %s", typ, i, got, term)
			}
			near(t, key+" SS "+term, rows[i].SS, h.nums("ss")[i], tenth)
			near(t, key+" df "+term, rows[i].DF, h.nums("df")[i], 0)
			near(t, key+" F "+term, rows[i].F, h.nums("F")[i], tenth)
			near(t, key+" p "+term, rows[i].P, h.nums("p")[i], tenth)
		}
	}
	f := must[*LinearFit](t)(OLS(y, variables, nil))
	h := g.in("coef_treatment")
	est, se, _, tt, p := estimates(f.Coefs)
	nearAll(t, "est", est, h.nums("est"), tenth)
	nearAll(t, "se", se, h.nums("se"), tenth)
	nearAll(t, "t", tt, h.nums("t"), tenth)
	nearAll(t, "p", p, h.nums("p"), tenth)
	near(t, "R2", f.R2, g.num("r2"), tenth)
	near(t, "sigma", f.Sigma, g.num("sigma"), tenth)
}

func TestTTestsGolden(t *testing.T) {
	for name, test := range map[string]func(g golden) (TResult, error){
		"welch":      func(g golden) (TResult, error) { return Welch(g.nums("x"), g.nums("y"), nil) },
		"student":    func(g golden) (TResult, error) { return Student(g.nums("x"), g.nums("y"), nil) },
		"paired":     func(g golden) (TResult, error) { return Paired(g.nums("x"), g.nums("y"), nil) },
		"one_sample": func(g golden) (TResult, error) { return OneSample(g.nums("x"), g.num("mu"), nil) },
	} {
		g := readGolden(t, name)
		r := must[TResult](t)(test(g))
		h := g
		if name == "welch" {
			h = g.in("two_sided")
		}
		near(t, name+" t", r.T, h.num("statistic"), tenth)
		near(t, name+" df", r.DF, h.num("df"), tenth)
		near(t, name+" p", r.P, h.num("p"), tenth)
		nearAll(t, name+" interval", []float64{r.Interval.Lower, r.Interval.Upper}, h.nums("ci"), tenth)
		if _, two := h.m["estimate"].([]any); two {
			nearAll(t, name+" means", []float64{r.Mean1, r.Mean2}, h.nums("estimate"), tenth)
		} else {
			near(t, name+" estimate", r.Estimate, h.num("estimate"), tenth)
		}
	}
	g := readGolden(t, "welch")
	for a, key := range map[Alternative]string{Less: "less", Greater: "greater"} {
		r := must[TResult](t)(Welch(g.nums("x"), g.nums("y"), &TestOptions{Alternative: a}))
		near(t, "welch p "+key, r.P, g.in(key).num("p"), tenth)
	}
}

func TestRanksGolden(t *testing.T) {
	g := readGolden(t, "midrank")
	nearAll(t, "ascending", must[[]float64](t)(Ranks(g.nums("x"))), g.nums("ascending"), 0)
	nearAll(t, "descending", must[[]float64](t)(RanksDescending(g.nums("x"))), g.nums("descending"), 0)

	g = readGolden(t, "quantile_type7")
	x := g.nums("x")
	nearAll(t, "quantiles", must[[]float64](t)(Quantiles(x, g.nums("probs")...)), g.nums("values"), tenth)
	near(t, "median", must[float64](t)(Median(x)), g.num("median"), tenth)
	near(t, "mad", must[float64](t)(MAD(x)), g.num("mad_raw"), tenth)
	near(t, "iqr", must[float64](t)(IQR(x)), g.num("iqr"), tenth)
}

func TestAdjustGolden(t *testing.T) {
	g := readGolden(t, "p_adjust")
	for key, f := range map[string]func([]float64) ([]float64, error){
		"BH": BenjaminiHochberg, "BY": BenjaminiYekutieli, "holm": Holm, "hochberg": Hochberg, "bonferroni": Bonferroni,
	} {
		nearAll(t, key, must[[]float64](t)(f(g.nums("p"))), g.nums(key), tenth)
	}
}

func TestCorrelationGolden(t *testing.T) {
	g := readGolden(t, "correlation")
	x, y := g.nums("x"), g.nums("y")
	r := must[CorrelationResult](t)(Pearson(x, y, nil))
	h := g.in("pearson")
	near(t, "r", r.Estimate, h.num("r"), tenth)
	near(t, "t", r.Statistic, h.num("t"), tenth)
	near(t, "df", r.DF, h.num("df"), 0)
	near(t, "p", r.P, h.num("p"), tenth)
	nearAll(t, "interval", []float64{r.Interval.Lower, r.Interval.Upper}, h.nums("ci"), tenth)
	r = must[CorrelationResult](t)(Spearman(x, y, nil))
	near(t, "rho", r.Estimate, g.in("spearman").num("rho"), tenth)
	near(t, "rho p", r.P, g.in("spearman").num("p_t"), tenth)
	r = must[CorrelationResult](t)(Kendall(x, y, nil))
	h = g.in("kendall_tau_b")
	near(t, "tau", r.Estimate, h.num("tau"), tenth)
	near(t, "z", r.Statistic, h.num("z"), tenth)
	near(t, "tau p", r.P, h.num("p"), tenth)
}

func TestMannWhitneyGolden(t *testing.T) {
	g := readGolden(t, "mann_whitney")
	r := must[MannWhitneyResult](t)(MannWhitney(g.nums("x"), g.nums("y"), nil))
	near(t, "U", r.U, g.num("U_x"), 0)
	near(t, "p", r.P, g.num("p_cc"), tenth)
	r = must[MannWhitneyResult](t)(MannWhitney(g.nums("x"), g.nums("y"), &MannWhitneyOptions{NoContinuity: true}))
	near(t, "p without continuity", r.P, g.num("p_nocc"), tenth)
	g = g.in("exact")
	r = must[MannWhitneyResult](t)(MannWhitney(g.nums("x"), g.nums("y"), nil))
	near(t, "exact U", r.U, g.num("U_x"), 0)
	near(t, "exact p", r.P, g.num("p"), tenth)
	if !r.Exact {
		t.Error("not exact")
	}
}

func TestEffectGolden(t *testing.T) {
	g := readGolden(t, "effect_size")
	x, y := g.nums("x"), g.nums("y")
	for key, f := range map[string]func([]float64, []float64, *EffectOptions) (Effect, error){
		"cohen_d": CohenD, "hedges_g_exact": HedgesG, "glass_delta_y": GlassDelta, "cohen_d_av": CohenDAverage, "cliffs_delta": CliffDelta,
	} {
		near(t, key, must[Effect](t)(f(x, y, nil)).Estimate, g.num(key), tenth)
	}
	near(t, "hedges_g_approx", must[Effect](t)(HedgesG(x, y, &EffectOptions{Approximate: true})).Estimate, g.num("hedges_g_approx"), tenth)
	near(t, "r", must[TResult](t)(Welch(x, y, nil)).R(), g.num("r_from_welch_t"), tenth)
}

func TestDensityGolden(t *testing.T) {
	g := readGolden(t, "kde")
	x := g.nums("x")
	h := must[float64](t)(BandwidthNRD0(x))
	near(t, "nrd0", h, g.num("bw_nrd0"), tenth)
	nearAll(t, "density nrd0", must[[]float64](t)(Density(x, g.nums("grid"), h)), g.nums("density_nrd0"), tenth)
	h = must[float64](t)(BandwidthScott(x))
	near(t, "scott", h, g.num("bw_scott_scipy"), tenth)
	nearAll(t, "density scott", must[[]float64](t)(Density(x, g.nums("grid"), h)), g.nums("density_scott"), tenth)
	near(t, "silverman", must[float64](t)(BandwidthSilverman(x)), g.num("bw_silverman_scipy"), tenth)
}

func TestResampleGolden(t *testing.T) {
	g := readGolden(t, "permutation_exact")
	x, y := g.nums("x"), g.nums("y")
	h := g.in("diff_means")
	for a, key := range []string{TwoSided: "p_two_sided", Less: "p_less", Greater: "p_greater"} {
		r := must[ResampleResult](t)(Permutation(x, y, &ResampleOptions{Alternative: Alternative(a)}))
		near(t, key, r.P, h.num(key), tenth)
		near(t, "obs", r.Statistic, h.num("obs"), tenth)
		if !r.Exact || float64(r.Arrangements) != g.num("n_perm") {
			t.Errorf("%d arrangements, exact %v", r.Arrangements, r.Exact)
		}
	}
	h = g.in("welch_t")
	r := must[ResampleResult](t)(Permutation(x, y, &ResampleOptions{Statistic: WelchT}))
	near(t, "welch obs", r.Statistic, h.num("obs"), tenth)
	near(t, "welch p", r.P, h.num("p_two_sided_ge"), tenth)
	near(t, "welch p, strict", float64(r.Exceed-r.Tied)/float64(r.Arrangements), h.num("p_two_sided_strict_gt"), tenth)
	g = readGolden(t, "sign_flip_exact")
	r = must[ResampleResult](t)(SignFlip(g.nums("d"), nil))
	near(t, "sign flip p", r.P, g.num("p_two_sided"), tenth)
	near(t, "sign flip n", float64(r.Arrangements), g.num("n"), 0)
}

func TestBootstrapGolden(t *testing.T) {
	g := readGolden(t, "bootstrap_given_indices")
	x := g.nums("x")
	mean := func(at []int) float64 {
		var s float64
		for _, i := range at {
			s += x[i]
		}
		return s / float64(len(at))
	}
	var resamples []float64
	for _, row := range g.m["indices0"].([]any) {
		var at []int
		for _, v := range row.([]any) {
			at = append(at, int(v.(float64)))
		}
		resamples = append(resamples, mean(at))
	}
	jackknife := make([]float64, len(x))
	all := []int{0, 1, 2, 3, 4, 5, 6, 7}
	for i := range x {
		jackknife[i] = mean(append(append([]int{}, all[:i]...), all[i+1:]...))
	}
	r := BootstrapResult{Estimate: mean(all)}
	r.intervals("test", resamples, [][]float64{jackknife}, 0.95)
	near(t, "mean", r.Estimate, g.num("mean"), tenth)
	near(t, "se", r.SE, g.num("se"), tenth)
	near(t, "z0", r.Z0, g.num("z0"), tenth)
	near(t, "a", r.A, g.num("acceleration"), tenth)
	nearAll(t, "percentile", []float64{r.Percentile.Lower, r.Percentile.Upper}, g.nums("percentile"), tenth)
	nearAll(t, "basic", []float64{r.Basic.Lower, r.Basic.Upper}, g.nums("basic"), tenth)
	nearAll(t, "bca", []float64{r.BCa.Lower, r.BCa.Upper}, g.nums("bca"), tenth)
	for _, w := range r.Warnings {
		t.Error(w)
	}
}

func TestTailsGolden(t *testing.T) {
	g := readGolden(t, "tails", "t2")
	for i, p := range g.nums("p") {
		near(t, "t2 p", 2*TailT(g.nums("t")[i], g.nums("df")[i]), p, tenth)
	}
	g = readGolden(t, "tails", "F")
	for i, p := range g.nums("p") {
		got := TailF(g.nums("F")[i], g.nums("df1")[i], g.nums("df2")[i])
		if p == 0 && got < 1e-308 { // R: underflow
			continue
		}
		near(t, "F p", got, p, tenth)
	}
	g = readGolden(t, "tails", "t_quantile")
	for i, q := range g.nums("q") {
		near(t, "t quantile", QuantileT(g.nums("p")[i], g.nums("df")[i]), q, tenth)
	}
}

func TestMixedBoundaryGolden(t *testing.T) {
	_, fixed, groups := mixedGolden(t)
	g := readGolden(t, "lme_boundary")
	f := must[*MixedFit](t)(Mixed(g.nums("y"), fixed, groups, nil))
	if f.Groups[0].SD != 0 || len(f.Warnings) != 1 {
		t.Errorf("SD = %v, warnings %v, want 0 and one", f.Groups[0].SD, f.Warnings)
	}
	near(t, "sigma", f.Sigma, g.num("ols_sigma"), tenth)
	est, se, _, _, _ := estimates(f.Coefs)
	nearAll(t, "est", est, g.nums("ols_est"), tenth)
	nearAll(t, "se", se, g.nums("ols_se"), tenth)
	near(t, "sd_resid", f.Sigma, g.num("sd_resid"), 1e-6)
}
