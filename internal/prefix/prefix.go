// Package prefix is a prefix tree of token sequences, which stores common prefixes once.
package prefix

// Tree numbers the distinct prefixes of the sequences that were added, from 0 in order of
// insertion. Root is the empty prefix. The zero Tree is empty and ready to use.
type Tree struct{ next map[edge]int32 }

type edge struct{ parent, id int32 }

// Root is the empty prefix. Callers may keep further trees in the same Tree, each below its
// own negative number.
const Root int32 = -1

// Len returns the number of nodes.
func (t *Tree) Len() int { return len(t.next) }

// Reset empties the tree and keeps its memory.
func (t *Tree) Reset() { clear(t.next) }

// Child returns the child of node for token id.
func (t *Tree) Child(node, id int32) (child int32, ok bool) {
	child, ok = t.next[edge{node, id}]
	return child, ok
}

// Grow is Child, but creates the node if it does not exist; fresh reports whether it did.
func (t *Tree) Grow(node, id int32) (child int32, fresh bool) {
	child, ok := t.Child(node, id)
	if !ok {
		if t.next == nil {
			t.next = map[edge]int32{}
		}
		child = int32(len(t.next))
		t.next[edge{node, id}] = child
	}
	return child, !ok
}

// Shared returns the length of the longest prefix of ids in the tree.
func (t *Tree) Shared(ids []int32) int {
	node := Root
	for n, id := range ids {
		child, ok := t.Child(node, id)
		if !ok {
			return n
		}
		node = child
	}
	return len(ids)
}

// Add inserts ids and returns the node of the last one.
func (t *Tree) Add(ids []int32) int32 {
	node := Root
	for _, id := range ids {
		node, _ = t.Grow(node, id)
	}
	return node
}
