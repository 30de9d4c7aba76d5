package arch

import (
	"crypto/sha256"
	"fmt"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
)

// Layer is one executable's worth of a model: a block, or the head.
type Layer struct {
	// Key is the same for two layers only if they have the same graph over tensors of the
	// same shapes.
	Key     string
	Tensors []Tensor // inputs of the graph, in this order
	Rope    int      // index into Model.Ropes, or noRope
	Experts *Experts // of a mixture, nil without
	// G and K are the shape of what a block's tokens leave to those after them: keys [T G K] and
	// as many values. They are the model's, unless the family has said otherwise; 0 of no block.
	// Recurrences leave something else: see Kept.
	G, K  int
	Reach int   // tokens before each that the graph asks Scope.Before for: 0 but for recurrences
	Back  int   // how many blocks before it the one lies whose keys and values it attends to, having none itself; 0 for its own
	Lends bool  // blocks after it attend to its keys and values
	Given bool  // it takes Scope.Given: see PerLayer
	kept  []int // what Kept says; nil for keys and values
	graph interface{ apply(s *Scope, x *Node) *Node }
}

// noRope is the Rope of a layer that rotates nothing.
const noRope = -1

// Apply builds the layer's graph: x [T D] -> [T D], or of the head x [S D] -> [S V].
func (l *Layer) Apply(s *Scope, x *Node) *Node { return l.graph.apply(s, x) }

// block is a layer's graph as a value: a struct of numbers, names and what a builder has
// declared. A comparable struct holds no function, slice or map, and TestPlain refuses
// pointers and interfaces, so the printed value, from which newLayer computes the key, says
// all that the graph depends on.
type block interface {
	comparable
	apply(s *Scope, x *Node) *Node
}

// newLayer makes a layer of a block and of the tensors that b has declared for it.
func newLayer[B block](b *builder, rope int, graph B) *Layer {
	key := sha256.New()
	fmt.Fprintf(key, "%#v rotates=%v", graph, rope != noRope)
	for _, t := range b.tensors {
		fmt.Fprintf(key, " %v linear=%v inOut=%v", t.Shape, t.Linear, t.InOut)
	}
	if b.lends {
		fmt.Fprint(key, " lends")
	}
	return &Layer{
		Key: fmt.Sprintf("%T %x", graph, key.Sum(nil)[:12]), Tensors: b.tensors, Rope: rope, Experts: b.routes, graph: graph,
		Reach: b.reach, kept: b.kept, Back: b.back, Lends: b.lends, Given: b.given,
	}
}

// builder declares a layer's tensors. Each declaration returns what uses them, so that what
// is loaded and what is computed cannot drift apart.
type builder struct {
	prefix  string // of the tensors' names
	tensors []Tensor
	routes  *Experts // of a mixture, nil without
	reach   int      // see Layer.Reach
	kept    []int    // see Layer.Kept
	back    int      // see Layer.Back
	lends   bool     // see Layer.Lends
	given   bool     // see Layer.Given
}

// param is the number of a layer's tensor, from 1; 0 for none.
type param int

func (b *builder) param(t Tensor) param {
	t.Name = b.prefix + t.Name
	b.tensors = append(b.tensors, t)
	return param(len(b.tensors))
}

func (b *builder) vector(name string, n int) param {
	return b.param(Tensor{Name: name, Shape: []int{n}})
}

// Scope is what a layer's graph is built in: its inputs, which the caller has bound.
type Scope struct {
	Weights []*Node // of the layer's Tensors, in order
	InOut   []bool  // whether a Linear weight is laid out [in out] on the device
	Cos     *Node   // [T R/2] of the layer's rope; nil for none
	Sin     *Node   // [T R/2]
	// DType is that of x, Cos and Sin and of all that is computed from them: Float32, which
	// zero means, or Float64, in which products are computed then too.
	DType dtypes.DType
	// Attend computes softmax(mask(cap(scale*q.k)))v; q [T N K], k and v [T G K],
	// all of type DType; the result is [T N*K]. sinks [N], nil for none, are the scores of a
	// key of each head that every query sees and whose value is 0.
	Attend func(q, k, v, sinks *Node, a Attention) *Node
	// Before gives the rows of x [T W] of the 1st to the nth token before each on its path, the
	// nearest first, and zeros where the path begins later.
	Before func(x *Node, n int) []*Node
	// Recur computes the o [T H V] of a Recurrence along the path of each token; q, k are
	// [T G K], v [T H V], log-decays at most 0 and beta [T H], which is nil where u is v.
	Recur func(q, k, v, decay, beta *Node) *Node
	// Shared are the keys and values [T G*K] of the block to which Layer.Back points.
	Shared []*Node
	// Given is what a block is given of each token beside x [T P]; of PerLayer itself the rows of
	// its table [T L*P].
	Given *Node
	// Wide computes products in DType whatever type the weights have, and rounds nothing to
	// theirs: the adjoints of products in bfloat16 would be rounded too.
	Wide bool
	// Drop, if not nil, is applied to the input of the side path whose matrix A is number a of
	// the layer's Tensors.
	Drop func(a int, x *Node) *Node
	// Linear, if not nil, is applied to what each linear layer gives.
	Linear func(y *Node) *Node
	// Sort takes tokens through the experts that they chose alone, which has no gradient, instead
	// of through all.
	Sort bool
	// Rounds takes, of what Sort says, a round of tokens of every expert at a time in place of a tile
	// of one expert: for devices that are slow where little is computed at a time.
	Rounds bool
	// Routed, if not nil, is told by a mixture of K experts of more the gap between the last logit
	// that was chosen and the first that was not [T 1].
	Routed func(gap *Node)

	sides map[param]sidePath // of an adapted layer
}

// Attention says how one attention is computed, once q, k and v are there.
type Attention struct {
	Scale   float64 // of q.k
	SoftCap float64 // cap*tanh(scores/cap) before the mask; 0 for none
	Window  int     // a position sees itself and Window-1 before it; 0 for all
	ALiBi           // added to the scores before the mask
}

// float converts to the type in which everything but the operands of products is computed.
func (s *Scope) float(x *Node) *Node {
	if s.DType == dtypes.InvalidDType {
		return ConvertDType(x, dtypes.Float32)
	}
	return ConvertDType(x, s.DType)
}

// vector is a tensor [n] that broadcasts over the last axis of x.
func (s *Scope) vector(p param, x *Node) *Node {
	return ExpandLeftToRank(s.float(s.Weights[p-1]), x.Rank())
}

// rotate applies the layer's rope to x [T n K]: the first R values of each head turn, value
// i with value i+R/2 (rotate_half), the rest stay.
func (s *Scope) rotate(x *Node) *Node {
	if s.Cos == nil {
		return x
	}
	half := s.Cos.Shape().Dimensions[1]
	cos, sin := InsertAxes(s.Cos, 1), InsertAxes(s.Sin, 1) // [T 1 R/2]
	first, second := turned(SliceAxis(x, -1, AxisRange(0, half)), SliceAxis(x, -1, AxisRange(half, 2*half)), cos, sin)
	return beforeRest(x, 2*half, first, second)
}

// rotateNeighbours is rotate of value 2i with value 2i+1, as GPT-J has them.
func (s *Scope) rotateNeighbours(x *Node) *Node {
	if s.Cos == nil {
		return x
	}
	half, d := s.Cos.Shape().Dimensions[1], x.Shape().Dimensions
	cos, sin := InsertAxes(s.Cos, 1, -1), InsertAxes(s.Sin, 1, -1) // [T 1 R/2 1]
	pairs := Reshape(SliceAxis(x, -1, AxisRange(0, 2*half)), d[0], d[1], half, 2)
	first, second := turned(SliceAxis(pairs, -1, AxisRange(0, 1)), SliceAxis(pairs, -1, AxisRange(1, 2)), cos, sin)
	return beforeRest(x, 2*half, Reshape(Concatenate([]*Node{first, second}, -1), d[0], d[1], 2*half))
}

// turned are the points (first, second) turned by the angles whose cosines and sines are given.
func turned(first, second, cos, sin *Node) (*Node, *Node) {
	return Sub(Mul(first, cos), Mul(second, sin)), Add(Mul(second, cos), Mul(first, sin))
}

// beforeRest is x [T n K] with parts in place of the first values of each head.
func beforeRest(x *Node, values int, parts ...*Node) *Node {
	if k := x.Shape().Dimensions[2]; k > values {
		parts = append(parts, SliceAxis(x, -1, AxisRange(values, k)))
	}
	if len(parts) == 1 {
		return parts[0]
	}
	return Concatenate(parts, -1)
}
