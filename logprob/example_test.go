//go:build !nodaulet

package logprob_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"slices"

	"github.com/gomlx/compute"
	_ "github.com/gomlx/compute/gobackend"

	"github.com/implicitreward/implicitreward/internal/demo"
	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

// example loads an embedded model; a real one is a folder with config.json,
// model.safetensors and tokenizer.json.
func example(ctx context.Context) (m *logprob.Model, remove func()) {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	_, tuned, err := demo.Pairs()[0].Extract(dir)
	if err != nil {
		log.Fatal(err)
	}
	backend, err := compute.NewWithConfig("go:ops_sequential")
	if err != nil {
		log.Fatal(err)
	}
	m, err = logprob.Load(ctx, tuned, &logprob.Options{Backend: backend})
	if err != nil {
		log.Fatal(err)
	}
	return m, func() { m.Close(); os.RemoveAll(dir) }
}

func ExampleScore() {
	ctx := context.Background()
	m, remove := example(ctx)
	defer remove()

	var texts []tokenize.Encoded
	for _, reply := range []string{" power", " tenderness"} {
		text, err := m.Tokenizer().Raw("What is the best thing?", reply)
		if err != nil {
			log.Fatal(err)
		}
		texts = append(texts, text)
	}
	i := 0
	for score, err := range logprob.Score(ctx, m, slices.Values(texts)) {
		if err != nil {
			log.Fatal(err)
		}
		reply := texts[i].IDs[texts[i].Reply:]
		fmt.Printf("%q: %d tokens, ln p = %.2f\n", m.Tokenizer().Decode(reply...), len(reply), score.Sum())
		i++
	}
	// Output:
	// " power": 1 tokens, ln p = -4.44
	// " tenderness": 2 tokens, ln p = -5.88
}

func ExampleNext() {
	ctx := context.Background()
	m, remove := example(ctx)
	defer remove()

	text, err := m.Tokenizer().Chat("What is the best thing?", "", nil)
	if err != nil {
		log.Fatal(err)
	}
	for row, err := range logprob.Next(ctx, m, slices.Values([]tokenize.Encoded{text})) {
		if err != nil {
			log.Fatal(err)
		}
		best := 0
		for id, lnp := range row {
			if lnp > row[best] {
				best = id
			}
		}
		fmt.Printf("%d log-probabilities, the highest is that of %q\n", len(row), m.Tokenizer().Decode(int32(best)))
	}
	// Output: 627 log-probabilities, the highest is that of " ambition"
}
