package serve

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

	"github.com/implicitreward/implicitreward/internal/prefix"
	"github.com/implicitreward/implicitreward/logprob"
)

// A batch is about what a model computes in one go: see the windows of package logprob.
const (
	batchNodes = 4096 // different beginnings of texts
	batchTexts = 1024
	batchRows  = 64 // whole rows of the vocabulary, 4 bytes a token each
)

// batch is texts of several requests that one model computes together.
type batch struct {
	model int
	items []item
	tree  prefix.Tree // of the texts: what they share counts once
	rows  int
}

// item is one query of a work.
type item struct {
	work *work
	i    int
}

// add takes a query, or answers false if it would make the batch too large. An empty one
// takes any.
func (b *batch) add(w *work, i int) bool {
	q := w.queries[i]
	fresh := len(q.IDs) - b.tree.Shared(q.IDs)
	if len(b.items) > 0 && (len(b.items) == batchTexts || b.tree.Len()+fresh > batchNodes || q.Distribution && b.rows == batchRows) {
		return false
	}
	b.tree.Add(q.IDs)
	b.items = append(b.items, item{w, i})
	if q.Distribution {
		b.rows++
	}
	return true
}

// worker computes batches until the queue is closed and empty.
func (q *queue) worker() {
	defer close(q.stopped)
	for {
		b := q.take()
		if b == nil {
			if requests, _ := q.waiting(); requests == 0 && q.isClosed() {
				return
			}
			<-q.wake
			// The first after a pause: others that come with it share its batch.
			time.Sleep(q.limits.Wait)
			continue
		}
		start := time.Now()
		q.compute(b)
		// Clients that ask one thing after another send the next now: together with those
		// that have waited they make one batch, and not two halves that wait for each other.
		time.Sleep(min(time.Since(start)/pauseShare, pauseMost))
	}
}

// The pause after a batch, as a share of the batch's time, and at most.
const (
	pauseShare = 32
	pauseMost  = 50 * time.Millisecond
)

func (q *queue) isClosed() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.closed
}

// compute computes a batch and hands out the answers. Where that fails, each request of the
// batch is computed alone, so that one that makes it fail is the only one to fail.
func (q *queue) compute(b *batch) {
	start := time.Now()
	answers, err := q.try(b.model, b.items)
	q.measure(b, time.Since(start)) // before a client has its answer, and may read the metrics
	if err == nil {
		q.hand(b.items, answers)
		return
	}
	var works []*work
	for _, it := range b.items {
		if !slices.Contains(works, it.work) {
			works = append(works, it.work)
		}
	}
	for _, w := range works {
		if len(works) > 1 && w.ctx.Err() == nil {
			alone := slices.DeleteFunc(slices.Clone(b.items), func(it item) bool { return it.work != w })
			if answers, err = q.try(b.model, alone); err == nil {
				q.hand(alone, answers)
			}
		}
		if err != nil && w.ctx.Err() == nil {
			q.fail(w, err)
		}
	}
}

// fail ends a work. The texts that it has waiting are dropped.
func (q *queue) fail(w *work, err error) {
	q.log("request failed", "model", q.models[w.model].name, "texts", len(w.queries), "error", err)
	q.drop([]*work{w})
	w.err = err
	close(w.done)
}

// try computes the answers of items in one go. It stops when all clients are gone.
func (q *queue) try(model int, items []item) ([]answer, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var live atomic.Int32
	seen := map[*work]bool{}
	for _, it := range items {
		seen[it.work] = true
	}
	live.Store(int32(len(seen)))
	for w := range seen {
		defer context.AfterFunc(w.ctx, func() {
			if live.Add(-1) == 0 {
				cancel()
			}
		})()
	}
	queries := make([]logprob.Request, len(items))
	for i, it := range items {
		queries[i] = it.work.queries[it.i]
	}
	var answers []answer
	err := q.recovered(func() (err error) {
		answers, err = q.models[model].ask(ctx, queries)
		return err
	})
	return answers, err
}

// hand gives works the answers of their items.
func (q *queue) hand(items []item, answers []answer) {
	for i, it := range items {
		w := it.work
		if w.err != nil || w.ctx.Err() != nil {
			continue
		}
		if err := q.recovered(func() error { w.each(it.i, answers[i]); return nil }); err != nil {
			q.fail(w, err)
		} else if w.left--; w.left == 0 {
			close(w.done)
		}
	}
}

// recovered calls f and makes an error of a panic.
func (q *queue) recovered(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			q.metrics.panics.Inc()
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	return f()
}

// measure records a batch.
func (q *queue) measure(b *batch, took time.Duration) {
	tokens := 0
	for _, it := range b.items {
		tokens += len(it.work.queries[it.i].IDs)
	}
	name := q.models[b.model].name
	q.metrics.texts.WithLabelValues(name).Add(float64(len(b.items)))
	q.metrics.tokens.WithLabelValues(name).Add(float64(tokens))
	q.metrics.nodes.WithLabelValues(name).Add(float64(b.tree.Len()))
	q.metrics.batchTexts.Observe(float64(len(b.items)))
	q.metrics.batchSeconds.Observe(took.Seconds())
	now := float64(tokens) / max(took.Seconds(), 1e-6)
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.rate == 0 {
		q.rate = now
	}
	q.rate += (now - q.rate) / 8
}
