package stats

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// crossedRows is a complete design of models x prompts x words, words in two
// categories, families of the models alternating.
func crossedRows(models, prompts, words int) (y []float64, fixed, groups []Variable) {
	r := rand.New(rand.NewPCG(1, 2))
	up, uw := make([]float64, prompts), make([]float64, words)
	for i := range up {
		up[i] = r.NormFloat64()
	}
	for i := range uw {
		uw[i] = 2 * r.NormFloat64()
	}
	var family, category, framing, prompt, word []string
	for m := range models {
		for p := range prompts {
			for w := range words {
				family = append(family, []string{"Gemma", "Llama"}[m%2])
				framing = append(framing, []string{"positive", "negative"}[p%2])
				category = append(category, []string{"Agency", "Communion"}[w%2])
				prompt, word = append(prompt, fmt.Sprint(p)), append(word, fmt.Sprint(w))
				y = append(y, 100+up[p]+uw[w]+float64(m%2*w%2)+r.NormFloat64())
			}
		}
	}
	return y, []Variable{{Name: "family", Labels: family}, {Name: "category", Labels: category}, {Name: "framing", Labels: framing}},
		[]Variable{{Name: "prompt", Labels: prompt}, {Name: "word", Labels: word}}
}

func BenchmarkMixedOneGroup(b *testing.B) { // 2,700 medians: 10 models x 5 categories x 54 prompts
	r := rand.New(rand.NewPCG(1, 2))
	var y []float64
	labels := map[string][]string{}
	for m := range 10 {
		u := r.NormFloat64()
		for c := range 5 {
			for p := range 54 {
				y = append(y, u+r.NormFloat64()*5)
				labels["model"] = append(labels["model"], fmt.Sprint(m))
				labels["family"] = append(labels["family"], fmt.Sprint(m%2))
				labels["category"] = append(labels["category"], fmt.Sprint(c))
				labels["framing"] = append(labels["framing"], fmt.Sprint(p%2))
			}
		}
	}
	var fixed []Variable
	for _, n := range []string{"family", "category", "framing"} {
		fixed = append(fixed, Variable{Name: n, Labels: labels[n]})
	}
	for b.Loop() {
		if _, err := Mixed(y, fixed, []Variable{{Name: "model", Labels: labels["model"]}}, nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMixedCrossed(b *testing.B) {
	for _, words := range []int{263, 1652} {
		y, fixed, groups := crossedRows(2, 54, words)
		b.Run(fmt.Sprintf("%drows", len(y)), func(b *testing.B) {
			for b.Loop() {
				if _, err := Mixed(y, fixed, groups, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkRanks(b *testing.B) { // 2,000 words x 54 prompts x 10 models
	r := rand.New(rand.NewPCG(1, 2))
	x := make([]float64, 2000)
	for i := range x {
		x[i] = float64(r.IntN(1000)) / 64 // ties, as of bf16 scores
	}
	for b.Loop() {
		for range 540 {
			if _, err := RanksDescending(x); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkPermutation(b *testing.B) { // 9,999 draws, 108 against 162 values
	r := rand.New(rand.NewPCG(1, 2))
	x := make([]float64, 270)
	for i := range x {
		x[i] = r.NormFloat64()
	}
	for name, s := range map[string]Statistic{"mean": MeanDifference, "welch": WelchT} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := Permutation(x[:108], x[108:], &ResampleOptions{Statistic: s}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkPermutationExact(b *testing.B) { // 10 against 10: 184,756 relabelings
	r := rand.New(rand.NewPCG(1, 2))
	x := make([]float64, 20)
	for i := range x {
		x[i] = r.NormFloat64()
	}
	for b.Loop() {
		if _, err := Permutation(x[:10], x[10:], &ResampleOptions{Statistic: WelchT}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBootstrapCrossed(b *testing.B) { // 9,999 resamples of 54 prompts x (104 + 159) words
	m := make([]float64, 54*263)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range m {
		m[i] = r.NormFloat64()
	}
	mean := func(prompts, words []int, from int) float64 {
		var s float64
		for _, p := range prompts {
			row := m[p*263+from:]
			for _, w := range words {
				s += row[w]
			}
		}
		return s / float64(len(prompts)*len(words))
	}
	for b.Loop() {
		_, err := BootstrapAxes([]int{54, 104, 159}, func(at [][]int) (float64, error) {
			return mean(at[0], at[1], 0) - mean(at[0], at[2], 104), nil
		}, nil)
		if err != nil {
			b.Fatal(err)
		}
	}
}
