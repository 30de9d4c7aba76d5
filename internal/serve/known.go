package serve

import (
	"math"
	"slices"

	"github.com/implicitreward/implicitreward/internal/prefix"
	"github.com/implicitreward/implicitreward/logprob"
)

// known remembers what a model has answered, beginning by beginning: a harness that asks for
// the continuations of a prompt sends the prompt with each of them, and wants its tokens'
// log-probabilities every time. What is known is not asked again, so that the model computes
// the new tokens alone, and one that keeps prompts' keys and values can use these. Only the
// worker uses it.
//
// It holds two generations of a bounded size. What is found in the old one moves to the
// young one; when that is full it becomes the old one, and what nobody asked for is gone.
type known struct {
	young, old *beginnings
	most       int // bytes of a generation
}

// beginnings is a tree of token sequences, and what is known of each, at its node's number
// plus 1: the empty one comes first.
type beginnings struct {
	tree    prefix.Tree
	logProb []float32                // ln p of its last token after those before it; NaN where it is not known
	top     [][]logprob.TokenLogProb // the likeliest after it, as many as were ever asked for
	bytes   int
}

func newBeginnings() *beginnings {
	return &beginnings{logProb: []float32{float32(math.NaN())}, top: [][]logprob.TokenLogProb{nil}}
}

// newKnown makes one that takes about so many bytes.
func newKnown(bytes int64) *known {
	return &known{young: newBeginnings(), old: newBeginnings(), most: int(bytes / 2)}
}

// find returns the answer to the first places of a query, as many as are known; all says
// that it is the whole answer.
func (k *known) find(q logprob.Request) (a logprob.Result, all bool) {
	if q.Distribution || k.most == 0 {
		return a, false
	}
	if a, all = k.young.find(q); !all {
		if older, whole := k.old.find(q); whole || len(older.LogProbs) > len(a.LogProbs) {
			k.learn(q, older)
			return older, whole
		}
	}
	return a, all
}

func (b *beginnings) find(q logprob.Request) (a logprob.Result, all bool) {
	ids, at := q.IDs, prefix.Root
	for i := 0; ; i++ {
		var top []logprob.TokenLogProb
		if i >= q.From && q.TopK > 0 {
			if top = b.top[at+1]; len(top) < q.TopK {
				return a, false
			}
			top = top[:q.TopK]
		}
		if i == len(ids) {
			if top != nil {
				a.Top = append(a.Top, top)
			}
			return a, true
		}
		child, ok := b.tree.Child(at, ids[i])
		if !ok {
			return a, false
		}
		if i >= q.From {
			v := b.logProb[child+1]
			if v != v {
				return a, false
			}
			// The two may be of different batches, and a harness looks whether they are equal.
			if n := slices.IndexFunc(top, func(l logprob.TokenLogProb) bool { return l.ID == ids[i] }); n >= 0 {
				v = top[n].LogProb
			}
			a.LogProbs = append(a.LogProbs, v)
			if top != nil {
				a.Top = append(a.Top, top)
			}
		}
		at = child
	}
}

// learn remembers an answer, or the beginning of one.
func (k *known) learn(q logprob.Request, a logprob.Result) {
	if k.most == 0 {
		return
	}
	if k.young.bytes > k.most {
		k.old, k.young = k.young, newBeginnings()
	}
	k.young.learn(q.IDs, q.From, a)
}

func (b *beginnings) learn(ids []int32, from int, a logprob.Result) {
	const nodeBytes, likelyBytes = 96, 8 // about: an entry of the map, and of the two lists
	at := prefix.Root
	for i := range min(len(ids), from+len(a.LogProbs)) + 1 {
		if n := i - from; n >= 0 && n < len(a.Top) && len(a.Top[n]) > len(b.top[at+1]) {
			b.bytes += likelyBytes * (len(a.Top[n]) - len(b.top[at+1]))
			b.top[at+1] = a.Top[n]
		}
		if i == min(len(ids), from+len(a.LogProbs)) {
			return
		}
		child, fresh := b.tree.Grow(at, ids[i])
		if fresh {
			b.logProb = append(b.logProb, float32(math.NaN()))
			b.top = append(b.top, nil)
			b.bytes += nodeBytes
		}
		if i >= from {
			b.logProb[child+1] = a.LogProbs[i-from]
		}
		at = child
	}
}

// recall answers what is known of queries and asks for the rest.
func (k *known) recall(queries []logprob.Request, ask func([]logprob.Request) ([]logprob.Result, error)) ([]logprob.Result, error) {
	answers := make([]logprob.Result, len(queries))
	var rest []logprob.Request
	var at []int
	for i, q := range queries {
		var all bool
		if answers[i], all = k.find(q); !all {
			q.From += len(answers[i].LogProbs)
			rest, at = append(rest, q), append(at, i)
		}
	}
	if len(rest) == 0 {
		return answers, nil
	}
	more, err := ask(rest)
	if err != nil {
		return nil, err
	}
	for n, i := range at {
		a, q := &answers[i], queries[i]
		a.LogProbs = append(slices.Clip(a.LogProbs), more[n].LogProbs...)
		a.Top = append(slices.Clip(a.Top), more[n].Top...)
		a.Distribution = more[n].Distribution
		if !q.Distribution {
			k.learn(rest[n], more[n])
		}
	}
	return answers, nil
}
