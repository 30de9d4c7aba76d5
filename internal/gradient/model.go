package gradient

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/implicitreward/implicitreward/internal/arch"
	"github.com/implicitreward/implicitreward/internal/checkpoint"
	"github.com/implicitreward/implicitreward/internal/engine"
)

// Model is a model some or all of whose weights are trained. It is used by one goroutine at a
// time.
type Model struct {
	arch    *arch.Model
	backend compute.Backend
	engine  *engine.Engine // has the frozen weights; nil where there are none

	params []*Param
	byName map[string]*Param
	device map[place]*tensors.Tensor
	o      Options
	passes uint64
	wide   bool // compute in float64, for tests

	partTokens int

	executables *engine.Executables // nil before the first walk
}

// Options change what is computed.
type Options struct {
	Tokens  int     // of a pass, but for a longer group; 0: 2,048
	Dropout float64 // share of the inputs of side paths that are 0
	Seed    uint64  // of these
	Device  compute.DeviceNum
}

const defaultTokens = 2048

// Adapter returns a model whose side paths are trained: m has them, w their first values, and e
// the weights that are frozen. e and w must stay open.
func Adapter(backend compute.Backend, e *engine.Engine, m *arch.Model, w *checkpoint.Weights, o Options) (*Model, error) {
	g := newModel(backend, m, o)
	g.engine = e
	if err := g.sides(w); err != nil {
		return nil, err
	}
	return g, nil
}

// Full returns a model all of whose weights are trained. w must stay open.
func Full(backend compute.Backend, m *arch.Model, w *checkpoint.Weights, o Options) (*Model, error) {
	g := newModel(backend, m, o)
	if err := engine.Validate(m, w); err != nil {
		return nil, err
	}
	for _, l := range m.Blocks {
		if l.Experts != nil {
			return nil, fmt.Errorf("gradient: %s: training all weights of a model with mixtures of experts is not supported, wanted an adapter", m.Type)
		}
	}
	for _, t := range m.Tensors() {
		if err := g.param(w, t); err != nil {
			return nil, err
		}
	}
	return g, nil
}

func newModel(backend compute.Backend, m *arch.Model, o Options) *Model {
	if o.Tokens == 0 {
		o.Tokens = defaultTokens
	}
	g := &Model{arch: m, backend: backend, o: o, byName: map[string]*Param{}, device: map[place]*tensors.Tensor{}, partTokens: math.MaxInt}
	if arch.BackendName(backend) == "xla:cpu" {
		g.partTokens = partTokens
	}
	return g
}

// Params are the parameters, in the order of a forward pass.
func (m *Model) Params() []*Param { return m.params }

// Skip makes the next pass the one after so many others, whose dropout is another.
func (m *Model) Skip(passes uint64) { m.passes = passes }

// Passes is the number of passes so far.
func (m *Model) Passes() uint64 { return m.passes }

// Close frees what is on the device but for the engine's.
func (m *Model) Close() {
	m.Update()
	if m.executables != nil {
		m.executables.Release()
		m.executables = nil
	}
}

// call runs the executable of that name, which all models share whose graphs have that name.
func (m *Model) call(name string, build graph, in []*tensors.Tensor) ([]*tensors.Tensor, error) {
	out, err := m.executables.Call(m.o.Device, name, build, in)
	if err != nil {
		return nil, fmt.Errorf("gradient: %w", err)
	}
	return out, nil
}

// masks are what the inputs of a layer's side paths are multiplied by in a part of a pass with
// dropout, [T in] each of 0 and 1/(1-Dropout): the same forward and backward.
func (p *Pass) masks(l *layer, part, t int) []*tensors.Tensor {
	m := p.m
	if !p.drops() {
		return nil
	}
	var all []*tensors.Tensor
	for i, tensor := range l.Tensors {
		if !tensor.Side || tensor.Rows {
			continue
		}
		random := rand.NewChaCha8(key(m.o.Seed, p.number, uint64(l.Block), uint64(l.From), uint64(part)<<32|uint64(i)))
		in := tensor.Shape[1]
		mask := make([]float32, t*in)
		limit := uint64(m.o.Dropout * (1 << 32))
		kept := float32(1 / (1 - m.o.Dropout))
		for k := 0; k < len(mask); k += 2 {
			bits := random.Uint64()
			if bits&0xffffffff >= limit {
				mask[k] = kept
			}
			if k+1 < len(mask) && bits>>32 >= limit {
				mask[k+1] = kept
			}
		}
		all = append(all, tensors.FromFlatDataAndDimensions(mask, t, in))
	}
	return all
}

// key is a seed of what is drawn for one tensor in one pass.
func key(seed, pass, block, slice, tensor uint64) (key [32]byte) {
	for i, x := range []uint64{seed, pass, block<<32 | slice, tensor} {
		for j := range 8 {
			key[8*i+j] = byte(x >> (8 * j))
		}
	}
	return key
}
