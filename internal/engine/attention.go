package engine

import (
	"math"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/implicitreward/implicitreward/internal/arch"
)

// keys are what the nodes of a batch see, as graph inputs: see batch.
type keys struct {
	shape
	depth, seen, exit *Node // [T]
	path              *Node // [S P], nil if P is 0
	pastK, pastV      *Node // [P G K] of the path to the batch's first node
	next              *Node // [N], nil if N is 0
	nextK, nextV      *Node // [N G K], set by attend
}

// attend computes attention over a batch: q is [T N K], k and v are [T G K]. It
// leaves the keys and values of the next batch's path in nextK and nextV.
//
// Chunks are batched in one product; the keys of their paths are gathered for each.
// Where the scores of all chunks would not stay in the cache, or would need much
// memory, chunks are taken a few at a time, one after the other.
func (b *keys) attend(q, k, v *Node, a arch.Attention) *Node {
	dims := q.Shape().Dimensions
	t, heads, width := dims[0], dims[1], dims[2]
	groups := k.Shape().Dimensions[1]
	s, c, m := b.chunks(), b.chunk(), heads/groups

	allK, allV := k, v
	if b.P > 0 {
		allK = Concatenate([]*Node{b.pastK, k}, 0)
		allV = Concatenate([]*Node{b.pastV, v}, 0)
	}
	if b.N > 0 {
		at := InsertAxes(b.next, -1)
		b.nextK, b.nextV = Gather(allK, at), Gather(allV, at)
	}
	q = MulScalar(q, a.Scale)
	together := max(1, min(s, scoreBytes/(c*heads*(b.P+c)*4)))
	var out []*Node
	for from := 0; from < s; from += together {
		to := min(from+together, s)
		if len(out) > 0 {
			q = SchedulingBarrier(q, out[len(out)-1])
		}
		own := func(x *Node) *Node { // chunks from to to of x [T ..]
			x = SliceAxis(x, 0, AxisRange(from*c, to*c))
			return Reshape(x, append([]int{to - from, c}, x.Shape().Dimensions[1:]...)...)
		}
		seen := func(all, x *Node) *Node { // [S G P+C K]
			x = own(x)
			if b.P > 0 {
				path := SliceAxis(b.path, 0, AxisRange(from, to))
				x = Concatenate([]*Node{Gather(all, InsertAxes(path, -1)), x}, 1)
			}
			return TransposeAllAxes(x, 0, 2, 1, 3)
		}
		mask := b.mask(own(b.depth), own(b.seen), own(b.exit), a.Window)                     // [S C P+C]
		qs := TransposeAllAxes(Reshape(own(q), to-from, c, groups, m, width), 0, 2, 3, 1, 4) // [S G M C K]
		o := softmaxOf(Reshape(qs, to-from, groups, m*c, width), seen(allK, k), seen(allV, v), mask, a.SoftCap)
		o = TransposeAllAxes(Reshape(o, to-from, groups, m, c, width), 0, 3, 1, 2, 4)
		out = append(out, Reshape(o, (to-from)*c, heads*width))
	}
	if len(out) == 1 {
		return out[0]
	}
	return Reshape(Concatenate(out, 0), t, heads*width)
}

// scoreBytes bounds the scores that are held at a time.
const scoreBytes = 32 << 20

// mask tells which keys each node of some chunks sees, path first: [S C P+C].
func (b *keys) mask(depth, seen, exit *Node, window int) *Node {
	g := depth.Graph()
	s, c := depth.Shape().Dimensions[0], depth.Shape().Dimensions[1]
	window = min(window, math.MaxInt32)
	query, key := Iota(g, int32s(s, c, c), 1), Iota(g, int32s(s, c, c), 2)
	sees := LogicalAnd(LessOrEqual(key, query), LessThan(query, BroadcastToDims(InsertAxes(exit, 1), s, c, c)))
	if window > 0 {
		distance := Sub(BroadcastToDims(InsertAxes(depth, 2), s, c, c), BroadcastToDims(InsertAxes(depth, 1), s, c, c))
		sees = LogicalAnd(sees, LessThan(distance, Scalar(g, dtypes.Int32, window)))
	}
	if b.P == 0 {
		return sees
	}
	place := Iota(g, int32s(s, c, b.P), 2) // a key's place on its path is its depth
	path := LessThan(place, BroadcastToDims(InsertAxes(seen, 2), s, c, b.P))
	if window > 0 {
		distance := Sub(BroadcastToDims(InsertAxes(depth, 2), s, c, b.P), place)
		path = LogicalAnd(path, LessThan(distance, Scalar(g, dtypes.Int32, window)))
	}
	return Concatenate([]*Node{path, sees}, 2)
}

// softmaxOf is softmax(mask(cap(q.k)))v: q [S G M*C K], k and v [S G J K], sees
// [S C J]; every query sees a key.
func softmaxOf(q, k, v, sees *Node, cap float64) *Node {
	dims := q.Shape().Dimensions
	s, groups, rows := dims[0], dims[1], dims[2]
	c, j := sees.Shape().Dimensions[1], sees.Shape().Dimensions[2]
	scores := DotGeneral(q, []int{3}, []int{0, 1}, k, []int{3}, []int{0, 1})
	if cap != 0 {
		scores = MulScalar(Tanh(DivScalar(scores, cap)), cap)
	}
	scores = Reshape(scores, s, groups, rows/c, c, j)
	sees = BroadcastToDims(InsertAxes(sees, 1, 1), s, groups, rows/c, c, j)
	scores = Where(sees, scores, Infinity(q.Graph(), dtypes.Float32, -1))
	// The weights are divided by their sum after the product with v.
	w := Exp(Sub(scores, ReduceAndKeep(scores, ReduceMax, -1)))
	sum := Reshape(ReduceAndKeep(w, ReduceSum, -1), s, groups, rows, 1)
	return Div(DotGeneral(Reshape(w, s, groups, rows, j), []int{3}, []int{0, 1}, v, []int{2}, []int{0, 1}), sum)
}
