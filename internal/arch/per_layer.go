package arch

import (
	"math"

	. "github.com/gomlx/gomlx/core/graph"
)

// PerLayer is what each block is given of a token beside the residual stream (Gemma 3n, Gemma 4's E models): a
// row of P numbers for each of L blocks, made of a table and of the token's embedding. Its graph takes
// the embeddings x [T D] and, as Scope.Given, the rows of Table to [T L*P], of which block i has
// columns i*P to (i+1)*P.
type PerLayer struct {
	*Layer
	Table Tensor // [V L*P], whose rows are found by Row
	P     int
}

// Row is the row of Table of a token whose row of Embedding.Table is given: the same, or where there is
// none (Gemma 3n) the first.
func (e *PerLayer) Row(row int) int {
	if row >= e.Table.Shape[0] {
		return 0
	}
	return row
}

// Parts are what each block is given [T P], of the result of the graph.
func (e *PerLayer) Parts(y *Node) []*Node {
	out := make([]*Node, y.Shape().Dimensions[1]/e.P)
	for i := range out {
		out[i] = SliceAxis(y, 1, AxisRange(i*e.P, (i+1)*e.P))
	}
	return out
}

// perLayer declares them, with a table of so many rows of L times width.
func (d *decoder) perLayer(rows, width int) *PerLayer {
	b := &builder{prefix: d.prefix}
	graph := perLayer{
		projection: b.linear("per_layer_model_projection", d.D, d.L*width, false), factor: 1 / math.Sqrt(float64(d.D)),
		norm: b.rmsNorm("per_layer_projection_norm", width, d.eps), blocks: d.L,
		scale: float64(float32(math.Sqrt(float64(width)))),
	}
	b.given = true
	return &PerLayer{
		Layer: newLayer(b, noRope, graph), P: width,
		Table: Tensor{Name: d.prefix + "embed_tokens_per_layer.weight", Shape: []int{rows, d.L * width}},
	}
}

// perLayer is (norm(factor * projection(x)) + scale * row) / sqrt(2), the norm over the numbers of a block.
type perLayer struct {
	projection    linear
	norm          rmsNorm
	blocks        int
	factor, scale float64
}

func (p perLayer) apply(s *Scope, x *Node) *Node { // [T D] -> [T L*P]
	y := p.norm.apply(s, heads(MulScalar(p.projection.apply(s, x), p.factor), p.blocks)) // [T L P]
	rows := MulScalar(s.Given, p.scale)
	return MulScalar(Add(Reshape(y, rows.Shape().Dimensions...), rows), math.Sqrt2/2)
}

// given is what a block adds to the stream of what it is given: norm(projection(act(gate x) * given)).
type given struct {
	gate, projection linear
	norm             rmsNorm
	act              activation
}

// given declares it, nothing where blocks are given nothing.
func (d *decoder) given(b *builder, act activation) given {
	if d.PerLayer == nil {
		return given{}
	}
	b.given = true
	return given{
		gate:       b.linear("per_layer_input_gate", d.D, d.PerLayer.P, false),
		projection: b.linear("per_layer_projection", d.PerLayer.P, d.D, false),
		norm:       b.rmsNorm("post_per_layer_input_norm", d.D, d.eps),
		act:        act,
	}
}

func (g given) apply(s *Scope, x *Node) *Node { // [T D] -> [T D]
	return g.norm.apply(s, g.projection.apply(s, Mul(g.act.apply(g.gate.apply(s, x)), s.Given)))
}
