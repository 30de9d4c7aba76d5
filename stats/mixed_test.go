package stats

import (
	"encoding/json"
	"math"
	"os"
	"testing"
)

// Expected values: testdata/crossed.json, written by testdata/crossed.py, which
// solves the n×n problem as it stands at 50 digits.
func TestMixedAgainstBruteForce(t *testing.T) {
	data, err := os.ReadFile("testdata/crossed.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases map[string]struct {
		Y               []float64
		Fixed, Groups   map[string][]string
		Order           []string
		REML            bool
		Est, SE, DF, SD []float64
		Sigma, LogLik   float64
		BLUP            [][]float64
		Type3           []struct {
			Term        string
			DF1, DF2, F float64
		}
	}
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) < 6 {
		t.Fatalf("%d cases, want 6", len(cases))
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var fixed, groups []Variable
			for _, f := range []string{"family", "category"} {
				if c.Fixed[f] != nil {
					fixed = append(fixed, Variable{Name: f, Labels: c.Fixed[f]})
				}
			}
			for _, g := range c.Order {
				groups = append(groups, Variable{Name: g, Labels: c.Groups[g]})
			}
			f := must[*MixedFit](t)(Mixed(c.Y, fixed, groups, &MixedOptions{ML: !c.REML}))
			est, se, df, _, _ := estimates(f.Coefs)
			nearAll(t, "est", est, c.Est, tenth)
			nearAll(t, "se", se, c.SE, tenth)
			nearAll(t, "df", df, c.DF, 1e-9)
			near(t, "sigma", f.Sigma, c.Sigma, tenth)
			near(t, "logLik", f.LogLik, c.LogLik, 1e-12)
			for k, g := range f.Groups {
				near(t, g.Name, g.SD, c.SD[k], tenth)
				for l := range g.BLUP {
					if math.Abs(g.BLUP[l]-c.BLUP[k][l]) > tenth {
						t.Errorf("BLUP of %s[%s] = %v, want %v", g.Name, g.Levels[l], g.BLUP[l], c.BLUP[k][l])
					}
				}
			}
			for i, test := range must[[]FTest](t)(f.ANOVA(3)) {
				w := c.Type3[i]
				if test.Term != w.Term || test.DF1 != w.DF1 {
					t.Errorf("row %d: %s with %v, want %s with %v", i, test.Term, test.DF1, w.Term, w.DF1)
				}
				near(t, "F "+w.Term, test.F, w.F, tenth)
				near(t, "df of F "+w.Term, test.DF2, w.DF2, 1e-8)
			}
		})
	}
}
