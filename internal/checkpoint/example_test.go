package checkpoint_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/gomlx/compute/dtypes"
	"github.com/implicitreward/implicitreward/internal/checkpoint"
)

// A checkpoint written, read and named.
func Example() {
	dir, err := os.MkdirTemp("", "example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	f, err := os.Create(filepath.Join(dir, "model.safetensors"))
	if err != nil {
		log.Fatal(err)
	}
	err = checkpoint.Write(f, []checkpoint.Tensor{
		{Name: "model.norm.weight", DType: dtypes.BFloat16, Shape: []int{2}, Data: []byte{0x80, 0x3f, 0x00, 0xc0}},
	}, nil)
	if err != nil {
		log.Fatal(err)
	}
	if err := f.Close(); err != nil {
		log.Fatal(err)
	}

	found, err := checkpoint.Find(context.Background(), dir, nil)
	if err != nil {
		log.Fatal(err)
	}
	weights, err := checkpoint.OpenWeights(found)
	if err != nil {
		log.Fatal(err)
	}
	defer weights.Close()
	for _, name := range weights.Names() {
		t, _ := weights.Get(name)
		if err := t.CheckFinite(); err != nil {
			log.Fatal(err)
		}
		values, err := t.Float32s()
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(name, t.DType, t.Shape, values)
	}
	hash, err := weights.Hash(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(hash[:16]) // as Python computes it by the definition at Weights.Hash
	// Output:
	// model.norm.weight BFloat16 [2] [1 -2]
	// 972341579e099cdb
}
