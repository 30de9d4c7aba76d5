package engine

import (
	"math"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/implicitreward/implicitreward/internal/arch"
)

// attend computes attention over the nodes of a batch that are laid out depth
// first: query i sees key j exactly if j <= i < exit[j], that is, if j is i or an
// ancestor of it. q is [T N K], k and v are [T G K]; depth and exit are [T].
//
// Queries are taken rows at a time against the keys up to the last of them: what
// lies behind is masked anyway, and a chunk's scores stay in the cache.
func attend(q, k, v, depth, exit *Node, a arch.Attention) *Node {
	g := q.Graph()
	dims := q.Shape().Dimensions
	t, n, width := dims[0], dims[1], dims[2]
	groups := k.Shape().Dimensions[1]
	m := n / groups

	q = TransposeAllAxes(Reshape(MulScalar(q, a.Scale), t, groups, m, width), 1, 2, 0, 3) // [G M T K]
	k = TransposeAllAxes(k, 1, 0, 2)                                                      // [G T K]
	v = TransposeAllAxes(v, 1, 0, 2)
	lowest := Infinity(g, dtypes.Float32, -1)

	rows := chunkRows(t, n)
	var out []*Node
	for from := 0; from < t; from += rows {
		to := min(from+rows, t)
		c := to - from
		if t > 512 && len(out) > 0 {
			// One chunk after the other: side by side they drive each other's scores
			// out of the cache (measured at 1,024 positions: 19 ms instead of 27).
			q = SchedulingBarrier(q, out[len(out)-1])
		}
		qc := Reshape(SliceAxis(q, 2, AxisRange(from, to)), groups, m*c, width)
		kc, vc := SliceAxis(k, 1, AxisRange(0, to)), SliceAxis(v, 1, AxisRange(0, to))
		s := Reshape(DotGeneral(qc, []int{2}, []int{0}, kc, []int{2}, []int{0}), groups, m, c, to)
		if a.SoftCap != 0 {
			s = MulScalar(Tanh(DivScalar(s, a.SoftCap)), a.SoftCap)
		}

		query := AddScalar(Iota(g, int32s(c, 1), 0), from) // [c 1]
		key := Iota(g, int32s(1, to), 1)                   // [1 to]
		sees := LogicalAnd(
			LessOrEqual(key, query),
			LessThan(query, InsertAxes(SliceAxis(exit, 0, AxisRange(0, to)), 0)))
		if a.Window > 0 && a.Window < math.MaxInt32 {
			distance := Sub(
				InsertAxes(SliceAxis(depth, 0, AxisRange(from, to)), 1),
				InsertAxes(SliceAxis(depth, 0, AxisRange(0, to)), 0))
			sees = LogicalAnd(sees, LessThan(distance, Scalar(g, dtypes.Int32, a.Window)))
		}
		s = Where(BroadcastToDims(InsertAxes(sees, 0, 0), groups, m, c, to), s, lowest)

		// The weights are divided by their sum after the product with v.
		w := Exp(Sub(s, ReduceAndKeep(s, ReduceMax, -1)))
		sum := ReduceAndKeep(w, ReduceSum, -1) // [G M c 1]
		o := DotGeneral(Reshape(w, groups, m*c, to), []int{2}, []int{0}, vc, []int{1}, []int{0})
		out = append(out, Div(Reshape(o, groups, m, c, width), sum))
	}
	o := out[0]
	if len(out) > 1 {
		o = Concatenate(out, 2)
	}
	return Reshape(TransposeAllAxes(o, 2, 0, 1, 3), t, n*width) // [T N*K]
}

// chunkRows is the number of queries taken at a time: 128, fewer where the scores
// of all heads against t keys would take more than 64 MiB.
func chunkRows(t, heads int) int {
	rows := 128
	for rows > 16 && rows*t*heads*4 > 64<<20 {
		rows /= 2
	}
	return rows
}
