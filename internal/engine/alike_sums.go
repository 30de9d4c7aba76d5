package engine

import (
	"fmt"
	"slices"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// rowSum is how a norm, a softmax or a mixture adds up: for each row of a batch per sums of n
// numbers, or of n vectors of so many.
type rowSum struct {
	per, n, vector int
	exp            bool // of a softmax
}

// patterns is how many different rows are added up. In the sum of one alone, two orders of a
// few numbers often round to the same.
const patterns = 8

// sums lists the different sums of blocks, or of the last norm and the head. Those of
// attention are in float64: see softmaxOf.
func (e *Engine) sums(head bool) []rowSum {
	all := []rowSum{{1, e.model.D, 1, false}}
	add := func(s rowSum) {
		if !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	if head { // of slices of the vocabulary
		for _, p := range e.store.products(true) {
			add(rowSum{1, p.out, 1, true})
		}
		return all
	}
	for _, p := range e.store.shards {
		if p.to > 0 {
			continue
		}
		for _, t := range p.layer.Tensors {
			if len(t.Shape) == 1 { // a norm's weight, or a bias
				add(rowSum{1, t.Shape[0], 1, false})
			}
		}
		if k := p.layer.K; k > 0 { // norms of queries and keys
			add(rowSum{e.model.N, k, 1, false})
			add(rowSum{p.layer.G, k, 1, false})
		}
		if x := p.layer.Experts; x != nil {
			add(rowSum{1, x.E, 1, true})
			add(rowSum{1, x.K, 1, false})
			add(rowSum{1, x.K, e.model.D, false})
		}
	}
	return all
}

// alikeSums is alikeRows of sums.
func (e *Engine) alikeSums(rows int, head bool) (bool, error) {
	sums := e.sums(head)
	return e.once(fmt.Sprint("sums ", sums), rows, rowSizes[len(rowSizes)-1], func(rows int) ([]float32, bool, error) {
		return e.sumsAlike(sums, rows)
	})
}

// sumsAlike computes the sums of so many rows, and tells whether each row has those of the first of its
// pattern. There are at least as many rows as patterns: see rowSizes.
func (e *Engine) sumsAlike(sums []rowSum, rows int) (first []float32, same bool, err error) {
	in := make([]*tensors.Tensor, len(sums))
	defer func() { releaseAll(in) }()
	for i, s := range sums {
		size := s.per * s.n * s.vector
		x := make([]float32, rows*size)
		for j := range x {
			k := j % (patterns * size)
			x[j] = float32(k*k%127-63) / 37
		}
		in[i] = tensors.FromFlatDataAndDimensions(x, rows*s.per, s.n, s.vector)
	}
	out, err := e.call(e.devices[0], fmt.Sprint("sums ", sums), sumGraph(sums), in)
	if err != nil {
		return nil, false, err
	}
	defer releaseAll(out)
	same = true
	rest := out
	for _, s := range sums {
		for range s.forms() {
			err := tensors.ConstFlatData(rest[0], func(y []float32) {
				those := y[:patterns*s.per*s.vector]
				first = append(first, those...)
				for again := range slices.Chunk(y, len(those)) {
					same = same && slices.Equal(again, those[:len(again)])
				}
			})
			if err != nil {
				return nil, false, fmt.Errorf("engine: sums of %d rows: %w", rows, err)
			}
			rest = rest[1:]
		}
	}
	return first, same, nil
}

// forms are what is added up: exponentials, or numbers and their squares, since a compiler
// makes one of the sum and what comes before it.
func (s rowSum) forms() []func(*Node) *Node {
	if s.exp {
		return []func(*Node) *Node{Exp}
	}
	return []func(*Node) *Node{func(x *Node) *Node { return x }, Square}
}

// sumGraph is x [R N V] of each of sums -> its sums over N [R V], a form after the other.
func sumGraph(sums []rowSum) func([]*Node) []*Node {
	return func(in []*Node) []*Node {
		var out []*Node
		for i, s := range sums {
			x := in[i]
			if s.vector == 1 {
				x = Squeeze(x, 2)
			}
			for _, form := range s.forms() {
				out = append(out, ReduceSum(form(x), 1))
			}
		}
		return out
	}
}
