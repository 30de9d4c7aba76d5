package engine

import (
	"container/list"
	"slices"
)

// tree is a radix tree of token sequences. A node is a run of tokens, split where sequences
// part or end. It may hold the keys and values of its tokens, with those of all nodes above
// it, so that a sequence which passes through it need not compute them.
//
// What nodes hold stays within a number of bytes, the least recently used going first. Nodes
// that hold nothing are there for the requests of a plan, and go with it.
type tree struct {
	root  *node
	limit int64 // of bytes; 0 holds nothing
	used  int64

	widths [][]int // of what each block keeps of a token: see arch.Layer.Kept

	rows *rows // where an accelerator keeps them: see kept; nil where the host does

	recent *list.List // of *node: those that hold something, the last used first
	plans  int        // so far
}

// node is a run of tokens after those of its parent.
type node struct {
	parent   *node
	ids      []int32
	end      int             // tokens from the root to its last
	children map[int32]*node // by their first token

	saved *keysValues // nil if there are none
	asked bool        // a request's prompt ended here

	bytes  int64         // of what it holds
	recent *list.Element // in tree.recent; nil if it holds nothing
	plan   int           // the last one that passed through it
}

// keysValues are the keys and values of a node's tokens, or what else blocks keep.
type keysValues struct {
	parts     [][][]float32 // on the host: of each block those that it keeps, [len(ids) width] each
	rows      []int32       // on an accelerator: of each token the row of what all blocks keep
	invariant bool          // computed in invariant batches: see shape
}

// newTree makes a tree whose nodes hold at most limit bytes.
func newTree(limit int64, widths [][]int) *tree {
	return &tree{root: &node{}, limit: limit, widths: widths, recent: list.New()}
}

// tokenBytes is what the keys and values of a token take.
func (t *tree) tokenBytes() (bytes int64) {
	for _, block := range t.widths {
		for _, width := range block {
			bytes += 4 * int64(width)
		}
	}
	return bytes
}

// keysValues makes room for those of so many tokens.
func (t *tree) keysValues(tokens int, invariant bool) *keysValues {
	s := &keysValues{invariant: invariant}
	if t.rows != nil {
		s.rows = t.rows.take(tokens)
		return s
	}
	for _, block := range t.widths {
		var parts [][]float32
		for _, width := range block {
			parts = append(parts, make([]float32, tokens*width))
		}
		s.parts = append(s.parts, parts)
	}
	return s
}

// drop gives back what keysValues took; s may be nil.
func (t *tree) drop(s *keysValues) {
	if s != nil && t.rows != nil {
		t.rows.free = append(t.rows.free, s.rows...)
	}
}

// cut divides those of a node's tokens after some of them.
func (t *tree) cut(all *keysValues, tokens int) (upper, lower *keysValues) {
	if t.rows != nil {
		return &keysValues{rows: all.rows[:tokens:tokens], invariant: all.invariant}, &keysValues{rows: all.rows[tokens:], invariant: all.invariant}
	}
	upper, lower = &keysValues{invariant: all.invariant}, &keysValues{invariant: all.invariant}
	for block, parts := range all.parts {
		upper.parts, lower.parts = append(upper.parts, nil), append(lower.parts, nil)
		for i, part := range parts {
			at := tokens * t.widths[block][i]
			upper.parts[block] = append(upper.parts[block], slices.Clone(part[:at]))
			lower.parts[block] = append(lower.parts[block], slices.Clone(part[at:]))
		}
	}
	return upper, lower
}

// start is the number of tokens before the node's first.
func (n *node) start() int { return n.end - len(n.ids) }

// insert returns the node that ends with the last of ids, made if there is none.
func (t *tree) insert(ids []int32) *node {
	n := t.root
	for len(ids) > 0 {
		child := n.children[ids[0]]
		if child == nil {
			child = &node{parent: n, ids: slices.Clone(ids), end: n.end + len(ids)}
			n.adopt(child)
			return child
		}
		common := 0
		for common < min(len(ids), len(child.ids)) && ids[common] == child.ids[common] {
			common++
		}
		if common < len(child.ids) {
			child = t.split(child, common)
		}
		n, ids = child, ids[common:]
	}
	return n
}

func (n *node) adopt(child *node) {
	if n.children == nil {
		n.children = map[int32]*node{}
	}
	child.parent = n
	n.children[child.ids[0]] = child
}

// split cuts a node after some of its tokens, and returns the new node of these.
func (t *tree) split(n *node, tokens int) *node {
	upper := &node{parent: n.parent, ids: n.ids[:tokens:tokens], end: n.start() + tokens, plan: n.plan}
	n.parent.adopt(upper)
	if n.saved != nil {
		upper.saved, n.saved = t.cut(n.saved, tokens)
	}
	n.ids = slices.Clone(n.ids[tokens:])
	upper.adopt(n)
	if upper.saved != nil {
		upper.recent = t.recent.InsertBefore(upper, n.recent)
	}
	t.account(upper)
	t.account(n)
	return upper
}

// path returns the nodes that lead to the last of ids, all of which are there.
func (t *tree) path(ids []int32) []*node {
	var path []*node
	for n := t.root; len(ids) > 0; ids = ids[len(n.ids):] {
		n = n.children[ids[0]]
		path = append(path, n)
	}
	return path
}

// touch makes the nodes of a path the last used, those above before those below, so that
// these go first.
func (t *tree) touch(path []*node) {
	for _, n := range slices.Backward(path) {
		n.plan = t.plans
		if n.recent != nil {
			t.recent.MoveToFront(n.recent)
		}
	}
}

// mark notes that a request's prompt ended at a node, if there is room for that.
func (t *tree) mark(n *node) {
	if n.asked || !t.room(nodeBytes+4*int64(len(n.ids))) {
		return
	}
	n.asked = true
	t.account(n)
}

// nodeBytes is about what a node takes that holds something, without its tokens.
const nodeBytes = 256

// account brings the books up to what a node holds now.
func (t *tree) account(n *node) {
	bytes := int64(0)
	if n.saved != nil || n.asked {
		bytes = nodeBytes + 4*int64(len(n.ids))
	}
	if n.saved != nil {
		bytes += t.tokenBytes() * int64(len(n.ids))
	}
	t.used += bytes - n.bytes
	n.bytes = bytes
	switch {
	case bytes > 0 && n.recent == nil:
		n.recent = t.recent.PushFront(n)
	case bytes == 0 && n.recent != nil:
		t.recent.Remove(n.recent)
		n.recent = nil
	}
}

// room makes room for so many bytes more at the cost of what was used longest ago, but not of
// what the plan under way uses. It answers false where that is not enough.
func (t *tree) room(bytes int64) bool {
	for t.used+bytes > t.limit {
		if bytes > t.limit {
			return false
		}
		last := t.recent.Back()
		if last == nil || last.Value.(*node).plan == t.plans {
			return false
		}
		n := last.Value.(*node)
		t.drop(n.saved)
		n.saved, n.asked = nil, false
		t.account(n)
		t.prune(n)
	}
	return true
}

// prune removes a node, and those above it, that hold nothing and lead nowhere.
func (t *tree) prune(n *node) {
	for n != t.root && len(n.children) == 0 && n.bytes == 0 && n.plan != t.plans {
		delete(n.parent.children, n.ids[0])
		n = n.parent
	}
}
