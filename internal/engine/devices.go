package engine

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/implicitreward/implicitreward/internal/arch"
)

// devices returns the numbers of the devices that each replica of an engine is loaded onto, or
// tells which there is not.
func devices(backend compute.Backend, o Options) ([][]compute.DeviceNum, error) {
	asked := o.Devices
	if len(asked) == 0 {
		asked = []int{0}
	}
	split := max(1, o.Split)
	if o.Split < 0 || len(asked)%split != 0 {
		return nil, fmt.Errorf("engine: %d devices, wanted a multiple of Split, %d", len(asked), o.Split)
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
	return slices.Collect(slices.Chunk(all, split)), nil
}

// divide says on which of its places each shard lies: where base, which may be nil, has it, or so
// that all have about as many bytes, and what follows each other lies together.
func (s *store) divide(base *store) {
	var total, before int64
	for _, p := range s.shards {
		p.size = s.sizeOf(p)
		total += p.size
	}
	for _, p := range s.shards {
		n := (2*before + p.size) * int64(len(s.places)) / max(2*total, 1) // by its middle
		if base != nil {
			if b := base.find(p); b != nil {
				n = int64(slices.Index(base.places, b.on))
			}
		}
		p.on = s.places[min(int(n), len(s.places)-1)]
		before += p.size
	}
}

// leads tells whether the block after one is of the same stage: see passage.
func (e *Engine) leads(p *shard) bool {
	next := e.store.shards[slices.Index(e.store.shards, p)+1] // the norm after the last block
	return len(e.devices) > 1 && next.block < len(e.model.Blocks) && next.on == p.on
}

// moveInputs puts a batch on the device of the next stage.
func (e *Engine) moveInputs(device compute.DeviceNum, in *inputs) error {
	if len(e.devices) == 1 {
		return nil
	}
	x, into := []*tensors.Tensor{in.x}, []*tensors.Tensor{in.into}
	for _, all := range slices.Concat([][]*tensors.Tensor{x, into, in.where, in.along, in.given}, in.lent, in.ropes) {
		if err := e.move(device, all...); err != nil {
			return err
		}
	}
	in.x, in.into = x[0], into[0]
	return nil
}

// move puts what is on another device on that one, through main memory.
func (e *Engine) move(device compute.DeviceNum, all ...*tensors.Tensor) error {
	for i, t := range all {
		if t == nil || !t.IsOnAnyDevice() || t.IsOnDevice(device) {
			continue
		}
		var moved *tensors.Tensor
		var err error
		if read := t.ConstBytes(func(data []byte) { moved, err = tensors.FromRaw(e.backend, device, t.Shape(), data) }); read != nil {
			err = read
		}
		if err != nil {
			return fmt.Errorf("engine: moving a tensor of shape %s to device %d: %w", t.Shape(), device, err)
		}
		t.MustFinalizeAll()
		all[i] = moved
	}
	return nil
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

// Replicas is how many there are, the engine included.
func (e *Engine) Replicas() int { return 1 + len(e.others) }

// Devices are the numbers of those that have the engine's own weights.
func (e *Engine) Devices() []compute.DeviceNum { return e.devices }

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
