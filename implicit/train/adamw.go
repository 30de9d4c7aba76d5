package train

import (
	"math"
	"runtime"
	"sync"

	"github.com/implicitreward/implicitreward/logprob"
)

// adamW is torch.optim.AdamW: for the gradient g of the step t, from 1,
//
//	w = w - lr*decay*w               of matrices alone, as in transformers' Trainer
//	m = b1*m + (1-b1)*g
//	v = b2*v + (1-b2)*g^2
//	w = w - lr/(1-b1^t) * m / (sqrt(v)/sqrt(1-b2^t) + eps)
//
// Arithmetic is float64; w, m and v are kept, and so rounded, as float32.
type adamW struct {
	beta1, beta2, epsilon, decay float64

	step int         // t of the last update
	m, v [][]float32 // of each parameter
}

func newAdamW(o *Options, params []*logprob.Param) *adamW {
	a := &adamW{beta1: o.Beta1, beta2: o.Beta2, epsilon: o.Epsilon, decay: o.WeightDecay}
	for _, p := range params {
		a.m = append(a.m, make([]float32, len(p.Value)))
		a.v = append(a.v, make([]float32, len(p.Value)))
	}
	return a
}

// update takes a step along the gradients times scale.
func (a *adamW) update(params []*logprob.Param, lr, scale float64) {
	a.step++
	size := lr / (1 - math.Pow(a.beta1, float64(a.step)))
	root := math.Sqrt(1 - math.Pow(a.beta2, float64(a.step)))
	for i, p := range params {
		keep := 1.0
		if len(p.Shape) > 1 {
			keep = 1 - lr*a.decay
		}
		m, v := a.m[i], a.v[i]
		pieces(len(p.Value), func(_, from, to int) {
			// Conversions forbid the compiler to fuse products with sums, on any machine.
			for j := from; j < to; j++ {
				g := float64(p.Grad[j]) * scale
				m[j] = float32(float64(a.beta1*float64(m[j])) + float64((1-a.beta1)*g))
				v[j] = float32(float64(a.beta2*float64(v[j])) + float64((1-a.beta2)*float64(g*g)))
				step := float64(size * float64(m[j]) / (math.Sqrt(float64(v[j]))/root + a.epsilon))
				p.Value[j] = float32(float64(keep*float64(p.Value[j])) - step)
			}
		})
	}
}

// norm is the Euclidean norm of all gradients together. Its sum is float64, in an order that
// does not depend on the machine.
func norm(params []*logprob.Param) float64 {
	sum := 0.0
	for _, p := range params {
		parts := make([]float64, (len(p.Grad)+piece-1)/piece)
		pieces(len(p.Grad), func(i, from, to int) {
			for _, g := range p.Grad[from:to] {
				parts[i] += float64(float64(g) * float64(g))
			}
		})
		for _, part := range parts {
			sum += part
		}
	}
	return math.Sqrt(sum)
}

// clipScale is what gradients of a norm are multiplied by, so that it is at most limit: as
// torch.nn.utils.clip_grad_norm_ has it. A limit that is negative is none.
func clipScale(norm, limit float64) float64 {
	if limit < 0 {
		return 1
	}
	return min(1, limit/(norm+1e-6))
}

// piece is the length of what is computed at a time.
const piece = 1 << 16

// pieces calls do for pieces of n numbers, on several cores.
func pieces(n int, do func(i, from, to int)) {
	count := (n + piece - 1) / piece
	workers := min(count, runtime.GOMAXPROCS(0))
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w; i < count; i += workers {
				do(i, i*piece, min((i+1)*piece, n))
			}
		})
	}
	wg.Wait()
}
