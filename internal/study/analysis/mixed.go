package analysis

import (
	"errors"
	"fmt"
	"strings"

	"github.com/implicitreward/implicitreward/stats"
)

// FixedRow is a coefficient of the mixed model.
type FixedRow struct {
	Term                                 string
	Estimate, SE, DF, T, P, Lower, Upper float64
}

// mixed fits the paper's model: all medians by family, category and framing, with a
// random intercept a model. It adds its table and its tests.
func (f *fig1) mixed() error {
	var rows []FixedRow
	fit, err := f.fit(&rows)
	if err == nil {
		f.res.Tables = append(f.res.Tables, Table{"mixed", "Mixed model: " + fit, rows, 0})
	}
	return err
}

// fit returns the formula of the model.
func (f *fig1) fit(rows *[]FixedRow) (string, error) {
	if len(f.families) == len(f.Models) {
		f.res.doubt(say("mixed.families"))
		return "not fitted", nil
	}
	y, labels := f.columns()
	var fixed []stats.Variable
	var names []string
	for _, v := range []stats.Variable{{Name: "family", Levels: f.families}, {Name: "category", Levels: f.dict.Categories},
		{Name: "framing", Levels: f.framings}} {
		if len(v.Levels) > 1 {
			v.Labels = labels[v.Name]
			fixed, names = append(fixed, v), append(names, v.Name)
		}
	}
	o, typ, df := &stats.MixedOptions{DF: stats.Satterthwaite}, 3, "Satterthwaite"
	if f.o.Paper() {
		o, typ, df = &stats.MixedOptions{DF: stats.InnerOuter}, 1, "inner-outer (nlme)"
	}
	fit, err := stats.Mixed(y, fixed, []stats.Variable{{Name: "model", Labels: labels["model"]}}, o)
	if untestable(err) {
		f.res.doubt(say("mixed.untestable", plainly(err)))
		return "not fitted", nil
	}
	if err != nil {
		return "", fmt.Errorf("study: mixed model: %w", err)
	}
	for _, c := range fit.Coefs {
		*rows = append(*rows, FixedRow{c.Name, c.Estimate, c.SE, c.DF, c.T, c.P, c.Interval.Lower, c.Interval.Upper})
	}
	effects, err := fit.ANOVA(typ)
	if err != nil {
		return "", fmt.Errorf("study: mixed model: %w", err)
	}
	for _, e := range effects {
		t := newTest(e.Term, fmt.Sprintf("mixed model, random intercept of model, type %d, %s df", typ, df), "F")
		t.Value, t.DF1, t.DF2, t.P, t.N = e.F, e.DF1, e.DF2, e.P, fmt.Sprint(fit.N)
		t.Warnings = joinErrors(append(fit.Warnings, errors.New(say("mixed.doubt"))))
		f.res.Tests = append(f.res.Tests, t)
	}
	return say("mixed.formula", strings.Join(names, " * "), df,
		fit.Groups[0].SD, fit.Sigma, fit.LogLik, fit.AIC, fit.N), nil
}

// columns are all medians, and their labels by variable.
func (f *fig1) columns() (y []float64, labels map[string][]string) {
	labels = map[string][]string{}
	for m, model := range f.Models {
		for p, prompt := range f.Prompts {
			for k, c := range f.dict.Categories {
				y = append(y, f.medians[m][p][k])
				for name, label := range map[string]string{"family": model.Family, "category": c,
					"framing": f.groups.Framing(prompt), "model": model.ID} {
					labels[name] = append(labels[name], label)
				}
			}
		}
	}
	return y, labels
}
