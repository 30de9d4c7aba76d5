package words

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/implicitreward/implicitreward/stats"
)

// TestFinding holds the last lines to what the median ranks of the categories say.
func TestFinding(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		name       string
		categories string
		ranks      [][]float64 // of each variant; nil for one that could not be computed
		want       string
	}{
		{"survives", "agency communion", [][]float64{{60, 40}, {55, 45}, {90, 10}},
			"communion before agency: by 20.0 points in the default, by 10.0 (v1) to 80.0 (v2) in 2 variants\nDoes the finding survive? Yes: none of 2 variants changes the order of two categories.\n"},
		{"does not", "agency communion", [][]float64{{60, 40}, {45, 55}, nil, {50, 50}, {61, 40}},
			"communion before agency: by 20.0 points in the default, by -10.0 (v1) to 21.0 (v4) in 3 variants; not so in v1, v3\nDoes the finding survive? Not every variant: in 2 of 3, 1 of 1 pair of categories change their order.\n"},
		{"rounding is no order", "a b", [][]float64{{50, 50}, {50, 50 + 1e-14}},
			"a level with b: by 0.0 points in the default, by 0.0 (v1) to 0.0 (v1) in 1 variant\nDoes the finding survive? Yes: none of 1 variant changes the order of two categories.\n"},
		{"no words of one in a variant", "a b", [][]float64{{20, 50}, {50, nan}},
			"a before b: by 30.0 points in the default\nDoes the finding survive? No variant could be compared with the default.\n"},
		{"no words in one of two variants", "a b", [][]float64{{20, 50}, {50, nan}, {10, 60}},
			"a before b: by 30.0 points in the default, by 50.0 (v2) to 50.0 (v2) in 1 variant\nDoes the finding survive? Yes: none of 2 variants changes the order of two categories.\n1 comparison of two categories in a variant could not be made: one of them has no words there.\n"},
		{"no variant computed", "a b", [][]float64{{20, 50}, nil},
			"a before b: by 30.0 points in the default\nDoes the finding survive? No variant could be compared with the default.\n"},
		{"no words of one in the default", "a b", [][]float64{{20, nan}, {20, 50}},
			"Does the finding survive? There are no two categories with words to compare: see the correlations.\n"},
		{"one category", "a", [][]float64{{50}, {50}},
			"Does the finding survive? There are no two categories with words to compare: see the correlations.\n"},
		{"of many pairs, those that change", "a b c d e", [][]float64{{10, 20, 30, 40, 50}, {10, 20, 30, 50, 40}, {11, 21, 31, 41, 51}},
			"d before e: by 10.0 points in the default, by -10.0 (v1) to 10.0 (v2) in 2 variants; not so in v1\nDoes the finding survive? Not every variant: in 1 of 2, 1 of 10 pairs of categories change their order.\n"},
	} {
		r := &SensitivityReport{Categories: strings.Fields(c.categories)}
		for i, ranks := range c.ranks {
			v := VariantRanks{Variant: Variant{Name: "v" + string(rune('0'+i))}}
			if ranks == nil {
				v.Err = errors.New("no template")
			}
			for _, x := range ranks {
				v.Groups = append(v.Groups, stats.RankSummary{N: 1, MedianRank: x})
			}
			r.Variants = append(r.Variants, v)
		}
		var b strings.Builder
		r.writeFinding(&b)
		if b.String() != c.want {
			t.Errorf("%s: got\n%swanted\n%s", c.name, b.String(), c.want)
		}
	}
}
