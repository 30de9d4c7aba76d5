//go:build !nodaulet

package words_test

import (
	"context"
	"fmt"
	"log"
	"os"

	_ "github.com/gomlx/compute/gobackend" // or github.com/gomlx/go-xla/compute/xla

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/implicit/lexicon"
	"github.com/implicitreward/implicitreward/implicit/rewardmodel"
	"github.com/implicitreward/implicitreward/implicit/words"
	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/stats"
)

// Which of two categories of words does the tuned model prefer, more than its base model does? The median log-ratio of each
// category after every prompt, and a paired test over the prompts.
func Example() {
	ctx := context.Background()
	tuned, err := logprob.Load(ctx, "../../internal/demo/data/llama/tuned", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer tuned.Close()
	base, err := logprob.Load(ctx, "../../internal/demo/data/llama/base", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer base.Close()
	file, err := os.Open("../../internal/demo/data/words.csv")
	if err != nil {
		log.Fatal(err)
	}
	defer file.Close()
	corpus, err := lexicon.ReadCorpus(file)
	if err != nil {
		log.Fatal(err)
	}

	pair := implicit.Pair{Tuned: implicit.Raw(tuned), Base: implicit.Raw(base)}
	prompts := lexicon.PaperPrompts()[:4]
	options := &words.Options{Forms: []lexicon.Form{" {}", " {title}"}}
	ratios := map[string][]float64{} // of a category after a prompt
	for w, err := range words.Rewards(ctx, pair, corpus, prompts, options) {
		if err != nil {
			log.Fatal(err)
		}
		if w.Err == nil {
			key := w.Categories[0] + w.PromptName
			ratios[key] = append(ratios[key], w.Scores[0].LogRatio())
		}
	}

	medians := map[string][]float64{} // of a category, by prompt
	for _, category := range []string{"agency", "communion"} {
		for _, p := range prompts {
			m, err := stats.Median(ratios[category+p.Name])
			if err != nil {
				log.Fatal(err)
			}
			medians[category] = append(medians[category], m)
		}
		fmt.Printf("%-9s %5.1f\n", category, medians[category])
	}
	test, err := stats.Paired(medians["agency"], medians["communion"], nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("difference %.1f nats, df = %v, p < 0.001: %v\n", test.Estimate, test.DF, test.P < 0.001)
	// Output:
	// agency    [  0.4   0.4   0.4   0.4]
	// communion [ -1.7  -1.7  -1.7  -1.7]
	// difference 2.1 nats, df = 3, p < 0.001: true
}

// Which categories of words does a reward model like? The median reward of each after four
// prompts.
func ExampleScores() {
	ctx := context.Background()
	rm, err := rewardmodel.Load(ctx, "../../internal/demo/data/llama/rm", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer rm.Close()
	file, err := os.Open("../../internal/demo/data/words.csv")
	if err != nil {
		log.Fatal(err)
	}
	defer file.Close()
	corpus, err := lexicon.ReadCorpus(file)
	if err != nil {
		log.Fatal(err)
	}

	rewards := map[string][]float64{} // of a category
	for w, err := range words.Scores(ctx, rm, corpus, lexicon.PaperPrompts()[:4], nil) {
		if err != nil {
			log.Fatal(err)
		}
		if w.Err == nil {
			rewards[w.Categories[0]] = append(rewards[w.Categories[0]], w.Scores[0].Reward)
		}
	}
	for _, category := range []string{"agency", "communion", "weather"} {
		median, err := stats.Median(rewards[category])
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%-9s %+.1f\n", category, median)
	}
	// Output:
	// agency    +2.7
	// communion +0.8
	// weather   +1.0
}
