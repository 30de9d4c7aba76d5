package arch

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// TestGradient: the graphs of every family's block and head have gradients with respect to
// their inputs, those of central differences.
func TestGradient(t *testing.T) {
	backend, err := compute.NewWithConfig("go:ops_sequential")
	if err != nil {
		t.Fatal(err)
	}
	tried := map[string]bool{}
	for name, m := range references(t) {
		for i, layer := range m.Layers() {
			if layer.Reach > 0 {
				continue // the loop of denseRecur has no gradient, and gradient refuses it
			}
			if tried[layer.Key] || i > 1 && layer != m.Head.Layer && layer.Back == 0 {
				continue
			}
			tried[layer.Key] = true
			if testing.Short() && len(tried)%8 != 1 {
				continue
			}
			t.Run(fmt.Sprintf("%s/%d", name, i), func(t *testing.T) { holdGradient(t, backend, m, layer) })
		}
	}
}

// holdGradient compares one element of the gradient with respect to each input.
func holdGradient(t *testing.T, backend compute.Backend, m *Model, layer *Layer) {
	const T, step = 5, 1e-5
	r := rand.New(rand.NewPCG(1, 2))
	shapes := [][]int{{T, m.D}}
	switch slices.Index(m.Blocks, layer) {
	case -1: // the head
	case 0:
		shapes[0][1] = m.Embed.Width()
	default:
		shapes[0][1] = cmp.Or(m.Inner, m.D)
	}
	switch {
	case m.PerLayer != nil && layer == m.PerLayer.Layer:
		shapes = append(shapes, []int{T, m.PerLayer.Table.Shape[1]})
	case layer.Given:
		shapes = append(shapes, []int{T, m.PerLayer.P})
	}
	if layer.Back > 0 {
		shapes = append(shapes, []int{T, layer.G * layer.K}, []int{T, layer.G * layer.K})
	}
	if layer.Rope >= 0 {
		half := len(m.Ropes[layer.Rope].InvFreq)
		shapes = append(shapes, []int{T, half}, []int{T, half})
	}
	for _, in := range layer.Tensors {
		shapes = append(shapes, in.Shape)
	}
	var values [][]float64
	for _, shape := range shapes {
		n, width := 1, 1
		for _, d := range shape {
			n, width = n*d, d
		}
		x := make([]float64, n)
		for i := range x {
			x[i] = r.NormFloat64() / math.Sqrt(float64(width))
		}
		values = append(values, x)
	}
	// loss weighs each number that the layer gives differently.
	loss := func(in []*Node) (sum *Node) {
		sum = ScalarZero(in[0].Graph(), dtypes.Float64)
		for _, y := range layer.dense(dtypes.Float64, in) {
			weights := Sin(ConvertDType(IotaFull(y.Graph(), y.Shape()), dtypes.Float64))
			sum = Add(sum, ReduceAllSum(Mul(y, weights)))
		}
		return sum
	}
	run := func(graph func(in []*Node) []*Node) []*tensors.Tensor {
		args := make([]any, len(values))
		for i, x := range values {
			args[i] = tensors.FromFlatDataAndDimensions(x, shapes[i]...)
		}
		out, err := MustNewExec(backend, graph).Call(args...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	gradients := run(func(in []*Node) []*Node { return Gradient(loss(in), in...) })
	exec := func(in []*Node) []*Node { return []*Node{loss(in)} }
	for i, gradient := range gradients {
		at := r.IntN(len(values[i]))
		x := values[i][at]
		values[i][at] = x + step
		above := tensors.ToScalar[float64](run(exec)[0])
		values[i][at] = x - step
		below := tensors.ToScalar[float64](run(exec)[0])
		values[i][at] = x
		got, want := tensors.MustCopyFlatData[float64](gradient)[at], (above-below)/(2*step)
		if !(math.Abs(got-want) <= 1e-6*max(1, math.Abs(want))) {
			t.Errorf("input %d: gradient %g, wanted %g", i, got, want)
		}
	}
}
