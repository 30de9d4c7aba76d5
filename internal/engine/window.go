package engine

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/implicitreward/implicitreward/internal/prefix"
)

// The bounds of a window, beside sizes.windowStates: the requests that are computed in one go, and kept in one piece by
// a Cache that keeps windows. Large enough that what requests share is mostly computed once,
// and no more than is cheap to lose. Within the bounds a window depends on the requests
// alone, never on time, so that a run that is started again has the same windows.
const (
	windowTokens        = 1 << 20 // held in memory
	windowDistributions = 64      // handed out together
)

// window gathers requests, and counts the hidden states that computing them takes: one for
// each different prefix, as many as a prefix tree of them has nodes.
type window struct {
	limit         int // of hidden states
	vocabulary    int
	requests      []Request
	states        prefix.Tree
	tokens        int
	distributions int
	raw, sets     [][]bool // the different Within of the requests as they came, and whole
}

func (w *window) reset() {
	w.requests, w.tokens, w.distributions, w.raw, w.sets = nil, 0, 0, nil, nil
	w.states.Reset()
}

// add takes a request, or answers false if it would make the window too large. An empty
// window takes any.
func (w *window) add(r Request) bool {
	needed := r.IDs[:r.states()]
	if len(w.requests) > 0 && (w.states.Len()+len(needed)-w.states.Shared(needed) > w.limit || w.tokens+len(r.IDs) >= windowTokens || r.Distribution && w.distributions == windowDistributions) {
		return false
	}
	w.states.Add(needed)
	r.Within = w.set(r.Within)
	w.requests = append(w.requests, r)
	w.tokens += len(r.IDs) + 1 // a request without tokens takes room too
	if r.Distribution {
		w.distributions++
	}
	return true
}

// set makes sets of tokens that are equal the same slice, with a value for each token.
func (w *window) set(raw []bool) []bool {
	if raw == nil {
		return nil
	}
	for i, r := range w.raw {
		if len(r) == len(raw) && (len(r) == 0 || &r[0] == &raw[0]) {
			return w.sets[i]
		}
	}
	whole := make([]bool, w.vocabulary)
	copy(whole, raw)
	if i := slices.IndexFunc(w.sets, func(s []bool) bool { return slices.Equal(s, whole) }); i >= 0 {
		whole = w.sets[i]
	}
	w.raw, w.sets = append(w.raw, raw), append(w.sets, whole)
	return whole
}

// Run yields a result for every request, in their order. Requests are drawn as they are
// needed, and computed in windows; what those of a window have in common is computed once.
// While a window is computed the next is drawn, and no longer: nothing is computed while the
// caller has a result. With several devices each computes a window at a time, and some windows
// more are drawn.
// The first that cannot be computed yields an error that names its number, after the results
// before it, and ends the sequence; so do the end of ctx, which is looked at between
// executions, and a number that is not finite (but for a log-probability of -Inf).
func (e *Engine) Run(ctx context.Context, requests iter.Seq[Request]) iter.Seq2[Result, error] {
	return e.run(ctx, requests, (*Engine).window)
}

// Fresh is Run past the cache, which Options.Window is not told of.
func (e *Engine) Fresh(ctx context.Context, requests iter.Seq[Request]) iter.Seq2[Result, error] {
	return e.run(ctx, requests, func(e *Engine, ctx context.Context, window []Request) outcome {
		results, err := e.compute(ctx, window)
		return outcome{results: results, err: err}
	})
}

func (e *Engine) run(ctx context.Context, requests iter.Seq[Request], compute func(*Engine, context.Context, []Request) outcome) iter.Seq2[Result, error] {
	return func(yield func(Result, error) bool) {
		w := &window{limit: e.WindowStates, vocabulary: e.model.V}
		line := newLine(ctx, e, compute)
		defer line.stop()
		done := 0
		// results yields those of the oldest windows, until at most left are to come.
		results := func(left int) bool {
			for len(line.windows) > left {
				o := line.next()
				if o.err != nil {
					yield(Result{}, o.err)
					return false
				}
				if o.told {
					e.onWindow(len(o.results), o.cached)
				}
				for _, r := range o.results {
					if !yield(r, nil) {
						return false
					}
				}
				done += len(o.results)
			}
			return true
		}
		// begin hands the window out, once at most ahead others are to come.
		begin := func() bool {
			if !results(line.ahead) {
				return false
			}
			line.add(w.requests)
			w.reset()
			return true
		}
		rest := func() bool { return (len(w.requests) == 0 || begin()) && results(0) }
		for r := range requests {
			if err := e.check(r); err != nil {
				if rest() {
					yield(Result{}, fmt.Errorf("text %d: %w", done, err))
				}
				return
			}
			if !w.add(r) {
				if !begin() {
					return
				}
				w.add(r)
			}
		}
		rest()
	}
}
