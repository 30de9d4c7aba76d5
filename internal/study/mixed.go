package study

import (
	"errors"
	"fmt"

	"github.com/implicitreward/implicitreward/stats"
)

// mixed fits the paper's model: all medians by family, category and framing, with a
// random intercept a model. It adds its tests to res and returns its formula.
func (f *fig1) mixed(res *Result) (string, error) {
	r := f.r
	if len(r.families) == len(r.models) {
		res.doubt("The mixed model is not fitted: with one model a family, models and families cannot be told apart.")
		return "not fitted", nil
	}
	var y []float64
	columns := map[string][]string{}
	for m, model := range r.models {
		for p, prompt := range r.prompts {
			for k, c := range r.dict.Categories {
				y = append(y, r.medians[m][p][k])
				for name, label := range map[string]string{"family": model.Family, "category": c, "framing": r.groups.group(prompt), "model": model.ID} {
					columns[name] = append(columns[name], label)
				}
			}
		}
	}
	var fixed []stats.Variable
	formula := "median ~ "
	for _, v := range []stats.Variable{{Name: "family", Levels: r.families}, {Name: "category", Levels: r.dict.Categories}, {Name: "framing", Levels: r.framings}} {
		if len(v.Levels) < 2 {
			continue
		}
		if len(fixed) > 0 {
			formula += " * "
		}
		formula += v.Name
		v.Labels = columns[v.Name]
		fixed = append(fixed, v)
	}
	o, typ := &stats.MixedOptions{DF: stats.Satterthwaite}, 3
	if f.o.Compat {
		o, typ = &stats.MixedOptions{DF: stats.InnerOuter}, 1
	}
	fit, err := stats.Mixed(y, fixed, []stats.Variable{{Name: "model", Labels: columns["model"]}}, o)
	if untestable(err) {
		res.doubt("The mixed model is not fitted: " + plainly(err) + ".")
		return "not fitted", nil
	}
	if err != nil {
		return "", fmt.Errorf("study: mixed model: %w", err)
	}
	for _, c := range fit.Coefs {
		f.fixedRows = append(f.fixedRows, FixedRow{c.Name, c.Estimate, c.SE, c.DF, c.T, c.P, c.Interval.Lower, c.Interval.Upper})
	}
	effects, err := fit.ANOVA(typ)
	if err != nil {
		return "", fmt.Errorf("study: mixed model: %w", err)
	}
	for _, e := range effects {
		t := newTest(e.Term, fmt.Sprintf("mixed model, random intercept of model, type %d, %s df", typ, dfName(o.DF)), "F")
		t.Value, t.DF1, t.DF2, t.P, t.N = e.F, e.DF1, e.DF2, e.P, fmt.Sprint(fit.N)
		t.Warnings = joinErrors(append(fit.Warnings, errors.New("the ranks of the categories move against each other within a model, which a random intercept does not see: p is too small where models differ so")))
		res.Tests = append(res.Tests, t)
	}
	return fmt.Sprintf("%s + (1 | model), REML, %s df; sd model %.4g, residual %.4g; logLik %.6g, AIC %.6g, n = %d",
		formula, dfName(o.DF), fit.Groups[0].SD, fit.Sigma, fit.LogLik, fit.AIC, fit.N), nil
}

func dfName(m stats.DFMethod) string {
	if m == stats.InnerOuter {
		return "inner-outer (nlme)"
	}
	return "Satterthwaite"
}
