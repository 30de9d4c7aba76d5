package serve

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/implicitreward/implicitreward/logprob"
)

// queue holds the texts that wait for a model, and decides who is next.
type queue struct {
	limits  Limits
	models  []scorer
	metrics *metrics
	log     func(message string, args ...any) // of what went wrong in a batch

	mu       sync.Mutex
	clients  []*client     // with texts waiting, the one whose turn it is first
	turn     int           // the model whose turn it is
	requests int           // admitted
	tokens   int           // of these
	rate     float64       // tokens a second of late
	closed   bool          // no more requests
	wake     chan struct{} // has room for one: there is something to do
	stopped  chan struct{} // the worker has ended
}

// client is who has texts waiting: an address, and OpenAI's field user where it is sent.
type client struct {
	name  string
	works []*work // the one whose turn it is first
}

// work is what one request asks of one model.
type work struct {
	ctx     context.Context
	client  string
	model   int // of queue.models
	queries []logprob.Request
	each    func(i int, a answer) // is given each answer once, in any order, by one goroutine at a time

	next int           // the first query that is not in a batch; under queue.mu
	left int           // answers to come; the worker's
	err  error         // set before done is closed
	done chan struct{} // closed after the last answer
}

// errClosed is what requests get that come after the shutdown began.
var errClosed = fail(http.StatusServiceUnavailable, "server_error", "", "shutting_down", "the server is shutting down")

func newQueue(models []scorer, limits Limits, m *metrics, log func(string, ...any)) *queue {
	q := &queue{limits: limits, models: models, metrics: m, log: log, wake: make(chan struct{}, 1), stopped: make(chan struct{})}
	go q.worker()
	return q
}

// admit takes in a request of so many tokens, or answers why not. The caller calls release
// when the request is over.
func (q *queue) admit(tokens int) (release func(), err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.closed:
		return nil, errClosed
	case q.requests >= q.limits.Requests:
		q.metrics.rejected.WithLabelValues("requests").Inc()
		return nil, busy(q.wait(), "%d requests are waiting, the most that the server takes: try again", q.requests)
	case q.tokens > 0 && q.tokens+tokens > q.limits.Queue:
		q.metrics.rejected.WithLabelValues("tokens").Inc()
		return nil, busy(q.wait(), "%d tokens are waiting and %d more would pass the limit of %d: try again", q.tokens, tokens, q.limits.Queue)
	}
	q.requests++
	q.tokens += tokens
	return sync.OnceFunc(func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.requests--
		q.tokens -= tokens
		if q.closed {
			q.signal()
		}
	}), nil
}

// wait estimates when half of what waits will be done.
func (q *queue) wait() time.Duration {
	if q.rate <= 0 {
		return time.Second
	}
	seconds := float64(q.tokens) / 2 / q.rate
	return time.Duration(min(max(seconds, 1), 60) * float64(time.Second))
}

// run puts one request's works into the queue, at once, and waits until all are done. An
// error is the first work's that failed; ctx's where the request is over before.
func (q *queue) run(ctx context.Context, works ...*work) error {
	works = slices.DeleteFunc(works, func(w *work) bool { return len(w.queries) == 0 })
	q.mu.Lock()
	for _, w := range works {
		w.ctx, w.left, w.done = ctx, len(w.queries), make(chan struct{})
		at := slices.IndexFunc(q.clients, func(c *client) bool { return c.name == w.client })
		if at < 0 {
			q.clients, at = append(q.clients, &client{name: w.client}), len(q.clients)
		}
		q.clients[at].works = append(q.clients[at].works, w)
	}
	q.mu.Unlock()
	q.signal()
	defer q.drop(works)
	for _, w := range works {
		select {
		case <-w.done:
			if w.err != nil {
				return w.err
			}
		case <-ctx.Done():
			return over(ctx)
		}
	}
	return nil
}

// over says why a request's context ended.
func over(ctx context.Context) error {
	if errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
		return fail(http.StatusGatewayTimeout, "server_error", "", "timeout", "the request was not done within the server's time limit: send fewer texts at a time")
	}
	return context.Cause(ctx)
}

// drop takes works out of the queue, so that texts which nobody waits for are not computed.
func (q *queue) drop(works []*work) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, c := range q.clients {
		c.works = slices.DeleteFunc(c.works, func(w *work) bool { return slices.Contains(works, w) })
	}
	q.clients = slices.DeleteFunc(q.clients, func(c *client) bool { return len(c.works) == 0 })
}

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// A turn is what a request puts into a batch before it is another one's turn: enough that
// texts which follow each other, and mostly share their prompt, stay together.
const (
	turnNodes = 512
	turnTexts = 64
)

// take fills a batch for the model whose turn it is, in turn from all clients with texts
// waiting for it, and from each client's requests. It is nil if nothing waits.
func (q *queue) take() *batch {
	q.mu.Lock()
	defer q.mu.Unlock()
	for range q.models {
		b := &batch{model: q.turn}
		q.turn = (q.turn + 1) % len(q.models)
		for idle := 0; idle < len(q.clients); {
			c := q.clients[0]
			taken, full := c.take(b)
			if full {
				break // it is this client's turn again in the next batch
			}
			q.clients = q.clients[1:]
			if len(c.works) > 0 {
				q.clients = append(q.clients, c)
			}
			if idle++; taken {
				idle = 0
			}
		}
		if len(b.items) > 0 {
			return b
		}
	}
	return nil
}

// take puts one request's turn into the batch: of the first request that wants this model.
// full says that the batch has no room for its next text.
func (c *client) take(b *batch) (taken, full bool) {
	at := slices.IndexFunc(c.works, func(w *work) bool { return w.model == b.model })
	if at < 0 {
		return false, false
	}
	w := c.works[at]
	nodes := b.tree.Len()
	for n := 0; n < turnTexts && b.tree.Len()-nodes < turnNodes && w.next < len(w.queries); n++ {
		if !b.add(w, w.next) {
			return taken, true
		}
		w.next++
		taken = true
	}
	c.works = slices.Delete(c.works, at, at+1)
	if w.next < len(w.queries) {
		c.works = append(c.works, w)
	}
	return taken, false
}

// close refuses new requests and returns when those that were admitted are done, or ctx is.
func (q *queue) close(ctx context.Context) {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.signal()
	select {
	case <-q.stopped:
	case <-ctx.Done():
	}
}

// waiting tells how many requests and tokens are admitted.
func (q *queue) waiting() (requests, tokens int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.requests, q.tokens
}
