package train_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/gomlx/compute"
	_ "github.com/gomlx/compute/gobackend"

	"github.com/implicitreward/implicitreward/implicit/train"
)

// A reward model of a tiny model, from two pairs of token ids.
func Example() {
	ctx := context.Background()
	backend, err := compute.NewWithConfig("go:ops_sequential")
	if err != nil {
		log.Fatal(err)
	}
	defer backend.Finalize()
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	data, err := train.Read(ctx, strings.NewReader(`
{"chosen_ids": [5, 9, 12, 7], "rejected_ids": [5, 9, 12, 8]}
{"chosen_ids": [5, 30, 7], "rejected_ids": [5, 30, 8]}
`), train.Reward)
	if err != nil {
		log.Fatal(err)
	}
	summary, err := train.Run(ctx, data, train.Options{
		Task: train.Reward, Model: "../../logprob/testdata/families/llama-mha", Out: filepath.Join(dir, "rm"), Backend: backend,
		LoRA: &train.LoRA{R: 4}, LR: 0.01, Steps: 20, Checkpoints: train.Cadence{Every: 10},
		Step: func(r train.Record) {
			if r.Step%10 == 1 {
				fmt.Printf("step %d: loss %.2f, accuracy %.1f\n", r.Step, r.Loss, *r.Accuracy)
			}
		},
		Saved: func(_ int, dir string) error {
			fmt.Println(filepath.Base(dir))
			return nil
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(summary.Steps, "steps of", summary.Rows.Rows, "rows")
	// Output:
	// checkpoint-0
	// step 1: loss 0.79, accuracy 0.0
	// checkpoint-10
	// step 11: loss 0.02, accuracy 1.0
	// checkpoint-20
	// 20 steps of 2 rows
}
