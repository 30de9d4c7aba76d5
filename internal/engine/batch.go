package engine

// Legend, beside arch's: T nodes of a batch, C nodes of a chunk, S = T/C chunks, P
// keys of a path.

// chunkNodes is C where nodes have few ancestors: few, since two nodes of a chunk mostly
// do not see each other, but enough for a matrix product (32 takes as long, and XLA five
// times as long to compile).
const chunkNodes = 64

// batch is a run of a pass's nodes that is computed at once, a chunk of C queries beside
// the other. The nodes lie depth first, so that a node's descendants follow it without
// a gap, and whatever it descends from outside its chunk is an ancestor of the chunk's
// first node too. A chunk's keys are therefore those of the path to its first node and
// its own, and two numbers a node are the whole mask: see mask.
type batch struct {
	from, n int     // nodes[from:from+n] of the pass
	depth   []int32 // [n]
	// paths lead to every node whose number in the batch is a multiple of chunkNodes, as
	// indices in the pass (or see before), the first token first.
	paths [][]int32
	next  []int32 // the same for the first node of the batch that follows
	// Of a pooled batch (pool.go), nil otherwise: where each node's prompt begins in the path
	// of its chunk, and its depth below the first node after the prompt.
	base, below []int32
}

// before stands for key i of those before a pass, where its nodes have their indices.
func before(i int) int32 { return int32(-1 - i) }

// batches cuts a pass into batches of size nodes, the last of what is left.
func (t *tree) batches(p pass, size int) []batch {
	var all []batch
	open := make([]int32, 0, 64) // indices in the pass of the ancestors of node i
	for i := range t.from {
		open = append(open, before(i))
	}
	paths := func(from, to int) (starts [][]int32) {
		for i := from; i < to; i++ {
			d := int(t.depth[p.nodes[i]])
			open = open[:d]
			if (i-from)%chunkNodes == 0 {
				starts = append(starts, append([]int32(nil), open...))
			}
			open = append(open, int32(i))
		}
		return starts
	}
	for from := 0; from < len(p.nodes); from += size {
		b := batch{from: from, n: min(size, len(p.nodes)-from)}
		b.paths = paths(from, from+b.n)
		for i := range b.n {
			b.depth = append(b.depth, t.depth[p.nodes[from+i]])
		}
		if end := from + b.n; end < len(p.nodes) {
			b.next = append([]int32(nil), open[:t.depth[p.nodes[end]]]...)
		} else { // a kept prompt is on the path to all that follows it
			for _, k := range p.keeps {
				b.next = append(b.next, k.nodes...)
			}
		}
		all = append(all, b)
	}
	return all
}

// mask says which keys each node sees, in chunks of c: the first seen of the chunk's path,
// and key j of the chunk exactly if j <= i < exit[j], both counted from the chunk's first
// node. Between that and node i, the least depth is that of the branch at which their
// paths part: what is above is on the path to both.
func (b *batch) mask(c int) (seen, exit []int32) {
	seen, exit = make([]int32, b.n), make([]int32, b.n)
	depth := b.depth
	if b.below != nil {
		depth = b.below
	}
	for start := 0; start < b.n; start += c {
		end := min(start+c, b.n)
		least := depth[start]
		var open []int
		for i := start; i < end; i++ {
			least = min(least, depth[i])
			seen[i] = least
			for len(open) > 0 && depth[open[len(open)-1]] >= depth[i] {
				exit[open[len(open)-1]] = int32(i - start)
				open = open[:len(open)-1]
			}
			open = append(open, i)
		}
		for _, i := range open {
			exit[i] = int32(end - start)
		}
	}
	for i, base := range b.base {
		seen[i] += base + b.depth[i] - b.below[i] // all of its prompt
	}
	return seen, exit
}

// shape is what an executable is compiled for.
type shape struct {
	T int // nodes
	C int // of a chunk
	P int // keys of a path, 0 where no chunk has one
	Q int // keys before the batch, among which those of paths are: P of them unless Pool
	N int // keys of the next batch's path, 0 where there is no next batch, or it has none
	// Pool: the keys before the batch, and those of a path, are of several prompts (pool.go).
	Pool bool
	// Invariant: numbers do not depend on what else is in the batch, since attention adds up
	// in float64, and T is one of the numbers of rows that were measured alike (alike.go).
	Invariant bool
}

// gathers tells whether chunks have paths of their own. The path of the only chunk is that
// of the batch.
func (s shape) gathers() bool { return s.P > 0 && s.C < s.T }

// shapesOf chooses them for the batches of a pass: the fewer different ones, the less
// there is to compile. The last batch is as large as the others where computing the
// rest of it for nothing costs less than compiling does.
//
// Small chunks suit trees of short branches, each chunk with the keys of its own path.
// In a long text, where every node sees almost all before it, the batch is one chunk:
// the keys of one path serve it all.
//
// rows, nil where numbers may depend on their company, is Engine.rows.
func shapesOf(batches []batch, params int64, rows func(n, usual int) (int, error)) ([]shape, error) {
	all := make([]shape, len(batches))
	for i := range batches {
		b := &batches[i]
		s := &all[i]
		s.T, s.Invariant = bucket(b.n), rows != nil
		if s.Invariant {
			var err error
			if s.T, err = rows(b.n, s.T); err != nil {
				return nil, err
			}
		}
		const worth = 1e11 // operations, about as long as compiling a block takes
		if i > 0 && 2*float64(params)*float64(all[i-1].T-s.T) < worth {
			s.T = all[i-1].T
		}
		longest := 0
		for _, path := range b.paths {
			longest = max(longest, len(path))
		}
		s.C, s.P = min(s.T, chunkNodes), keyBucket(longest)
		if whole := keyBucket(len(b.paths[0])); s.T%s.C != 0 || whole+s.T <= s.P+s.C {
			s.C, s.P = s.T, whole
		}
	}
	for i := range all { // the last one too, so that it needs no executable of its own
		all[i].Q = all[i].P
		if len(all) > 1 {
			all[i].N = all[min(i+1, len(all)-1)].P
		}
	}
	if last := len(batches) - 1; len(batches[last].next) > 0 { // to be kept
		all[last].N = max(all[last].N, keyBucket(len(batches[last].next)))
	}
	return all, nil
}

// bucket is the number of rows that n nodes take: few different ones to compile, and
// at most a third of them padding beyond 8.
func bucket(n int) int {
	if n > chunkNodes {
		return (n + chunkNodes - 1) / chunkNodes * chunkNodes
	}
	size := 1
	for size < n {
		if size >= 8 && size+size/2 >= n {
			return size + size/2
		}
		size *= 2
	}
	return size
}

// keyBucket is the room for n keys of a path: 0, 64, 128, 192, 256, 384, 512, 768, ...
func keyBucket(n int) int {
	if n == 0 {
		return 0
	}
	size := chunkNodes
	for size < n {
		if size >= 2*chunkNodes && size+size/2 >= n {
			return size + size/2
		}
		size *= 2
	}
	return size
}
