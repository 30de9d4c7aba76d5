package engine

import "slices"

// Text is a token sequence and what is wanted of it: the log-probabilities of
// IDs[From:], each after the tokens before it, and, where Row is set, those of the
// whole vocabulary after the last token.
type Text struct {
	IDs  []int32
	From int // at least 1, unless nothing is wanted (From == len(IDs))
	Row  bool
}

// tree is the prefix tree of the texts of one call. Its nodes are the tokens whose
// hidden states are needed; texts with a common beginning share its nodes. Nodes
// are numbered as they are added, so that a parent precedes its children.
type tree struct {
	id     []int32
	parent []int32 // -1 for a text's first token
	depth  []int32 // position of the token in its texts
	next   map[edge]int32
	wants  map[int32]*want
}

type edge struct{ parent, id int32 }

// want is what is wanted after one node.
type want struct {
	ids  []int32    // next tokens whose log-probability is asked for
	slot [][]target // for each of them, where the number goes
	rows []int      // texts that want the whole row
	at   map[int32]int
}

// target is a place in the results: log-probability i of a text.
type target struct{ text, i int }

func newTree() *tree {
	return &tree{next: map[edge]int32{}, wants: map[int32]*want{}}
}

// add enters text number n.
func (t *tree) add(n int, text Text) {
	last := len(text.IDs) - 1 // the last token's own state is needed for a row only
	if text.Row {
		last++
	} else if text.From >= len(text.IDs) {
		return
	}
	node := int32(-1)
	for i := range last {
		e := edge{node, text.IDs[i]}
		child, ok := t.next[e]
		if !ok {
			child = int32(len(t.id))
			t.next[e] = child
			t.id = append(t.id, e.id)
			t.parent = append(t.parent, node)
			t.depth = append(t.depth, int32(i))
		}
		node = child
		if i+1 >= text.From && i+1 < len(text.IDs) {
			t.want(node).token(text.IDs[i+1], target{n, i + 1 - text.From})
		}
	}
	if text.Row {
		w := t.want(node)
		w.rows = append(w.rows, n)
	}
}

func (t *tree) want(node int32) *want {
	w := t.wants[node]
	if w == nil {
		w = &want{at: map[int32]int{}}
		t.wants[node] = w
	}
	return w
}

func (w *want) token(id int32, to target) {
	i, ok := w.at[id]
	if !ok {
		i = len(w.ids)
		w.at[id] = i
		w.ids = append(w.ids, id)
		w.slot = append(w.slot, nil)
	}
	w.slot[i] = append(w.slot[i], to)
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
		sibling[i] = first[p]
		first[p] = i
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

// batch is a run of the depth-first order, with the ancestors of its first node
// before it: a forest of its own that can be computed alone.
type batch struct {
	nodes []int32 // tree numbers
	own   int     // nodes[own:] are the batch's own, those before are ancestors
	exit  []int32 // nodes[i+1:exit[i]] are the descendants of nodes[i]
}

// batches cuts the tree into batches of at most size nodes; a batch is larger only
// where a path is. A cut falls between two branches rather than inside a path, since
// what follows a cut computes the path to it anew.
func (t *tree) batches(size int) []batch {
	var all []batch
	order := t.order()
	for len(order) > 0 {
		var b batch
		for p := t.parent[order[0]]; p >= 0; p = t.parent[p] {
			b.nodes = append(b.nodes, p)
		}
		slices.Reverse(b.nodes)
		b.own = len(b.nodes)
		n := t.cut(order, max(size-b.own, b.own, 1))
		b.nodes = append(b.nodes, order[:n]...)
		order = order[n:]
		b.exits(t)
		all = append(all, b)
	}
	return all
}

// cut returns how many nodes to take: at most room, up to the end of a branch if one
// ends in the second half of them, otherwise on to the end of the branch. room is at
// least as much as the path that leads to them, so that half of a batch or more is new.
func (t *tree) cut(order []int32, room int) int {
	if room >= len(order) {
		return len(order)
	}
	ends := func(n int) bool { return n == len(order) || t.parent[order[n]] != order[n-1] }
	for n := room; n > room/2; n-- {
		if ends(n) {
			return n
		}
	}
	n := room
	for !ends(n) {
		n++
	}
	return n
}

// exits fills exit from the depths: in depth-first order a node's descendants are
// those that follow it until one is as shallow as itself.
func (b *batch) exits(t *tree) {
	b.exit = make([]int32, len(b.nodes))
	var open []int32 // path of indices whose subtree has not ended
	for i, node := range b.nodes {
		for len(open) > 0 && t.depth[b.nodes[open[len(open)-1]]] >= t.depth[node] {
			b.exit[open[len(open)-1]] = int32(i)
			open = open[:len(open)-1]
		}
		open = append(open, int32(i))
	}
	for _, i := range open {
		b.exit[i] = int32(len(b.nodes))
	}
}
