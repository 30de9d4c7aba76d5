package engine

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestBatches checks what attention relies on, against brute force: every node is
// some batch's own exactly once, a batch holds all ancestors of its nodes, and
// i <= j < exit[i] says exactly that i is j or an ancestor of j.
func TestBatches(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 50 {
		texts := randomTexts(r, 1+r.IntN(60), 40, 9)
		tree := newTree()
		for n, text := range texts {
			tree.add(n, text)
		}
		for _, size := range []int{1, 5, 64, 1000} {
			owned := make([]int, len(tree.id))
			for _, b := range tree.batches(size) {
				for j, node := range b.nodes {
					if j >= b.own {
						owned[node]++
					}
					var path []int32
					for a := node; a >= 0; a = tree.parent[a] {
						path = append(path, a)
					}
					for i := range b.nodes {
						sees := i <= j && int32(j) < b.exit[i]
						if want := slices.Contains(path, b.nodes[i]); sees != want {
							t.Fatalf("size %d: %d sees %d: %v, wanted %v", size, j, i, sees, want)
						}
					}
					if parent := tree.parent[node]; parent >= 0 && !slices.Contains(b.nodes[:j], parent) {
						t.Fatalf("size %d: node %d without its parent", size, node)
					}
				}
			}
			for node, n := range owned {
				if n != 1 {
					t.Fatalf("size %d: node %d is computed %d times, wanted once", size, node, n)
				}
			}
		}
	}
}

// TestShared: texts share the nodes of their common beginnings, and a last token
// whose state nobody needs has none.
func TestShared(t *testing.T) {
	tree := newTree()
	for n, ids := range [][]int32{{1, 2, 3, 4}, {1, 2, 3, 5}, {1, 2, 6}, {1, 2, 3, 4}} {
		tree.add(n, Text{IDs: ids, From: 2})
	}
	if got := len(tree.id); got != 3 { // 1, 2, 3
		t.Errorf("%d nodes, wanted 3", got)
	}
}

// TestCut: a text that is longer than a batch is one batch, not a batch and then the
// whole path again; short branches fill a batch without passing it.
func TestCut(t *testing.T) {
	long := newTree()
	for n := range int32(3) {
		ids := make([]int32, 1000)
		ids[0] = n
		long.add(int(n), Text{IDs: ids, From: len(ids), Row: true})
	}
	if got := long.batches(64); len(got) != 3 || len(got[0].nodes) != 1000 || got[1].own != 0 {
		t.Errorf("%d batches, the first of %d nodes; wanted 3 of 1,000", len(got), len(got[0].nodes))
	}
	short := newTree()
	for n := range int32(300) {
		short.add(int(n), Text{IDs: []int32{1, 2, 3, n, 4, 5}, From: 6, Row: true})
	}
	for _, b := range short.batches(64) {
		if len(b.nodes) > 64 {
			t.Errorf("a batch of %d nodes, wanted at most 64", len(b.nodes))
		}
	}
	if got := len(short.batches(64)); got > 16 {
		t.Errorf("%d batches for 903 nodes after 3, wanted at most 16", got)
	}
}

func TestBucket(t *testing.T) {
	for _, test := range [][2]int{{1, 1}, {2, 2}, {3, 4}, {8, 8}, {9, 12}, {13, 16}, {17, 24}, {25, 32}, {33, 48}, {49, 64}, {500, 512}, {513, 768}} {
		if got := bucket(test[0]); got != test[1] {
			t.Errorf("bucket(%d) = %d, wanted %d", test[0], got, test[1])
		}
	}
	for n := 1; n < 5000; n++ {
		if b := bucket(n); b < n || n > 8 && 3*(b-n) > b+2 {
			t.Fatalf("bucket(%d) = %d", n, b)
		}
	}
}
