package engine

import (
	"slices"

	"github.com/implicitreward/implicitreward/internal/prefix"
)

// states is the number of hidden states that a request needs: those of all its tokens but
// the last, and of that one too where something after it is asked for.
func (r Request) states() int {
	switch {
	case r.after():
		return len(r.IDs)
	case r.From >= len(r.IDs):
		return 0
	}
	return len(r.IDs) - 1
}

// after tells whether anything after the last token is asked for.
func (r Request) after() bool { return r.Distribution || r.Within != nil || r.TopK > 0 }

// tree is the prefix tree of the texts of one call. Its nodes are the tokens whose
// hidden states are needed; texts with a common beginning share its nodes. Nodes
// are numbered as they are added, so that a parent precedes its children.
type tree struct {
	id        []int32
	parent    []int32 // -1 for a text's first token, -2-i for the first after pool[i]
	depth     []int32 // position of the token in its texts
	nodes     prefix.Tree
	outputs   map[int32]*outputs // by node
	invariant bool               // see shape

	// Of a tree whose texts have a long prompt in common: the first from nodes need not be
	// computed, since their keys and values are given; those of the whole prompt are to
	// be kept.
	given *prompt
	from  int
	keep  *prompt

	// Of a pooled tree (pool.go): the prompts whose keys and values are given, and, by
	// number, which of them a text begins with.
	pool   []given
	pooled map[int]int32
}

// outputs are what requests ask for after one node.
type outputs struct {
	tokens        []int32       // next tokens whose log-probability is asked for
	logProbs      [][]target    // of each of them, where it goes
	index         map[int32]int // in tokens
	topK          int           // how many of the likeliest tokens, at most
	tops          []target      // where they go
	distributions []int         // requests
	sums          []setSum
}

// target is a place in the results: number i of those of a request.
type target struct{ request, i int }

// setSum is a set of tokens, a value for each of the vocabulary, over whose probabilities a
// request asks for the sum.
type setSum struct {
	request int
	set     []bool
}

func newTree() *tree {
	return &tree{outputs: map[int32]*outputs{}}
}

// add enters text number n.
func (t *tree) add(n int, text Request) {
	last := text.states()
	if last == 0 {
		return
	}
	node, start := prefix.Root, 0
	if i, ok := t.pooled[n]; ok {
		node, start = -2-i, t.pool[i].n
	}
	for i := start; i < last; i++ {
		child, fresh := t.nodes.Grow(node, text.IDs[i])
		if fresh {
			t.id = append(t.id, text.IDs[i])
			t.parent = append(t.parent, node)
			t.depth = append(t.depth, int32(i))
		}
		node = child
		if i+1 >= text.From && i+1 < len(text.IDs) {
			o := t.outputsOf(node)
			o.token(text.IDs[i+1], target{n, i + 1 - text.From})
			o.likeliest(text.TopK, target{n, i + 1 - text.From})
		}
	}
	if !text.after() {
		return
	}
	o := t.outputsOf(node)
	o.likeliest(text.TopK, target{n, len(text.IDs) - text.From})
	if text.Distribution {
		o.distributions = append(o.distributions, n)
	}
	if text.Within != nil {
		o.sums = append(o.sums, setSum{n, text.Within})
	}
}

func (t *tree) outputsOf(node int32) *outputs {
	o := t.outputs[node]
	if o == nil {
		o = &outputs{index: map[int32]int{}}
		t.outputs[node] = o
	}
	return o
}

func (o *outputs) token(id int32, to target) {
	i, ok := o.index[id]
	if !ok {
		i = len(o.tokens)
		o.index[id] = i
		o.tokens = append(o.tokens, id)
		o.logProbs = append(o.logProbs, nil)
	}
	o.logProbs[i] = append(o.logProbs[i], to)
}

func (o *outputs) likeliest(n int, to target) {
	if n > 0 {
		o.tops = append(o.tops, to)
		o.topK = max(o.topK, n)
	}
}

// order returns the nodes depth first, children in the order of their numbers.
func (t *tree) order() []int32 {
	n := len(t.id)
	first := make([]int32, n+1) // first child of a node; entry n: of the root
	sibling := make([]int32, n)
	for i := range first {
		first[i] = -1
	}
	for i := int32(n) - 1; i >= 0; i-- {
		p := t.parent[i]
		if p < 0 {
			p = int32(n)
		}
		sibling[i], first[p] = first[p], i
	}
	order := make([]int32, 0, n)
	var stack []int32
	for node := first[n]; ; {
		for node >= 0 {
			order = append(order, node)
			if sibling[node] >= 0 {
				stack = append(stack, sibling[node])
			}
			node = first[node]
		}
		if len(stack) == 0 {
			return order
		}
		node = stack[len(stack)-1]
		stack = stack[:len(stack)-1]
	}
}

// pass is a run of the depth-first order that goes through the model together, block
// by block, with the ancestors of its first node before it: a forest of its own.
type pass struct {
	nodes []int32 // tree numbers
	own   int     // nodes[own:] are the pass's own, those before are ancestors
	pool  []given // what stands before it
	keeps []kept  // what it leaves behind
}

// given are the keys and values of the first n tokens of a prompt.
type given struct {
	*prompt
	n int
}

// kept is a prompt that takes the keys and values of its nodes, indices in the pass (or see
// before).
type kept struct {
	*prompt
	nodes []int32
}

// passes cuts the tree into passes of at most size nodes; one is larger only where a
// path is. What follows a cut computes the path to it anew, so that a cut falls where
// the path is shortest, among the places that leave a pass at least three quarters full.
func (t *tree) passes(size int) []pass {
	var all []pass
	order := t.order()[t.from:] // what is given comes first, without a branch
	for len(order) > 0 {
		p := pass{nodes: t.path(order[0])[t.from:]}
		p.own = len(p.nodes)
		n := max(size-p.own, p.own, 1) // half of a pass or more is new
		if n < len(order) {
			best := n
			for i := n; i > n-n/4; i-- {
				if t.depth[order[i]] < t.depth[order[best]] {
					best = i
				}
			}
			n = best
		} else {
			n = len(order)
		}
		p.nodes = append(p.nodes, order[:n]...)
		if t.given != nil {
			p.pool = []given{{t.given, t.from}}
		}
		if t.keep != nil && slices.Contains(order[:n], int32(len(t.keep.ids)-1)) {
			// Its nodes were the first to be numbered, and are the first of the pass.
			k := kept{prompt: t.keep}
			for i := range t.keep.ids {
				if i < t.from {
					k.nodes = append(k.nodes, before(i))
				} else {
					k.nodes = append(k.nodes, int32(i-t.from))
				}
			}
			p.keeps = []kept{k}
		}
		order = order[n:]
		all = append(all, p)
	}
	return all
}

// path returns a node's ancestors, the first token first.
func (t *tree) path(node int32) []int32 {
	var path []int32
	for p := t.parent[node]; p >= 0; p = t.parent[p] {
		path = append(path, p)
	}
	slices.Reverse(path)
	return path
}
