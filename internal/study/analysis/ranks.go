package analysis

import (
	"fmt"
	"slices"

	"gonum.org/v1/gonum/stat"

	"github.com/implicitreward/implicitreward/internal/study/cube"
	"github.com/implicitreward/implicitreward/stats"
)

// middle sums up the words of one category after one prompt.
type middle struct {
	words             int
	rank, value, mean float64 // median rank, median and mean of the values
}

// rank ranks the values of words, greatest first, and sums up each category.
func rank(values []float64, category, categories []string) (ranks []float64, middles []middle, err error) {
	if ranks, err = stats.RanksDescending(values); err != nil {
		return nil, nil, err
	}
	for _, c := range categories {
		own, _ := byCategory(values, category, c)
		places, _ := byCategory(ranks, category, c)
		m := middle{words: len(own)}
		for _, v := range own {
			m.mean += v
		}
		m.mean /= float64(len(own))
		if m.rank, err = stats.Median(places); err != nil {
			return nil, nil, fmt.Errorf("category %s: %w", c, err)
		}
		m.value, _ = stats.Median(own) // as many as places, and as finite
		middles = append(middles, m)
	}
	return ranks, middles, nil
}

// byCategory splits values into those of a category and others.
func byCategory(values []float64, category []string, a string) (in, out []float64) {
	for i, v := range values {
		if category[i] == a {
			in = append(in, v)
		} else {
			out = append(out, v)
		}
	}
	return in, out
}

// standard returns values less their mean, over their standard deviation.
func standard(values []float64) []float64 {
	mean, sd := stat.MeanStdDev(values, nil)
	z := make([]float64, len(values))
	for i, v := range values {
		if sd > 0 {
			z[i] = (v - mean) / sd
		}
	}
	return z
}

// ranked is the cube of several reward models on the words of a dictionary, as midranks.
type ranked struct {
	cube.Scores // of the words that every model scored, in the order of the first file
	dict        *cube.Dictionary
	groups      *cube.Groups
	framings    []string
	families    []string
	ranks       [][][]float64   // ranks[model][prompt][word], 1 = greatest score
	medians     [][][]float64   // medians[model][prompt][category], of the ranks
	outside     map[string]bool // replies of no category
	missing     []string        // words of the dictionary without a score
}

// newRanked puts the scores of models on a dictionary's words together. All models must
// have the same prompts and the same words of the dictionary, in any order.
func newRanked(dict *cube.Dictionary, all []*cube.Scores, groups *cube.Groups) (*ranked, error) {
	first := all[0].In(dict)
	r := &ranked{dict: dict, groups: groups, framings: groups.Framings(first.Prompts), outside: map[string]bool{}}
	r.Prompts, r.Words, r.Category = first.Prompts, first.Words, first.Category
	if err := r.Check(dict, first.Files[0]); err != nil {
		return nil, err
	}
	place := map[string]int{}
	for i, w := range r.Words {
		place[w] = i
	}
	for _, w := range all[0].Words {
		if _, ok := place[w]; !ok {
			r.outside[w] = true
		}
	}
	for _, w := range dict.Words {
		if _, ok := place[w.Text]; !ok && !slices.Contains(r.missing, w.Text) {
			r.missing = append(r.missing, w.Text)
		}
	}
	for _, s := range all {
		model := s.Models[0]
		if slices.ContainsFunc(r.Models, func(m cube.Model) bool { return m.ID == model.ID }) {
			return nil, fmt.Errorf("%s: a second file of model %s", s.Files[0], model.ID)
		}
		if !slices.Contains(r.families, model.Family) {
			r.families = append(r.families, model.Family)
		}
		if err := r.add(s, place, all[0].Files[0]); err != nil {
			return nil, err
		}
	}
	slices.Sort(r.families)
	return r, nil
}

// add adds a model, whose prompts and words must be those of the first file.
func (r *ranked) add(s *cube.Scores, place map[string]int, first string) error {
	file := s.Files[0]
	at, n := make([]int, len(place)), 0 // of each word of r in s
	for i, w := range s.Words {
		if k, ok := place[w]; ok {
			at[k] = i
			n++
		} else if _, known := r.dict.Category(w); known {
			return fmt.Errorf("%s: %q is scored here and not in %s, wanted the same words of the dictionary", file, w, first)
		}
	}
	if n != len(place) {
		for _, w := range r.Words {
			if !slices.Contains(s.Words, w) {
				return fmt.Errorf("%s: no row for %q, which %s has: wanted the same words of the dictionary", file, w, first)
			}
		}
	}
	for _, p := range s.Prompts {
		if !slices.Contains(r.Prompts, p) {
			return fmt.Errorf("%s: prompt %s, which %s lacks: wanted the same prompts", file, p, first)
		}
	}
	var scores, ranks, medians [][]float64
	for _, p := range r.Prompts {
		column := slices.Index(s.Prompts, p)
		if column < 0 {
			return fmt.Errorf("%s: no column %s, which %s has: wanted the same prompts", file, p, first)
		}
		values := cube.Pick(s.Values[0][column], at)
		if slices.Min(values) == slices.Max(values) {
			return fmt.Errorf("%s: column %s: all %d words have the score %v, wanted scores that tell words apart",
				file, p, len(values), values[0])
		}
		order, middles, err := rank(values, r.Category, r.dict.Categories)
		if err != nil {
			return fmt.Errorf("%s: column %s: %w", file, p, err)
		}
		var own []float64
		for _, m := range middles {
			own = append(own, m.rank)
		}
		scores, ranks, medians = append(scores, values), append(ranks, order), append(medians, own)
	}
	r.Models, r.Files = append(r.Models, s.Models[0]), append(r.Files, file)
	r.Values, r.ranks, r.medians = append(r.Values, scores), append(r.ranks, ranks), append(r.medians, medians)
	return nil
}

// members are the places of a family's models.
func (r *ranked) members(family string) []int {
	var at []int
	for m, model := range r.Models {
		if model.Family == family {
			at = append(at, m)
		}
	}
	return at
}

// values returns the medians of category k on the prompts of a framing for the models
// of a family, model by model.
func (r *ranked) values(family string, k int, framing string) []float64 {
	var v []float64
	for _, m := range r.members(family) {
		v = append(v, r.modelValues(m, k, framing)...)
	}
	return v
}

// modelValues returns a model's medians of category k on the prompts of a framing.
func (r *ranked) modelValues(m, k int, framing string) []float64 {
	var v []float64
	for _, p := range r.groups.Places(framing, r.Prompts) {
		v = append(v, r.medians[m][p][k])
	}
	return v
}

// modelMeans returns, for each model of a family, the mean of its medians.
func (r *ranked) modelMeans(family string, k int, framing string) []float64 {
	var means []float64
	for _, m := range r.members(family) {
		means = append(means, stat.Mean(r.modelValues(m, k, framing), nil))
	}
	return means
}

// eachPair calls use for each two families.
func (r *ranked) eachPair(use func(a, b string) error) error {
	for i, a := range r.families {
		for _, b := range r.families[i+1:] {
			if err := use(a, b); err != nil {
				return err
			}
		}
	}
	return nil
}
