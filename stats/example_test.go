package stats_test

import (
	"errors"
	"fmt"
	"log"

	"github.com/implicitreward/implicitreward/stats"
)

// The median ranks of agency words by four Gemma and six Llama reward models:
// with so few models the exact test is the honest one.
func Example() {
	gemma := []float64{134.0, 128.9, 135.2, 131.7}
	llama := []float64{126.1, 131.4, 127.5, 133.0, 125.8, 126.0}

	welch, err := stats.Welch(gemma, llama, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("Welch: difference %.2f [%.2f, %.2f], t(%.2f) = %.2f, p = %.3f\n",
		welch.Estimate, welch.Interval.Lower, welch.Interval.Upper, welch.DF, welch.T, welch.P)

	exact, err := stats.Permutation(gemma, llama, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("exact: %d of %d relabelings, p = %.3f\n", exact.Exceed, exact.Arrangements, exact.P)

	d, err := stats.CliffDelta(gemma, llama, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("Cliff's delta: %.2f\n", d.Estimate)
	// Output:
	// Welch: difference 4.15 [-0.29, 8.59], t(7.14) = 2.20, p = 0.063
	// exact: 14 of 210 relabelings, p = 0.067
	// Cliff's delta: 0.75
}

func ExampleRanksDescending() {
	scores := []float64{0.5, 2.25, 0.5, -1} // of four words; the greatest is ranked 1
	ranks, err := stats.RanksDescending(scores)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(ranks)
	// Output: [2.5 1 2.5 4]
}

// The same prompts serve both models.
func ExamplePaired() {
	base := []float64{41.5, 38.0, 44.0, 40.5, 39.5}
	tuned := []float64{38.0, 36.5, 40.0, 38.5, 38.0}
	r, err := stats.Paired(base, tuned, &stats.TestOptions{Level: 0.99})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%.2f [%.2f, %.2f], t(%.0f) = %.2f, p = %.4f\n", r.Estimate, r.Interval.Lower, r.Interval.Upper, r.DF, r.T, r.P)
	// Output: 2.50 [0.09, 4.91], t(4) = 4.77, p = 0.0089
}

func ExampleBenjaminiHochberg() {
	adjusted, err := stats.BenjaminiHochberg([]float64{0.004, 0.03, 0.02, 0.6})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%.3f\n", adjusted)
	// Output: [0.016 0.040 0.040 0.600]
}

func ExampleANOVA() {
	rank := []float64{12, 14, 13, 18, 17, 11, 12, 19, 21, 20, 13}
	variables := []stats.Variable{
		{Name: "family", Labels: []string{"Gemma", "Gemma", "Gemma", "Gemma", "Gemma", "Llama", "Llama", "Llama", "Llama", "Llama", "Llama"}},
		{Name: "framing", Labels: []string{"pos", "pos", "pos", "neg", "neg", "pos", "pos", "neg", "neg", "neg", "pos"},
			Levels: []string{"pos", "neg"}},
	}
	table, err := stats.ANOVA(rank, variables, nil)
	if err != nil {
		log.Fatal(err)
	}
	for _, r := range table.Rows {
		fmt.Printf("%-14s SS %6.2f  F(%v, %v) = %6.2f  p = %.2g  partial eta² %.2f\n", r.Term, r.SS, r.DF, table.Residual.DF, r.F, r.P, r.PartialEtaSquared)
	}
	// Output:
	// family         SS   0.83  F(1, 7) =   0.90  p = 0.38  partial eta² 0.11
	// framing        SS 112.13  F(1, 7) = 120.76  p = 1.1e-05  partial eta² 0.95
	// family:framing SS   8.17  F(1, 7) =   8.79  p = 0.021  partial eta² 0.56
}

// Prompts and words are both samples: two crossing random intercepts.
func ExampleMixed() {
	rows := []struct {
		family, prompt, word string
		reward               float64
	}{
		{"Gemma", "best", "love", 3.1}, {"Gemma", "best", "hope", 2.2}, {"Gemma", "best", "power", 1.4}, {"Gemma", "best", "skill", 0.9},
		{"Gemma", "worst", "love", 2.3}, {"Gemma", "worst", "hope", 1.2}, {"Gemma", "worst", "power", 0.6}, {"Gemma", "worst", "skill", 0.4},
		{"Llama", "best", "love", 2.4}, {"Llama", "best", "hope", 1.9}, {"Llama", "best", "power", 0.8}, {"Llama", "best", "skill", 0.8},
		{"Llama", "worst", "love", 1.3}, {"Llama", "worst", "hope", 1.1}, {"Llama", "worst", "power", 0.2}, {"Llama", "worst", "skill", -0.3},
	}
	family, prompt, word := stats.Variable{Name: "family"}, stats.Variable{Name: "prompt"}, stats.Variable{Name: "word"}
	var y []float64
	for _, r := range rows {
		y = append(y, r.reward)
		family.Labels = append(family.Labels, r.family)
		prompt.Labels = append(prompt.Labels, r.prompt)
		word.Labels = append(word.Labels, r.word)
	}
	fit, err := stats.Mixed(y, []stats.Variable{family}, []stats.Variable{prompt, word}, nil)
	if err != nil {
		log.Fatal(err)
	}
	for _, c := range fit.Coefs {
		fmt.Printf("%-13s %5.2f ± %.2f, t(%.1f) = %.2f, p = %.2g\n", c.Name, c.Estimate, c.SE, c.DF, c.T, c.P)
	}
	for _, g := range fit.Groups {
		fmt.Printf("%-13s SD %.2f\n", g.Name, g.SD)
	}
	fmt.Printf("residual      SD %.2f\n", fit.Sigma)
	for _, w := range fit.Warnings {
		fmt.Println(w)
	}
	// Output:
	// (Intercept)    1.51 ± 0.59, t(3.0) = 2.57, p = 0.084
	// family[Llama] -0.49 ± 0.10, t(10.0) = -4.93, p = 0.0006
	// prompt        SD 0.59
	// word          SD 0.82
	// residual      SD 0.20
	// stats: Mixed: group prompt has 2 levels: its variance is hardly known
	// stats: Mixed: group word has 4 levels: its variance is hardly known
}

// The difference between two categories of words over the same prompts, for new
// prompts and new words: three axes.
func ExampleBootstrapAxes() {
	rewards := [][]float64{ // prompts x words; the first three words are of one category
		{2.1, 1.7, 2.6, 0.9, 1.2, 0.4},
		{1.8, 1.9, 2.2, 1.1, 0.7, 0.6},
		{2.9, 2.1, 3.0, 1.6, 1.9, 1.0},
		{1.2, 1.1, 1.7, 0.8, 0.5, -0.2},
	}
	mean := func(prompts, words []int, first int) float64 {
		var s float64
		for _, p := range prompts {
			for _, w := range words {
				s += rewards[p][first+w]
			}
		}
		return s / float64(len(prompts)*len(words))
	}
	r, err := stats.BootstrapAxes([]int{4, 3, 3}, func(at [][]int) (float64, error) {
		return mean(at[0], at[1], 0) - mean(at[0], at[2], 3), nil
	}, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%.2f [%.2f, %.2f]\n", r.Estimate, r.BCa.Lower, r.BCa.Upper)
	// Output: 1.15 [0.71, 1.71]
}

func ExampleWelch_refusal() {
	_, err := stats.Welch([]float64{1}, []float64{2, 3}, nil)
	fmt.Println(err)
	fmt.Println(errors.Is(err, stats.ErrSampleSize))
	// Output:
	// stats: Welch: too few values: x has 1, wanted at least 2
	// true
}
