package implicit

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"iter"
	"slices"

	"github.com/implicitreward/implicitreward/logprob"
)

// Cached returns the policy p over a model that memoises its results, so that a model that
// takes part in several pairs, or scores overlapping sets of forms, computes each text once.
// If within is not nil, every text is scored with the probability of this set of tokens
// after it (logprob.Request.Within), asked for or not, so that requests with it and without
// share results.
//
// The key is the token ids and the position where the reply begins. Results are kept in
// memory, about 100 bytes a text; the texts of a call are held until it ends. A request for
// more than the reply's log-probabilities and this set (TopK, Distribution, another Within)
// is computed anew. The model must not be used by several goroutines at once.
func Cached(p *Policy, within []bool) *Policy {
	q := *p
	q.LM = &cached{LM: p.LM, within: within, known: map[cacheKey]cacheEntry{}}
	return &q
}

// cached is a language model with memoised results.
type cached struct {
	logprob.LM
	within []bool // set of tokens requested after every text; nil for none
	known  map[cacheKey]cacheEntry
	values []float32 // log-probabilities of all texts
}

// Quantised says how the model's weights are stored, if it says so.
func (c *cached) Quantised() string {
	if m, ok := c.LM.(quantised); ok {
		return m.Quantised()
	}
	return ""
}

// cacheKey is the first half of the SHA-256 of a text's ids and reply position.
type cacheKey [16]byte

type cacheEntry struct {
	at, n  int // values[at:at+n]
	greedy bool
	within float32
}

func keyOf(r logprob.Request) cacheKey {
	b := make([]byte, 0, 4*len(r.IDs)+8)
	b = binary.LittleEndian.AppendUint64(b, uint64(r.From))
	for _, id := range r.IDs {
		b = binary.LittleEndian.AppendUint32(b, uint32(id))
	}
	sum := sha256.Sum256(b)
	return cacheKey(sum[:16])
}

// keeps reports whether the cache can answer a request.
func (c *cached) keeps(r logprob.Request) bool {
	return r.TopK == 0 && !r.Distribution && (r.Within == nil || slices.Equal(r.Within, c.within))
}

// Run is LM's; it computes only what is not cached.
func (c *cached) Run(ctx context.Context, requests iter.Seq[logprob.Request]) iter.Seq2[logprob.Result, error] {
	return func(yield func(logprob.Result, error) bool) {
		var keys []cacheKey // of every request
		var fresh []logprob.Request
		var places []int // indices in keys of the fresh requests
		asked := map[cacheKey]bool{}
		direct := map[int]logprob.Result{} // results that are not cached, by index in keys
		for r := range requests {
			k := keyOf(r)
			if c.keeps(r) {
				if _, ok := c.known[k]; !ok && !asked[k] {
					asked[k] = true
					r.Within = c.within
					fresh, places = append(fresh, r), append(places, len(keys))
				}
			} else {
				fresh, places = append(fresh, r), append(places, len(keys))
				direct[len(keys)] = logprob.Result{}
			}
			keys = append(keys, k)
		}
		err := logprob.Collect(ctx, c.LM, fresh, func(n int, r logprob.Result) error {
			at := places[n]
			if _, ok := direct[at]; ok {
				direct[at] = r
			} else {
				c.known[keys[at]] = cacheEntry{len(c.values), len(r.LogProbs), r.Greedy, r.Within}
				c.values = append(c.values, r.LogProbs...)
			}
			return nil
		})
		if err != nil {
			yield(logprob.Result{}, err)
			return
		}
		for i, k := range keys {
			result, ok := direct[i]
			if e := c.known[k]; !ok {
				result = logprob.Result{LogProbs: slices.Clone(c.values[e.at : e.at+e.n]), Greedy: e.greedy, Within: e.within}
			}
			if !yield(result, nil) {
				return
			}
		}
	}
}
