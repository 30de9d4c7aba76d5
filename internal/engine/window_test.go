package engine

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestWindow: whatever the texts, a window holds no more different beginnings than its
// limit, counted here by brute force, and closes only on a text that it cannot take.
func TestWindow(t *testing.T) {
	states := func(texts []Request) int {
		seen := map[string]bool{}
		for _, x := range texts {
			n := len(x.IDs)
			if !x.Distribution {
				n--
			}
			if !x.Distribution && x.From >= len(x.IDs) {
				n = 0
			}
			for i := range n {
				seen[fmt.Sprint(x.IDs[:i+1])] = true
			}
		}
		return len(seen)
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 15 {
		limit := 1 + random.IntN(30)
		w := &window{limit: limit}
		for range 200 {
			ids := make([]int32, random.IntN(9))
			for i := range ids {
				ids[i] = int32(random.IntN(3))
			}
			x := Request{IDs: ids, From: random.IntN(len(ids) + 1)}
			if random.IntN(5) == 0 {
				x.From, x.Distribution = len(ids), true
			}
			before := slices.Clone(w.requests)
			if !w.add(x) {
				if n := states(append(before, x)); n <= limit || len(w.requests) == 0 {
					t.Fatalf("a text was refused, with it %d states, the limit is %d", n, limit)
				}
				w.reset()
				if !w.add(x) {
					t.Fatal("an empty window refused a text")
				}
			}
			if n := states(w.requests); n != w.states.Len() || n > limit && len(w.requests) > 1 {
				t.Fatalf("%d states in %d texts, counted %d, limit %d", n, len(w.requests), w.states.Len(), limit)
			}
		}
	}
	w := &window{limit: 1 << 20}
	n := 0
	for w.add(Request{IDs: []int32{1}, From: 1, Distribution: true}) {
		n++
	}
	if n != windowDistributions {
		t.Errorf("%d rows in a window, wanted %d", n, windowDistributions)
	}
	w.reset()
	for n = 0; w.add(Request{}); n++ {
	}
	if n == 0 || n > windowTokens {
		t.Errorf("%d empty texts in a window, wanted an end", n)
	}
}
