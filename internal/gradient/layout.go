package gradient

import (
	"fmt"
	"slices"
)

// Text is a sequence of tokens and what is asked about it.
type Text struct {
	IDs    []int32
	From   int   // the log-probabilities of IDs[From:], each after those before it; at least 1
	States []int // the final states after IDs[:i+1] of each of these i
}

// Outputs are the numbers of a text, or the derivatives of a loss with respect to them.
type Outputs struct {
	LogProbs []float64
	States   [][]float64 // [D] each
}

// layout is where the tokens of some groups lie: R rows of L.
type layout struct {
	R, L int
	ids  []int32 // [T]; 0 for padding
	// depth is the number of tokens that lead to one; a token is seen by itself and those that
	// follow in its row, until exit. Padding is seen by itself alone.
	depth, exit []int32
	used        []bool
	at          [][][]int // of each group, text and token of the text, its place
}

// branch is a token of a group's tree.
type branch struct {
	id       int32
	depth    int
	children []*branch
	place    int // depth first, in the group
}

// grow enters a text and returns its tokens.
func grow(root *branch, ids []int32) []*branch {
	path := make([]*branch, len(ids))
	at := root
	for i, id := range ids {
		k := slices.IndexFunc(at.children, func(b *branch) bool { return b.id == id })
		if k < 0 {
			k = len(at.children)
			at.children = append(at.children, &branch{id: id, depth: i})
		}
		at = at.children[k]
		path[i] = at
	}
	return path
}

// grown is a group's tree.
type grown struct {
	order []*branch // depth first
	exits []int     // of each, the place after its last descendant
	paths [][]*branch
}

func growAll(group []Text) *grown {
	g := &grown{}
	root := &branch{}
	for _, t := range group {
		g.paths = append(g.paths, grow(root, t.IDs))
	}
	// Iterative, since texts are deeper than stacks like.
	type visit struct {
		*branch
		next int
	}
	stack := []visit{{root, 0}}
	for len(stack) > 0 {
		top := &stack[len(stack)-1]
		if top.next < len(top.children) {
			child := top.children[top.next]
			top.next++
			child.place = len(g.order)
			g.order, g.exits = append(g.order, child), append(g.exits, 0)
			stack = append(stack, visit{child, 0})
			continue
		}
		if top.branch != root {
			g.exits[top.place] = len(g.order)
		}
		stack = stack[:len(stack)-1]
	}
	return g
}

// rowLength is what L is rounded up to: at most a sixteenth more from 256 on, so that little is
// computed for nothing, and to few lengths, since a shape takes a second or two to compile.
func rowLength(n int) int {
	step := 16
	for step*32 < n {
		step *= 2
	}
	return max(64, (n+step-1)/step*step)
}

// packing is how groups lie in rows.
type packing struct {
	length int
	filled []int // places that each row has in use
}

// add puts a size into the first row with room, and tells which and where.
func (p *packing) add(size int) (row, offset int) {
	row = slices.IndexFunc(p.filled, func(n int) bool { return n+size <= p.length })
	if row < 0 {
		row = len(p.filled)
		p.filled = append(p.filled, 0)
	}
	offset = p.filled[row]
	p.filled[row] += size
	return row, offset
}

func (p *packing) places() int { return len(p.filled) * p.length }

// descending are the numbers of sizes, the largest first.
func descending(sizes []int) []int {
	order := make([]int, len(sizes))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return sizes[b] - sizes[a] })
	return order
}

// size is the number of tokens that a group takes.
func size(group []Text) int { return len(growAll(group).order) }

// passPlaces is what a pass costs besides its places, in places: weights that are read, products
// that do not fill the processor.
const passPlaces = 128

// Split says which groups go through the model together, as their numbers: within Options.Tokens
// where a group is not longer by itself. Those of about the same length go together, cut where
// the fewest places are computed.
func (m *Model) Split(groups [][]Text) [][]int {
	sizes := make([]int, len(groups))
	for i, g := range groups {
		sizes[i] = size(g)
	}
	order := descending(sizes)
	cost, end := make([]int, len(order)+1), make([]int, len(order)) // of the groups from one on; where its pass ends
	for i := len(order) - 1; i >= 0; i-- {
		p := packing{length: rowLength(sizes[order[i]])}
		for j := i; j < len(order); j++ {
			p.add(sizes[order[j]])
			if len(p.filled) > 1 && p.places() > m.o.Tokens {
				break
			}
			if c := passPlaces + p.places() + cost[j+1]; j == i || c <= cost[i] {
				cost[i], end[i] = c, j+1
			}
		}
	}
	var all [][]int
	for i := 0; i < len(order); i = end[i] {
		pass := slices.Clone(order[i:end[i]])
		slices.Sort(pass)
		all = append(all, pass)
	}
	return all
}

// lay places groups.
func (m *Model) lay(groups [][]Text) (*layout, error) {
	if err := m.check(groups); err != nil {
		return nil, err
	}
	trees := make([]*grown, len(groups))
	sizes := make([]int, len(groups))
	longest := 0
	for i, g := range groups {
		trees[i] = growAll(g)
		sizes[i] = len(trees[i].order)
		longest = max(longest, sizes[i])
	}
	l := &layout{L: rowLength(longest)}
	p := packing{length: l.L}
	rows, offsets := make([]int, len(sizes)), make([]int, len(sizes))
	for _, i := range descending(sizes) {
		rows[i], offsets[i] = p.add(sizes[i])
	}
	l.R = len(p.filled)
	n := l.R
	l.ids, l.depth, l.exit, l.used = make([]int32, n*l.L), make([]int32, n*l.L), make([]int32, n*l.L), make([]bool, n*l.L)
	for i := range l.exit {
		l.exit[i] = int32(i%l.L + 1)
	}
	for i, tree := range trees {
		first := rows[i]*l.L + offsets[i]
		for k, b := range tree.order {
			l.ids[first+k], l.depth[first+k], l.exit[first+k], l.used[first+k] = b.id, int32(b.depth), int32(offsets[i]+tree.exits[k]), true
		}
		var places [][]int
		for _, path := range tree.paths {
			of := make([]int, len(path))
			for k, b := range path {
				of[k] = first + b.place
			}
			places = append(places, of)
		}
		l.at = append(l.at, places)
	}
	return l, nil
}

// check tells which text cannot be computed.
func (m *Model) check(groups [][]Text) error {
	for i, group := range groups {
		for j, t := range group {
			fail := func(format string, args ...any) error {
				return fmt.Errorf("gradient: group %d, text %d: %s", i, j, fmt.Sprintf(format, args...))
			}
			if len(t.IDs) == 0 || len(t.IDs) > m.arch.Context {
				return fail("%d tokens, wanted 1 to %d, the model's context", len(t.IDs), m.arch.Context)
			}
			for _, id := range t.IDs {
				if id < 0 || int(id) >= m.arch.V {
					return fail("token id %d, wanted 0 to %d", id, m.arch.V-1)
				}
				if err := m.arch.Embed.Check(id); err != nil {
					return fail("token %v", err)
				}
			}
			if t.From < 1 || t.From > len(t.IDs) {
				return fail("log-probabilities from token %d of %d, wanted 1 or more, with a token before it", t.From, len(t.IDs))
			}
			if t.From < len(t.IDs) && m.arch.Head.Layer == nil {
				return fail("log-probabilities of a model without its vocabulary head")
			}
			for _, s := range t.States {
				if s < 0 || s >= len(t.IDs) {
					return fail("a state after token %d of %d", s, len(t.IDs))
				}
			}
		}
	}
	return nil
}
