package engine

import (
	"context"
	"math"
	"slices"
	"sync"

	"github.com/implicitreward/implicitreward/internal/prefix"
)

// Answers is a Cache in memory that remembers log-probabilities and likeliest tokens prefix by
// prefix: a harness that asks for the continuations of a prompt sends the prompt with each of
// them, and wants its tokens' log-probabilities every time. What is known is not computed
// again, so that what stands before it can come from saved keys and values.
//
// It holds two generations of a bounded size. What is found in the old one moves to the
// young one; when that is full it becomes the old one, and what nobody asked for is gone.
type Answers struct {
	mu         sync.Mutex
	young, old *generation
	limit      int // bytes of a generation
}

// generation is a tree of token sequences, and what is known of each, at its node's number
// plus 1: the empty one comes first.
type generation struct {
	tree  prefix.Tree
	known []answer
	bytes int
}

type answer struct {
	logProb float32        // of the last token after those before it; NaN where it is not known
	greedy  bool           // it is the likeliest there
	top     []TokenLogProb // the likeliest after it, as many as were ever asked for
}

// NewAnswers makes a cache of about so many bytes.
func NewAnswers(bytes int64) *Answers {
	return &Answers{young: newGeneration(), old: newGeneration(), limit: int(bytes / 2)}
}

func newGeneration() *generation {
	return &generation{known: []answer{{logProb: float32(math.NaN())}}}
}

// Get returns what is known of the beginnings of replies. Of whole distributions, of sets of
// tokens and of states nothing is.
func (a *Answers) Get(_ context.Context, requests []Request) ([]Known, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	known := make([]Known, len(requests))
	for i, r := range requests {
		if r.Distribution || r.Within != nil || r.States != nil {
			continue
		}
		known[i] = a.young.find(r)
		if known[i].All {
			continue
		}
		if older := a.old.find(r); older.All || len(older.LogProbs) > len(known[i].LogProbs) {
			known[i] = older
			a.learn(r, older.Result)
		}
	}
	return known, nil
}

// Put remembers results.
func (a *Answers) Put(_ context.Context, requests []Request, results []Result) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i, r := range requests {
		if !r.Distribution {
			a.learn(r, results[i])
		}
	}
	return nil
}

func (g *generation) find(r Request) (k Known) {
	k.Greedy = true
	at := prefix.Root
	for i := 0; ; i++ {
		var top []TokenLogProb
		if i >= r.From && r.TopK > 0 {
			if top = g.known[at+1].top; len(top) < r.TopK {
				return k
			}
			top = top[:r.TopK]
		}
		if i == len(r.IDs) {
			if top != nil {
				k.Top = append(k.Top, top)
			}
			k.All = true
			return k
		}
		child, ok := g.tree.Child(at, r.IDs[i])
		if !ok {
			return k
		}
		if i >= r.From {
			known := g.known[child+1]
			if known.logProb != known.logProb {
				return k
			}
			// The two may be of different windows, and a harness looks whether they are equal.
			if n := slices.IndexFunc(top, func(t TokenLogProb) bool { return t.ID == r.IDs[i] }); n >= 0 {
				known.logProb = top[n].LogProb
			}
			k.LogProbs, k.greedy, k.Greedy = append(k.LogProbs, known.logProb), append(k.greedy, known.greedy), k.Greedy && known.greedy
			if top != nil {
				k.Top = append(k.Top, top)
			}
		}
		at = child
	}
}

// learn remembers a result, or the beginning of one.
func (a *Answers) learn(r Request, result Result) {
	if a.young.bytes > a.limit {
		a.old, a.young = a.young, newGeneration()
	}
	a.young.learn(r.IDs, r.From, result)
}

func (g *generation) learn(ids []int32, from int, r Result) {
	const nodeBytes, likelyBytes = 104, 8 // about: an entry of the map and of the list, and a likeliest token
	at := prefix.Root
	for i := range min(len(ids), from+len(r.LogProbs)) + 1 {
		known := &g.known[at+1]
		if n := i - from; n >= 0 && n < len(r.Top) && len(r.Top[n]) > len(known.top) {
			g.bytes += likelyBytes * (len(r.Top[n]) - len(known.top))
			known.top = r.Top[n]
		}
		if i == min(len(ids), from+len(r.LogProbs)) {
			return
		}
		child, fresh := g.tree.Grow(at, ids[i])
		if fresh {
			g.known = append(g.known, answer{logProb: float32(math.NaN())})
			g.bytes += nodeBytes
		}
		if i >= from {
			g.known[child+1].logProb, g.known[child+1].greedy = r.LogProbs[i-from], r.greedy[i-from]
		}
		at = child
	}
}
