package engine

import (
	"slices"

	"github.com/implicitreward/implicitreward/internal/prefix"
)

// A pooled tree is that of texts whose prompts are short, and many of them known from
// earlier calls: the keys and values of all prompts that a batch needs stand before it,
// side by side, and each node sees those of its own prompt. A prompt asked for again and
// again then costs its last token, in whatever company its replies come.
//
// A pooled batch is a pass of its own.

const (
	// Prompts of fewer tokens before their last are computed anew.
	leastPrompt = 8
	// Texts in a pooled tree are not longer than this, so that a path leaves room in a batch.
	pooledText = shortPrompt + 64
)

// defaultPoolKeys is the number of keys that stand before a batch at most.
const defaultPoolKeys = 1024

// poolable tells whether a text can be in a pooled tree. In float32 such texts are computed
// in invariant batches (see shape), pooled or not.
func poolable(text Request) bool { return text.From < shortPrompt && len(text.IDs) <= pooledText }

// pool makes the pooled tree of some of texts, by number, and returns the prompts that are
// to be kept, by their last nodes, and whether the tree is worth it: because it saves a
// quarter of the nodes of the tree without a pool, or because there is something to keep.
//
// What is kept of a prompt ends before its last token, whose state is wanted. A text that
// goes on from there makes use of it too.
func (e *Engine) pool(texts []Request, numbers []int, without int) (t *tree, keeps map[int32]*prompt, worth bool) {
	t, keeps = newTree(), map[int32]*prompt{}
	t.pooled, t.invariant = map[int]int32{}, e.invariant
	at := map[*prompt]int32{} // in the pool
	for _, n := range numbers {
		text := texts[n]
		if text.From <= leastPrompt || text.From == len(text.IDs) && !text.after() {
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
			node, rest := prefix.Root, ids
			if state != nil {
				node, rest = -2-at[state], ids[len(state.ids):]
			}
			for _, id := range rest {
				node, _ = t.nodes.Child(node, id)
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
func (t *tree) pooledPasses(size, poolKeys int, keeps map[int32]*prompt) []pass {
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

// pooledChunk is C in a pooled batch, where a node has few relatives, so that the paths of a
// chunk are short.
const pooledChunk = 16

// pooledBatch is the batch that a pass of a pooled tree is, and its shape. The path of a
// chunk is that to its first node and, after it, the prompts of the pool that begin nodes
// of the chunk. rows is as shapesOf's.
func (t *tree) pooledBatch(p pass, rows func(n, usual int) (int, error)) (batch, shape, error) {
	b := batch{n: len(p.nodes)}
	s := shape{T: keyBucket(b.n), C: pooledChunk, Invariant: t.invariant}
	if b.n <= pooledChunk {
		s.T = pooledChunk
	}
	if s.Invariant {
		var err error
		if s.T, err = rows(b.n, s.T); err != nil {
			return b, s, err
		}
		s.T = (s.T + s.C - 1) / s.C * s.C // above the largest that is measured
	}
	pool, keys := 0, 0          // prompts so far, and their keys
	var own []int32             // keys of the prompt that node i comes after, or none
	var open []int32            // and the nodes from there to node i
	var path []int32            // of the chunk
	start, first := 0, int32(0) // where own begins in path; the depth of open[0]
	for i, node := range p.nodes {
		if parent := t.parent[node]; parent < 0 {
			own, open, first = nil, nil, t.depth[node]
			if parent < -1 {
				for range p.pool[pool].n {
					own = append(own, before(keys))
					keys++
				}
				pool++
			}
		}
		open = open[:t.depth[node]-first]
		switch {
		case i%s.C == 0:
			start, path = 0, slices.Concat(own, open)
			b.paths = append(b.paths, path)
		case t.parent[node] < 0:
			start, path = len(path), append(path, own...)
			b.paths[i/s.C] = path
		}
		open = append(open, int32(i))
		b.depth = append(b.depth, t.depth[node])
		b.below = append(b.below, t.depth[node]-first)
		b.base = append(b.base, int32(start))
	}
	longest := 0
	for _, path := range b.paths {
		longest = max(longest, len(path))
	}
	if s.Pool = longest > 0; s.Pool {
		s.P, s.Q = doubled(128, longest), doubled(1024, keys)
		if s.C == s.T { // the only path is all that stands before
			s.P = s.Q
		}
	}
	for _, k := range p.keeps {
		b.next = append(b.next, k.nodes...)
	}
	if len(b.next) > 0 {
		s.N = doubled(s.T, len(b.next))
	}
	return b, s, nil
}

// doubled is the first of least, 2*least, 4*least, ... with room for n: few shapes, so that
// a server has compiled them all soon.
func doubled(least, n int) int {
	for least < n {
		least *= 2
	}
	return least
}
