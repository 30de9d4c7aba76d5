package engine

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestBatches checks what attention relies on, against brute force: every node is some
// pass's own exactly once, and the keys that a node sees, among those of its chunk's
// path and its chunk, are exactly its ancestors and itself. The path's keys are followed
// from batch to batch, as the device does.
func TestBatches(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 50 {
		texts := randomTexts(r, 1+r.IntN(200), 40, 9)
		tree := newTree()
		for n, text := range texts {
			tree.add(n, text)
		}
		for _, size := range [][2]int{{1, 1}, {30, 5}, {100, 64}, {1000, 100}, {1 << 20, 256}} {
			owned := make([]int, len(tree.id))
			for _, p := range tree.passes(size[0]) {
				for _, node := range p.nodes[p.own:] {
					owned[node]++
				}
				seesAncestors(t, tree, p, tree.batches(p, size[1]))
			}
			for node, n := range owned {
				if n != 1 {
					t.Fatalf("size %d: node %d is computed %d times, wanted once", size, node, n)
				}
			}
		}
	}
}

func seesAncestors(t *testing.T, tree *tree, p pass, batches []batch) {
	t.Helper()
	shapes, _ := shapesOf(batches, 1e9, nil)
	var past []int32 // tree nodes of the path to the batch's first node
	for n, b := range batches {
		s := shapes[n]
		if b.n > s.T || len(past) > s.P || n > 0 && shapes[n-1].N != s.P {
			t.Fatalf("batch %d of %d nodes after %d: shape %+v after %+v", n, b.n, len(past), s, shapes[max(n-1, 0)])
		}
		key := func(place int32) int32 { // of the batch or before it, by index in the pass
			if int(place) >= b.from {
				return p.nodes[place]
			}
			return past[tree.depth[p.nodes[place]]]
		}
		seen, exit := b.mask(s.C)
		for i := range b.n {
			start := i / s.C * s.C
			var sees []int32
			for j := range seen[i] {
				sees = append(sees, key(b.paths[start/chunkNodes][j]))
			}
			for j := start; j <= i; j++ {
				if i-start < int(exit[j]) {
					sees = append(sees, p.nodes[b.from+j])
				}
			}
			node := p.nodes[b.from+i]
			if want := append(tree.path(node), node); !slices.Equal(sees, want) {
				t.Fatalf("batch %d: node %d sees %v, wanted %v", n, i, sees, want)
			}
		}
		var next []int32
		for _, place := range b.next {
			next = append(next, key(place))
		}
		past = next
	}
}

// TestShared: texts share the nodes of their common beginnings, and a last token
// whose state nobody needs has none.
func TestShared(t *testing.T) {
	tree := newTree()
	for n, ids := range [][]int32{{1, 2, 3, 4}, {1, 2, 3, 5}, {1, 2, 6}, {1, 2, 3, 4}} {
		tree.add(n, Request{IDs: ids, From: 2})
	}
	if got := len(tree.id); got != 3 { // 1, 2, 3
		t.Errorf("%d nodes, wanted 3", got)
	}
}

// TestPasses: a cut falls where little is computed anew, and a text longer than a pass is
// one pass, not one and then the whole path again.
func TestPasses(t *testing.T) {
	words := newTree()
	for prompt := range int32(20) {
		for word := range int32(30) { // 50 + 30 nodes a prompt
			ids := make([]int32, 53)
			ids[0], ids[50] = prompt, word
			words.add(int(prompt*30+word), Request{IDs: ids[:52], From: 50})
		}
	}
	for i, p := range words.passes(400) {
		if p.own != 0 {
			t.Errorf("pass %d computes %d nodes anew, wanted a cut between prompts", i, p.own)
		}
		if n := len(p.nodes); n > 400 || n < 300 && i < 4 {
			t.Errorf("pass %d has %d nodes, wanted 300 to 400", i, n)
		}
	}
	long := newTree()
	for n := range int32(3) {
		ids := make([]int32, 1000)
		ids[0] = n
		long.add(int(n), Request{IDs: ids, From: len(ids), Distribution: true})
	}
	nodes := 0
	for _, p := range long.passes(64) {
		nodes += len(p.nodes)
	}
	if nodes > 9000 {
		t.Errorf("%d nodes in passes of 64, wanted at most three times the tree's 3,000", nodes)
	}
}

// TestShapes: a run over a corpus compiles few executables.
func TestShapes(t *testing.T) {
	words := newTree()
	for prompt := range int32(54) {
		for word := range int32(1000) {
			ids := make([]int32, 53)
			ids[0], ids[50] = prompt, word
			words.add(int(prompt*1000+word), Request{IDs: ids[:52], From: 50})
		}
	}
	different := map[shape]bool{}
	for _, p := range words.passes(defaultPassNodes) {
		shapes, err := shapesOf(words.batches(p, defaultBatchNodes), 1e8, func(_, usual int) (int, error) { return usual, nil })
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range shapes {
			different[s] = true
		}
	}
	if len(different) > 2 {
		t.Errorf("%d shapes for a corpus after prompts, wanted at most 2: %v", len(different), different)
	}
}

func TestBucket(t *testing.T) {
	for _, test := range [][2]int{{1, 1}, {2, 2}, {3, 4}, {8, 8}, {9, 12}, {13, 16}, {17, 24}, {25, 32}, {33, 48}, {49, 64}, {65, 128}, {197, 256}, {500, 512}} {
		if got := bucket(test[0]); got != test[1] {
			t.Errorf("bucket(%d) = %d, wanted %d", test[0], got, test[1])
		}
	}
	for n := 1; n < 5000; n++ {
		if b := bucket(n); b < n || n > 8 && b-n > max(b/3, chunkNodes-1) {
			t.Fatalf("bucket(%d) = %d", n, b)
		}
	}
}
