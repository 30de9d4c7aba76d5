package engine

// Legend, beside arch's: T nodes of a batch, C nodes of a chunk, S = T/C chunks, P
// keys of a path.

// chunkNodes is C, the number of queries whose attention is computed together: few,
// since two nodes of a chunk mostly do not see each other, but enough for a matrix
// product (32 takes as long, and XLA five times as long to compile).
const chunkNodes = 64

// batch is a run of a pass's nodes that is computed at once, and which keys each of
// them sees. The nodes lie depth first, so that a node's descendants follow it without
// a gap, and whatever it descends from outside its chunk is an ancestor of the chunk's
// first node too. A chunk's keys are therefore those of the path to its first node and
// its own, and two numbers a node are the whole mask: it sees the first seen keys of the
// path, and key j of the chunk exactly if j <= i < exit[j].
type batch struct {
	from, n int // nodes[from:from+n] of the pass

	depth []int32 // [T]
	seen  []int32 // [T]
	exit  []int32 // [T], counted from the chunk's first node
	// path says where the keys of each chunk's path are, the first token first, -
	// among the P keys of the path to the batch's first node, which come from the
	// batches before it, and the T keys of the batch.
	path [][]int32 // [S][at most P]
	// next is the same for the first node of the batch that follows.
	next []int32
}

// batches cuts a pass into batches of size nodes, the last of what is left.
func (t *tree) batches(p pass, size int) []batch {
	var all []batch
	open := make([]int32, 0, 64) // indices in the pass of the ancestors of node i
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
		b.path = paths(from, from+b.n)
		for i := range b.n {
			b.depth = append(b.depth, t.depth[p.nodes[from+i]])
		}
		b.mask()
		if end := from + b.n; end < len(p.nodes) {
			b.next = append([]int32(nil), open[:t.depth[p.nodes[end]]]...)
		}
		all = append(all, b)
	}
	return all
}

// mask fills in seen and exit from the depths. Between a chunk's first node and node i,
// the least depth is that of the branch at which their paths part: what is above is
// on the path to both.
func (b *batch) mask() {
	b.seen, b.exit = make([]int32, b.n), make([]int32, b.n)
	for start := 0; start < b.n; start += chunkNodes {
		end := min(start+chunkNodes, b.n)
		least := b.depth[start]
		var open []int
		for i := start; i < end; i++ {
			least = min(least, b.depth[i])
			b.seen[i] = least
			for len(open) > 0 && b.depth[open[len(open)-1]] >= b.depth[i] {
				b.exit[open[len(open)-1]] = int32(i - start)
				open = open[:len(open)-1]
			}
			open = append(open, i)
		}
		for _, i := range open {
			b.exit[i] = int32(end - start)
		}
	}
}

// longest is the number of keys that the batch's paths need.
func (b *batch) longest() int {
	n := 0
	for _, path := range b.path {
		n = max(n, len(path))
	}
	return n
}

// shape is what an executable is compiled for.
type shape struct {
	T int // nodes
	P int // keys of a path, 0 where no chunk has one
	N int // keys of the next batch's path, 0 where there is no next batch, or it has none
}

func (s shape) chunk() int  { return min(s.T, chunkNodes) }
func (s shape) chunks() int { return s.T / s.chunk() }

// shapesOf chooses them for the batches of a pass: the fewer different ones, the less
// there is to compile. The last batch is as large as the others where computing the
// rest of it for nothing costs less than compiling does.
func shapesOf(batches []batch, params int64) []shape {
	all := make([]shape, len(batches))
	for i := range batches {
		b := &batches[i]
		s := &all[i]
		s.T = bucket(b.n)
		const worth = 1e11 // operations, about as long as compiling a block takes
		if i > 0 && 2*float64(params)*float64(all[i-1].T-s.T) < worth {
			s.T = all[i-1].T
		}
		if n := b.longest(); n > 0 {
			s.P = keyBucket(n)
		}
	}
	for i := range all { // the last one too, so that it needs no executable of its own
		if len(all) > 1 {
			all[i].N = all[min(i+1, len(all)-1)].P
		}
	}
	return all
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

// keyBucket is the room for n keys of a path: 64, 128, 192, 256, 384, 512, 768, ...
func keyBucket(n int) int {
	size := chunkNodes
	for size < n {
		if size >= 2*chunkNodes && size+size/2 >= n {
			return size + size/2
		}
		size *= 2
	}
	return size
}
