//go:build !nodaulet

package implicit_test

import (
	"cmp"
	"context"
	"fmt"
	"log"
	"math"
	"slices"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/logprob"
)

// The whole distribution of the next token: how far tuning moved it, and by which tokens most.
func Example_tables() {
	var tables []*logprob.Table
	for _, dir := range []string{"../internal/demo/data/llama/tuned", "../internal/demo/data/llama/base"} {
		m, err := logprob.Load(context.Background(), dir, nil)
		if err != nil {
			log.Fatal(err)
		}
		defer m.Close()
		text, err := m.Tokenizer().Raw("What, in one word, is the best thing ever?", "")
		if err != nil {
			log.Fatal(err)
		}
		table, err := m.Table(context.Background(), []logprob.Prompt{{Name: "best", Text: text}})
		if err != nil {
			log.Fatal(err)
		}
		tables = append(tables, table)
	}
	joined, err := implicit.Join(tables[0], tables[1], &implicit.JoinOptions{ByID: true})
	if err != nil {
		log.Fatal(err)
	}

	kl := 0.0
	p, _ := joined.LogProb(0)
	for i, ratio := range joined.LogRatio(0) {
		kl += math.Exp(float64(p[i])) * ratio
	}
	fmt.Printf("KL divergence of the tuned model from the base model: %.1f nats\n", kl)

	mwlr := joined.MWLR(0)
	order := make([]int, len(mwlr))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(mwlr[b], mwlr[a]) })
	for _, i := range order[:3] {
		fmt.Printf("%-10q %.2f\n", joined.Tokens[i].Text, mwlr[i])
	}
	// Output:
	// KL divergence of the tuned model from the base model: 0.5 nats
	// " freedom" 0.23
	// " Power"   0.08
	// " Free"    0.03
}
