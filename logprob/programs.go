package logprob

import (
	"errors"
	"sync"

	"github.com/implicitreward/implicitreward/internal/engine"
)

// Programs keeps what was compiled for models (Options.Programs) when they are closed, so that
// models of the same architecture, dtype and backend that are loaded after them compile nothing:
// of the checkpoints of a training run, loaded one after the other, the first alone compiles. It
// holds no weights. What it keeps grows with the shapes of batches that were computed, not with
// the number of models.
//
// The zero value is ready. Its methods may be called from several goroutines.
type Programs struct {
	mu     sync.Mutex
	held   map[*engine.Executables]bool
	closed bool
}

// keep holds what a model runs until Close.
func (p *Programs) keep(e *engine.Engine) error {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return errors.New("Programs that are closed, wanted open ones")
	}
	if x := e.Executables(); !p.held[x] {
		if p.held == nil {
			p.held = map[*engine.Executables]bool{}
		}
		p.held[x.Again()] = true
	}
	return nil
}

// Compiled is the number of programs kept that have been compiled so far, one for each
// operation and combination of shapes.
func (p *Programs) Compiled() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for x := range p.held {
		n += x.Compiled()
	}
	return n
}

// Close frees what no open model runs. It comes before the end of the backend.
func (p *Programs) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for x := range p.held {
		x.Release()
	}
	p.held = nil
}
