package study

import (
	"fmt"
	"slices"

	"github.com/implicitreward/implicitreward/implicit/words"
	"github.com/implicitreward/implicitreward/stats"
)

// Scores are the values that a model gives to words after prompts: greater is liked
// more.
type Scores struct {
	Model   Model
	File    string
	Words   []string
	Prompts []string
	Values  [][]float64 // Values[prompt][word]

	meta *words.Provenance // of a rewards file that says how it was made
}

// ReadScores reads the scores of a reward model, CSV or Parquet by the name's ending:
// a column of replies, called response, and a column a prompt; or a rewards file of
// score, whose implicit rewards are then the scores. The model is found by the file's
// name among models and the built-in ones, or by the rewards' metadata.
func ReadScores(path string, models []Model) (*Scores, error) {
	if isReward(path) {
		r, err := ReadReward(path, models)
		if err != nil {
			return nil, err
		}
		if r.Model.Family == "" {
			return nil, fmt.Errorf("%s: model %q without a family, wanted it in the file of models (name, family)", path, r.Model.Name)
		}
		s := &Scores{Model: r.Model, File: path, Words: r.Words, Prompts: r.Prompts}
		if r.Meta.Tuned.Model != "" {
			s.meta = &r.Meta
		}
		for p := range r.Prompts {
			s.Values = append(s.Values, r.values(p))
		}
		return s, nil
	}
	m, err := readMatrix(path, matrixOptions{text: []string{"response", "word", "token_decoded"}, ignore: []string{"token_id", "token_name"}, unique: true, what: "prompt"})
	if err != nil {
		return nil, err
	}
	model, ok := findModel(models, stem(path))
	if !ok || model.Family == "" {
		return nil, fmt.Errorf("%s: model %q without a family, wanted it in the file of models (name, family), or one of the ten of the paper", path, stem(path))
	}
	return &Scores{Model: model, File: path, Words: m.Texts, Prompts: m.Columns, Values: m.Values}, nil
}

// ranked is the scores of models on the words of a dictionary, as midranks.
type ranked struct {
	dict     *Dictionary
	groups   *Groups
	models   []Model
	prompts  []string
	framings []string // groups of the prompts
	families []string
	words    []string        // ranked by every model, in the order of the first file
	category []string        // of each word
	scores   [][][]float64   // scores[model][prompt][word]
	ranks    [][][]float64   // midranks, 1 = greatest score
	medians  [][][]float64   // medians[model][prompt][category]
	outside  map[string]bool // replies of no category
	missing  []string        // words of the dictionary without a score
}

// rank puts the scores of models on a dictionary's words together. All models must
// have the same prompts and the same words of the dictionary, in any order.
func rank(dict *Dictionary, all []*Scores, groups *Groups) (*ranked, error) {
	r := &ranked{dict: dict, groups: groups, prompts: all[0].Prompts, framings: groups.in(all[0].Prompts), outside: map[string]bool{}}
	place := map[string]int{}
	for _, w := range all[0].Words {
		c, ok := dict.Category(w)
		if !ok {
			r.outside[w] = true
			continue
		}
		place[w] = len(r.words)
		r.words, r.category = append(r.words, w), append(r.category, c)
	}
	count := map[string]int{}
	for _, c := range r.category {
		count[c]++
	}
	for _, c := range dict.Categories {
		if count[c] < 2 {
			return nil, fmt.Errorf("%s: %d words of category %s of %s, wanted two or more", all[0].File, count[c], c, dict.File)
		}
	}
	for _, w := range dict.Words {
		if _, ok := place[w.Text]; !ok && !slices.Contains(r.missing, w.Text) {
			r.missing = append(r.missing, w.Text)
		}
	}
	for _, s := range all {
		if slices.ContainsFunc(r.models, func(m Model) bool { return m.ID == s.Model.ID }) {
			return nil, fmt.Errorf("%s: a second file of model %s", s.File, s.Model.ID)
		}
		r.models = append(r.models, s.Model)
		if !slices.Contains(r.families, s.Model.Family) {
			r.families = append(r.families, s.Model.Family)
		}
		if err := r.add(s, place, all[0]); err != nil {
			return nil, err
		}
	}
	slices.Sort(r.families)
	return r, nil
}

func (r *ranked) add(s *Scores, place map[string]int, first *Scores) error {
	at, n := make([]int, len(s.Words)), 0
	for i, w := range s.Words {
		k, ok := place[w]
		if !ok {
			if _, known := r.dict.Category(w); known {
				return fmt.Errorf("%s: %q is scored here and not in %s, wanted the same words of the dictionary", s.File, w, first.File)
			}
			k = -1
		} else {
			n++
		}
		at[i] = k
	}
	if n != len(place) {
		for _, w := range r.words {
			if !slices.Contains(s.Words, w) {
				return fmt.Errorf("%s: no row for %q, which %s has: wanted the same words of the dictionary", s.File, w, first.File)
			}
		}
	}
	for _, p := range s.Prompts {
		if !slices.Contains(r.prompts, p) {
			return fmt.Errorf("%s: prompt %s, which %s lacks: wanted the same prompts", s.File, p, first.File)
		}
	}
	var scores, ranks, medians [][]float64
	for _, p := range r.prompts {
		column := slices.Index(s.Prompts, p)
		if column < 0 {
			return fmt.Errorf("%s: no column %s, which %s has: wanted the same prompts", s.File, p, first.File)
		}
		values := make([]float64, len(place))
		for i, v := range s.Values[column] {
			if at[i] >= 0 {
				values[at[i]] = v
			}
		}
		if slices.Min(values) == slices.Max(values) {
			return fmt.Errorf("%s: column %s: all %d words have the score %v, wanted scores that tell words apart", s.File, p, len(values), values[0])
		}
		order, err := stats.RanksDescending(values)
		if err != nil {
			return fmt.Errorf("%s: column %s: %w", s.File, p, err)
		}
		scores, ranks, medians = append(scores, values), append(ranks, order), append(medians, r.categoryMedians(order))
	}
	r.scores, r.ranks, r.medians = append(r.scores, scores), append(r.ranks, ranks), append(r.medians, medians)
	return nil
}

// categoryMedians returns the median of the values of each category's words.
func (r *ranked) categoryMedians(values []float64) []float64 {
	medians := make([]float64, len(r.dict.Categories))
	own := make([]float64, 0, len(values))
	for k, c := range r.dict.Categories {
		own = own[:0]
		for i, v := range values {
			if r.category[i] == c {
				own = append(own, v)
			}
		}
		medians[k] = median(own)
	}
	return medians
}

// median is stats.Median of values that are known to be finite and more than none. It
// reorders x.
func median(x []float64) float64 {
	slices.Sort(x)
	if n := len(x); n%2 == 0 {
		return (x[n/2-1] + x[n/2]) / 2
	}
	return x[len(x)/2]
}

// values returns the medians of category k on the prompts of a framing for the models
// of a family, model by model.
func (r *ranked) values(family string, k int, framing string) []float64 {
	var v []float64
	for m := range r.models {
		if r.models[m].Family == family {
			v = append(v, r.modelValues(m, k, framing)...)
		}
	}
	return v
}

// modelValues returns a model's medians of category k on the prompts of a framing.
func (r *ranked) modelValues(m, k int, framing string) []float64 {
	var v []float64
	for p, name := range r.prompts {
		if r.groups.group(name) == framing {
			v = append(v, r.medians[m][p][k])
		}
	}
	return v
}

// modelMeans returns, for each model of a family, the mean of its medians.
func (r *ranked) modelMeans(family string, k int, framing string) []float64 {
	var means []float64
	for m := range r.models {
		if r.models[m].Family == family {
			mean, _ := meanSD(r.modelValues(m, k, framing))
			means = append(means, mean)
		}
	}
	return means
}
