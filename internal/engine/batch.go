package engine

import "slices"

// Legend, beside arch's: T tokens of a batch, C tokens of a chunk, S = T/C chunks, P
// keys of a chunk's path, Q keys before the batch.

const (
	// chunkTokens is C where tokens have few ancestors: few, since two tokens of a chunk mostly
	// do not see each other, but enough for a matrix product (32 takes as long, and XLA five
	// times as long to compile).
	chunkTokens = 64
	// pooledChunk is C after several saved prompts, where a token has few relatives, so that
	// the paths of a chunk are short.
	pooledChunk = 16
)

// batch is a run of a step's tokens that is computed at once.
type batch struct {
	from, n int        // tokens[from:from+n] of the step
	past    []location // the keys that stand before it: those that it or a later batch sees
	shape
	chunks
}

// chunks is how the tokens of a batch see each other and what stands before it, a chunk of C
// queries beside the other. Tokens lie depth first, so that a token's descendants follow it
// without a gap, and whatever it descends from outside its chunk is an ancestor of the
// chunk's first token too, or is saved and stands before the chunk's tokens as a path of its
// own. A chunk's keys are therefore those of a few paths, one after the other, and its own;
// three numbers a token are the whole mask.
type chunks struct {
	paths [][]location // of each chunk
	// A token sees keys base to seen of its chunk's path, and key j of the chunk exactly if
	// j <= i < exit[j], both counted from the chunk's first token.
	base, seen, exit []int32
}

// shape is what an executable is compiled for.
type shape struct {
	T int // tokens
	C int // of a chunk
	P int // keys of a chunk's path, 0 where no chunk has one
	Q int // keys before the batch
	N int // keys before the next batch, 0 where there is none
	// Gathers: chunks have paths of their own. Otherwise that of the only chunk is what stands
	// before the batch.
	Gathers bool
	// Saves: keys and values of some of the tokens are to be kept.
	Saves bool
	// Invariant: numbers do not depend on what else is in the batch, since attention adds up
	// in float64, and T is one of the numbers of rows that were measured alike (alike.go).
	Invariant bool
}

// batches cuts a step into batches of size tokens, the last of what is left.
func (s *step) batches(size int) []batch {
	var all []batch
	var open []location // the path to token i
	for i, t := range s.tokens {
		open = s.follow(open, t)
		if i%size == 0 {
			all = append(all, batch{from: i, n: min(size, len(s.tokens)-i), past: s.past(i, open)})
		}
		open = append(open, location(i))
	}
	return all
}

// batchTokens is the number of tokens of a batch where usual is that of one of short branches. Long
// texts take more: a token sees most of its batch, and the keys behind it are left out, so that
// less is gathered and weights are read less often (1.25 times as fast in bfloat16 as 256).
func (s *step) batchTokens(usual int) int {
	const longRun = 256 // tokens in the mean, each of which follows the one before
	runs := 0
	for i, t := range s.tokens {
		if i == 0 || t.before() != s.tokens[i-1] {
			runs++
		}
	}
	if len(s.tokens) < longRun*runs {
		return usual
	}
	return longBatch(usual)
}

// longBatch is the number of tokens of a batch of long texts.
func longBatch(usual int) int { return max(usual, min(4*usual, 1024)) }

// follow goes from the path of a token, with the token itself, to the path of the next.
func (s *step) follow(open []location, next token) []location {
	if s.level(next) == 0 {
		return s.savedPath(next)
	}
	return open[:next.depth()]
}

// past lists the keys that stand before token i, at whose batch's beginning it is: those of
// the path to it, and of the paths to those that follow what is saved.
func (s *step) past(i int, path []location) []location {
	if i == 0 {
		path = nil
		for key := range s.keys {
			path = append(path, savedKey(key))
		}
		return path
	}
	past := slices.Clone(path)
	listed := map[location]bool{}
	for _, l := range past {
		listed[l] = true
	}
	visited := map[*node]bool{s.tree.root: true}
	for _, t := range s.tokens[i:] {
		if s.level(t) > 0 {
			continue
		}
		for n := s.leaf(t); !visited[n]; n = n.parent {
			visited[n] = true
			for k := range n.ids {
				if l := savedKey(s.first[n] + k); !listed[l] {
					past = append(past, l)
				}
			}
		}
	}
	return past
}

// chunked lays a batch out in chunks of c tokens.
func (s *step) chunked(b *batch, c int) (l chunks) {
	l.base, l.seen, l.exit = make([]int32, b.n), make([]int32, b.n), make([]int32, b.n)
	open := slices.Clone(b.past[:s.tokens[b.from].depth()])
	var path []location // of the chunk so far
	base := 0           // where the path of token i begins in it
	var inside []int    // tokens of the chunk that lead to token i
	leave := func(depth, i int) {
		for len(inside) > 0 && s.tokens[b.from+inside[len(inside)-1]].depth() >= depth {
			l.exit[inside[len(inside)-1]] = int32(i % c)
			inside = inside[:len(inside)-1]
		}
	}
	for i := range b.n {
		t := s.tokens[b.from+i]
		if i > 0 {
			open = s.follow(open, t)
		}
		switch {
		case i%c == 0:
			path, base = slices.Clone(open), 0
		case s.level(t) > 0:
			leave(t.depth(), i)
		default:
			leave(0, i)
			n := min(len(open), len(path)-base)
			if !slices.Equal(open[:n], path[base:base+n]) {
				base = len(path)
			}
			path = append(path[:base:base], longer(open, path[base:])...)
		}
		l.base[i], l.seen[i] = int32(base), int32(base+t.depth()-len(inside))
		inside = append(inside, i)
		open = append(open, location(b.from+i))
		if i%c == c-1 || i == b.n-1 {
			l.paths = append(l.paths, path)
			for _, j := range inside {
				l.exit[j] = int32(i%c + 1)
			}
			inside = nil
		}
	}
	return l
}

func longer[T any](a, b []T) []T {
	if len(a) > len(b) {
		return a
	}
	return b
}

// longest is the length of the longest path.
func (l chunks) longest() int {
	n := 0
	for _, path := range l.paths {
		n = max(n, len(path))
	}
	return n
}

// shape chooses the shapes of a step's batches: the fewer different ones, the less there is
// to compile. params is the number of the blocks' parameters; rows, nil where numbers may depend on
// their company, is Engine.rows.
func (s *step) shape(batches []batch, params int64, z sizes, rows func(n, usual int) (int, error)) error {
	for i := range batches {
		b := &batches[i]
		b.Invariant, b.Saves = rows != nil, len(s.saving) > 0
		b.T = bucket(b.n)
		serves := s.tree.limit > 0 // for so long that compiling costs little, in batches of all sizes
		switch {
		case serves && b.n <= pooledChunk:
			b.T = pooledChunk
		case serves:
			b.T = keyBucket(b.n)
		case z.accelerated:
			b.T = fewSizes(b.n, z.batchTokens)
		}
		if b.Invariant {
			var err error
			if b.T, err = rows(b.n, b.T); err != nil {
				return err
			}
		}
		if s.pooled {
			b.T = (b.T + pooledChunk - 1) / pooledChunk * pooledChunk // above the largest that is measured
			b.C, b.chunks = pooledChunk, s.chunked(b, pooledChunk)
			b.P, b.Q, b.Gathers = doubled(128, b.longest()), doubled(1024, len(b.past)), b.longest() > 0
			continue
		}
		// The last batch is as large as the others where computing the rest of it for nothing
		// costs less than compiling does.
		if i > 0 && !serves && 2*float64(params)*float64(batches[i-1].T-b.T) < z.compiling {
			b.T = batches[i-1].T
		}
		s.chunk(b)
	}
	for i := range batches[1:] {
		batches[i].N = batches[i+1].Q
	}
	if last := len(batches) - 1; last > 0 { // so that it needs no executable of its own
		batches[last].N = batches[last].Q
	}
	return nil
}

// chunk chooses the chunks of a batch of T tokens. Small ones suit trees of short branches,
// each with the keys of its own path. In a long text, where every token sees almost all before
// it, the batch is one chunk: the keys of one path serve it all.
func (s *step) chunk(b *batch) {
	b.C = min(b.T, chunkTokens)
	b.chunks = s.chunked(b, b.C)
	whole := s.chunked(b, b.T)
	b.P = keyBucket(b.longest())
	if p := keyBucket(whole.longest()); b.T%b.C != 0 || p+b.T <= b.P+b.C {
		b.C, b.P, b.chunks = b.T, p, whole
	}
	b.Q = max(b.P, keyBucket(len(b.past)))
	if b.P == 0 {
		return
	}
	path := b.paths[0]
	if b.C == b.T && len(path) <= len(b.past) && slices.Equal(path, b.past[:len(path)]) {
		b.P = b.Q
	} else {
		b.Gathers = true
	}
}

// bucket is the number of rows that n tokens take: few different ones to compile, and
// at most a third of them padding beyond 8.
func bucket(n int) int {
	if n > chunkTokens {
		return (n + chunkTokens - 1) / chunkTokens * chunkTokens
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

// fewSizes is the number of rows that n take where computing costs little and compiling much: 64,
// 256, 1,024, ..., and most, which is at least n.
func fewSizes(n, most int) int {
	size := chunkTokens
	for size < n {
		size *= 4
	}
	return max(n, min(size, most))
}

// keyBucket is the room for n keys of a path: 0, 64, 128, 192, 256, 384, 512, 768, ...
func keyBucket(n int) int {
	if n == 0 {
		return 0
	}
	size := chunkTokens
	for size < n {
		if size >= 2*chunkTokens && size+size/2 >= n {
			return size + size/2
		}
		size *= 2
	}
	return size
}

// doubled is the first of least, 2*least, 4*least, ... with room for n, 0 for none: few
// shapes, so that a server has compiled them all soon.
func doubled(least, n int) int {
	if n == 0 {
		return 0
	}
	for least < n {
		least *= 2
	}
	return least
}
