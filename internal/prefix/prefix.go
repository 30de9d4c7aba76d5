// Package prefix is the prefix tree of token sequences: what texts have in common is in it
// once.
package prefix

// Tree numbers the different beginnings of the sequences that were entered, from 0 on in
// the order in which they came. Root stands for the empty one. The zero Tree is empty and
// ready.
type Tree struct{ next map[edge]int32 }

type edge struct{ parent, id int32 }

// Root is the empty beginning. Callers may start other trees within the same one, each
// below a negative number of its own.
const Root int32 = -1

// Len is the number of nodes.
func (t *Tree) Len() int { return len(t.next) }

// Reset empties the tree and keeps its room.
func (t *Tree) Reset() { clear(t.next) }

// Child returns the node that follows another by id.
func (t *Tree) Child(node, id int32) (child int32, ok bool) {
	child, ok = t.next[edge{node, id}]
	return child, ok
}

// Grow is Child, but makes the node where there is none; fresh tells so.
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

// Shared follows ids from the root as far as they are in the tree: how many of them are.
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

// Add enters ids from the root and returns the last one's node.
func (t *Tree) Add(ids []int32) int32 {
	node := Root
	for _, id := range ids {
		node, _ = t.Grow(node, id)
	}
	return node
}
