package prefix_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/implicitreward/implicitreward/internal/prefix"
)

// TestTree holds the tree to a set of all beginnings.
func TestTree(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var tree prefix.Tree
	for range 2 {
		nodes := map[string]int32{"[]": prefix.Root}
		for range 300 {
			ids := make([]int32, r.IntN(7))
			for i := range ids {
				ids[i] = int32(r.IntN(3))
			}
			shared := 0
			for shared < len(ids) {
				if _, ok := nodes[fmt.Sprint(ids[:shared+1])]; !ok {
					break
				}
				shared++
			}
			if n := tree.Shared(ids); n != shared {
				t.Fatalf("%v: %d shared, wanted %d", ids, n, shared)
			}
			last := tree.Add(ids)
			for i := range ids {
				if key := fmt.Sprint(ids[:i+1]); i >= shared {
					nodes[key] = int32(len(nodes) - 1)
				}
			}
			if want := nodes[fmt.Sprint(ids)]; last != want || tree.Len() != len(nodes)-1 {
				t.Fatalf("%v: node %d of %d, wanted %d of %d", ids, last, tree.Len(), want, len(nodes)-1)
			}
			if len(ids) > 0 {
				parent := nodes[fmt.Sprint(ids[:len(ids)-1])]
				if child, ok := tree.Child(parent, ids[len(ids)-1]); !ok || child != last {
					t.Fatalf("%v: child %d, %v", ids, child, ok)
				}
			}
		}
		tree.Reset()
	}
	below, fresh := tree.Grow(-5, 1)
	if _, ok := tree.Child(prefix.Root, 1); ok || !fresh || below != 0 {
		t.Error("trees below different numbers mix")
	}
}
