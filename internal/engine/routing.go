package engine

import (
	"fmt"
	"math"
	"sync"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/implicitreward/implicitreward/internal/arch"
)

// Routing is how close the choices of a model's routers were: at each token of each mixture of
// experts, the gap between the last logit that was chosen and the first that was not. Where it
// is no larger than what rounding does to a logit, other arithmetic would have chosen another
// expert, and given another number.
type Routing struct {
	Choices  int64   // tokens times mixtures; of what is found in a cache or saved there are none
	Close    int64   // those with a gap of at most Noise
	Smallest float64 // gap; +Inf before the first choice
	// Noise is about what rounding does to a logit: some 1e-5 where products are float32, and
	// 0.02 where their operands are rounded to bfloat16.
	Noise float64
}

// routing gathers a Routing.
type routing struct {
	mu sync.Mutex
	Routing
}

func newRouting(e *Engine) *routing {
	r := &routing{Routing: Routing{Smallest: math.Inf(1), Noise: 1e-5}}
	if e.dtype == dtypes.BFloat16 && !arch.Widens(e.backend) {
		r.Noise = 0.02
	}
	return r
}

// add enters the gaps [T 1] of a block's first n tokens.
func (r *routing) add(gaps *tensors.Tensor, n int) error {
	return tensors.ConstFlatData(gaps, func(all []float32) {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, gap := range all[:n] {
			r.Choices++
			r.Smallest = min(r.Smallest, float64(gap))
			if float64(gap) <= r.Noise {
				r.Close++
			}
		}
	})
}

// Routing is how close the choices of the model's routers have been since it was loaded.
func (e *Engine) Routing() Routing {
	e.routing.mu.Lock()
	defer e.routing.mu.Unlock()
	return e.routing.Routing
}

// Err is a warning where choices were close, nil where none was.
func (r Routing) Err() error {
	if r.Close == 0 {
		return nil
	}
	return fmt.Errorf("engine: %d of %d choices of experts were made by a gap of at most %g between two logits of a router (the smallest is %.2g): other arithmetic may choose otherwise, and give other numbers",
		r.Close, r.Choices, r.Noise, r.Smallest)
}
