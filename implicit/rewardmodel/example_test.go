//go:build !nodaulet

package rewardmodel_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"slices"

	"github.com/gomlx/compute"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/implicit/rewardmodel"
	"github.com/implicitreward/implicitreward/internal/demo"
	"github.com/implicitreward/implicitreward/logprob"
)

// The demonstration's reward model scores two replies.
func Example() {
	ctx := context.Background()
	tmp, err := os.MkdirTemp("", "example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(tmp)
	dir, err := demo.Pair{Name: "llama"}.ExtractRM(tmp)
	if err != nil {
		log.Fatal(err)
	}
	backend, err := compute.NewWithConfig("go:ops_sequential")
	if err != nil {
		log.Fatal(err)
	}
	m, err := rewardmodel.Load(ctx, dir, &rewardmodel.Options{Model: logprob.Options{Backend: backend}})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	fmt.Println(m.Chosen())
	const prompt = "What, in one word, is the greatest thing ever?"
	items := []implicit.Item{{Prompt: prompt, Reply: "freedom"}, {Prompt: prompt, Reply: "tenderness"}}
	for s, err := range rewardmodel.Scores(ctx, m, slices.Values(items)) {
		if err != nil {
			log.Fatal(err)
		}
		if s.Err != nil {
			fmt.Println(s.Err)
			continue
		}
		fmt.Printf("%.2f %s %q\n", s.Reward, s.Reply, s.Flags())
	}
	// Output:
	// linear head (score.weight [1 64]), output "LABEL_0"; pooling last; chat, BOS add (one BOS, as nothing else is known of this model)
	// 3.78 freedom []
	// 1.22 tenderness []
}
