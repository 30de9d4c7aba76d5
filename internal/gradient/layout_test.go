package gradient

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestRowLength: room for as many, at most a sixteenth more where it is long.
func TestRowLength(t *testing.T) {
	lengths := map[int]bool{}
	for n := 1; n <= 4096; n++ {
		l := rowLength(n)
		lengths[l] = true
		if l < n || l%16 != 0 || n > 256 && l-n >= (n+15)/16 || n <= 64 && l != 64 || l < rowLength(n-1) {
			t.Fatalf("%d takes a row of %d", n, l)
		}
	}
	if len(lengths) > 80 {
		t.Errorf("%d different lengths up to 4096", len(lengths))
	}
}

// TestSplit: every group goes through once, within the bound of a pass where there is more than
// one row, and of all ways to cut the groups, ordered by size, none computes fewer places.
func TestSplit(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 2))
	for range 300 {
		m := &Model{o: Options{Tokens: 256 + r.IntN(2000)}}
		groups, sizes := make([][]Text, 1+r.IntN(9)), []int(nil)
		for i := range groups {
			groups[i] = []Text{{IDs: make([]int32, 1+r.IntN(600))}}
			for k := range groups[i][0].IDs {
				groups[i][0].IDs[k] = int32(k)
			}
			sizes = append(sizes, len(groups[i][0].IDs))
		}
		cost := func(passes [][]int) (places int, ok bool) {
			for _, pass := range passes {
				var of []int
				for _, i := range pass {
					of = append(of, sizes[i])
				}
				slices.SortFunc(of, func(a, b int) int { return b - a })
				p := packing{length: rowLength(of[0])}
				for _, n := range of {
					p.add(n)
				}
				if len(p.filled) > 1 && p.places() > m.o.Tokens {
					return 0, false
				}
				places += passPlaces + p.places()
			}
			return places, true
		}
		order := descending(sizes)
		fewest := -1
		for cuts := range 1 << (len(order) - 1) {
			passes := [][]int{{order[0]}}
			for k, i := range order[1:] {
				if cuts>>k&1 == 1 {
					passes = append(passes, nil)
				}
				passes[len(passes)-1] = append(passes[len(passes)-1], i)
			}
			if c, ok := cost(passes); ok && (fewest < 0 || c < fewest) {
				fewest = c
			}
		}
		split := m.Split(groups)
		var all []int
		for _, pass := range split {
			all = append(all, pass...)
		}
		slices.Sort(all)
		if want := descending(make([]int, len(groups))); !slices.Equal(all, want) {
			t.Fatalf("groups %v, wanted each once", split)
		}
		if c, ok := cost(split); !ok || c != fewest {
			t.Fatalf("sizes %v, at most %d: %v costs %d, wanted %d", sizes, m.o.Tokens, fmt.Sprint(split), c, fewest)
		}
	}
}
