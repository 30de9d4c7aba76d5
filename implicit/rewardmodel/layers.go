package rewardmodel

import (
	"math"
	"runtime"
	"sync"
)

// linear is y = W x + b.
type linear struct {
	w   []float32 // [out in]
	b   []float32 // [out]; nil for none
	out int
}

// of computes the layer in float64. Each of its outputs is one sum over the inputs in a
// fixed order, whatever the number of processors.
func (l linear) of(x []float64) []float64 { // [in] -> [out]
	y := make([]float64, l.out)
	in := len(x)
	rows := func(from, to int) {
		for o := from; o < to; o++ {
			y[o] = dot(l.w[o*in:(o+1)*in], x)
			if l.b != nil {
				y[o] += float64(l.b[o])
			}
		}
	}
	if len(l.w) < 1<<18 {
		rows(0, l.out)
		return y
	}
	var done sync.WaitGroup
	parts := min(runtime.GOMAXPROCS(0), l.out)
	for p := range parts {
		done.Go(func() { rows(p*l.out/parts, (p+1)*l.out/parts) })
	}
	done.Wait()
	return y
}

// dot is the sum of w[i]*x[i], as four sums of every fourth term.
func dot(w []float32, x []float64) float64 {
	w = w[:len(x)]
	var s [4]float64
	i := 0
	for ; i+4 <= len(x); i += 4 {
		s[0] += float64(w[i]) * x[i]
		s[1] += float64(w[i+1]) * x[i+1]
		s[2] += float64(w[i+2]) * x[i+2]
		s[3] += float64(w[i+3]) * x[i+3]
	}
	for ; i < len(x); i++ {
		s[0] += float64(w[i]) * x[i]
	}
	return (s[0] + s[1]) + (s[2] + s[3])
}

// batchNorm is torch's BatchNorm1d in evaluation mode:
// y = (x - mean) / sqrt(variance + 1e-5) * w + b.
type batchNorm struct{ mean, variance, w, b []float32 }

func (n *batchNorm) of(x []float64) {
	for i := range x {
		x[i] = (x[i]-float64(n.mean[i]))/math.Sqrt(float64(n.variance[i])+1e-5)*float64(n.w[i]) + float64(n.b[i])
	}
}

func relu(x []float64) {
	for i, v := range x {
		x[i] = max(v, 0)
	}
}

// selu is torch's SELU, with its two constants.
func selu(x []float64) {
	const alpha, scale = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946
	for i, v := range x {
		if v < 0 {
			v = alpha * math.Expm1(v)
		}
		x[i] = scale * v
	}
}

// softmax is that of x / temperature, in place.
func softmax(x []float64, temperature float64) {
	most := math.Inf(-1)
	for i := range x {
		x[i] /= temperature
		most = max(most, x[i])
	}
	sum := 0.0
	for i := range x {
		x[i] = math.Exp(x[i] - most)
		sum += x[i]
	}
	for i := range x {
		x[i] /= sum
	}
}

// widen is a state in float64.
func widen(x []float32) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}

// weighted is the sum of w[i]*x[i].
func weighted(w, x []float64) float64 {
	sum := 0.0
	for i, v := range x {
		sum += w[i] * v
	}
	return sum
}
