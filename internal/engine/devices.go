package engine

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/gomlx/compute"

	"github.com/implicitreward/implicitreward/internal/arch"
)

// devices returns the numbers of the devices that an engine is loaded onto, or tells which there
// is not.
func devices(backend compute.Backend, asked []int) ([]compute.DeviceNum, error) {
	if len(asked) == 0 {
		return []compute.DeviceNum{0}, nil
	}
	var all []compute.DeviceNum
	for _, n := range asked {
		device := compute.DeviceNum(n)
		if have := backend.NumDevices(); n < 0 || n >= have {
			return nil, fmt.Errorf("engine: no device %d: backend %s has %d, counted from 0", n, arch.BackendName(backend), have)
		}
		if slices.Contains(all, device) {
			return nil, fmt.Errorf("engine: device %d twice, wanted each once", n)
		}
		all = append(all, device)
	}
	return all, nil
}

// replicate loads an engine onto each of n devices by load, and returns the first, which has
// the others.
func replicate(n int, o Options, load func(i int, o Options) (*Engine, error)) (*Engine, error) {
	var first *Engine
	for i := range n {
		of := o
		if o.Progress != nil {
			of.Progress = func(done, total int64) { o.Progress(int64(i)*total+done, int64(n)*total) }
		}
		e, err := load(i, of)
		switch {
		case err != nil && first != nil:
			first.Close()
			return nil, err
		case err != nil:
			return nil, err
		case i == 0:
			first = e
		default:
			e.routing = first.routing
			first.others = append(first.others, e)
		}
	}
	return first, nil
}

// each returns the engine and its replicas.
func (e *Engine) each() []*Engine { return append([]*Engine{e}, e.others...) }

// Devices is how many there are that have the weights.
func (e *Engine) Devices() int { return 1 + len(e.others) }

// Device is the number of the first of them.
func (e *Engine) Device() compute.DeviceNum { return e.device }

// outcome is what becomes of a window.
type outcome struct {
	results []Result
	err     error
	told    bool // Options.Window is told of it
	cached  bool
}

// line is the windows of a run that are being computed, the oldest first.
type line struct {
	ctx     context.Context
	cancel  context.CancelFunc
	compute func(*Engine, context.Context, []Request) outcome
	free    chan *Engine // which compute nothing
	ahead   int          // windows that may be to come when another is added
	windows []chan outcome
	working sync.WaitGroup
}

func newLine(ctx context.Context, e *Engine, compute func(*Engine, context.Context, []Request) outcome) *line {
	l := &line{compute: compute, free: make(chan *Engine, 1+len(e.others))}
	l.ctx, l.cancel = context.WithCancel(ctx)
	for _, e := range e.each() {
		l.free <- e
	}
	l.ahead = 2 * len(e.others) // so that no device waits for the slowest
	return l
}

// add begins with a window.
func (l *line) add(requests []Request) {
	done := make(chan outcome, 1)
	l.windows = append(l.windows, done)
	l.working.Go(func() {
		e := <-l.free
		done <- l.compute(e, l.ctx, requests)
		l.free <- e
	})
}

// next waits for the oldest window.
func (l *line) next() outcome {
	o := <-l.windows[0]
	l.windows = l.windows[1:]
	return o
}

// stop ends what is under way.
func (l *line) stop() {
	l.cancel()
	l.working.Wait()
}
