package main

import (
	"context"
	"slices"
	"sync"
)

// gate lets one shard of the process be scored at a time: a model fills its device, and there is
// one. Shards of the model that is loaded go first, in whatever order a runner hands them out, so
// that a process loads few models.
type gate struct {
	mu      sync.Mutex
	busy    bool
	model   string  // that was let in last
	waiting []*turn // in the order in which they came
}

// turn is a shard before the gate; its channel is closed when it may go.
type turn struct {
	model string
	free  chan struct{}
}

// enter waits until nobody is inside, or for the end of the context.
func (g *gate) enter(ctx context.Context, model string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	g.mu.Lock()
	if !g.busy {
		g.busy, g.model = true, model
		g.mu.Unlock()
		return nil
	}
	t := &turn{model, make(chan struct{})}
	g.waiting = append(g.waiting, t)
	g.mu.Unlock()
	select {
	case <-t.free:
		return nil
	case <-ctx.Done():
	}
	g.mu.Lock()
	i := slices.Index(g.waiting, t)
	if i >= 0 {
		g.waiting = slices.Delete(g.waiting, i, i+1)
	}
	g.mu.Unlock()
	if i < 0 {
		g.leave() // it was let in meanwhile
	}
	return ctx.Err()
}

// leave lets the next one in.
func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.waiting) == 0 {
		g.busy = false
		return
	}
	i := max(0, slices.IndexFunc(g.waiting, func(t *turn) bool { return t.model == g.model }))
	t := g.waiting[i]
	g.waiting = slices.Delete(g.waiting, i, i+1)
	g.model = t.model
	close(t.free)
}
