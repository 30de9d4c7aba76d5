package engine

import "slices"

// A pooled tree is that of texts whose prompts are short, and many of them known from
// earlier calls: the keys and values of all prompts that a batch needs stand before it,
// side by side, and each node sees those of its own prompt. A prompt asked for again and
// again then costs its last token, in whatever company its replies come.
//
// A pooled batch is a pass of its own, and one chunk, since it is small.

const (
	// Prompts of fewer tokens before their last are computed anew.
	leastPrompt = 8
	// Texts in a pooled tree are not longer than this, so that a path leaves room in a batch.
	pooledText = shortPrompt + 64
)

// poolKeys is the number of keys that stand before a batch at most. Tests change it.
var poolKeys = 1024

// poolable tells whether a text can be in a pooled tree.
func poolable(text Text) bool { return text.From < shortPrompt && len(text.IDs) <= pooledText }

// pool makes the pooled tree of some of texts, by number, and returns the prompts that are
// to be kept, by their last nodes, and whether the tree is worth it: because it saves a
// quarter of the nodes of the tree without a pool, or because there is something to keep.
//
// What is kept of a prompt ends before its last token, whose state is wanted. A text that
// goes on from there makes use of it too.
func (e *Engine) pool(texts []Text, numbers []int, without int) (t *tree, keeps map[int32]*prompt, worth bool) {
	t, keeps = newTree(), map[int32]*prompt{}
	t.pooled = map[int]int32{}
	at := map[*prompt]int32{} // in the pool
	for _, n := range numbers {
		text := texts[n]
		if text.From <= leastPrompt || text.From == len(text.IDs) && !text.After() {
			t.add(n, text)
			continue
		}
		ids := text.IDs[:text.From-1]
		state, again := e.prompts.known(ids)
		if state != nil {
			i, ok := at[state]
			if !ok {
				i = int32(len(t.pool))
				at[state] = i
				t.pool = append(t.pool, given{state, len(state.ids)})
			}
			t.pooled[n] = i
		}
		t.add(n, text)
		if again && (state == nil || len(ids) >= len(state.ids)+leastPrompt) {
			node, rest := int32(-1), ids
			if state != nil {
				node, rest = -2-at[state], ids[len(state.ids):]
			}
			for _, id := range rest {
				node = t.next[edge{node, id}]
			}
			if keeps[node] == nil {
				keeps[node] = &prompt{ids: slices.Clone(ids)}
			}
		}
	}
	return t, keeps, len(keeps) > 0 || 4*len(t.id) <= 3*without
}

// pooledPasses cuts a pooled tree into passes of at most size nodes, unless a path is
// longer, and poolKeys keys before them.
func (t *tree) pooledPasses(size int, keeps map[int32]*prompt) []pass {
	var all []pass
	order := t.order()
	for len(order) > 0 {
		p := pass{nodes: t.path(order[0])}
		p.own = len(p.nodes)
		keys, n := 0, 0
		begin := map[int32]int{} // where a prompt of the pool begins among the keys, by -2-i
		for ; n < len(order); n++ {
			if n > 0 && len(p.nodes) >= size {
				break
			}
			node := order[n]
			first := node
			if n == 0 && p.own > 0 {
				first = p.nodes[0]
			}
			if parent := t.parent[first]; parent < -1 {
				g := t.pool[-2-parent]
				if n > 0 && keys+g.n > poolKeys {
					break
				}
				begin[parent] = keys
				keys += g.n
				p.pool = append(p.pool, g)
			}
			p.nodes = append(p.nodes, node)
		}
		at := make(map[int32]int32, len(p.nodes)) // index in the pass of a node
		for i, node := range p.nodes {
			at[node] = int32(i)
		}
		for _, node := range order[:n] {
			if prompt := keeps[node]; prompt != nil {
				k := kept{prompt: prompt}
				path := append(t.path(node), node)
				for i := range t.depth[path[0]] {
					k.nodes = append(k.nodes, before(begin[t.parent[path[0]]]+int(i)))
				}
				for _, ancestor := range path {
					k.nodes = append(k.nodes, at[ancestor])
				}
				p.keeps = append(p.keeps, k)
			}
		}
		order = order[n:]
		all = append(all, p)
	}
	return all
}

// pooledBatch is the batch that a pass of a pooled tree is.
func (t *tree) pooledBatch(p pass) batch {
	b := batch{n: len(p.nodes), paths: [][]int32{nil}}
	pool, end, start := 0, int32(0), int32(0) // of the prompts so far; where the last begins
	first := int32(0)                         // depth of the first node after it
	for _, node := range p.nodes {
		if parent := t.parent[node]; parent < 0 {
			start, first = end, t.depth[node]
			if parent < -1 {
				end += int32(p.pool[pool].n)
				pool++
			}
		}
		b.depth = append(b.depth, t.depth[node])
		b.below = append(b.below, t.depth[node]-first)
		b.base = append(b.base, start)
	}
	for _, k := range p.keeps {
		b.next = append(b.next, k.nodes...)
	}
	return b
}

// pooledShape is one of few, so that a server has compiled them all soon.
func (b *batch) pooledShape(p pass) shape {
	four := func(least, n int) int { // the first of least, 4*least, ... with room for n
		for least < n {
			least *= 4
		}
		return least
	}
	s := shape{T: four(16, b.n), Pool: len(p.pool) > 0}
	s.C = s.T
	if s.Pool {
		keys := 0
		for _, g := range p.pool {
			keys += g.n
		}
		s.P = four(256, keys)
	}
	if len(b.next) > 0 {
		s.N = four(s.T, len(b.next))
	}
	return s
}
