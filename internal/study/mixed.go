package study

import (
	"fmt"

	"github.com/implicitreward/implicitreward/stats"
)

// mixed fits the medians by family, category and framing with models as groups, adds
// its tests to res and returns its formula. compat has a random intercept a model;
// else each model may differ by category, framing and cell, and prompts are a crossed
// group too.
func (f *fig1) mixed(res *Result) (string, error) {
	r := f.r
	var y []float64
	columns := map[string][]string{}
	for m, model := range r.models {
		for p, prompt := range r.prompts {
			for k, c := range r.dict.Categories {
				y = append(y, r.medians[m][p][k])
				for name, label := range map[string]string{"family": model.Family, "category": c, "framing": Framing(prompt), "model": model.ID,
					"prompt": prompt, "prompt:category": prompt + " " + c, "model:category:framing": model.ID + " " + c + " " + Framing(prompt)} {
					columns[name] = append(columns[name], label)
				}
			}
		}
	}
	var fixed []stats.Variable
	for _, v := range []stats.Variable{{Name: "family", Levels: r.families}, {Name: "category", Levels: r.dict.Categories}, {Name: "framing", Levels: r.framings}} {
		if len(v.Levels) > 1 {
			v.Labels = columns[v.Name]
			fixed = append(fixed, v)
		}
	}
	names, o := []string{"model"}, &stats.MixedOptions{DF: stats.InnerOuter}
	if !f.o.Compat {
		names, o = []string{"model:category:framing", "prompt:category"}, &stats.MixedOptions{DF: stats.Satterthwaite}
	}
	if len(r.families) == len(r.models) {
		names = names[1:] // nothing left to tell models from families
		if len(names) == 0 {
			res.Warnings = append(res.Warnings, "mixed model: one model a family, so that models and families cannot be told apart; not fitted")
			return "not fitted", nil
		}
	}
	var groups []stats.Variable
	formula := "median ~ "
	for i, v := range fixed {
		if i > 0 {
			formula += " * "
		}
		formula += v.Name
	}
	for _, name := range names {
		groups = append(groups, stats.Variable{Name: name, Labels: columns[name]})
		formula += " + (1 | " + name + ")"
	}
	fit, err := stats.Mixed(y, fixed, groups, o)
	if err != nil {
		return "", fmt.Errorf("study: mixed model: %w", err)
	}
	for _, c := range fit.Coefs {
		f.fixedRows = append(f.fixedRows, FixedRow{c.Name, c.Estimate, c.SE, c.DF, c.T, c.P, c.Interval.Lower, c.Interval.Upper})
	}
	typ := 3
	if f.o.Compat {
		typ = 1
	}
	effects, err := fit.ANOVA(typ)
	if err != nil {
		return "", fmt.Errorf("study: mixed model: %w", err)
	}
	for _, e := range effects {
		t := newTest(e.Term, fmt.Sprintf("mixed model, type %d, %s", typ, dfName(o.DF)), "F")
		t.Value, t.DF1, t.DF2, t.P, t.N, t.Warnings = e.F, e.DF1, e.DF2, e.P, fmt.Sprint(fit.N), joinErrors(fit.Warnings)
		res.Tests = append(res.Tests, t)
	}
	formula += fmt.Sprintf(", REML, %s df; sd", dfName(o.DF))
	for _, g := range fit.Groups {
		formula += fmt.Sprintf(" %s %.4g,", g.Name, g.SD)
	}
	return formula + fmt.Sprintf(" residual %.4g; logLik %.6g, AIC %.6g, n = %d", fit.Sigma, fit.LogLik, fit.AIC, fit.N), nil
}

func dfName(m stats.DFMethod) string {
	if m == stats.InnerOuter {
		return "inner-outer (nlme)"
	}
	return "Satterthwaite"
}
