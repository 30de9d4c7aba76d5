//go:build !nodaulet

package implicit_test

import (
	"context"
	"fmt"
	"log"
	"slices"

	_ "github.com/gomlx/compute/gobackend" // or github.com/gomlx/go-xla/compute/xla

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/logprob"
)

// The implicit rewards of two replies, of checkpoints in folders or on the Hugging Face hub.
func Example_replies() {
	ctx := context.Background()
	tuned, err := logprob.Load(ctx, "../internal/demo/data/llama/tuned", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer tuned.Close()
	base, err := logprob.Load(ctx, "../internal/demo/data/llama/base", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer base.Close()

	pair := implicit.Pair{Tuned: implicit.Raw(tuned), Base: implicit.Raw(base), Beta: 0.1}
	const prompt = "What, in one word, is the best thing ever?"
	items := []implicit.Item{{Prompt: prompt, Reply: " power"}, {Prompt: prompt, Reply: " love"}}
	for r, err := range implicit.Rewards(ctx, pair, slices.Values(items)) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%q: ln p %.1f against %.1f, reward %.2f\n", r.Reply, r.Tuned.Sum(), r.Base.Sum(), r.Value())
	}
	// Output:
	// " power": ln p -3.6 against -4.9, reward 0.13
	// " love": ln p -7.7 against -5.3, reward -0.25
}
