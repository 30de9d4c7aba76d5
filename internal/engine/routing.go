package engine

import (
	"math"
	"sync"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/implicitreward/implicitreward/internal/arch"
)

// Routing is how close the choices of a model's routers were: see logprob.Routing.
type Routing struct {
	Choices  int64   // tokens times mixtures
	Close    int64   // those with a gap of at most Noise
	Smallest float64 // gap; +Inf before the first choice
	Noise    float64 // of a logit
}

// routing gathers a Routing.
type routing struct {
	mu sync.Mutex
	Routing
}

// newRouting begins with none. In float32 the logits of the reference checkpoints differ by
// some 1e-6 from those in float64, and longer sums by more; bfloat16 has 8 bits.
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
