package stats

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestSensitivities is a case by hand: two blocks of four items in two groups, the second
// variant with two items exchanged in one block, the third with an item missing.
func TestSensitivities(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	values := [][][]float64{
		{{4, 3, 2, 1}, {40, 30, 20, 10}},
		{{4, 2, 3, 1}, {4, 3, 2, 1}},
		{{nan, 3, 2, 1}, {nan, -inf, inf, inf}},
		{{nan, nan, nan, nan}, {nan, nan, nan, nan}},
		{{5, 5, 5, 5}, {5, 5, 5, 5}},
	}
	got, err := Sensitivities(values, [][]int{{0, 1}, {2, 3}, {}})
	if err != nil {
		t.Fatal(err)
	}
	// Percentiles of four ranks: 12.5, 37.5, 62.5, 87.5; of three: 16.67, 50, 83.33.
	sixth := 100. / 6
	want := []Sensitivity{
		{RankSummary{4, 50, 1, 1}, []RankSummary{{2, 25, nan, nan}, {2, 75, nan, nan}, {0, nan, nan, nan}}},
		// rho of (4 2 3 1) with (4 3 2 1) is 1 - 6*2/(4*15) = 0.8; group 0: median 37.5 and 25.
		{RankSummary{4, 50, 0.9, 0.8}, []RankSummary{{2, 31.25, nan, nan}, {2, 68.75, nan, nan}, {0, nan, nan, nan}}},
		// Block 1: ranks 3, 1.5, 1.5 against 1, 2, 3: r = -0.8660254 (numpy.corrcoef).
		{RankSummary{3, 41.666666666666667, (1 - 0.8660254037844387) / 2, -0.8660254037844387}, []RankSummary{{1, 3 * sixth, nan, nan}, {2, (4*sixth + 2*sixth) / 2, nan, nan}, {0, nan, nan, nan}}},
		{RankSummary{0, nan, nan, nan}, []RankSummary{{0, nan, nan, nan}, {0, nan, nan, nan}, {0, nan, nan, nan}}},
		{RankSummary{4, 50, nan, nan}, []RankSummary{{2, 50, nan, nan}, {2, 50, nan, nan}, {0, nan, nan, nan}}},
	}
	if len(got) != len(want) {
		t.Fatalf("%d results, wanted %d", len(got), len(want))
	}
	same := func(a, b float64) bool { return math.IsNaN(a) && math.IsNaN(b) || math.Abs(a-b) < 1e-12 }
	for v := range want {
		a, b := append(slices.Clone(got[v].Groups), got[v].All), append(slices.Clone(want[v].Groups), want[v].All)
		if len(a) != len(b) {
			t.Fatalf("variant %d: %d groups", v, len(a)-1)
		}
		for g := range b {
			if a[g].N != b[g].N || !same(a[g].MedianRank, b[g].MedianRank) || !same(a[g].Correlation, b[g].Correlation) || !same(a[g].Lowest, b[g].Lowest) {
				t.Errorf("variant %d, group %d: %+v, wanted %+v", v, g, a[g], b[g])
			}
		}
	}
}

// TestSensitivitiesBruteForce compares random tables with missing values with the plain
// definition and with Spearman.
func TestSensitivitiesBruteForce(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	for range 200 {
		variants, blocks, items := 1+rng.IntN(4), 1+rng.IntN(4), 1+rng.IntN(12)
		values := make([][][]float64, variants)
		for v := range values {
			values[v] = make([][]float64, blocks)
			for b := range values[v] {
				for range items {
					x := float64(rng.IntN(8))
					if rng.IntN(6) == 0 {
						x = math.NaN()
					}
					values[v][b] = append(values[v][b], x)
				}
			}
		}
		group := rng.Perm(items)[:rng.IntN(items+1)]
		got, err := Sensitivities(values, [][]int{group})
		if err != nil {
			t.Fatal(err)
		}
		for v := range values {
			var medians, rhos []float64
			for b, x := range values[v] {
				var ranks, one, other []float64
				for _, i := range group {
					if math.IsNaN(x[i]) {
						continue
					}
					greater, equal, n := 0., 0., 0.
					for _, y := range x {
						if y > x[i] {
							greater++
						}
						if y == x[i] {
							equal++
						}
						if y == y {
							n++
						}
					}
					ranks = append(ranks, 100*(greater+equal/2)/n) // r = greater + (equal+1)/2
					if first := values[0][b][i]; first == first {
						one, other = append(one, x[i]), append(other, first)
					}
				}
				if len(ranks) > 0 {
					m, err := Median(ranks)
					if err != nil {
						t.Fatal(err)
					}
					medians = append(medians, m)
				}
				if len(one) >= 3 {
					if r, err := Spearman(one, other, nil); err == nil {
						rhos = append(rhos, r.Estimate)
					} else if !errors.Is(err, ErrZeroVariance) {
						t.Fatal(err)
					}
				}
			}
			g := got[v].Groups[0]
			for _, c := range []struct {
				got  float64
				of   []float64
				want func([]float64) (float64, error)
			}{{g.MedianRank, medians, Median}, {g.Correlation, rhos, Median}, {g.Lowest, rhos, func(x []float64) (float64, error) { return slices.Min(x), nil }}} {
				if len(c.of) == 0 {
					if !math.IsNaN(c.got) {
						t.Fatalf("%v of nothing", c.got)
					}
					continue
				}
				if want, err := c.want(c.of); err != nil || !(math.Abs(c.got-want) < 1e-9) {
					t.Fatalf("%v, wanted %v (%v)", c.got, want, err)
				}
			}
			if v == 0 && len(rhos) > 0 && g.Lowest != 1 {
				t.Fatalf("the first variant goes with itself by %v", g.Lowest)
			}
		}
	}
}

func TestSensitivitiesErrors(t *testing.T) {
	ok := [][]float64{{1, 2}, {2, 1}}
	for _, c := range []struct {
		values [][][]float64
		groups [][]int
		want   error
		text   string
	}{
		{nil, nil, ErrSampleSize, "stats: Sensitivities: too few values: no variants, blocks or items, wanted one of each"},
		{[][][]float64{{}}, nil, ErrSampleSize, "stats: Sensitivities: too few values: no variants, blocks or items, wanted one of each"},
		{[][][]float64{{{}}}, nil, ErrSampleSize, "stats: Sensitivities: too few values: no variants, blocks or items, wanted one of each"},
		{[][][]float64{ok, ok[:1]}, nil, ErrLength, "stats: Sensitivities: lengths differ: variant 1 has 1 blocks, the first 2"},
		{[][][]float64{ok, {{1, 2}, {1}}}, nil, ErrLength, "stats: Sensitivities: lengths differ: variant 1 has 1 items in block 1, wanted 2"},
		{[][][]float64{ok}, [][]int{{0}, {1, 2}}, ErrOption, "stats: Sensitivities: option out of range: group 1 has item 2, wanted 0 to 1"},
	} {
		if got, err := Sensitivities(c.values, c.groups); !errors.Is(err, c.want) || err.Error() != c.text || got != nil {
			t.Errorf("%v, %v, wanted %s", got, err, c.text)
		}
	}
}
