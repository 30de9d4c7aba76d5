package engine

import "context"

// Cache keeps results, so that what was asked before is not computed again. An error of it
// ends the run.
type Cache interface {
	// Get returns what is known of the results of a window's requests, in their order.
	Get(ctx context.Context, requests []Request) ([]Known, error)
	// Put keeps the results of requests of a window: of all of them, or of what Get did not
	// know.
	Put(ctx context.Context, requests []Request, results []Result) error
}

// Known is what a Cache knows of a result: LogProbs and Top of the first of IDs[From:], as
// many as there are, or all that was asked for.
type Known struct {
	Result
	All bool
}

// window computes what the cache does not know of a window.
func (e *Engine) window(ctx context.Context, requests []Request) outcome {
	if e.cache == nil {
		results, err := e.compute(ctx, requests)
		return outcome{results: results, err: err, told: true}
	}
	known, err := e.cache.Get(ctx, requests)
	if err == nil {
		err = ctx.Err() // the cache need not look at it
	}
	if err != nil {
		return outcome{err: err}
	}
	results := make([]Result, len(requests))
	var rest []Request
	var at []int // in requests
	for i, k := range known {
		results[i] = k.Result
		if !k.All {
			r := requests[i]
			r.From += len(k.LogProbs)
			rest, at = append(rest, r), append(at, i)
		}
	}
	if len(rest) > 0 {
		more, err := e.compute(ctx, rest)
		if err == nil {
			err = e.cache.Put(ctx, rest, more)
		}
		if err != nil {
			return outcome{err: err}
		}
		for n, i := range at {
			results[i] = results[i].with(more[n])
		}
	}
	return outcome{results: results, told: true, cached: len(rest) == 0}
}

// with is a result whose beginning is known and whose rest was computed.
func (r Result) with(rest Result) Result {
	if len(r.LogProbs) == 0 {
		return rest
	}
	rest.Greedy = rest.Greedy && r.Greedy
	rest.LogProbs = append(r.LogProbs, rest.LogProbs...)
	rest.Top = append(r.Top, rest.Top...)
	return rest
}
