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
	const n, l, heads, groups, width = 2, 5, 4, 2, 3
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
		scores, sees := a.scores(s)
		scores = Where(sees, scores, Infinity(q.Graph(), q.DType(), -1))
		p := Softmax(Concatenate([]*Node{scores, BroadcastToDims(Reshape(a.sinks, 1, groups, heads/groups, 1, 1), n, groups, heads/groups, l, 1)}, -1), -1)
		want := Reshape(Einsum("rgmts,rsgk->rtgmk", SliceAxis(p, -1, AxisRange(0, l)), a.v), n*l, heads*width)
		all := []*Node{ReduceAllMax(Abs(Sub(o, want)))}
		for i, g := range Gradient(ReduceAllSum(Mul(StopGradient(weight), want)), a.from()...) {
			all = append(all, ReduceAllMax(Abs(Sub(g, own[i]))), ReduceAllMax(Abs(g)))
		}
		return all
	}).Call(tensors.FromFlatDataAndDimensions(depth, n, l), tensors.FromFlatDataAndDimensions(exit, n, l), draw(n*l, heads, width),
		draw(n*l, groups, width), draw(n*l, groups, width), draw(heads), draw(n*l, heads*width))
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
