package gradient

import (
	"math"
	"math/rand/v2"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/implicitreward/implicitreward/internal/arch"
)

// TestSinks: attention with sinks, and its derivatives by q, k, v and the sinks, are those that
// gomlx takes of the definition: a key more, whose value is 0.
func TestSinks(t *testing.T) {
	const n, l, heads, groups, width, vWidth = 2, 5, 4, 2, 3, 2
	r := rand.New(rand.NewPCG(2, 3))
	draw := func(dims ...int) *tensors.Tensor {
		size := 1
		for _, d := range dims {
			size *= d
		}
		x := make([]float64, size)
		for i := range x {
			x[i] = r.NormFloat64()
		}
		return tensors.FromFlatDataAndDimensions(x, dims...)
	}
	depth := []int32{0, 1, 2, 3, 2, 0, 1, 0, 1, 2}
	exit := []int32{5, 5, 4, 4, 5, 2, 2, 5, 5, 5} // a branch, and two texts in a row
	out, err := MustNewExec(goBackend(t), func(in []*Node) []*Node {
		rows := rows{depth: in[0], exit: in[1]}
		q, k, v, sinks, weight := in[2], in[3], in[4], in[5], in[6]
		a := rows.attention(q, k, v, sinks, arch.Attention{Scale: 0.7, SoftCap: 1.5, Window: 3})
		o, lse := a.apply()
		own := a.adjoint(o, lse, weight)

		s := span{0, l}
		_, masked := a.scores(s, s.queries(a.q))
		p := Softmax(Concatenate([]*Node{masked, BroadcastToDims(Reshape(a.sinks, 1, heads, 1, 1), n, heads, l, 1)}, -1), -1)
		p = Reshape(SliceAxis(p, -1, AxisRange(0, l)), n*groups, heads/groups, l, l)
		v = Reshape(Einsum("bmts,bsk->bmtk", p, a.v), n, heads, l, vWidth)
		want := Reshape(TransposeAllDims(v, 0, 2, 1, 3), n*l, heads*vWidth)
		all := []*Node{ReduceAllMax(Abs(Sub(o, want)))}
		for i, g := range Gradient(ReduceAllSum(Mul(StopGradient(weight), want)), a.from()...) {
			all = append(all, ReduceAllMax(Abs(Sub(g, own[i]))), ReduceAllMax(Abs(g)))
		}
		return all
	}).Call(tensors.FromFlatDataAndDimensions(depth, n, l), tensors.FromFlatDataAndDimensions(exit, n, l), draw(n*l, heads, width),
		draw(n*l, groups, width), draw(n*l, groups, vWidth), draw(heads), draw(n*l, heads*vWidth))
	if err != nil {
		t.Fatal(err)
	}
	for i, x := range out {
		got := tensors.ToScalar[float64](x)
		if even := i%2 == 0 && i > 0; even && !(got > 0.1) {
			t.Errorf("number %d: no derivative is larger than %g", i, got)
		} else if !even && !(math.Abs(got) < 1e-12) {
			t.Errorf("number %d differs by up to %g", i, got)
		}
	}
}
